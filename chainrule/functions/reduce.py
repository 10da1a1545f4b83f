"""The public reductions: sums, products, extrema, moments, norms, tests of all elements."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import return_types
from chainrule._core import dtypes
from chainrule.functions.arguments import FAST, as_dtype, require_tensor, wrap_dim, wrap_dims
from chainrule.functions.pointwise import maximum, minimum
from chainrule.ops import order, reduce as ops, softmax
from chainrule.ops.eager import eager
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.pointwise_form import operand, result_type
from chainrule.ops.primitive import Primitive, as_array
from chainrule.ops.shape import reshape
from chainrule.tensor import Tensor, adopt, wrap

INFINITE = (float("inf"), float("-inf"))


def finish(name: str, result: Any, out: Any) -> Any:
    return result if out is None else write_out(name, out, result)


def dims(dim: Any, ndim: int) -> tuple[int, ...] | None:
    """`wrap_dims`, quick for one int."""
    if dim.__class__ is int and -ndim <= dim < ndim:
        return (dim % ndim,)
    return wrap_dims(dim, ndim)


def inexact(name: str, input: Any, dtype: Any = None, integers: dtypes.dtype | None = None) -> Tensor:
    """The input in the type that the reduction works in; integers without a `dtype` become `integers`."""
    require_tensor(name, input)
    if dtype is not None:
        return operand(input, as_dtype(dtype))
    if integers is not None and input._data.dtype.kind in "biu":
        return operand(input, integers)
    return input


# Sums and products

_sum, _sum_all, _mean, _mean_all = eager(ops.sum), eager(ops.sum_all), eager(ops.mean), eager(ops.mean_all)
_prod, _prod_all = eager(ops.prod), eager(ops.prod_all)


@public
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The sum of all elements, or over `dim` (an int or several), which with `keepdim` stays as 1. Integers give int64.

    Example:
        >>> sum(tensor([[1, 2], [3, 4]]), 0)
        tensor([4, 6])
    """
    if out is not None and dtype is None:
        dtype = out.dtype
    input = inexact("sum", input, dtype, dtypes.int64)
    if dim is None and not keepdim:
        return finish("sum", _sum_all(input), out)
    return finish("sum", _sum(input, dims(dim, input._data.ndim), keepdim), out)


@public
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The sum as `sum` gives it, NaN counting as 0."""
    input = inexact("nansum", input, dtype, dtypes.int64)
    if input.dtype.is_complex:
        raise RuntimeError("nansum on CPU does not support complex inputs")
    if input._data.dtype.kind in "iu":
        return sum(input, dim, keepdim, out=out)
    return finish("nansum", ops.nansum(input, dims(dim, input._data.ndim), keepdim), out)


@public
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The average of all elements, or over `dim` (an int or several). Integers need a floating `dtype`.

    Example:
        >>> mean(tensor([[1., 2.], [3., 4.]]), 1, keepdim=True)
        tensor([[1.5000],
                [3.5000]])
    """
    input = inexact("mean", input, dtype)
    if input._data.dtype.kind in "biu":
        source = "Input" if dtype is None else "Optional"
        wrong = "could not infer output dtype. " if dtype is None else ""
        raise RuntimeError(
            f"mean(): {wrong}{source} dtype must be either a floating point or complex dtype. Got: {dtypes.LEGACY[input.dtype]}"
        )
    if dim is None and not keepdim:
        return finish("mean", _mean_all(input), out)
    return finish("mean", _mean(input, dims(dim, input._data.ndim), keepdim), out)


@public
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The average of what is not NaN."""
    require_tensor("nanmean", input)
    if input.dtype.category < dtypes.FLOATING:
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {dtypes.LEGACY[input.dtype]}")
    counted = as_array(ops.total((input._data == input._data).astype(np.int64), dims(dim, input._data.ndim), keepdim))
    return finish("nanmean", nansum(input, dim, keepdim, dtype=dtype) / wrap(counted), out)


@public
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None) -> Tensor:
    """The product of all elements, or over the dimension `dim`. Integers give int64.

    Example:
        >>> prod(tensor([1., 2., 3.]))
        tensor(6.)
    """
    input = inexact("prod", input, dtype, dtypes.int64)
    if dim is None:
        return finish("prod", _prod_all(input), out)
    return finish("prod", _prod(input, dims(wrap_dim(dim, input._data.ndim), input._data.ndim), keepdim), out)


# Extrema


def nonempty(name: str, input: Tensor, dim: tuple | None) -> None:
    """IndexError or RuntimeError if there is no element to choose."""
    if input._data.size:
        return
    if dim is None:
        wanted = f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
        if name.startswith("arg"):
            raise IndexError(wanted)
        raise RuntimeError(f"{wanted} Specify the reduction dim with the 'dim' argument.")
    for d in dim:
        if not input._data.shape[d]:
            raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")


def ordered(name: str, input: Any) -> None:
    """TypeError unless input is a Tensor, NotImplementedError if its elements have no order."""
    require_tensor(name, input)
    if input._data.dtype.kind == "c":
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{dtypes.LEGACY[input.dtype]}'")


def extremum(name: str, op: Primitive) -> Callable:
    quick = eager(op)

    def function(input: Tensor, dim: Any = (), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
        ordered(name, input)
        over = dims(dim, input._data.ndim)
        nonempty(name, input, over)
        return finish(name, quick(input, over, keepdim), out)

    which = "largest" if name == "amax" else "smallest"
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The {which} element, or over `dim` (an int or several); equal ones share the gradient evenly."
    return public(function)


amax, amin = extremum("amax", ops.amax), extremum("amin", ops.amin)


def select_along(name: str, op: Callable, input: Tensor, dim: Any, keepdim: bool, *statics: Any) -> Any:
    """The named tuple of an op that selects along one dimension; a 0-dim tensor is a row of one."""
    result = getattr(return_types, name)
    over = wrap_dim(dim, input._data.ndim)
    if not input._data.ndim:
        y, index = op(reshape(input, (1,)), 0, True, *statics)
        return result(reshape(y, ()), reshape(index, ()))
    nonempty(name, input, (over,))
    return result(*op(input, over, keepdim, *statics))


def direct_selection(op: Primitive) -> Callable:
    quick = eager(op)
    return lambda t, dim, keepdim, k=0: quick(t, dim, keepdim, k)


def max_or_min(name: str, of_all: Primitive, along: Primitive, of_two: Callable) -> Callable:
    whole, row = eager(of_all), direct_selection(along)

    def function(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None, out: Any = None) -> Any:
        if isinstance(dim, Tensor) or other is not None:
            return of_two(input, dim if other is None else other, out=out)
        ordered(name, input)
        if dim is None:
            nonempty(name, input, None)
            return finish(name, whole(input), out)
        return finish(name, select_along(name, row, input, dim, keepdim), out)

    which = "largest" if name == "max" else "smallest"
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The {which} element; with `dim` the named tuple (values, indices) over it; with another tensor `{name}imum`.

    Example:
        >>> {name}(tensor([[1., 5.], [7., 3.]]), 1).indices
        tensor([{"1, 0" if name == "max" else "0, 1"}])
    """
    return public(function)


max = max_or_min("max", ops.max_all, order.max_dim, maximum)
min = max_or_min("min", ops.min_all, order.min_dim, minimum)


@public
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False, out: Any = None) -> Any:
    """The named tuple (min, max) of all elements, or over `dim`."""
    ordered("aminmax", input)
    over = None if dim is None else dims(wrap_dim(dim, input._data.ndim), input._data.ndim)
    nonempty("aminmax", input, over)
    for t in out or ():
        if t.dtype is not input.dtype:
            wanted, given = dtypes.LEGACY[input.dtype].lower(), dtypes.LEGACY[t.dtype].lower()
            raise RuntimeError(f"Expected out tensor to have dtype {wanted}, but got {given} instead")
    return finish("aminmax", return_types.aminmax(*ops.aminmax(input, over, keepdim)), out)


def place_of(name: str, find: Callable) -> Callable:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
        require_tensor(name, input)
        data = ops.widened(input._data)
        if data.dtype.kind == "c":
            raise RuntimeError(f"{name}(): does not support complex input")
        if data.dtype.kind == "b":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Bool'")
        if dim is not None:
            dim = wrap_dim(dim, data.ndim)
        nonempty(name, input, None if dim is None else (dim,) if data.ndim else ())
        index = as_array(find(data, dim if data.ndim else None, keepdims=keepdim))
        return finish(name, wrap(index), out)

    which = "largest" if name == "argmax" else "smallest"
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The index of the first {which} element along `dim`, or in the flattened tensor."

    def quick(input: Any, dim: Any) -> Tensor | None:
        if dim.__class__ is not int or not isinstance(input, Tensor):
            return None
        a = input._data
        if a.dtype not in FAST or not a.size or not -a.ndim <= dim < a.ndim or a.ndim == 1:
            return None
        return adopt(Tensor, find(a, dim))

    return shortcut(quick)(public(function))


argmax, argmin = place_of("argmax", np.argmax), place_of("argmin", np.argmin)

# Tests and counts


def test_of(name: str, reduce: Callable, words: str) -> Callable:
    def function(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
        require_tensor(name, input)
        over = wrap_dims(dim, input._data.ndim, empty_is_all=False)
        y = as_array(reduce(input._data != 0, over, None, None, keepdim))
        return finish(name, wrap(y.astype(np.uint8) if input._data.dtype == np.uint8 else y), out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Whether {words}, over `dim` (an int or several) if given."
    return public(function)


all = test_of("all", np.logical_and.reduce, "no element is 0")
any = test_of("any", np.logical_or.reduce, "an element is not 0")


@public
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not 0, over `dim` (an int or several) if given."""
    require_tensor("count_nonzero", input)
    return wrap(as_array(np.add.reduce(input._data != 0, dims(dim, input._data.ndim), np.int64)))


# Moments


def freedom(name: str, input: Any, dim: Any, unbiased: Any, correction: Any) -> tuple[Any, Any]:
    """The dimensions and the correction, from the new arguments or the old ones."""
    require_tensor(name, input)
    if input.dtype.category < dtypes.FLOATING:
        said = name if name.endswith("_mean") else "std and var"
        raise RuntimeError(f"{said} only support floating point and complex dtypes")
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    over = dims(dim, input._data.ndim)
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    if ops.extent(input._data.shape, over) <= correction and input._data.size:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input numel divided by "
            "output numel).",
            UserWarning,
            stacklevel=4,
        )
    return over, correction


def moment(name: str, op: Primitive, words: str) -> Callable:
    quick = eager(op)

    def function(
        input: Tensor,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
        out: Any = None,
    ) -> Any:
        over, correction = freedom(name, input, dim, unbiased, correction)
        result = quick(input, over, correction, keepdim)
        return finish(name, result, out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The {words} over `dim` (an int or several; None: all), divisors being n - `correction` (`unbiased`: 1 or 0)."
    return public(function)


var, std = moment("var", ops.var, "variance"), moment("std", ops.std, "standard deviation")
var_mean = moment("var_mean", ops.var_mean, "variance and the mean")
std_mean = moment("std_mean", ops.std_mean, "standard deviation and the mean")

# Norms


@public
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Tensor | None = None, dtype: Any = None) -> Tensor:
    """(sum |x| ** p) ** (1 / p) of all elements, or over `dim` (an int or several); "fro" is p = 2, "nuc" a matrix's nuclear norm.

    Example:
        >>> norm(tensor([3., 4.]))
        tensor(5.)
    """
    if isinstance(dtype, dtypes.dtype) and dtypes.promote_types(input.dtype, dtype) is not dtype:
        given, wanted = dtypes.LEGACY[input.dtype], dtypes.LEGACY[dtype]
        raise RuntimeError(
            f"linalg.vector_norm: the dtype of the input ({given}) should be convertible without narrowing to the specified dtype "
            f"({wanted})"
        )
    input = inexact("norm", input, dtype)
    if p == "nuc":
        from chainrule import linalg

        over = (-2, -1) if dim is None else dim
        return finish("norm", linalg.matrix_norm(input, "nuc", over, keepdim), out)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
    return finish("norm", norm_of("linalg.vector_norm", input, 2 if p in ("fro", None) else p, dim, keepdim), out)


def norm_of(name: str, input: Tensor, p: float, dim: Any, keepdim: bool) -> Tensor:
    """The vector norm, its input checked."""
    if input.dtype.category < dtypes.FLOATING:
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {dtypes.LEGACY[input.dtype]}")
    over = dims(dim, input._data.ndim)
    if (p < 0 or p == float("inf")) and not input._data.size and (over is None or not ops.extent(input._data.shape, over)):
        raise RuntimeError(
            f"{name} cannot compute the {p:g} norm on an empty {'tensor' if over is None else 'dimension'} because the operation does not "
            "have an identity"
        )
    return _vector_norm(input, p, over, keepdim)


_vector_norm = eager(ops.vector_norm)


@public
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of `input - other`."""
    require_tensor("dist", input)
    require_tensor("dist", other, "other", 2)
    compute = result_type((input, other))
    if compute.category < dtypes.FLOATING:
        raise RuntimeError(f"norm(): input dtype should be either floating point or complex. Got {dtypes.LEGACY[compute]} instead.")
    return ops.dist(operand(input, compute), operand(other, compute), p)


@public
def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None) -> Tensor:
    """The slices along `dim`, those scaled down whose p-norm exceeds `maxnorm`."""
    require_tensor("renorm", input)
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    if input._data.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input._data.ndim} dimensions")
    if input.dtype.category < dtypes.FLOATING:
        kind = dtypes.LEGACY[input.dtype]
        raise RuntimeError(f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {kind}")
    kept = wrap_dim(dim, input._data.ndim)
    return finish("renorm", ops.renorm(input, p, tuple([d for d in range(input._data.ndim) if d != kept]), maxnorm), out)


_logsumexp = eager(softmax.logsumexp)


@public
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """log(sum(exp(x))) over `dim` (an int or several), without overflow.

    Example:
        >>> logsumexp(tensor([[0., 0.], [1., 1.]]), 1)
        tensor([0.6931, 1.6931])
    """
    input = inexact("logsumexp", input, None, dtypes.get_default_dtype())
    return finish("logsumexp", _logsumexp(input, dims(dim, input._data.ndim), keepdim), out)


@public
def hash_tensor(input: Tensor, dim: Any = (), *, keepdim: bool = False, mode: int = 0, out: Tensor | None = None) -> Tensor:
    """The bits of all elements (as float64 or int64), or over `dim`, combined by exclusive or: uint64. `mode` is 0.

    Example:
        >>> hash_tensor(tensor([1, 2, 4]))
        tensor(7, dtype=torch.uint64)
    """
    require_tensor("hash_tensor", input)
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    over = dims(dim, input._data.ndim)
    nonempty("hash_tensor", input, over)
    if out is not None and out.dtype is not dtypes.uint64:
        raise RuntimeError(f"Expected result to be of dtype uint64, but got {dtypes.LEGACY[out.dtype]}")
    if input._data.dtype.kind == "c" or input.dtype in (dtypes.uint16, dtypes.uint32, dtypes.uint64):
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    bits = input._data.astype(np.float64 if input.dtype.is_floating_point else np.int64).view(np.uint64)
    return finish("hash_tensor", wrap(as_array(np.bitwise_xor.reduce(bits, over, keepdims=keepdim))), out)


__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "dist", "hash_tensor", "logsumexp", "max", "mean", "min",
    "nanmean", "nansum", "norm", "prod", "renorm", "std", "std_mean", "sum", "var", "var_mean",
]  # fmt: skip
METHODS = [n for n in __all__ if n not in ("std_mean", "var_mean")]
INPLACE = ["renorm"]
