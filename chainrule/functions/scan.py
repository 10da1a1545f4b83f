"""The public functions along one dimension: running sums, softmax, differences, the trapezoidal rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import return_types
from chainrule._core import dtypes
from chainrule.functions.arguments import FAST, as_dtype, require_tensor, wrap_dim, wrap_dims
from chainrule.functions.reduce import finish, inexact, ordered
from chainrule.ops import scan as ops, softmax as soft
from chainrule.ops.eager import eager
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.pointwise import logical_xor
from chainrule.ops.pointwise_form import operand
from chainrule.ops.primitive import Primitive
from chainrule.ops.shape import reshape, slice_dim
from chainrule.tensor import Tensor, wrap

# Running


def along(op: Callable, input: Tensor, dim: Any) -> Tensor:
    """`op(input, dim)`; a 0-dim tensor is a row of one."""
    over = wrap_dim(dim, input._data.ndim)
    return op(input, over) if input._data.ndim else reshape(op(reshape(input, (1,)), 0), ())


def along_one(op: Callable) -> Callable:
    """The shorter way of what takes a tensor of floats and one of its dimensions."""

    def quick(input: Any, dim: Any) -> Tensor | None:
        if dim.__class__ is int and isinstance(input, Tensor):
            ndim = input._data.ndim
            if input._data.dtype in FAST and -ndim <= dim < ndim:
                return op(input, dim % ndim)
        return None

    return quick


def running(name: str, op: Primitive, word: str) -> Callable:
    quick = eager(op)

    def function(input: Tensor, dim: int, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
        input = inexact(name, input, dtype, dtypes.int64)
        if input._data.dtype.kind == "b":
            raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
        return finish(name, along(quick, input, dim), out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"The running {word}s along `dim`. Integers give int64.\n\n    Example:\n        >>> {name}(tensor([1, 2, 3]), 0)\n        "
        + ("tensor([1, 3, 6])" if name == "cumsum" else "tensor([1, 2, 6])")
    )
    return shortcut(along_one(quick))(public(function))


cumsum, cumprod = running("cumsum", ops.cumsum, "sum"), running("cumprod", ops.cumprod, "product")


@public
def logcumsumexp(input: Tensor, dim: int, *, out: Tensor | None = None) -> Tensor:
    """log(cumsum(exp(x))) along `dim`, without overflow."""
    require_tensor("logcumsumexp", input)
    if input.dtype.category < dtypes.FLOATING:
        raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    return finish("logcumsumexp", along(ops.logcumsumexp, input, dim), out)


def running_extremum(name: str, op: Primitive) -> Callable:
    def function(input: Tensor, dim: int, *, out: Any = None) -> Any:
        ordered(name, input)
        over = wrap_dim(dim, input._data.ndim)
        if input._data.ndim:
            result = op(input, over)
        else:
            result = tuple([reshape(r, ()) for r in op(reshape(input, (1,)), 0)])
        return finish(name, getattr(return_types, name)(*result), out)

    word = "largest" if name == "cummax" else "smallest"
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The named tuple (values, indices) of the {word} element so far along `dim`; of equal ones the last."
    return public(function)


cummax, cummin = running_extremum("cummax", ops.cummax), running_extremum("cummin", ops.cummin)

# Softmax


def softened(name: str, op: Primitive, words: str) -> Callable:
    quick = eager(op)

    def function(input: Tensor, dim: int, dtype: Any = None, *, out: Tensor | None = None) -> Tensor:
        require_tensor(name, input)
        if dtype is not None:
            input = operand(input, as_dtype(dtype))
        if input._data.dtype.kind in "biuc":
            kernel = "softmax" if name == "softmax" else "log_softmax"
            raise NotImplementedError(f"\"{kernel}_lastdim_kernel_impl\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
        ndim = input._data.ndim
        over = (wrap_dim(dim, ndim),)
        return finish(name, quick(input, over if ndim else ()), out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = words
    return shortcut(along_one(lambda input, dim: quick(input, (dim,))))(public(function))


softmax = softened(
    "softmax",
    soft.softmax,
    """exp(x) scaled to sum to 1 along `dim`, computed in `dtype` if given.

    Example:
        >>> softmax(tensor([0., 0.]), 0)
        tensor([0.5000, 0.5000])
    """,
)
log_softmax = softened("log_softmax", soft.log_softmax, "The logarithm of `softmax` along `dim`, computed in `dtype` if given.")

# Differences and areas


@public
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The n-th differences of neighbours along `dim`, which first grows by `prepend` and `append`.

    Example:
        >>> diff(tensor([1, 3, 2]))
        tensor([ 2, -1])
    """
    from chainrule.functions.joining import cat

    require_tensor("diff", input)
    if not input._data.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    dim = wrap_dim(dim, input._data.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    parts = [t for t in (prepend, input, append) if t is not None]
    for t in parts:
        if t is not input and t._data.ndim != input._data.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    if len(parts) > 1 and n:
        input = cat(parts, dim)
    if not n:
        return finish("diff", wrap(np.zeros_like(input._data)) if not input._data.size else input.clone(), out)
    for _ in range(min(n, input._data.shape[dim])):
        size = input._data.shape[dim]
        later, earlier = slice_dim(input, dim, 1, max(size, 1), 1), slice_dim(input, dim, 0, max(size - 1, 0), 1)
        input = logical_xor(later, earlier) if input._data.dtype.kind == "b" else later - earlier
    return finish("diff", input, out)


def panels(name: str, y: Any, x: Any, dx: Any, dim: int) -> Tensor:
    """The areas of the trapezoids between neighbours along `dim`, twice over."""
    require_tensor(name, y)
    ndim = y._data.ndim
    dim = wrap_dim(dim, ndim)
    n = y._data.shape[dim]
    sums = slice_dim(y, dim, 1, max(n, 1), 1) + slice_dim(y, dim, 0, max(n - 1, 0), 1)
    if x is None:
        return sums * dx
    if x._data.dtype.kind == "b":
        raise RuntimeError(f"{name}: received a bool input for `x`, but bool is not supported")
    if x._data.ndim == 0:
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    if x._data.ndim == 1:
        if x._data.shape[0] != n:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        steps = reshape(diff(x), (1,) * dim + (-1,) + (1,) * (ndim - dim - 1))
    else:
        if x._data.ndim < ndim:
            x = reshape(x, (1,) * (ndim - x._data.ndim) + x._data.shape)
        steps = diff(x, dim=dim)
    return sums * steps


def checked_y(name: str, y: Any) -> None:
    require_tensor(name, y, "y")
    if not y._data.ndim:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    if y._data.dtype.kind == "b":
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported")


@public
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of samples `y` along `dim` by the trapezoidal rule, at the points `x` or `dx` apart.

    Example:
        >>> trapezoid(tensor([1., 5., 10.]))
        tensor(10.5000)
    """
    checked_y("trapezoid", y)
    over = wrap_dim(dim, y._data.ndim)
    if not y._data.shape[over]:
        return wrap(np.zeros(y._data.shape[:over] + y._data.shape[over + 1 :], y._data.dtype))
    return panels("trapezoid", y, x, dx, over).sum(over) / 2


@public
def trapz(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """As `trapezoid`."""
    return trapezoid(y, x, dx=dx, dim=dim)


@public
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The running integrals of samples `y` along `dim` by the trapezoidal rule, one fewer than the samples."""
    checked_y("cumulative_trapezoid", y)
    over = wrap_dim(dim, y._data.ndim)
    return (panels("cumulative_trapezoid", y, x, dx, over) / 2).cumsum(over)


# Derivatives of sampled functions


@public
def gradient(input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> list[Tensor]:
    """Estimates of a sampled function's derivatives along each of `dim`, by differences: central ones inside, one-sided ones at the ends.

    `spacing` is a number, a number for each dimension, or a tensor of coordinates for each; `edge_order` (1 or 2) is the order at
    the ends.

    Example:
        >>> gradient(tensor([1., 4., 9., 16.]))
        (tensor([3., 4., 6., 7.]),)
    """
    require_tensor("gradient", input)
    if input.dtype is dtypes.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    ndim = input._data.ndim
    over = list(range(ndim)) if dim is None else list(dim) if isinstance(dim, (list, tuple)) else [dim]
    over = list(wrap_dims(over, ndim, empty_is_all=False) or ())
    if isinstance(spacing, (list, tuple)):
        steps = list(spacing)
        if len(steps) != len(over):
            raise RuntimeError(
                f"torch.gradient expected spacing to be unspecified, a scalar or a list of length {len(over)}, but got a list of length "
                f"{len(steps)}"
            )
    else:
        steps = [1 if spacing is None else spacing] * len(over)
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    for d, step in zip(over, steps):
        if input._data.shape[d] <= edge_order:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
        if isinstance(step, Tensor) and step._data.ndim != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an element with "
                f"{step._data.ndim} dimensions!"
            )
        if isinstance(step, Tensor) and step._data.shape[0] != input._data.shape[d]:
            raise RuntimeError(
                "torch.gradient expected coordinates to have one element for each position of the dimension, but got "
                f"{step._data.shape[0]} for {input._data.shape[d]}"
            )
    return tuple([slope_along(input, d, step, edge_order) for d, step in zip(over, steps)])  # type: ignore[return-value]


def slope_along(f: Tensor, dim: int, step: Any, order: int) -> Tensor:
    """The derivative along one dimension by the formulas for three (at the ends for `order` + 1) neighbouring points."""
    from chainrule.functions.joining import cat

    n = f._data.shape[dim]
    at = lambda start, stop: slice_dim(f, dim, start, stop, 1)
    if isinstance(step, Tensor):
        widths = reshape(diff(step), (-1,) + (1,) * (f._data.ndim - dim - 1))
        part = lambda start, stop: slice_dim(widths, 0, start, stop, 1)
    else:
        part = lambda start, stop: step
    u, v = part(0, n - 2), part(1, n - 1)
    inside = at(0, n - 2) * (-v / (u * (u + v))) + at(1, n - 1) * ((v - u) / (u * v)) + at(2, n) * (u / (v * (u + v)))
    if order == 1:
        first, last = (at(1, 2) - at(0, 1)) / part(0, 1), (at(n - 1, n) - at(n - 2, n - 1)) / part(n - 2, n - 1)
    else:
        u, v = part(0, 1), part(1, 2)
        first = at(0, 1) * (-(2 * u + v) / (u * (u + v))) + at(1, 2) * ((u + v) / (u * v)) + at(2, 3) * (-u / (v * (u + v)))
        u, v = part(n - 3, n - 2), part(n - 2, n - 1)
        last = (
            at(n - 3, n - 2) * (v / (u * (u + v))) + at(n - 2, n - 1) * (-(u + v) / (u * v)) + at(n - 1, n) * ((u + 2 * v) / (v * (u + v)))
        )
    return cat([first, inside, last], dim)


__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "gradient", "log_softmax", "logcumsumexp", "softmax",
    "trapezoid", "trapz",
]  # fmt: skip
METHODS = ["cummax", "cummin", "cumprod", "cumsum", "diff", "log_softmax", "logcumsumexp", "softmax"]
INPLACE = ["cumprod", "cumsum"]
