"""A denoising diffusion model on two-dimensional points and a small convolutional one on pictures: schedules, embeddings, sampling."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
T = 40


def cosine_beta_schedule(timesteps, s=0.008):
    x = torch.linspace(0, timesteps, timesteps + 1)
    alphas_cumprod = torch.cos(((x / timesteps) + s) / (1 + s) * torch.pi * 0.5) ** 2
    alphas_cumprod = alphas_cumprod / alphas_cumprod[0]
    return torch.clip(1 - (alphas_cumprod[1:] / alphas_cumprod[:-1]), 0.0001, 0.9999)


betas = cosine_beta_schedule(T)
alphas = 1.0 - betas
alphas_cumprod = torch.cumprod(alphas, axis=0)
alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
sqrt_recip_alphas = torch.sqrt(1.0 / alphas)
sqrt_alphas_cumprod = torch.sqrt(alphas_cumprod)
sqrt_one_minus_alphas_cumprod = torch.sqrt(1.0 - alphas_cumprod)
posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)


def extract(a, t, x_shape):
    out = a.gather(-1, t.cpu())
    return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1))).to(t.device)


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        half_dim = self.dim // 2
        embeddings = torch.exp(torch.arange(half_dim, device=time.device) * -(math.log(10000) / (half_dim - 1)))
        embeddings = time[:, None] * embeddings[None, :]
        return torch.cat((embeddings.sin(), embeddings.cos()), dim=-1)


class Block(nn.Module):
    def __init__(self, dim, dim_out, time_dim):
        super().__init__()
        self.proj = nn.Conv2d(dim, dim_out, 3, padding=1)
        self.norm = nn.GroupNorm(4, dim_out)
        self.act = nn.SiLU()
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, dim_out * 2))

    def forward(self, x, t):
        scale, shift = self.time(t)[:, :, None, None].chunk(2, dim=1)
        return self.act(self.norm(self.proj(x)) * (scale + 1) + shift)


class Unet(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.time_mlp = nn.Sequential(SinusoidalPositionEmbeddings(dim), nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, 32))
        self.down1, self.down2 = Block(1, dim, 32), Block(dim, dim * 2, 32)
        self.pool = nn.Conv2d(dim, dim, 4, 2, 1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.up1 = Block(dim * 3, dim, 32)
        self.final_conv = nn.Conv2d(dim, 1, 1)

    def forward(self, x, time):
        t = self.time_mlp(time)
        h = self.down1(x, t)
        m = self.down2(self.pool(h), t)
        return self.final_conv(self.up1(torch.cat((self.up(m), h), dim=1), t))


def q_sample(x_start, t, noise):
    return extract(sqrt_alphas_cumprod, t, x_start.shape) * x_start + extract(sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise


def p_losses(model, x_start, t, loss_type):
    noise = torch.randn_like(x_start)
    predicted = model(q_sample(x_start, t, noise), t)
    return {"l1": F.l1_loss, "l2": F.mse_loss, "huber": F.smooth_l1_loss}[loss_type](noise, predicted)


@torch.no_grad()
def p_sample(model, x, t, t_index):
    betas_t = extract(betas, t, x.shape)
    mean = extract(sqrt_recip_alphas, t, x.shape) * (x - betas_t * model(x, t) / extract(sqrt_one_minus_alphas_cumprod, t, x.shape))
    if t_index == 0:
        return mean
    return mean + torch.sqrt(extract(posterior_variance, t, x.shape)) * torch.randn_like(x)


model = Unet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(18):
    corner = torch.randint(0, 4, (16, 2))
    batch = torch.full((16, 1, 8, 8), -1.0)
    for i, (r, c) in enumerate(corner.tolist()):
        batch[i, :, r : r + 4, c : c + 4] = 1.0
    optimizer.zero_grad()
    t = torch.randint(0, T, (16,)).long()
    loss = p_losses(model, batch, t, loss_type=("l1", "l2", "huber")[step % 3])
    loss.backward()
    optimizer.step()
    print("step", step, "Loss:", loss.item())
img = torch.randn(2, 1, 8, 8)
for i in reversed(range(T)):
    img = p_sample(model, img, torch.full((2,), i, dtype=torch.long), i)
print(img.abs().mean().item(), img.std().item())
