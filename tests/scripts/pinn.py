"""Derivatives of derivatives: a network that solves u'' = -u, gradient penalties, and MAML with torch.func."""

import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap

torch.manual_seed(11)

# A network that satisfies a differential equation
net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 0.97**k)
for step in range(12):
    t = torch.linspace(0, 3, 24).view(-1, 1).requires_grad_(True)
    u = net(t)
    dudt = torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)[0]
    d2udt2 = torch.autograd.grad(dudt, t, torch.ones_like(dudt), create_graph=True)[0]
    start = torch.zeros(1, 1, requires_grad=True)
    u0 = net(start)
    du0 = torch.autograd.grad(u0, start, torch.ones_like(u0), create_graph=True)[0]
    loss = (d2udt2 + u).pow(2).mean() + (torch.squeeze(u0) - 1) ** 2 + torch.squeeze(du0) ** 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    print("pde", step, f"{loss.item():.6f}")

# A critic with a gradient penalty (WGAN-GP)
critic = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
opt = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
for step in range(6):
    real, fake = torch.randn(32, 2) + 2, torch.randn(32, 2)
    eps = torch.rand(32, 1)
    mixed = (eps * real + (1 - eps) * fake).requires_grad_()
    gradients = torch.autograd.grad(outputs=critic(mixed).sum(), inputs=mixed, create_graph=True, retain_graph=True)[0]
    penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
    loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("wgan", step, f"{loss.item():.6f} {penalty.item():.6f}")

# MAML: a step of learning inside the loss
meta = nn.Sequential(nn.Linear(1, 12), nn.ReLU(), nn.Linear(12, 1))
outer = torch.optim.SGD(meta.parameters(), lr=0.05)


def task_loss(params, x, y):
    return nn.functional.mse_loss(functional_call(meta, params, (x,)), y)


def adapted_loss(params, xs, ys, xq, yq):
    grads = grad(task_loss)(params, xs, ys)
    return task_loss({k: p - 0.1 * grads[k] for k, p in params.items()}, xq, yq)


for step in range(6):
    amplitude, phase = torch.rand(8, 1, 1) * 2 + 0.5, torch.rand(8, 1, 1) * 3
    x = torch.rand(8, 10, 1) * 6 - 3
    y = amplitude * torch.sin(x + phase)
    params = dict(meta.named_parameters())
    losses = vmap(adapted_loss, in_dims=(None, 0, 0, 0, 0))(params, x[:, :5], y[:, :5], x[:, 5:], y[:, 5:])
    outer.zero_grad()
    losses.mean().backward()
    outer.step()
    print("maml", step, f"{losses.mean().item():.6f}")

# Gradients of each example, and a Jacobian
params = {k: p.detach() for k, p in meta.named_parameters()}
each = vmap(grad(task_loss), in_dims=(None, 0, 0))(params, x[0], y[0])
print({k: (tuple(v.shape), round(v.norm().item(), 5)) for k, v in each.items()})
print(jacrev(lambda v: functional_call(meta, params, (v,)))(x[0, :3]).sum().item())
