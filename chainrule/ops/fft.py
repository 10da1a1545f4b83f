"""Discrete Fourier transforms, by `scipy.fft`: complex to complex, real to complex, and half a spectrum to real.

All are linear. `scale` says by what a sum of n terms is divided: "one", "root" (of n) or "n".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.ops.primitive import linear

# SciPy names the scale by direction.
NORMS = {True: {"one": "backward", "root": "ortho", "n": "forward"}, False: {"one": "forward", "root": "ortho", "n": "backward"}}
LARGE = 1 << 16  # from how many elements on all threads take part


def workers(a: np.ndarray) -> int:
    if a.size < LARGE:
        return 1
    from chainrule.kernels.compiled import get_num_threads

    return get_num_threads()


def whole(a: np.ndarray, dims: tuple, scale: str, forward: bool) -> np.ndarray:
    """All bins over `dims`. One dimension has a shorter way, which matters to small arrays."""
    from scipy import fft

    norm = NORMS[forward][scale]
    if len(dims) == 1:
        return (fft.fft if forward else fft.ifft)(a, axis=dims[0], norm=norm, workers=workers(a))
    return (fft.fftn if forward else fft.ifftn)(a, axes=dims, norm=norm, workers=workers(a))


def middle(n: int, dim: int, ndim: int, weight: float, dtype: np.dtype) -> np.ndarray:
    """What the bins of half a spectrum count: `weight` for those whose mirror image is left out, 1 for the others."""
    w = np.full(n // 2 + 1, weight, dtype.char.lower())
    w[0] = 1
    if n % 2 == 0:
        w[-1] = 1
    return w.reshape([-1 if d == dim else 1 for d in range(ndim)])


def kind(x: Any) -> np.dtype:
    return np.dtype(getattr(x.dtype, "numpy", x.dtype))


@linear(a=lambda g, dims, scale, forward: c2c(g, dims, scale, not forward), node="FftC2CBackward0")
def c2c(a: Any, dims: tuple, scale: str, forward: bool) -> Any:
    """Complex to complex over `dims`."""
    return whole(a, dims, scale, forward) if a.size else a.copy()


@linear(a=lambda g, dims, scale, forward: c2c(g, dims, scale, not forward).real, node="FftR2CBackward0")
def r2c_whole(a: Any, dims: tuple, scale: str, forward: bool) -> Any:
    """Real to complex over `dims`, the whole spectrum."""
    if not a.size:
        return a.astype(np.result_type(a.dtype, np.complex64))
    y = whole(a, dims, scale, forward)
    if forward:  # the bins without an imaginary part: SciPy gives some -0
        y[tuple([slice(None) if d not in dims else slice(0, n, n // 2) if n % 2 == 0 else slice(1) for d, n in enumerate(a.shape)])] += 0
    return y


def _from_half(g: Any, dim: int, scale: str, forward: bool, a_shape: tuple) -> Any:
    n = a_shape[dim]
    return c2r(g * middle(n, dim, g.ndim, 0.5, kind(g)), dim, n, scale, not forward)


@linear(a=_from_half, node="FftR2CBackward0")
def r2c(a: Any, dim: int, scale: str, forward: bool) -> Any:
    """Real to complex over one dimension: the n // 2 + 1 bins that the others mirror."""
    from scipy import fft

    if not a.size:
        shape = list(a.shape)
        shape[dim] = shape[dim] // 2 + 1
        return np.zeros(shape, np.result_type(a.dtype, np.complex64))
    y = fft.rfft(a, axis=dim, norm=NORMS[True][scale], workers=workers(a))
    return y if forward else y.conj()


def _to_half(g: Any, dim: int, n: int, scale: str, forward: bool) -> Any:
    y = r2c(g, dim, scale, not forward)
    return y * middle(n, dim, g.ndim, 2.0, kind(g))


@linear(a=_to_half, node="FftC2RBackward0")
def c2r(a: Any, dim: int, n: int, scale: str, forward: bool) -> Any:
    """Half a spectrum to the n real values over one dimension."""
    from scipy import fft

    if not math.prod([m for d, m in enumerate(a.shape) if d != dim]):
        return np.zeros([n if d == dim else m for d, m in enumerate(a.shape)], a.real.dtype)
    return fft.irfft(a.conj() if forward else a, n, axis=dim, norm=NORMS[False][scale], workers=workers(a))


__all__ = ["c2c", "c2r", "r2c", "r2c_whole"]
