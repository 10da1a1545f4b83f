"""How far each kernel is from what the machine can do: `python benchmarks/limits.py [--only conv]`.

A kernel that computes much is measured against BLAS multiplying two large matrices, one that moves much against `a += b` on arrays far
larger than the caches. Bytes are those that must be read and written once, operations those of the direct sum. One thread, its own
processor time, and the best of many: so a machine that does other work besides shows nearly what a quiet one does. Writes limits.md.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import chainrule as torch
from chainrule.kernels import attention, conv, norm, recurrent, rows
from chainrule.kernels.compiled import set_num_threads
from chainrule.kernels.memory import keep_freed

F = torch.nn.functional
BUDGET, LEAST, MOST = 1.5, 5, 400  # seconds, rounds
Work = tuple[Callable[[], object], float, str]  # what to do, and the bytes or operations of it


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def best(run: Callable[[], object]) -> float:
    """The least seconds of many rounds."""
    run()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < LEAST or (time.perf_counter() - start < BUDGET and len(times) < MOST):
        begin = time.thread_time()
        run()
        times.append(time.thread_time() - begin)
    return min(times)


def bandwidth() -> Work:
    a, b = np.zeros(1 << 24, np.float32), np.ones(1 << 24, np.float32)
    return lambda: np.add(a, b, a), 12.0 * a.size, "bytes"


def multiplication() -> Work:
    a, b = draw(2048, 2048), draw(2048, 2048)
    return lambda: a @ b, 2.0 * 2048**3, "operations"


def convolution(shape: tuple, outputs: int, taps: int, stride: int, which: str, groups: int = 1) -> Work:
    n, c, h, w = shape
    x, weight = draw(*shape), draw(outputs, c // groups, taps, taps)
    pad, one = (taps // 2,) * 2, (1, 1)
    g = conv.conv(x, weight, (stride,) * 2, pad, one, groups)
    operations = 2.0 * g.size * weight[0].size
    work = {
        "forward": lambda: conv.conv(x, weight, (stride,) * 2, pad, one, groups),
        "input": lambda: conv.conv_input(g, weight, (h, w), (stride,) * 2, pad, one, groups),
        "weight": lambda: conv.conv_weight(g, x, (taps, taps), (stride,) * 2, pad, one, groups),
    }[which]
    return (work, operations, "operations") if groups == 1 else (work, 4.0 * (x.size + g.size), "bytes")


def unrecorded(run: Callable[[], object]) -> Callable[[], object]:
    def work() -> None:
        with torch.no_grad():
            run()

    return work


def batch_norm(back: bool) -> Work:
    x, g, w = draw(32, 64, 3136), draw(32, 64, 3136), np.ones(64, np.float32)
    plan = norm.by_channel(x.shape)
    _, mean, _, rstd = norm.forward(x, w, w, plan, 1e-5)
    if not back:
        return lambda: norm.forward(x, w, w, plan, 1e-5), 8.0 * x.size, "bytes"
    return lambda: norm.backward(g, x, w, mean, rstd, plan, (True, True, True)), 12.0 * x.size, "bytes"


def pooling() -> Work:
    x = torch.randn(32, 64, 112, 112)
    return unrecorded(lambda: F.max_pool2d(x, 3, 2, 1)), 4.0 * x.numel() * 1.25, "bytes"


def matrix(run: Callable, arrays: int) -> Work:
    given = [draw(4096, 4096) for _ in range(arrays - 1)]
    return lambda: run(*given), 4.0 * arrays * 4096 * 4096, "bytes"


def layer_norm_back(g: np.ndarray, x: np.ndarray) -> object:
    column = np.ones((len(x), 1), np.float32)
    return norm.rows_backward(g, x, None, column, column, (True, False, False))


def pointwise(run: Callable) -> Work:
    x = torch.randn(4096, 4096)
    return unrecorded(lambda: run(x)), 8.0 * x.numel(), "bytes"


def optimizer(make: Callable, arrays: int) -> Work:
    parameters = [torch.rand(1000, 1000).requires_grad_() for _ in range(10)]
    for p in parameters:
        p.grad = torch.rand(1000, 1000)
    return make(parameters).step, 4e7 * arrays, "bytes"


def embedding() -> Work:
    g, index = torch.randn(8192, 256), torch.randint(0, 50_000, (8192,))
    table = torch.zeros(50_000, 256)
    return lambda: table.index_add_(0, index, g), 12.0 * g.numel(), "bytes"


def lstm(back: bool) -> Work:
    steps, batch, k = 64, 32, 256
    x, h, c, w = draw(steps, batch, 4 * k), draw(batch, k), draw(batch, k), draw(4 * k, k) / 16
    if not back:
        return lambda: recurrent.lstm(x, h, c, w, False), 8.0 * steps * batch * k * k, "operations"
    states, g = recurrent.lstm(x, h, c, w, False), draw(steps, batch, k)
    return lambda: recurrent.lstm_back(g, None, h, c, w, *states, False), 16.0 * steps * batch * k * k, "operations"


def attend(back: bool) -> Work:
    q, k, v, g = (draw(8, 8, 512, 64) for _ in range(4))
    y, kept = attention.forward(q, k, v, None, None, 0.125, False)
    products = 2.0 * 64 * 512 * 512 * 64
    if not back:
        return lambda: attention.forward(q, k, v, None, None, 0.125, False), 2 * products, "operations"
    return lambda: attention.backward(g, q, k, v, 0.125, False, kept), 5 * products, "operations"


ROWS: dict[str, Callable[[], Work]] = {
    "conv 3x3, 8x64x56x56 to 64 (Winograd)": lambda: convolution((8, 64, 56, 56), 64, 3, 1, "forward"),
    "conv 3x3, 8x64x56x56 to 64, input gradient (Winograd)": lambda: convolution((8, 64, 56, 56), 64, 3, 1, "input"),
    "conv 3x3, 8x64x56x56 to 64, weight gradient (Winograd)": lambda: convolution((8, 64, 56, 56), 64, 3, 1, "weight"),
    "conv 3x3, 8x512x7x7 to 512 (Winograd)": lambda: convolution((8, 512, 7, 7), 512, 3, 1, "forward"),
    "conv 3x3/2, 32x64x32x32 to 128 (columns)": lambda: convolution((32, 64, 32, 32), 128, 3, 2, "forward"),
    "conv 3x3/2, 32x64x32x32 to 128, input gradient (columns)": lambda: convolution((32, 64, 32, 32), 128, 3, 2, "input"),
    "conv 3x3/2, 32x64x32x32 to 128, weight gradient (columns)": lambda: convolution((32, 64, 32, 32), 128, 3, 2, "weight"),
    "conv 7x7/2, 8x3x224x224 to 64 (columns)": lambda: convolution((8, 3, 224, 224), 64, 7, 2, "forward"),
    "conv 7x7/2, 8x3x224x224 to 64, weight gradient (columns)": lambda: convolution((8, 3, 224, 224), 64, 7, 2, "weight"),
    "conv 1x1, 8x256x28x28 to 256": lambda: convolution((8, 256, 28, 28), 256, 1, 1, "forward"),
    "conv 1x1, 8x576x8x8 to 96": lambda: convolution((8, 576, 8, 8), 96, 1, 1, "forward"),
    "conv 1x1, 8x576x8x8 to 96, input gradient": lambda: convolution((8, 576, 8, 8), 96, 1, 1, "input"),
    "conv 1x1, 8x576x8x8 to 96, weight gradient": lambda: convolution((8, 576, 8, 8), 96, 1, 1, "weight"),
    "conv 3x3 depthwise, 8x96x112x112": lambda: convolution((8, 96, 112, 112), 96, 3, 1, "forward", 96),
    "conv 3x3 depthwise, 8x144x32x32, input gradient": lambda: convolution((8, 144, 32, 32), 144, 3, 1, "input", 144),
    "conv 3x3 depthwise, 8x144x32x32, weight gradient": lambda: convolution((8, 144, 32, 32), 144, 3, 1, "weight", 144),
    "conv 3x3/2 depthwise, 8x96x64x64": lambda: convolution((8, 96, 64, 64), 96, 3, 2, "forward", 96),
    "LSTM, all steps, 256 units, T64 B32": lambda: lstm(False),
    "LSTM, all steps back": lambda: lstm(True),
    "attention, 8x8 heads of 512x64": lambda: attend(False),
    "attention back (weights computed anew)": lambda: attend(True),
    "softmax, 4096x4096": lambda: matrix(rows.softmax, 2),
    "softmax back, 4096x4096": lambda: matrix(rows.unsoftmax, 3),
    "log_softmax, 4096x4096": lambda: matrix(rows.log_softmax, 2),
    "layer_norm, 4096x4096": lambda: pointwise(lambda x: F.layer_norm(x, (4096,))),
    "layer_norm back, 4096x4096": lambda: matrix(layer_norm_back, 3),
    "batch_norm, 32x64x56x56": lambda: batch_norm(False),
    "batch_norm back, 32x64x56x56": lambda: batch_norm(True),
    "max_pool 3/2, 32x64x112x112": pooling,
    "gelu, 16M": lambda: pointwise(F.gelu),
    "silu, 16M": lambda: pointwise(F.silu),
    "tanh, 16M": lambda: pointwise(torch.tanh),
    "a + a, 16M, fresh output": lambda: pointwise(lambda x: x + x),
    "Adam, 10M parameters": lambda: optimizer(lambda p: torch.optim.Adam(p), 7),
    "SGD with momentum, 10M parameters": lambda: optimizer(lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9), 5),
    "adding 8192 rows of 256 to a table": embedding,
}
NAMES = {"bytes": "memory", "operations": "BLAS"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the rows' names")
    only = parser.parse_args().only
    set_num_threads(1)
    keep_freed()
    limits = {}
    for make in (bandwidth, multiplication):
        run, amount, unit = make()
        limits[unit] = amount / best(run)
    lines = [
        "# How far the kernels are from the machine's limits", "",
        f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, one thread. "
        f"Memory: {limits['bytes'] / 1e9:.0f} GB/s (`a += b`), BLAS: {limits['operations'] / 1e9:.0f} GFLOP/s (2048x2048).", "",
        "| kernel | ms | rate | limit | of it |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, make in ROWS.items():
        if only not in name:
            continue
        run, amount, unit = make()
        seconds = best(run)
        rate = amount / seconds
        shown = f"{rate / 1e9:.0f} {'GB/s' if unit == 'bytes' else 'GFLOP/s'}"
        lines.append(f"| {name} | {seconds * 1e3:.2f} | {shown} | {NAMES[unit]} | {rate / limits[unit]:.0%} |")
        print(lines[-1], flush=True)
    if not only:
        (Path(__file__).parent / "limits.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
