"""Discrete Fourier transforms, as `torch.fft`.

`norm` is "backward" (the default: only the inverse is scaled, by 1/n), "ortho" or "forward".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.ops import fft as ops
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.ops.padding import constant_pad
from chainrule.ops.placing import roll
from chainrule.ops.shape import cast
from chainrule.tensor import Tensor, wrap

SCALES = {
    True: {None: "one", "backward": "one", "ortho": "root", "forward": "n"},
    False: {None: "n", "backward": "n", "ortho": "root", "forward": "one"},
}
COMPLEX = {dtypes.float32: dtypes.complex64, dtypes.float64: dtypes.complex128}

# What a name starts with: the direction of its exponent and what goes in and out.
KINDS = {
    "fft": (True, "c2c", "The discrete Fourier transform"),
    "ifft": (False, "c2c", "The inverse discrete Fourier transform"),
    "rfft": (True, "r2c", "The transform of real input, without the bins that mirror others"),
    "irfft": (False, "c2r", "The inverse of `rfft`: real output from half a spectrum"),
    "hfft": (True, "c2r", "The transform of a Hermitian-symmetric signal given by half of it: real output"),
    "ihfft": (False, "r2c", "The inverse of `hfft`"),
}


def transform(name: str, kind: str, input: Tensor, sizes: Sequence | None, dims: Any, norm: Any, out: Tensor | None) -> Tensor:
    """Any of them: `sizes` to which `dims` are cut or padded with zeros (None or -1: as they are)."""
    forward, form, _ = KINDS[kind]
    require_tensor(f"fft_{name}", input)
    if norm not in SCALES[forward]:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    scale = SCALES[forward][norm]
    if form == "r2c" and input.dtype.is_complex:
        real = "real-valued" if name[-1] == "n" else "real"
        raise RuntimeError(f"{name} expects a {real} input tensor, but got {dtypes.LEGACY[input.dtype]}")
    x = with_type(input, complex_too=form == "c2r")
    dims, sizes = dims_and_sizes(name, x, sizes, dims)
    if form == "c2r":
        if not dims:
            raise RuntimeError(f"{name} must transform at least one axis")
        last = sizes[-1] if sizes[-1] != -1 else 2 * (x.shape[dims[-1]] - 1)
        check_size(last)
        sizes = [*sizes[:-1], last // 2 + 1]
    elif form == "r2c" and not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    x = resized(x, dims, sizes)
    if form == "r2c":
        y = ops.r2c(x, dims[-1], scale, forward)
        y = ops.c2c(y, dims[:-1], scale, forward) if dims[1:] else y
    elif form == "c2r":
        y = ops.c2c(x, dims[:-1], scale, forward) if dims[1:] else x
        y = ops.c2r(y, dims[-1], last, scale, forward)
    elif not dims:
        y = x if x.dtype.is_complex else cast(x, COMPLEX[x.dtype])
    else:
        y = (ops.c2c if x.dtype.is_complex else ops.r2c_whole)(x, dims, scale, forward)
    return y if out is None else write_out(f"fft_{name}", out, y)


def with_type(input: Tensor, complex_too: bool) -> Tensor:
    d = input.dtype
    if d.category < dtypes.FLOATING:
        d = dtypes.get_default_dtype()
    if not d.is_complex and d not in COMPLEX:
        raise RuntimeError(f"Unsupported dtype {dtypes.LEGACY[d]}")
    if complex_too and not d.is_complex:
        d = COMPLEX[d]
    return input if d is input.dtype else cast(input, d)


def dims_and_sizes(name: str, x: Tensor, sizes: Any, dims: Any) -> tuple[tuple, list]:
    if dims is not None:
        dims = (dims,) if isinstance(dims, int) else tuple(dims)
        if not x.ndim and dims:
            raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
        wrapped = tuple([wrap_dim(d, x.ndim) for d in dims])
        if len(set(wrapped)) < len(wrapped):
            raise RuntimeError("FFT dims must be unique")
    if sizes is not None:
        sizes = [sizes] if isinstance(sizes, int) else list(sizes)
        if dims is not None and len(dims) != len(sizes):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
        if len(sizes) > x.ndim:
            raise RuntimeError(f"Got shape with {len(sizes)} values but input tensor only has {x.ndim} dimensions.")
        if dims is None:
            wrapped = tuple(range(x.ndim - len(sizes), x.ndim))
    elif dims is None:
        wrapped = tuple(range(x.ndim))
    sizes = [-1] * len(wrapped) if sizes is None else sizes
    for n, d in zip(sizes, wrapped):
        check_size(x.shape[d] if n == -1 else n)
    return wrapped, sizes


def check_size(n: int) -> None:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")


def resized(x: Tensor, dims: Sequence[int], sizes: Sequence[int]) -> Tensor:
    behind = [0] * x.ndim
    for d, n in zip(dims, sizes):
        if n != -1:
            behind[d] = n - x.shape[d]
    return constant_pad(x, tuple([(0, n) for n in behind]), 0) if any(behind) else x


def family(kind: str) -> tuple[Callable, Callable, Callable]:
    """The function over one dimension, over two and over many."""
    text = KINDS[kind][2]

    def one(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None) -> Tensor:
        return transform(kind, kind, input, None if n is None else [n], (dim,), norm, out)

    def two(
        input: Tensor, s: Sequence[int] | None = None, dim: Sequence[int] = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
    ) -> Tensor:
        return transform(f"{kind}2", kind, input, s, dim, norm, out)

    def many(
        input: Tensor,
        s: Sequence[int] | None = None,
        dim: Sequence[int] | None = None,
        norm: str | None = None,
        *,
        out: Tensor | None = None,
    ) -> Tensor:
        return transform(f"{kind}n", kind, input, s, dim, norm, out)

    made = []
    for suffix, function, over in (
        ("", one, "dimension `dim`, cut or padded to `n`"),
        ("2", two, "the two dimensions `dim`"),
        ("n", many, "`dim` (None: all)"),
    ):
        function.__name__ = function.__qualname__ = kind + suffix
        function.__doc__ = f"{text} over {over}. Raises RuntimeError for sizes below 1 and unknown `norm`."
        made.append(public(function))
    return made[0], made[1], made[2]


fft, fft2, fftn = family("fft")
ifft, ifft2, ifftn = family("ifft")
rfft, rfft2, rfftn = family("rfft")
irfft, irfft2, irfftn = family("irfft")
hfft, hfft2, hfftn = family("hfft")
ihfft, ihfft2, ihfftn = family("ihfft")


def frequencies(function: Callable, n: int, d: float, dtype: Any, requires_grad: bool, out: Tensor | None) -> Tensor:
    target = (dtype or dtypes.get_default_dtype()).numpy
    y = wrap(function(n, d).astype(target))
    return (y if out is None else write_out(function.__name__, out, y)).requires_grad_(requires_grad)


def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of the n bins of `fft` for samples `d` apart. Example: `fftfreq(4)` is [0, .25, -.5, -.25]."""
    return frequencies(np.fft.fftfreq, n, d, dtype, requires_grad, out)


def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of the n // 2 + 1 bins of `rfft` for samples `d` apart."""
    return frequencies(np.fft.rfftfreq, n, d, dtype, requires_grad, out)


@public
def fftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Move the zero frequency to the middle of `dim` (None: every dimension)."""
    return shifted("fft_fftshift", input, dim, lambda n: n // 2)


@public
def ifftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`."""
    return shifted("fft_ifftshift", input, dim, lambda n: math.ceil(n / 2))


def shifted(name: str, input: Tensor, dim: Any, by: Callable[[int], int]) -> Tensor:
    require_tensor(name, input)
    dims = range(input.ndim) if dim is None else [wrap_dim(d, input.ndim) for d in ((dim,) if isinstance(dim, int) else dim)]
    return roll(input, tuple([by(input.shape[d]) for d in dims]), tuple(dims))


__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "hfft2",
    "hfftn",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "ihfft2",
    "ihfftn",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]
