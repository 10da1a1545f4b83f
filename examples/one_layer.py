"""One layer, one loss, one backward pass: what a gradient is for, and how to stop recording.

A network learns by moving each parameter against the gradient of the loss. For that every operation on a tensor that asks for
gradients leaves a node behind; `backward` walks these nodes from the loss to the parameters.
"""

import chainrule as torch

torch.manual_seed(0)
x = torch.ones(5)  # the input
y = torch.zeros(3)  # what should come out
w = torch.randn(5, 3, requires_grad=True)  # what is learnt
b = torch.randn(3, requires_grad=True)

z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
print(f"z was made by {z.grad_fn}")
print(f"the loss was made by {loss.grad_fn}")

# d(loss)/dw and d(loss)/db arrive in .grad. Each row of w meets the same input, 1, so its rows' gradients agree.
loss.backward()
print(w.grad)
print(b.grad)

# A trained network is only used, not trained: nothing needs to be recorded. Either for a while ...
z = torch.matmul(x, w) + b
print(z.requires_grad)
with torch.no_grad():
    z = torch.matmul(x, w) + b
print(z.requires_grad)

# ... or for one tensor, which shares its values but has no history.
z = torch.matmul(x, w) + b
print(z.detach().requires_grad)
