"""One training step of ResNet-18: forward, loss, backward, step; then the same by hand on two numbers.

The weights are random here; `load_state_dict` takes trained ones.
"""

import chainrule as torch
from chainrule import vision as torchvision

torch.manual_seed(0)
model = torchvision.models.resnet18(weights=None)
data = torch.rand(1, 3, 64, 64)  # one picture, 3 colours
labels = torch.rand(1, 1000)
print(sum(p.numel() for p in model.parameters()), "parameters")

prediction = model(data)  # forward
loss = (prediction - labels).sum()
loss.backward()  # backward: every parameter's .grad is there
print("loss", round(loss.item(), 2))
print("largest gradient in the first layer", round(model.conv1.weight.grad.abs().max().item(), 3))

optim = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
optim.step()  # each parameter one step against its gradient
print("after one step", round((model(data) - labels).sum().item(), 2))

# To tune only the last layer, freeze the rest: frozen parameters get no gradients and cost no backward pass.
for parameter in model.parameters():
    parameter.requires_grad = False
model.fc = torch.nn.Linear(512, 10)
model(data).sum().backward()
print([name for name, parameter in model.named_parameters() if parameter.requires_grad], model.conv1.weight.requires_grad)

# By hand: Q = 3 a^3 - b^2 has dQ/da = 9 a^2 and dQ/db = -2 b.
a = torch.tensor([2.0, 3.0], requires_grad=True)
b = torch.tensor([6.0, 4.0], requires_grad=True)
Q = 3 * a**3 - b**2
Q.backward(torch.tensor([1.0, 1.0]))  # Q has two elements: say how much each counts
print(a.grad, a.grad == 9 * a**2)
print(b.grad, b.grad == -2 * b)
