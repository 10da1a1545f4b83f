"""Vector-Jacobian products: backward from a result that is not a single number, and what accumulates.

For y = f(x) with Jacobian J, `y.backward(v)` computes v.T @ J, never J itself. A scalar loss is the case v = 1.
"""

import chainrule as torch

torch.manual_seed(1)
x, y = torch.ones(5), torch.zeros(3)
w = torch.randn(5, 3, requires_grad=True)
b = torch.randn(3).requires_grad_(True)  # tracking can be asked for later, too
z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
print("the node behind z:", z.grad_fn)
print("the node behind the loss:", loss.grad_fn)
loss.backward()
print(w.grad)
print(b.grad)

# The graph was used up: its saved values are gone, and a second walk is refused.
try:
    loss.backward()
except RuntimeError as error:
    print("RuntimeError:", error)

# A square Jacobian: out[i, j] = (inp[i, j] + 1) ** 2, each element on its own, so v.T @ J is v times 2 * (inp + 1).
inp = torch.eye(5, requires_grad=True)
print(inp)
out = (inp + 1).pow(2)
out.backward(torch.ones_like(inp), retain_graph=True)  # keep the graph for another walk
print("First call\n", inp.grad)

# Gradients add up: the second walk doubles what is there. An optimizer's zero_grad prevents that in training.
out.backward(torch.ones_like(inp), retain_graph=True)
print("\nSecond call\n", inp.grad)
inp.grad.zero_()
out.backward(torch.ones_like(inp), retain_graph=True)
print("\nCall after zeroing gradients\n", inp.grad)
