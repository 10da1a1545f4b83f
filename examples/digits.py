"""Train a small convolutional network on handwritten digits, draw its loss and its graph, and check its gradients.

`make demo` runs this; the pictures go to out/. The test images come from writers who are mostly absent from the training images.
"""

import time
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from tqdm import tqdm

import chainrule as torch
from chainrule import nn, viz
from chainrule.nn import functional as F
from chainrule.utils.data import DataLoader, TensorDataset
from chainrule.vision.datasets import Digits

EPOCHS, OUT = 20, Path("out")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24)
        self.conv2, self.norm2 = nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48)
        self.drop, self.fc = nn.Dropout(0.3), nn.Linear(48 * 4 * 4, 10)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        return self.fc(self.drop(x.flatten(1)))


def images(train):
    digits = Digits(train=train)
    return digits.data.unsqueeze(1).float() / 16, digits.targets


def warp(x):
    """Each image a little turned, scaled, sheared and shifted, as another hand might have written it."""
    maps = torch.eye(2, 3) + 0.1 * torch.randn(len(x), 2, 3)
    return F.grid_sample(x, F.affine_grid(maps, x.shape, align_corners=False), align_corners=False)


def train(model, dataset, test):
    """One line an epoch; the loss of every step."""
    losses = []
    loader = DataLoader(dataset, batch_size=64, shuffle=True)
    steps = EPOCHS * len(loader)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    with tqdm(total=steps, unit="step") as bar:
        for epoch in range(EPOCHS):
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(warp(x)), y)
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
                bar.update()
            mean = sum(losses[-len(loader) :]) / len(loader)
            bar.write(f"epoch {epoch + 1:2}  loss {mean:.4f}  held-out accuracy {accuracy(model, *test):.2%}")
    return losses


@torch.no_grad()
def accuracy(model, x, y):
    return (model.eval()(x).argmax(1) == y).float().mean().item()


def check_gradients(model, x, y):
    """The gradient of every parameter against central differences, in float64."""
    model = model.double().eval()
    names, parameters = zip(*model.named_parameters())

    def loss(*values):
        return F.cross_entropy(torch.func.functional_call(model, dict(zip(names, values)), (x.double(),)), y)

    return torch.autograd.gradcheck(loss, parameters, fast_mode=True)


def main():
    torch.manual_seed(0)
    OUT.mkdir(exist_ok=True)
    test = images(train=False)
    model, dataset = Net(), TensorDataset(*images(train=True))
    print(f"{len(dataset)} digits to train on, {len(test[1])} held out, {sum(p.numel() for p in model.parameters())} parameters")

    start = time.perf_counter()
    losses = train(model, dataset, test)
    print(f"held-out accuracy {accuracy(model, *test):.2%} after {time.perf_counter() - start:.1f} s")

    matplotlib.use("agg")
    plt.plot(losses, lw=0.8)
    plt.yscale("log")
    plt.xlabel("step")
    plt.ylabel("cross-entropy")
    plt.savefig(OUT / "loss.png", dpi=120)
    print("the loss curve is in", OUT / "loss.png")

    x, y = test[0][:8], test[1][:8]
    drawing = viz.graph(F.cross_entropy(model(x), y), params=dict(model.named_parameters()))
    for suffix in ("svg", "png", "html"):
        drawing.save(OUT / f"graph.{suffix}")
    print("the graph of the loss is in", OUT / "graph.png")

    print("gradients agree with finite differences:", check_gradients(model, x, y))


if __name__ == "__main__":
    main()
