"""The computational graph of one layer, seen node by node, and built anew on every pass.

The nodes hang together by `next_functions`, from the loss down to the leaves' `AccumulateGrad`.
"""

import chainrule as torch

torch.manual_seed(3)
x = torch.ones(1, 5)  # a batch of one
y = torch.zeros(1, 3)
w = torch.randn(5, 3, requires_grad=True)
b = torch.randn(3, requires_grad=True)
z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)


def walk(node, depth=0):
    shape = tuple(node.variable.shape) if hasattr(node, "variable") else ""
    print("  " * depth + node.name().split("::")[-1], shape)
    for parent, _ in node.next_functions:
        if parent is not None:
            walk(parent, depth + 1)


print(f"Gradient function for z = {z.grad_fn}")
print(f"Gradient function for loss = {loss.grad_fn}")
walk(loss.grad_fn)

loss.backward()
print(w.grad)
print(b.grad)

# The graph is made by running the code, so it may branch as Python does: here the number of factors depends on the data.
for start in (1.5, 3.0, 6.0):
    v = torch.tensor(start, requires_grad=True)
    product = v
    while product < 10:
        product = product * v
    product.backward()
    print(product, v.grad)
