"""Whole training steps (forward, loss, backward, optimizer step) in both libraries: `python benchmarks/training.py [--only lstm,gpt]`.

Each library has a process of its own, two threads, float32; the two take strictly alternating turns, so that neither finds the other's
threads still spinning. A time is the median of all steps after two to warm up, the memory the peak of the process. PyTorch gets
`fused=True` optimizers, and channels_last where it is faster that way. Writes the rows to training.md, with the geometric mean.
"""

from __future__ import annotations

import argparse
import math
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
LIBRARIES = ("chainrule", "torch")
BUDGET, TURN, ROUNDS = 8.0, 0.25, 40  # seconds a row, both libraries together; seconds a turn; turns at most


def step(loss: Callable[[], Any], optimizer: Any) -> Callable[[], None]:
    def run() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return run


def adam(torch: ModuleType, parameters: Any) -> Any:
    return torch.optim.Adam(parameters, lr=1e-3, fused=True)


def sgd(torch: ModuleType, parameters: Any) -> Any:
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, fused=True)


def small_ops(torch: ModuleType, models: Any) -> Callable:
    a, b = torch.rand(8, 8, requires_grad=True), torch.rand(8, 8)

    def run() -> None:
        x = a
        for _ in range(10):
            x = x * b + b
        x.sum().backward()
        a.grad = None

    return run


def mlp(torch: ModuleType, models: Any) -> Callable:
    nn = torch.nn
    net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    x, y = torch.rand(64, 784), torch.randint(0, 10, (64,))
    return step(lambda: nn.functional.cross_entropy(net(x), y), adam(torch, net.parameters()))


def lenet(torch: ModuleType, models: Any) -> Callable:
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(),
        nn.Linear(128, 10),
    )  # fmt: skip
    x, y = torch.rand(64, 1, 28, 28), torch.randint(0, 10, (64,))
    return step(lambda: nn.functional.cross_entropy(net(x), y), adam(torch, net.parameters()))


def pictures(name: str, batch: int, side: int, channels_last: bool, train: bool = True) -> Callable:
    def make(torch: ModuleType, models: Any) -> Callable:
        net = getattr(models, name)()
        x, y = torch.rand(batch, 3, side, side), torch.randint(0, 1000, (batch,))
        if channels_last and torch.__name__ == "torch":
            net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        if not train:
            net.eval()

            def infer() -> None:
                with torch.no_grad():
                    net(x)

            return infer
        return step(lambda: torch.nn.functional.cross_entropy(net(x), y), sgd(torch, net.parameters()))

    return make


def lstm(torch: ModuleType, models: Any) -> Callable:
    net, x = torch.nn.LSTM(128, 256), torch.rand(64, 16, 128)
    return step(lambda: net(x)[0].square().mean(), adam(torch, net.parameters()))


def encoder_layer(torch: ModuleType, models: Any) -> Callable:
    net, x = torch.nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True), torch.rand(8, 256, 256)
    return step(lambda: net(x).square().mean(), adam(torch, net.parameters()))


def gpt(torch: ModuleType, models: Any) -> Callable:
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(256), nn.LayerNorm(256)
            self.qkv, self.out = nn.Linear(256, 768), nn.Linear(256, 256)
            self.mlp = nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256))

        def forward(self, x: Any) -> Any:
            b, t, d = x.shape
            q, k, v = (h.view(b, t, 8, 32).transpose(1, 2) for h in self.qkv(self.norm1(x)).split(d, 2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d)
            x = x + self.out(y)
            return x + self.mlp(self.norm2(x))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(256, 256), nn.Embedding(256, 256)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(256), nn.Linear(256, 256, bias=False)

        def forward(self, x: Any) -> Any:
            return self.head(self.norm(self.blocks(self.tokens(x) + self.places(torch.arange(x.shape[1])))))

    net, x, y = GPT(), torch.randint(0, 256, (8, 256)), torch.randint(0, 256, (8 * 256,))
    return step(lambda: F.cross_entropy(net(x).flatten(0, 1), y), adam(torch, net.parameters()))


def pointwise_chain(torch: ModuleType, models: Any) -> Callable:
    a, b = torch.rand(2048, 2048, requires_grad=True), torch.rand(2048, 2048)

    def run() -> None:
        y = ((((a * b).tanh() + a).sigmoid() * b).exp() - a).sin() * a
        y.sum().backward()
        a.grad = None

    return run


def on_matrix(loss: Callable) -> Callable:
    def make(torch: ModuleType, models: Any) -> Callable:
        x, y = torch.randn(4096, 4096, requires_grad=True), torch.randint(0, 4096, (4096,))

        def run() -> None:
            loss(torch.nn.functional, x, y).backward()
            x.grad = None

        return run

    return make


def embedding(torch: ModuleType, models: Any) -> Callable:
    table, indices = torch.nn.Embedding(50_000, 256), torch.randint(0, 50_000, (2048,))

    def run() -> None:
        table(indices).sum().backward()
        table.weight.grad = None

    return run


def optimizer_alone(make_optimizer: Callable) -> Callable:
    def make(torch: ModuleType, models: Any) -> Callable:
        parameters = [torch.rand(1000, 1000).requires_grad_() for _ in range(10)]
        for p in parameters:
            p.grad = torch.rand(1000, 1000)
        return make_optimizer(torch, parameters).step

    return make


ROWS: dict[str, tuple[str, Callable]] = {
    "small": ("20-op chain on 8x8", small_ops),
    "mlp": ("MLP 784-256-10, batch 64, Adam", mlp),
    "lenet": ("CNN on 28x28, batch 64, Adam", lenet),
    "resnet-1": ("ResNet-18, batch 1, 64x64", pictures("resnet18", 1, 64, False)),
    "resnet-8": ("ResNet-18, batch 8, 224x224", pictures("resnet18", 8, 224, True)),
    "resnet-32": ("ResNet-18, batch 32, 64x64", pictures("resnet18", 32, 64, True)),
    "mobilenet": ("MobileNetV2, batch 8, 128x128", pictures("mobilenet_v2", 8, 128, True)),
    "lstm": ("LSTM 128-256, T64 B16, Adam", lstm),
    "encoder": ("Transformer encoder layer d256 h8 ff1024, B8 T256, Adam", encoder_layer),
    "gpt": ("GPT, 4 layers, d256, B8 T256, Adam", gpt),
    "chain": ("pointwise chain of 8 on 4M elements", pointwise_chain),
    "softmax": ("softmax, 4096x4096", on_matrix(lambda F, x, y: F.softmax(x, 1).sum())),
    "layer_norm": ("layer_norm, 4096x4096", on_matrix(lambda F, x, y: F.layer_norm(x, (4096,)).sum())),
    "cross_entropy": ("cross_entropy, 4096x4096", on_matrix(lambda F, x, y: F.cross_entropy(x, y))),
    "embedding": ("embedding 50k x 256, 2048 indices", embedding),
    "adam": ("Adam step, 10M parameters", optimizer_alone(adam)),
    "sgd": ("SGD-momentum step, 10M parameters", optimizer_alone(sgd)),
    "inference": ("inference of ResNet-18, batch 8, 224x224", pictures("resnet18", 8, 224, True, train=False)),
}


def serve(library: str, key: str) -> None:
    """A library's process: does as many steps as it is asked for, and prints what each took, and the peak memory in MB."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    if library == "torch":
        import torch
        from pictures import torchvision

        models = torchvision.models
    else:
        import chainrule as torch  # type: ignore[no-redef]

        models = torch.vision.models
    torch.set_num_threads(2)
    run = ROWS[key][1](torch, models)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(*times, peak, flush=True)


def turn(process: subprocess.Popen, steps: int) -> list[float]:
    """The seconds of so many steps, and the peak memory behind them."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()
    return [float(v) for v in process.stdout.readline().split()]


def measure(key: str) -> list[tuple[float, float]]:
    """Median seconds and peak megabytes of each library."""
    command = [sys.executable, __file__, "--only", key, "--serve"]
    processes = [subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in LIBRARIES]
    try:
        steps = []
        for process in processes:
            turn(process, 2)
            steps.append(max(1, min(200, round(TURN / turn(process, 1)[0]))))
        start, times, peaks = time.perf_counter(), [[], []], [0.0, 0.0]  # type: ignore[var-annotated]
        for done in range(ROUNDS):
            if done >= 3 and time.perf_counter() - start > BUDGET:
                break
            for i, process in enumerate(processes):
                *seconds, peaks[i] = turn(process, steps[i])
                times[i] += seconds
        return [(statistics.median(t), peak) for t, peak in zip(times, peaks, strict=True)]
    finally:
        for process in processes:
            process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(ROWS), help="rows by their short names, separated by commas")
    parser.add_argument("--serve", choices=LIBRARIES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = options.only.split(",")
    if options.serve:
        serve(options.serve, *chosen)
        return
    lines = [
        f"# Training steps, chainrule against PyTorch {version('torch')}",
        "",
        f"{platform.machine()}, Python {platform.python_version()}, two threads, a process each, in turns; below 1 chainrule is better.",
        "",
        "| step | chainrule | PyTorch | ratio | peak memory | PyTorch's | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    ratios, memory = [], []
    for key in chosen:
        (ours, peak), (theirs, their_peak) = measure(key)
        ratios.append(ours / theirs)
        memory.append(peak / their_peak)
        lines.append(
            f"| {ROWS[key][0]} | {ours * 1e3:.3f} ms | {theirs * 1e3:.3f} ms | {ratios[-1]:.2f} "
            f"| {peak:.0f} MB | {their_peak:.0f} MB | {memory[-1]:.2f} |"
        )
        print(lines[-1], flush=True)
    lines.append(f"| geometric mean | | | {geometric(ratios):.2f} | | | {geometric(memory):.2f} |")
    print(lines[-1])
    if len(chosen) == len(ROWS):
        (HERE / "training.md").write_text("\n".join(lines) + "\n")


def geometric(values: list[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.mean([math.log(v) for v in values]))


if __name__ == "__main__":
    main()
