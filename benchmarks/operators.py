"""Times about 70 operators against PyTorch: `python benchmarks/operators.py` prints a table of ratios and writes operators.md.

A ratio is chainrule's time over PyTorch's, below 1 where chainrule is faster. Each library has a process of its own, for
chainrule sets the C library's allocator so that large arrays are cheap, which in one process would speed PyTorch as well. The two
work in turns of a millisecond or two, or one call, with two threads each (`--threads`), and wait for each other; the threads of
one, which go on looking for work for some milliseconds, are asleep when it is the other's turn. What else a machine does only
ever adds to a time, so that a library's figure is the lower quartile of its turns.

    python benchmarks/operators.py --only add,sum --sizes small,large
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

SIZES = {"small": 8, "medium": 256, "large": 2048}  # the side of the square inputs
TURN = {"small": 0.0005, "medium": 0.002, "large": 0.0}  # seconds in a turn, at least one call
REST = {"small": 0.0, "medium": 0.004, "large": 0.004}  # seconds before a turn
BUDGET = {"small": 0.3, "medium": 0.8, "large": 1.2}  # seconds for a row, both directions together
GOAL, MIDDLE = 1.5, 0.9


class Row(NamedTuple):
    """An operator: `inputs(make, n)` gives its inputs, `call(torch, *inputs)` uses it."""

    name: str
    call: Callable
    inputs: Callable
    backward: bool = True


class Maker:
    """Makes the inputs of a row for one library: square float matrices unless the name says otherwise."""

    def __init__(self, torch: ModuleType, n: int, track: bool) -> None:
        self.torch, self.n, self.track = torch, n, track
        self.leaves: list = []
        torch.manual_seed(0)

    def leaf(self, t: Any) -> Any:
        if self.track:
            self.leaves.append(t.requires_grad_())
        return t

    def normal(self, *shape: int) -> Any:
        return self.leaf(self.torch.randn(*(shape or (self.n, self.n))))

    def positive(self) -> Any:
        return self.leaf(self.torch.rand(self.n, self.n) + 0.5)

    def data(self, *shape: int) -> Any:
        """As `normal`, but needs no gradient."""
        return self.torch.randn(*(shape or (self.n, self.n)))

    def mask(self) -> Any:
        return self.torch.rand(self.n, self.n) > 0.5

    def places(self, *shape: int) -> Any:
        return self.torch.randint(0, self.n, shape or (self.n, self.n))


def unary(name: str, make: str = "normal", backward: bool = True, call: Callable | None = None) -> Row:
    return Row(name, call or (lambda torch, a: getattr(torch, name)(a)), lambda m: (getattr(m, make)(),), backward)


def binary(name: str, backward: bool = True, makes: tuple = ("normal", "normal")) -> Row:
    return Row(name, lambda torch, a, b: getattr(torch, name)(a, b), lambda m: tuple([getattr(m, k)() for k in makes]), backward)


def of_nn(name: str) -> Row:
    return unary(name, call=lambda torch, a: getattr(torch.nn.functional, name)(a))


def assigned(torch: ModuleType, a: Any, b: Any) -> Any:
    y = a.clone()
    y[1:-1, 2:] = b
    return y


def batches(m: Maker) -> tuple:
    side = max(m.n // 4, 2)
    return m.normal(16, side, side), m.normal(16, side, side)


def listed(m: Maker) -> tuple:
    return m.normal(), [(7 * i) % m.n for i in range(m.n // 2)]


ROWS = [
    *[binary(name) for name in ("add", "sub", "mul", "maximum")],
    binary("div", makes=("normal", "positive")),
    unary("pow", "positive", call=lambda torch, a: a**2.5),
    *[unary(name) for name in ("neg", "abs", "exp", "sin", "cos", "tanh", "sigmoid", "relu", "erf", "floor")],
    *[unary(name, "positive") for name in ("log", "sqrt", "rsqrt")],
    *[of_nn(name) for name in ("gelu", "silu", "softplus")],
    unary("clamp", call=lambda torch, a: torch.clamp(a, -0.5, 0.5)),
    Row("where", lambda torch, c, a, b: torch.where(c, a, b), lambda m: (m.mask(), m.normal(), m.normal())),
    binary("eq", False, ("data", "data")),
    binary("lt", False, ("data", "data")),
    Row("lerp", lambda torch, a, b: torch.lerp(a, b, 0.3), lambda m: (m.normal(), m.normal())),
    Row("addcmul", lambda torch, a, b, c: torch.addcmul(a, b, c), lambda m: (m.normal(), m.normal(), m.normal())),
    Row("masked_fill", lambda torch, a, c: a.masked_fill(c, 0.0), lambda m: (m.normal(), m.mask())),
    Row("dropout", lambda torch, a: torch.nn.functional.dropout(a, 0.5), lambda m: (m.normal(),)),
    *[unary(name) for name in ("sum", "mean", "var", "std", "norm")],
    unary("sum dim", call=lambda torch, a: a.sum(0)),
    unary("mean dim", call=lambda torch, a: a.mean(-1)),
    unary("max", call=lambda torch, a: torch.max(a, 1).values),
    unary("min", call=lambda torch, a: torch.min(a, 0).values),
    unary("amax", call=lambda torch, a: torch.amax(a, 1)),
    unary("argmax", "data", False, lambda torch, a: torch.argmax(a, 1)),
    unary("prod", "positive", call=lambda torch, a: torch.prod(a, 1)),
    unary("logsumexp", call=lambda torch, a: torch.logsumexp(a, 1)),
    unary("softmax", call=lambda torch, a: torch.softmax(a, -1)),
    unary("log_softmax", call=lambda torch, a: torch.log_softmax(a, -1)),
    unary("cumsum", call=lambda torch, a: torch.cumsum(a, 1)),
    unary("cumprod", "positive", call=lambda torch, a: torch.cumprod(a, 1)),
    unary("sort", call=lambda torch, a: torch.sort(a, 1).values),
    unary("topk", call=lambda torch, a: torch.topk(a, 5, 1).values),
    binary("matmul"),
    Row("bmm", lambda torch, a, b: torch.bmm(a, b), batches),
    Row("mv", lambda torch, a, b: torch.mv(a, b), lambda m: (m.normal(), m.normal(m.n))),
    Row("addmm", lambda torch, a, b, c: torch.addmm(a, b, c), lambda m: (m.normal(m.n), m.normal(), m.normal())),
    Row("einsum", lambda torch, a, b: torch.einsum("ij,kj->ik", a, b), lambda m: (m.normal(), m.normal())),
    Row("linear", lambda torch, a, b, c: torch.nn.functional.linear(a, b, c), lambda m: (m.normal(), m.normal(), m.normal(m.n))),
    Row("outer", lambda torch, a, b: torch.outer(a, b), lambda m: (m.normal(m.n), m.normal(m.n))),
    unary("transpose, contiguous", call=lambda torch, a: a.transpose(0, 1).contiguous()),
    unary("reshape", call=lambda torch, a: a.reshape(-1)),
    Row("cat", lambda torch, a, b: torch.cat([a, b], 1), lambda m: (m.normal(), m.normal())),
    Row("stack", lambda torch, a, b: torch.stack([a, b]), lambda m: (m.normal(), m.normal())),
    unary("split", call=lambda torch, a: torch.split(a, a.shape[0] // 2)[1]),
    Row("index list", lambda torch, a, k: a[k], listed),
    Row("index_select", lambda torch, a, k: torch.index_select(a, 1, k), lambda m: (m.normal(), m.places(m.n))),
    Row("gather", lambda torch, a, k: torch.gather(a, 1, k), lambda m: (m.normal(), m.places())),
    Row("scatter_add", lambda torch, a, k, b: torch.scatter_add(a, 1, k, b), lambda m: (m.normal(), m.places(), m.normal())),
    Row("masked_select", lambda torch, a, c: torch.masked_select(a, c), lambda m: (m.normal(), m.mask())),
    unary("slice", call=lambda torch, a: a[1:-1, ::2]),
    Row("slice assignment", assigned, lambda m: (m.normal(), m.normal(m.n - 2, m.n - 2))),
    unary("flip", call=lambda torch, a: torch.flip(a, (1,))),
    unary("roll", call=lambda torch, a: torch.roll(a, 3, 1)),
    unary("pad", call=lambda torch, a: torch.nn.functional.pad(a, (2, 2, 1, 1))),
    unary("tril"),
    Row("cross_entropy", lambda torch, a, k: torch.nn.functional.cross_entropy(a, k), lambda m: (m.normal(), m.places(m.n))),
    Row("mse_loss", lambda torch, a, b: torch.nn.functional.mse_loss(a, b), lambda m: (m.normal(), m.data())),
    Row(
        "layer_norm", lambda torch, a, w, b: torch.nn.functional.layer_norm(a, w.shape, w, b),
        lambda m: (m.normal(), m.normal(m.n), m.normal(m.n)),
    ),
    Row("embedding", lambda torch, k, w: torch.nn.functional.embedding(k, w), lambda m: (m.places(m.n), m.normal())),
]  # fmt: skip


def forward_of(row: Row, torch: ModuleType, n: int) -> Callable[[], Any]:
    inputs, call = row.inputs(Maker(torch, n, False)), row.call
    return lambda: call(torch, *inputs)


def both_of(row: Row, torch: ModuleType, n: int) -> Callable[[], Any]:
    """Forward and backward; the gradients are dropped before the next call."""
    make = Maker(torch, n, True)
    inputs, call = row.inputs(make), row.call
    y = call(torch, *inputs)
    g = torch.ones_like(y) * 0.5 if y.ndim else None
    leaves = make.leaves

    def step() -> None:
        call(torch, *inputs).backward(g)
        for t in leaves:
            t.grad = None

    return step


def turn(work: Callable, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


class Side:
    """A library at work in a process of its own."""

    def __init__(self, library: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(library, threads, theirs), daemon=True)
        self.process.start()

    def ask(self, *question: Any) -> float:
        """Seconds for a call: of a new piece of work `(name, size, backward)`, or of so many more `(calls,)`."""
        self.line.send(question)
        return self.line.recv()

    def close(self) -> None:
        self.line.send(None)
        self.process.join()


def serve(library: str, threads: int, line: Any) -> None:
    """Do as `Side.ask` says until there is no more."""
    torch = importlib.import_module(library)
    torch.set_num_threads(threads)
    rows = {row.name: row for row in ROWS}
    work: Callable = int
    while (question := line.recv()) is not None:
        if len(question) == 3:
            name, size, backward = question
            work = (both_of if backward else forward_of)(rows[name], torch, SIZES[size])
            turn(work, 2)
            line.send(turn(work, 3))
        else:
            line.send(turn(work, *question))


def compare(sides: Sequence[Side], row: Row, size: str, backward: bool) -> tuple[float, float]:
    """The seconds of each side, from at least 4 turns of both."""
    once = [side.ask(row.name, size, backward) for side in sides]
    calls = [max(1, int(TURN[size] / seconds)) for seconds in once]  # turns of one length: none is interrupted more often
    ends = time.perf_counter() + BUDGET[size] / 2
    turns: list[list[float]] = [[], []]
    while len(turns[0]) < 4 or (time.perf_counter() < ends and len(turns[0]) < 200):
        for side, seconds, count in zip(sides, turns, calls):
            time.sleep(REST[size])
            seconds.append(side.ask(count))
    mine, other = [statistics.quantiles(seconds, n=4)[0] for seconds in turns]
    return mine, other


def load() -> str:
    """How much else the machine does, where that can be known."""
    return f", load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else ""


def words(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def report(names: Sequence[str] | None, sizes: Sequence[str], threads: int) -> list[str]:
    sides = Side("chainrule", threads), Side("torch", threads)
    ratios: dict[str, list[float]] = {size: [] for size in sizes}
    above: list[tuple[float, str]] = []
    head = ["operator"] + [f"{s}, {d}" for s in sizes for d in ("forward", "both")]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in ROWS:
        if names and row.name not in names:
            continue
        cells = [row.name]
        for size in sizes:
            for backward in (False, True):
                if backward and not row.backward:
                    cells.append("-")
                    continue
                mine, other = compare(sides, row, size, backward)
                ratio = mine / other
                ratios[size].append(ratio)
                cells.append(f"**{ratio:.2f}**" if ratio > GOAL else f"{ratio:.2f}")
                if ratio > GOAL:
                    above.append((ratio, f"{row.name}, {size}, {'both' if backward else 'forward'}: {words(mine)} against {words(other)}"))
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    for side in sides:
        side.close()
    every = [r for found in ratios.values() for r in found]
    middles = ", ".join([f"{size} {statistics.median(found):.2f}" for size, found in ratios.items()])
    summary = [
        f"# Operators: chainrule against PyTorch {importlib.metadata.version('torch')}",
        "",
        f"{platform.machine()}, Python {platform.python_version()}, {threads} thread{'s' * (threads > 1)} each{load()}. Ratios of times, "
        "chainrule / PyTorch: below 1 is better. Inputs are square float32 matrices of "
        f"{', '.join([str(SIZES[s]) for s in sizes])} rows.",
        "",
        f"{len(lines) - 2} operators. Median {statistics.median(every):.2f} (goal {MIDDLE}; {middles}); "
        f"{len(above)} of {len(every)} above {GOAL}.",
        "",
    ]
    return [*summary, *lines, "", *[f"- {r:.2f} {what}" for r, what in sorted(above, reverse=True)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of operators, with commas between")
    parser.add_argument("--sizes", default=",".join(SIZES), help="some of " + ", ".join(SIZES))
    parser.add_argument("--threads", type=int, default=2, help="threads of each library; one is steadier on a busy machine")
    given = parser.parse_args()
    start = time.perf_counter()
    lines = report(given.only and given.only.split(","), given.sizes.split(","), given.threads)
    print("\n".join([*lines[:6], *[line for line in lines if line.startswith("- ")]]))
    print(f"{time.perf_counter() - start:.0f} s")
    if not given.only and given.sizes == ",".join(SIZES):
        (Path(__file__).parent / "operators.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
