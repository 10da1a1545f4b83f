"""Transfer learning: a ResNet-18 learns the digits 0 to 4, its trunk is frozen, and a new last layer learns 5 to 9 from it.

    python examples/finetune.py                      # half a minute on two cores
    python examples/finetune.py --weights net.pth    # start from your own checkpoint of a ResNet-18 instead

The loss curves go to out/finetune.png.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

import chainrule as torch
from chainrule import nn
from chainrule.nn import functional as F
from chainrule.utils.data import DataLoader, TensorDataset
from chainrule.vision.datasets import Digits
from chainrule.vision.models import resnet18

SIDE, BATCH = 32, 64
OUT = Path("out")


def pictures(train, classes):
    """The digits of some classes, numbered from 0, as pictures (3, SIDE, SIDE) with mean 0 and deviation 1."""
    digits = Digits(train=train)
    keep = (digits.targets >= classes[0]) & (digits.targets <= classes[-1])
    x = digits.data[keep].unsqueeze(1).float() / 16
    x = F.interpolate((x - 0.3) / 0.38, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return TensorDataset(x.expand(-1, 3, -1, -1), digits.targets[keep] - classes[0])


def freeze(model, classes):
    """Keep all that was learned, but for a new last layer."""
    model.requires_grad_(False)
    model.fc = nn.Linear(model.fc.in_features, classes)
    return model


def train(model, dataset, epochs, lr, trunk):
    """Yields the loss of each step; with `trunk` False batch norm keeps its statistics, too."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=1e-4, nesterov=True)
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, drop_last=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    model.train(trunk)
    for _ in range(epochs):
        for x, y in loader:
            loss = F.cross_entropy(model(x), y, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            yield loss.item()


@torch.no_grad()
def accuracy(model, dataset):
    x, y = dataset.tensors
    return (model.eval()(x).argmax(1) == y).float().mean().item()


def watch(title, steps, losses):
    """The losses, with a progress bar."""
    bar = tqdm(losses, title, total=steps)
    seen = []
    for loss in bar:
        seen.append(loss)
        bar.set_postfix(loss=f"{loss:.3f}")
    return seen


def draw(curves, path):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(9, 3.5), sharey=True, layout="constrained")
    for ax, (title, losses) in zip(axes, curves.items()):
        ax.plot(losses, lw=0.9)
        ax.set(title=title, xlabel="step")
    axes[0].set_ylabel("cross-entropy")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    print("the loss curves are in", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a state_dict of a ResNet-18 in a file")
    weights = parser.parse_args().weights
    torch.manual_seed(0)
    model, curves = resnet18(num_classes=5), {}
    old, new = range(5), range(5, 10)
    if weights:
        model.load_state_dict({k: v for k, v in torch.load(weights).items() if not k.startswith("fc.")}, strict=False)
    else:
        source = pictures(True, old)
        curves["all layers, digits 0 to 4"] = watch("0 to 4", 4 * (len(source) // BATCH), train(model, source, 4, 0.01, trunk=True))
        print(f"held-out accuracy on 0 to 4, all layers: {accuracy(model, pictures(False, old)):.1%}")

    target, test = pictures(True, new), pictures(False, new)
    freeze(model, len(new))
    print(f"held-out accuracy on 5 to 9, new layer:  {accuracy(model, test):.1%}")
    curves["last layer, digits 5 to 9"] = watch("5 to 9", 8 * (len(target) // BATCH), train(model, target, 8, 0.02, trunk=False))
    print(f"held-out accuracy on 5 to 9, trained:    {accuracy(model, test):.1%}")
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"{learned} of {sum(p.numel() for p in model.parameters())} parameters were trained for it")
    draw(curves, OUT / "finetune.png")


if __name__ == "__main__":
    main()
