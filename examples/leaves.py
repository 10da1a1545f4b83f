"""Leaves and what lies between: which tensors have a history, which get a gradient, and what is written down of each.

A leaf is a tensor that no recorded operation made. Only leaves keep their gradients, unless another is told to.
"""

import warnings

import chainrule as torch

torch.manual_seed(2)
x, y = torch.ones(5), torch.zeros(3)
w = torch.randn(5, 3, requires_grad=True)
b = torch.randn(3, requires_grad=True)
z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
print("w:", w)
print("b:", b)
print("z:", z)
print("loss:", loss.item())

for name, tensor in [("x", x), ("y", y), ("w", w), ("b", b), ("z", z), ("loss", loss)]:
    print(f"{name}: leaf {tensor.is_leaf}, made by {tensor.grad_fn}")

loss.backward()
print(w.grad, b.grad)
print(x.grad, y.grad)  # nobody asked
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(z.grad)  # neither leaf nor told to keep it
print(caught[0].category.__name__ + ":", str(caught[0].message).split(" If you indeed")[0])

z = torch.matmul(x, w) + b
z.retain_grad()
torch.nn.functional.binary_cross_entropy_with_logits(z, y).backward()
print(z.grad)

# Frozen parameters, and passes that are not to be recorded.
print(z.requires_grad, (torch.matmul(x, w) + b).detach().requires_grad)
with torch.no_grad():
    print((torch.matmul(x, w) + b).requires_grad)
b.requires_grad_(False)
print((x.sum() + b).requires_grad, (torch.matmul(x, w) + b).requires_grad)

# A Jacobian that is not square: 4 by 5 in, 5 by 4 out, and the product with v = 1.
inp = torch.eye(4, 5, requires_grad=True)
out = (inp + 1).pow(2).t()
out.backward(torch.ones_like(out), retain_graph=True)
print(f"First call\n{inp.grad}")
out.backward(torch.ones_like(out), retain_graph=True)
print(f"Second call\n{inp.grad}")
inp.grad.zero_()
out.backward(torch.ones_like(out), retain_graph=True)
print(f"Call after zeroing gradients\n{inp.grad}")
