"""Windows for signals: `hann_window` and its like, as PyTorch keeps them beside `zeros` and `arange`."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.creation import element, made
from chainrule.tensor import Tensor

Shape = Callable[[np.ndarray, int], np.ndarray]  # of the sample numbers 0, 1, ... and the last of them


def window(function: str, length: int, periodic: bool, options: dict, shape: Shape) -> Tensor:
    """`length` samples of a window; a periodic one is that of length + 1 without its last sample."""
    dtype = element(options.pop("dtype", None))
    if dtypes.BY_NUMPY[dtype].category != dtypes.FLOATING:
        raise RuntimeError(f"{function} expects floating point dtypes, got: {dtypes.LEGACY[dtypes.BY_NUMPY[dtype]]}Tensor")
    if length < 0:
        raise RuntimeError(f"{function} requires non-negative window_length, got window_length={length}")
    if length < 2:
        data = np.ones(length, dtype)
    else:
        last = length - 1 + bool(periodic)
        work = dtype if dtype.itemsize > 2 else np.dtype(np.float32)
        data = shape(np.arange(last + 1, dtype=work), last)[:length].astype(dtype)
    known = {name: options.pop(name) for name in ("layout", "device", "requires_grad", "pin_memory") if name in options}
    if options:
        raise TypeError(f"{function}() got an unexpected keyword argument '{next(iter(options))}'")
    return made(function, data, None, **known)


def hamming_window(window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, **options: Any) -> Tensor:
    """alpha - beta * cos(2 pi n / N). Options: dtype, layout, device, requires_grad. Example: `hamming_window(4).shape` is (4,)."""
    return window("hamming_window", window_length, periodic, options, lambda n, last: np.cos(n * (2 * pi / last)) * -beta + alpha)


def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """(1 - cos(2 pi n / N)) / 2. Example: `hann_window(2)` is `tensor([0., 1.])`."""
    return window("hann_window", window_length, periodic, options, lambda n, last: np.cos(n * (2 * pi / last)) * -0.5 + 0.5)


def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N). Example: `blackman_window(4).shape` is (4,)."""

    def shape(n: np.ndarray, last: int) -> np.ndarray:
        n = n * (pi / last)
        return np.cos(n * 4) * 0.08 - np.cos(n * 2) * 0.5 + 0.42

    return window("blackman_window", window_length, periodic, options, shape)


def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """A triangle from 0 to 1 and back. Example: `bartlett_window(4)` is `tensor([0.0000, 0.5000, 1.0000, 0.5000])`."""

    def shape(n: np.ndarray, last: int) -> np.ndarray:
        rising = n * (2 / last)
        return np.where(n <= last // 2, rising, 2 - rising)

    return window("bartlett_window", window_length, periodic, options, shape)


def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any) -> Tensor:
    """I0(beta * sqrt(1 - (2 n / N - 1) ** 2)) / I0(beta). Example: `kaiser_window(4).shape` is (4,)."""

    def shape(n: np.ndarray, last: int) -> np.ndarray:
        x = n.astype(np.float64) * (2 / last) - 1
        return np.i0(beta * np.sqrt(np.maximum(0, 1 - x * x))) / np.i0(beta)

    return window("kaiser_window", window_length, periodic, options, shape)


__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]
