"""Times convolution, pooling, batch normalisation and ResNet-18 against PyTorch: `python benchmarks/kernels.py` writes kernels.md.

A ratio is chainrule's time over PyTorch's: below 1 chainrule is faster. Both libraries run in one process with two threads each, taking
turns round by round, so that what else the machine does falls on both; the ratio is that of the medians over the rounds, and "least"
that of the quickest rounds.

    python benchmarks/kernels.py --only depthwise,pool --threads 1
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

HERE = Path(__file__).parent
BUDGET = 2.0  # seconds a row and direction, both libraries together
GOAL = 1.0


class Row(NamedTuple):
    """`call(torch, *inputs)`, the inputs being normal, tracked tensors of these shapes."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    call: Callable


# ResNet-18's convolutions: channels, side of the image of 224x224, outputs, kernel, stride
RESNET = (
    (3, 224, 64, 7, 2), (64, 56, 64, 3, 1), (64, 56, 128, 3, 2), (64, 56, 128, 1, 2), (128, 28, 128, 3, 1), (128, 28, 256, 3, 2),
    (256, 14, 256, 3, 1), (256, 14, 512, 3, 2), (512, 7, 512, 3, 1),
)  # fmt: skip
BATCHES = ((1, 64), (32, 64), (8, 224))  # images, and their side
# MobileNetV2's depthwise convolutions: channels, side, stride
MOBILE = ((32, 112, 1), (96, 112, 2), (144, 56, 1), (144, 56, 2), (192, 28, 1), (384, 14, 1), (576, 14, 2), (960, 7, 1))


def conv(name: str, batch: int, channels: int, side: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> Row:
    title = f"{name} {kernel}x{kernel}/{stride}, {batch}x{channels}x{side}x{side} to {outputs}"
    weight = outputs, channels // groups, kernel, kernel
    return Row(
        title,
        ((batch, channels, side, side), weight),
        lambda torch, x, w: torch.nn.functional.conv2d(x, w, None, stride, kernel // 2, 1, groups),
    )


def pool(name: str, shape: tuple[int, ...], call: Callable) -> Row:
    return Row(f"{name}, {'x'.join(map(str, shape))}", (shape,), lambda torch, x: call(torch.nn.functional, x))


def batch_norm(shape: tuple[int, ...], training: bool) -> Row:
    channels = (shape[1],)
    title = f"batch_norm {'training' if training else 'eval'}, {'x'.join(map(str, shape))}"

    def call(torch: ModuleType, x: Any, w: Any, b: Any) -> Any:
        return torch.nn.functional.batch_norm(x, torch.zeros(channels), torch.ones(channels), w, b, training)

    return Row(title, (shape, channels, channels), call)


ROWS = [
    *[conv("conv", n, c, h * side // 224, o, k, s) for n, side in BATCHES for c, h, o, k, s in RESNET],
    *[conv("depthwise", n, c, h, c, 3, s, c) for n in (1, 8) for c, h, s in MOBILE],
    *[
        row
        for shape in ((1, 64, 32, 32), (32, 64, 32, 32), (8, 64, 112, 112))
        for row in (
            pool("max_pool 3/2", shape, lambda F, x: F.max_pool2d(x, 3, 2, 1)),
            pool("max_pool 2", shape, lambda F, x: F.max_pool2d(x, 2)),
            pool("avg_pool 2", shape, lambda F, x: F.avg_pool2d(x, 2)),
            pool("avg_pool 3/1", shape, lambda F, x: F.avg_pool2d(x, 3, 1, 1)),
            pool("adaptive_avg_pool 7", shape, lambda F, x: F.adaptive_avg_pool2d(x, 7)),
            pool("adaptive_avg_pool 1", shape, lambda F, x: F.adaptive_avg_pool2d(x, 1)),
            batch_norm(shape, True),
            batch_norm(shape, False),
        )
    ],
]


def forward(row: Row) -> Callable[[ModuleType], Callable]:
    def make(torch: ModuleType) -> Callable:
        torch.manual_seed(0)
        inputs = [torch.randn(*shape) for shape in row.shapes]
        return lambda: row.call(torch, *inputs)

    return make


def both(row: Row) -> Callable[[ModuleType], Callable]:
    def make(torch: ModuleType) -> Callable:
        torch.manual_seed(0)
        inputs = [torch.randn(*shape).requires_grad_() for shape in row.shapes]
        g = torch.randn(*row.call(torch, *inputs).shape)

        def run() -> None:
            for t in inputs:
                t.grad = None
            row.call(torch, *inputs).backward(g)

        return run

    return make


def resnet18(torch: ModuleType) -> Any:
    """ResNet-18, of the parts of one library."""
    nn = torch.nn

    def normed(channels: int, outputs: int, kernel: int, stride: int) -> Any:
        return nn.Sequential(nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs))

    class Block(nn.Module):
        def __init__(self, channels: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.first, self.second = normed(channels, outputs, 3, stride), normed(outputs, outputs, 3, 1)
            self.around = normed(channels, outputs, 1, stride) if stride > 1 else nn.Identity()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Any) -> Any:
            y = self.second(self.relu(self.first(x)))
            y += self.around(x)
            return self.relu(y)

    stages = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)
    return nn.Sequential(normed(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1), *[Block(*s) for s in stages], *head)


def resnet_step(batch: int) -> Callable[[ModuleType], Callable]:
    """A training step of ResNet-18 at 64x64: loss, gradients, SGD with momentum."""

    def make(torch: ModuleType) -> Callable:
        torch.manual_seed(0)
        model = resnet18(torch)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
        x, labels = torch.rand(batch, 3, 64, 64), torch.rand(batch, 1000)

        def run() -> None:
            loss = (model(x) - labels).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return run

    return make


def timed(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def in_turns(make: Callable[[ModuleType], Callable], modules: list[ModuleType], budget: float) -> list[list[float]]:
    """Seconds a call, for each library a list with a figure a round."""
    work = [make(m) for m in modules]
    for f in work:
        timed(f, 2)
    once = sum([timed(f, 2) for f in work])
    calls = max(1, int(0.01 / once))
    rounds = min(200, max(5, int(budget / (once * calls))))
    return list(zip(*[[timed(f, calls) for f in work] for _ in range(rounds)], strict=True))


def line(title: str, times: list[list[float]]) -> tuple[str, float]:
    ours, theirs = (statistics.median(t) for t in times)
    least = min(times[0]) / min(times[1])
    return f"| {title} | {ours * 1e3:.3f} | {theirs * 1e3:.3f} | {ours / theirs:.2f} | {least:.2f} |", ours / theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="parts of row titles, with commas between")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--budget", type=float, default=BUDGET)
    options = parser.parse_args()
    import torch

    import chainrule

    torch.set_num_threads(options.threads)
    chainrule.set_num_threads(options.threads)
    modules = [chainrule, torch]
    jobs = [(f"ResNet-18 training step, {n}x3x64x64", resnet_step(n), 3) for n in (1, 32)]
    for row in ROWS:
        jobs += [(f"{row.name}", forward(row), 1), (f"{row.name}, and backward", both(row), 1)]
    wanted = [part for part in options.only.split(",") if part]
    lines = [
        f"# Kernels against PyTorch {torch.__version__}",
        "",
        f"{platform.machine()}, Python {platform.python_version()}; threads: {options.threads}; processes that wanted to run, on "
        f"{os.cpu_count()} cores: {os.getloadavg()[0]:.1f}. Milliseconds, medians of rounds in turns.",
        "",
        "| work | chainrule | PyTorch | ratio | least |",
        "|---|---|---|---|---|",
    ]
    ratios = []
    for title, make, weight in jobs:
        if not wanted or any(part in title for part in wanted):
            text, ratio = line(title, in_turns(make, modules, weight * options.budget))
            ratios.append(ratio)
            lines.append(text)
            print(text, flush=True)
    over = sum([r > GOAL for r in ratios])
    lines += ["", f"Geometric mean of {len(ratios)} ratios: {math.exp(statistics.fmean(map(math.log, ratios))):.3f}; {over} above {GOAL}."]
    print(lines[-1])
    if not wanted:
        (HERE / "kernels.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    main()
