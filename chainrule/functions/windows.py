"""Windows for signals: `hann_window` and its like, as PyTorch keeps them beside `zeros` and `arange`."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import is_integer
from chainrule.functions.creation import element, made
from chainrule.tensor import Tensor

# Of the sample numbers 0, 1, ..., the last of them, and what makes a number one of the window's type: sums and products round in it.
Shape = Callable[[np.ndarray, int, Callable[[float], Any]], np.ndarray]


def window(function: str, length: int, periodic: bool, dtype: Any, options: tuple, shape: Shape) -> Tensor:
    """`length` samples of a window; a periodic one is that of length + 1 without its last sample."""
    if not is_integer(length):
        raise TypeError(f"{function}(): argument 'window_length' (position 1) must be int, not {type(length).__name__}")
    if not isinstance(periodic, bool):
        raise TypeError(f"{function}(): argument 'periodic' (position 2) must be bool, not {type(periodic).__name__}")
    kind = element(dtype)
    name = dtypes.BY_NUMPY[kind]
    if name.category != dtypes.FLOATING:
        raise RuntimeError(f"{function} expects floating point dtypes, got: {dtypes.LEGACY[name]}Tensor")
    if length < 0:
        raise RuntimeError(f"{function} requires non-negative window_length, got window_length={length}")
    if length < 2:
        data = np.ones(length, kind)
    else:
        last = length - 1 + periodic
        data = shape(np.arange(last + 1).astype(kind), last, kind.type)[:length].astype(kind)
    return made(function, data, None, *options)


def raised_cosine(alpha: float, beta: float) -> Shape:
    """alpha - beta * cos(2 pi n / N)."""
    return lambda n, last, number: np.cos(n * number(2 * pi / last)) * number(-beta) + number(alpha)


def blackman(n: np.ndarray, last: int, number: Callable) -> np.ndarray:
    n = n * number(pi / last)
    return np.cos(n * number(4)) * number(0.08) - np.cos(n * number(2)) * number(0.5) + number(0.42)


def triangle(n: np.ndarray, last: int, number: Callable) -> np.ndarray:
    rising = n * number(2 / last)
    return np.where(np.arange(last + 1) <= last // 2, rising, rising * number(-1) + number(2))


def kaiser(beta: float) -> Shape:
    def shape(n: np.ndarray, last: int, number: Callable) -> np.ndarray:
        x = n.astype(np.float64) * (2 / last) - 1
        return np.i0(beta * np.sqrt(np.maximum(0, 1 - x * x))) / np.i0(beta)

    return shape


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """alpha - beta * cos(2 pi n / N), shape (window_length,). Example: `hamming_window(4).shape` is `torch.Size([4])`."""
    options = layout, device, requires_grad, pin_memory
    return window("hamming_window", window_length, periodic, dtype, options, raised_cosine(alpha, beta))


def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """(1 - cos(2 pi n / N)) / 2, shape (window_length,). Example: `hann_window(2)` is `tensor([0., 1.])`."""
    options = layout, device, requires_grad, pin_memory
    return window("hann_window", window_length, periodic, dtype, options, raised_cosine(0.5, 0.5))


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N). Example: `blackman_window(4).shape` is `torch.Size([4])`."""
    return window("blackman_window", window_length, periodic, dtype, (layout, device, requires_grad, pin_memory), blackman)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A triangle from 0 to 1 and back. Example: `bartlett_window(4)` is `tensor([0.0000, 0.5000, 1.0000, 0.5000])`."""
    return window("bartlett_window", window_length, periodic, dtype, (layout, device, requires_grad, pin_memory), triangle)


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """I0(beta * sqrt(1 - (2 n / N - 1) ** 2)) / I0(beta). Example: `kaiser_window(4).shape` is `torch.Size([4])`."""
    return window("kaiser_window", window_length, periodic, dtype, (layout, device, requires_grad, pin_memory), kaiser(beta))


__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]
