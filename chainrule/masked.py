"""Reductions and normalisations that leave out elements, as `torch.masked`: where `mask` is False an element does not count.

A mask is a bool tensor that broadcasts to the input. What it leaves out is replaced by the value that changes nothing (0 for a sum,
-inf for a maximum), so each function is the plain one on a filled input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chainrule as torch
from chainrule.functions.arguments import wrap_dim
from chainrule.tensor import Tensor

Dims = int | tuple[int, ...] | list[int] | None


def lowest(input: Tensor) -> Any:
    return -float("inf") if input.dtype.is_floating_point or input.dtype.is_complex else torch.iinfo(input.dtype).min


def highest(input: Tensor) -> Any:
    return float("inf") if input.dtype.is_floating_point or input.dtype.is_complex else torch.iinfo(input.dtype).max


def fill(input: Tensor, mask: Tensor | None, value: Any) -> Tensor:
    """`input` with `value` where the mask is False."""
    if mask is None:
        return input
    return torch.where(whole(mask, input), input, torch.tensor(value, dtype=input.dtype))


def whole(mask: Tensor, input: Tensor) -> Tensor:
    """The mask as bool in the shape of the input."""
    if mask.ndim > input.ndim:
        raise IndexError(f"expected a mask that broadcasts to the input: it has {mask.ndim} dimensions, the input {input.ndim}")
    return torch.broadcast_to(mask, input.shape).to(torch.bool)


def canonical(dim: Dims, ndim: int) -> tuple[int, ...]:
    """`dim` as a tuple in order; None means all."""
    if dim is None:
        return tuple(range(ndim))
    many = (dim,) if isinstance(dim, int) else tuple(dim)
    if not many:
        return tuple(range(ndim))
    wrapped = [wrap_dim(d, ndim) for d in many]
    if len(set(wrapped)) < len(wrapped):
        raise RuntimeError(f"dim={wrapped[0]} appears multiple times in the list of dims")
    return tuple(sorted(wrapped))


def widened(input: Tensor, dtype: Any) -> Any:
    """The type of a sum: small integers become int64."""
    return dtype or (input.dtype if input.dtype.is_floating_point or input.dtype.is_complex else torch.int64)


def sum(input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The sum over `dim` of what the mask leaves in; 0 if that is nothing."""
    return torch.sum(fill(input, mask, 0), canonical(dim, input.ndim), keepdim, dtype=widened(input, dtype))


def prod(input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The product over `dim`; 1 if nothing is left in."""
    result = fill(input, mask, 1).to(widened(input, dtype))
    for d in reversed(canonical(dim, input.ndim)):
        result = result.prod(d, keepdim=bool(keepdim))
    return result


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running sums along `dim`."""
    dtype = dtype or input.dtype
    return torch.cumsum(fill(input, mask, 0), canonical(dim, input.ndim)[0], dtype=dtype).to(dtype=dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running products along `dim`."""
    dtype = dtype or input.dtype
    return torch.cumprod(fill(input, mask, 1), canonical(dim, input.ndim)[0], dtype=dtype).to(dtype=dtype)


def amax(input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The largest over `dim`; the lowest value of the type if nothing is left in."""
    return torch.amax(fill(input, mask, lowest(input)), canonical(dim, input.ndim), bool(keepdim)).to(dtype=dtype or input.dtype)


def amin(input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The smallest over `dim`; the highest value of the type if nothing is left in."""
    return torch.amin(fill(input, mask, highest(input)), canonical(dim, input.ndim), bool(keepdim)).to(dtype=dtype or input.dtype)


def argmax(input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Where the largest is, in the type of the input unless `dtype` says otherwise."""
    return torch.argmax(fill(input, mask, lowest(input)), dim, bool(keepdim)).to(dtype=dtype or input.dtype)


def argmin(input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Where the smallest is, in the type of the input unless `dtype` says otherwise."""
    return torch.argmin(fill(input, mask, highest(input)), dim, bool(keepdim)).to(dtype=dtype or input.dtype)


def counts(input: Tensor, dim: Dims, keepdim: bool, mask: Tensor | None) -> Tensor:
    """How many elements are left in."""
    left = torch.ones(input.shape, dtype=torch.int64) if mask is None else whole(mask, input)
    return torch.sum(left, canonical(dim, input.ndim), keepdim)


def mean(input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The average over `dim`; nan if nothing is left in. Raises ValueError for integers without `dtype`."""
    source = "Input" if dtype is None else "Optional"
    dtype = dtype or input.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {source} dtype must be either a floating point or complex dtype. Got: {dtype}"
        )
    return sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask) / counts(input, dim, keepdim, mask)


def median(input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The lower median along `dim`; nan if nothing is left in, which for integers is a ValueError."""
    floating = input.dtype.is_floating_point
    filled = fill(input if floating else input.to(torch.float32), mask, float("nan"))
    output = torch.nanmedian(filled, canonical(dim, input.ndim)[0], keepdim).values
    if floating:
        return output
    if torch.isnan(output).any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return output.to(dtype=dtype or input.dtype)


def logsumexp(input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """log(sum(exp)) over `dim`; -inf if nothing is left in."""
    return torch.logsumexp(fill(input, mask, lowest(input)), canonical(dim, input.ndim), keepdim=keepdim).to(dtype=dtype or input.dtype)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: Any = None, input_mask: Tensor | None = None, other_mask: Tensor | None = None
) -> Tensor:
    """log(exp(input) + exp(other)), each with its mask."""
    filled = fill(input, input_mask, lowest(input)), fill(other, other_mask, lowest(other))
    return torch.logaddexp(*filled).to(dtype=dtype or input.dtype)


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The vector norm over `dim`; 0 if nothing is left in (inf for ord=-inf)."""
    filled = fill(input, mask, float("inf") if ord == -float("inf") else 0)
    return torch.linalg.vector_norm(filled, ord, canonical(dim, input.ndim), bool(keepdim), dtype=dtype or input.dtype)


def spread(
    input: Tensor, dim: Dims, unbiased: bool | None, correction: float | None, keepdim: bool, dtype: Any, mask: Tensor | None
) -> Tensor:
    """The variance: squared distances from the mean over how many there are, less the correction."""
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    less = float(correction if correction is not None else 0.0 if unbiased is False else 1.0)
    inexact = input.dtype.is_floating_point or input.dtype.is_complex
    dtype = dtype or (input.dtype if inexact else torch.float32)
    compute = dtype if dtype.is_floating_point or dtype.is_complex else torch.float32
    count = counts(input, dim, True, mask)
    x = input - sum(input, dim, keepdim=True, dtype=dtype, mask=mask) / count
    total = sum(x * x.conj(), dim, keepdim=keepdim, dtype=compute, mask=mask)
    count = count if keepdim else count.reshape(total.shape)
    if less:
        count = count.to(compute.to_real() if compute.is_complex else compute) - less
        count = torch.maximum(count, count.new_zeros([]))
    return (total / count).to(dtype=dtype)


def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The variance over `dim`; nan if nothing is left in."""
    return spread(input, dim, unbiased, correction, keepdim, dtype, mask)


def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The standard deviation over `dim`; nan if nothing is left in."""
    return torch.sqrt(spread(input, dim, unbiased, correction, keepdim, dtype, mask))


def normalization(name: str, value: Callable[[Tensor], Any], text: str) -> Callable:
    def function(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
        plain = getattr(torch.nn.functional, name)
        return plain(fill(input, mask, value(input)), canonical(dim, input.ndim)[0], dtype=dtype or input.dtype)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{text} along `dim` of what the mask leaves in."
    return function


softmax = normalization("softmax", lowest, "exp(x) / sum(exp(x))")
log_softmax = normalization("log_softmax", lowest, "log(exp(x) / sum(exp(x)))")
softmin = normalization("softmin", highest, "exp(-x) / sum(exp(-x))")


def normalize(input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """`input` over its norm along `dim`, at least `eps`; zeros where the mask is False."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return fill(input, mask, 0) / torch.maximum(length, length.new_full([], eps))


__all__ = [
    "amax",
    "amin",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "mean",
    "median",
    "norm",
    "normalize",
    "prod",
    "softmax",
    "softmin",
    "std",
    "sum",
    "var",
]
