"""Polynomial regression with a DataLoader, a validation split, early stopping and a checkpoint on disk."""

import os
import tempfile

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
POLY_DEGREE = 4
W_target = torch.randn(POLY_DEGREE, 1) * 5
b_target = torch.randn(1) * 5


def make_features(x):
    x = x.unsqueeze(1)
    return torch.cat([x**i for i in range(1, POLY_DEGREE + 1)], 1)


def poly_desc(W, b):
    result = "y = "
    for i, w in enumerate(W):
        result += "{:+.3f} x^{} ".format(w, i + 1)
    result += "{:+.3f}".format(b[0])
    return result


x = make_features(torch.randn(256))
y = x.mm(W_target) + b_target.item()
train, valid = random_split(TensorDataset(x, y), [0.75, 0.25], generator=torch.Generator().manual_seed(42))
print(len(train), len(valid), train.indices[:5])
loader = DataLoader(train, batch_size=32, shuffle=True, drop_last=True)

fc = nn.Linear(W_target.size(0), 1)
optimizer = torch.optim.SGD(fc.parameters(), lr=2e-3, momentum=0.9, nesterov=True, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
best = float("inf")
path = os.path.join(tempfile.mkdtemp(), "best.pt")
for epoch in range(8):
    for batch_x, batch_y in loader:
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(fc(batch_x), batch_y)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        losses = [F.mse_loss(fc(a), b).item() for a, b in DataLoader(valid, batch_size=64)]
    mean = sum(losses) / len(losses)
    scheduler.step(mean)
    if mean < best:
        best = mean
        torch.save({"epoch": epoch, "model": fc.state_dict(), "optimizer": optimizer.state_dict(), "loss": mean}, path)
    print(epoch, "loss {:.6f} valid {:.6f} lr {}".format(loss.item(), mean, optimizer.param_groups[0]["lr"]))

checkpoint = torch.load(path)
model = nn.Linear(W_target.size(0), 1)
print(model.load_state_dict(checkpoint["model"]))
optimizer.load_state_dict(checkpoint["optimizer"])
print(checkpoint["epoch"], sorted(checkpoint["optimizer"]), checkpoint["loss"])
print("==> Learned function:\t" + poly_desc(model.weight.view(-1), model.bias))
print("==> Actual function:\t" + poly_desc(W_target.view(-1), b_target))
os.remove(path)
