"""Times the derivative transforms against PyTorch's: `python benchmarks/transforms.py` prints the tables and writes transforms.md.

Ratios to PyTorch come from rounds in turns in one process (below 1: chainrule is faster). The works are small: each library has one
thread, and what is measured is the processor's time, which other programs on the machine do not lengthen. The second table is
chainrule alone: forward mode against the function, per-sample gradients at once against one by one. The third is the memory that a
training step of ResNet-18 needs, plain and with checkpoints, each in a process of its own.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from run import in_process

Work = Callable[[ModuleType], Callable[[], object]]


def mlp(torch: ModuleType) -> tuple:
    """Parameters, a loss of them, and a batch."""
    torch.manual_seed(0)
    x, y = torch.randn(64, 32), torch.randn(64, 10)
    parameters = tuple([torch.randn(*s) * 0.2 for s in ((32, 64), (64,), (64, 10), (10,))])

    def loss(w1: object, b1: object, w2: object, b2: object) -> object:
        return ((torch.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).mean()

    return parameters, loss


def hvp(torch: ModuleType) -> Callable[[], object]:
    parameters, loss = mlp(torch)
    v = tuple([torch.ones_like(p) for p in parameters])
    return lambda: torch.autograd.functional.hvp(loss, parameters, v)


def hvp_forward(torch: ModuleType) -> Callable[[], object]:
    parameters, loss = mlp(torch)
    v = tuple([torch.ones_like(p) for p in parameters])
    slope = torch.func.grad(loss, argnums=(0, 1, 2, 3))
    return lambda: torch.func.jvp(slope, parameters, v)


def jvp(torch: ModuleType) -> Callable[[], object]:
    parameters, loss = mlp(torch)
    v = tuple([torch.ones_like(p) for p in parameters])
    return lambda: torch.func.jvp(loss, parameters, v)


def wide(torch: ModuleType) -> tuple:
    torch.manual_seed(0)
    w = torch.randn(64, 64) * 0.1
    return torch.randn(64), lambda x: torch.tanh(torch.tanh(w @ x) * x + w.T @ x)


def jacobian(torch: ModuleType) -> Callable[[], object]:
    x, f = wide(torch)
    return lambda: torch.autograd.functional.jacobian(f, x, vectorize=True)


def jacrev(torch: ModuleType) -> Callable[[], object]:
    x, f = wide(torch)
    return lambda: torch.func.jacrev(f)(x)


def jacfwd(torch: ModuleType) -> Callable[[], object]:
    x, f = wide(torch)
    return lambda: torch.func.jacfwd(f)(x)


def hessian(torch: ModuleType) -> Callable[[], object]:
    torch.manual_seed(0)
    x, a = torch.randn(20), torch.randn(30, 20)
    return lambda: torch.func.hessian(lambda p: torch.log(1 + torch.exp(a @ p)).sum() + (p * p).sum())(x)


def cnn(torch: ModuleType, batch: int = 64) -> tuple:
    """The parameters of a small convolutional net, its loss on one example, and a batch."""
    torch.manual_seed(0)
    F = torch.nn.functional
    shapes = {"w1": (8, 1, 3, 3), "b1": (8,), "w2": (16, 8, 3, 3), "b2": (16,), "w3": (10, 64), "b3": (10,)}
    parameters = {n: torch.randn(*s) * 0.2 for n, s in shapes.items()}
    images, labels = torch.randn(batch, 1, 8, 8), torch.randint(0, 10, (batch,))

    def loss(p: dict, image: object, label: object) -> object:
        h = torch.relu(F.conv2d(image[None], p["w1"], p["b1"], padding=1))
        h = F.max_pool2d(torch.relu(F.conv2d(h, p["w2"], p["b2"], padding=1)), 4)
        return F.cross_entropy(F.linear(h.flatten(1), p["w3"], p["b3"]), label[None])

    return parameters, loss, images, labels


def per_sample(torch: ModuleType) -> Callable[[], object]:
    parameters, loss, images, labels = cnn(torch)
    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: gradients(parameters, images, labels)


def per_sample_mlp(torch: ModuleType) -> Callable[[], object]:
    torch.manual_seed(0)
    parameters = [torch.randn(*s) * 0.2 for s in ((32, 64), (64,), (64, 10), (10,))]
    x, y = torch.randn(64, 32), torch.randint(0, 10, (64,))

    def loss(p: list, x: object, y: object) -> object:
        return torch.nn.functional.cross_entropy(torch.tanh(x @ p[0] + p[1]) @ p[2] + p[3], y)

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: gradients(parameters, x, y)


def per_sample_mnist(torch: ModuleType) -> Callable[[], object]:
    """The network of PyTorch's own guide to per-sample gradients, on 16 images of 28x28."""
    F = torch.nn.functional
    torch.manual_seed(0)
    shapes = {
        "w1": (32, 1, 3, 3), "b1": (32,), "w2": (64, 32, 3, 3), "b2": (64,), "w3": (128, 9216), "b3": (128,), "w4": (10, 128),
        "b4": (10,),
    }  # fmt: skip
    parameters = {n: torch.randn(*s) * 0.05 for n, s in shapes.items()}
    images, labels = torch.randn(16, 1, 28, 28), torch.randint(0, 10, (16,))

    def loss(p: dict, image: object, label: object) -> object:
        h = F.relu(F.conv2d(F.relu(F.conv2d(image[None], p["w1"], p["b1"])), p["w2"], p["b2"]))
        h = F.relu(F.linear(F.max_pool2d(h, 2).flatten(1), p["w3"], p["b3"]))
        return F.nll_loss(F.log_softmax(F.linear(h, p["w4"], p["b4"]), 1), label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: gradients(parameters, images, labels)


def deep(torch: ModuleType) -> tuple:
    """A network of three layers, wide enough for its arithmetic to count, and where to go along."""
    torch.manual_seed(0)
    weights = [torch.randn(512, 512) * 0.05 for _ in range(3)]
    x = torch.randn(256, 512)

    def network(x: object) -> object:
        for w in weights:
            x = torch.tanh(x @ w)
        return (x**2).mean()

    return network, x, torch.randn(256, 512)


ROWS: tuple[tuple[str, Work], ...] = (
    ("Hessian-vector product of an MLP's loss, `functional.hvp`", hvp),
    ("the same, `func.jvp` of `func.grad`", hvp_forward),
    ("Jacobian-vector product of an MLP's loss, `func.jvp`", jvp),
    ("Jacobian 64 by 64, `functional.jacobian(vectorize=True)`", jacobian),
    ("Jacobian 64 by 64, `func.jacrev`", jacrev),
    ("Jacobian 64 by 64, `func.jacfwd`", jacfwd),
    ("Hessian of a loss of 20 parameters, `func.hessian`", hessian),
    ("per-sample gradients of an MLP, batch 64", per_sample_mlp),
    ("per-sample gradients of a CNN, batch 64", per_sample),
    ("per-sample gradients of a CNN on 28x28, batch 16", per_sample_mnist),
)


def timed(function: Callable[[], object], calls: int) -> float:
    """Seconds of the processor's time a call."""
    start = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - start) / calls


def in_turns(make: Work, modules: list[ModuleType], rounds: int) -> list[float]:
    """Median seconds a call of the same work in each library."""
    work = [make(m) for m in modules]
    calls = [max(1, int(0.03 / timed(f, 3))) for f in work for _ in (timed(f, 3),)]
    times = [[timed(f, n) for f, n in zip(work, calls, strict=True)] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def best(function: Callable[[], object], calls: int) -> float:
    return min([timed(function, calls) for _ in range(5)])


def alone(torch: ModuleType) -> list[tuple[str, float, float]]:
    """Pairs of times of chainrule: (what, with the transform, without)."""
    network, x, v = deep(torch)
    pushed = best(lambda: torch.func.jvp(network, (x,), (v,)), 5)
    rows = [("`func.jvp` of a network 3x512, batch 256, and the network", pushed, best(lambda: network(x), 5))]
    parameters, loss = mlp(torch)
    rows.append(("`func.jvp` of an MLP 32-64-10, batch 64, and the MLP", best(jvp(torch), 50), best(lambda: loss(*parameters), 50)))
    p, one, images, labels = cnn(torch)
    slope = torch.func.grad(one)
    loop = best(lambda: [slope(p, images[i], labels[i]) for i in range(len(images))], 2)
    rows.append(("per-sample gradients of a CNN, batch 64, at once and one by one", best(per_sample(torch), 5), loop))
    return rows


# A training step of ResNet-18; in a checkpointed one only what enters each block is kept
RESNET = """
import chainrule as torch
from chainrule import vision
from chainrule.utils.checkpoint import checkpoint
torch.set_num_threads(2)
net = vision.models.resnet18()
if {checkpointed}:
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        for block in stage:
            block.forward = lambda x, inner=block.forward: checkpoint(inner, x, use_reentrant=False)
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
def step(x):
    start = time.process_time()
    net(x).square().mean().backward()
    return time.process_time() - start
import time
step(torch.randn(2, 3, 64, 64))
before = peak()
x = torch.randn({batch}, 3, 224, 224)
first = step(x)
print((peak() - before) / 1024, step(x))
"""


def lines_of_memory(batch: int) -> list[str]:
    """The table of memory."""
    plain, less = [in_process(RESNET.format(checkpointed=c, batch=batch)) for c in (False, True)]
    lines = [f"| ResNet-18, {batch} images of 224x224, forward and backward | memory | processor's time |", "|---|---|---|"]
    for title, (memory, seconds) in (("plain", plain), ("each block a checkpoint", less)):
        lines.append(f"| {title} | {memory:.0f} MiB | {seconds:.2f} s |")
    return [*lines, f"| checkpoints / plain | {less[0] / plain[0]:.2f} | {less[1] / plain[1]:.2f} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    import torch

    import chainrule

    torch.set_num_threads(1)
    chainrule.set_num_threads(1)
    lines = [
        f"# Transforms of functions against PyTorch {torch.__version__}",
        f"\n{platform.machine()}, Python {platform.python_version()}, one thread, medians of {options.rounds} rounds.",
        "Ratios are chainrule / PyTorch: below 1 is better.",
        "\n| work | chainrule | PyTorch | ratio |\n|---|---|---|---|",
    ]
    for title, make in ROWS:
        ours, theirs = in_turns(make, [chainrule, torch], options.rounds)
        lines.append(f"| {title} | {ours * 1e3:.2f} ms | {theirs * 1e3:.2f} ms | {ours / theirs:.2f} |")
        print(lines[-1], flush=True)
    lines.append("\nchainrule alone, best of five:\n\n| work | first | second | first / second |\n|---|---|---|---|")
    for title, first, second in alone(chainrule):
        lines.append(f"| {title} | {first * 1e3:.2f} ms | {second * 1e3:.2f} ms | {first / second:.2f} |")
    lines += ["", *lines_of_memory(options.batch)]
    print("\n".join(lines))
    (Path(__file__).parent / "transforms.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
