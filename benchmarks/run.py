"""Times chainrule against PyTorch: `python benchmarks/run.py` prints ratios (below 1: chainrule is faster) and writes results.md.

Both libraries run in one process, taking turns round by round, two threads each; a figure is the median over the rounds. Import
time and memory are measured in fresh processes, also in turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
MODULES = ("chainrule", "torch")

IMPORT = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"

MEMORY = """
import {module} as torch
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])  # kB, of this process alone
torch.set_num_threads(2) if hasattr(torch, "set_num_threads") else None
x = torch.rand(100, requires_grad=True)
x.tanh().sin().sigmoid().sum().backward()
before = peak()
x = torch.rand(2_500_000, requires_grad=True)
y = x
for i in range(50):
    y = (torch.tanh, torch.sin, torch.sigmoid)[i % 3](y)
y.sum().backward()
print((peak() - before) / 1024)
"""

DEEP = """
import gc, time
import {module} as torch
gc.disable()
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
torch.ones(1, requires_grad=True).add(1).backward(torch.ones(1))
before, start = peak(), time.perf_counter()
x = torch.ones(1, requires_grad=True)
y = x
for _ in range({n}):
    y = y + 1
built = time.perf_counter()
y.backward(torch.ones(1))
back = time.perf_counter()
del y
freed = time.perf_counter()
assert x.grad.item() == 1
print(built - start, back - built, freed - back, (peak() - before) / 1024)
"""


def in_process(source: str) -> list[float]:
    """The numbers that a fresh Python process prints, whose modules are compiled if a first round has been there."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=HERE.parent, env=environment)
    return [float(word) for word in done.stdout.split()]


def in_fresh_processes(source: str, rounds: int) -> list[float]:
    """The median number that the source prints with each library, in turns."""
    numbers = [[in_process(source.format(module=m))[0] for m in MODULES] for _ in range(rounds + 1)][1:]
    return [statistics.median(column) for column in zip(*numbers, strict=True)]


def timed(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def in_turns(make: Callable[[ModuleType], Callable[[], object]], modules: list[ModuleType], rounds: int) -> tuple[float, float]:
    """Median seconds a call of the same work in both libraries."""
    work = [make(m) for m in modules]
    for f in work:
        timed(f, 20)
    calls = max(1, int(0.02 / timed(work[1], 5)))
    times = [[timed(f, calls) for f in work] for _ in range(rounds)]
    ours, theirs = zip(*times, strict=True)
    return statistics.median(ours), statistics.median(theirs)


def add(torch: ModuleType) -> Callable[[], object]:
    a, b = torch.rand(8, 8, requires_grad=True), torch.rand(8, 8, requires_grad=True)
    return lambda: a + b


def chain(torch: ModuleType) -> Callable[[], object]:
    a, b = torch.rand(8, 8, requires_grad=True), torch.rand(8, 8)

    def step() -> None:
        x = a
        for _ in range(10):
            x = x * b + b
        x.sum().backward()
        a.grad = None

    return step


def mlp(torch: ModuleType) -> Callable[[], object]:
    F = torch.nn.functional
    x, y = torch.rand(16, 32), torch.randint(0, 10, (16,))
    shapes = ((64, 32), (64,), (10, 64), (10,))
    w1, b1, w2, b2 = parameters = [(torch.rand(*s) - 0.5).requires_grad_() for s in shapes]

    def step() -> None:
        loss = F.cross_entropy(F.linear(F.relu(F.linear(x, w1, b1)), w2, b2), y)
        loss.backward()
        for p in parameters:
            p.grad = None

    return step


ROWS = (
    ("tracked `a + b`, 8x8", add, 0.75),
    ("20-op chain on 8x8, forward and backward", chain, 0.6),
    ("MLP 16x32-64-10 with cross-entropy, forward and backward", mlp, 0.8),
)


def report(rounds: int) -> list[str]:
    import torch

    import chainrule

    torch.set_num_threads(2)
    lines = [
        f"# chainrule against PyTorch {torch.__version__}",
        "",
        f"{platform.machine()}, Python {platform.python_version()}, {rounds} rounds in turns, medians.",
        "Ratios are chainrule / PyTorch: below 1 is better.",
        "",
        "| work | chainrule | PyTorch | ratio | goal |",
        "|---|---|---|---|---|",
    ]
    for title, make, goal in ROWS:
        ours, theirs = in_turns(make, [chainrule, torch], rounds)
        lines.append(f"| {title} | {ours * 1e6:.2f} us | {theirs * 1e6:.2f} us | {ours / theirs:.2f} | {goal} |")
        print(lines[-1], flush=True)
    ours, theirs = in_fresh_processes(IMPORT, 5)
    lines.append(f"| import | {ours * 1e3:.0f} ms | {theirs * 1e3:.0f} ms | {ours / theirs:.2f} | 0.25 |")
    ours, theirs = in_fresh_processes(MEMORY, 3)
    title = "peak memory, 50 pointwise layers on 10 MB, forward and backward"
    lines.append(f"| {title} | {ours:.0f} MiB | {theirs:.0f} MiB | {ours / theirs:.2f} | 1.1 |")
    lines += ["", "A chain of n additions: time to build, to run backward, to free (garbage collector off), and peak memory.", ""]
    lines += ["| n | library | build | backward | free | memory |", "|---|---|---|---|---|---|"]
    for n in (10**4, 10**5, 10**6):
        for m in MODULES:
            build, back, free, megabytes = in_process(DEEP.format(module=m, n=n))
            lines.append(f"| {n} | {m} | {build:.3f} s | {back:.3f} s | {free:.3f} s | {megabytes:.0f} MiB |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    lines = report(parser.parse_args().rounds)
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
