"""The public pointwise functions, and Tensor's operators.

Most are generated from their op (`ops.pointwise_form`); written out here are those whose arguments need a word.
"""

from __future__ import annotations

import builtins
import numbers
from typing import Any

import numpy as np

from chainrule import return_types
from chainrule._core import dtypes
from chainrule.functions.arguments import FAST, require_tensor
from chainrule.ops import activation, pointwise as ops, special
from chainrule.ops.eager import eager
from chainrule.ops.inplace import inplace, write_out
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.pointwise_form import Pointwise, broadcast_error, operand, result_type
from chainrule.tensor import Tensor, wrap

# Straight from their ops
DIRECT = (
    "abs", "acos", "acosh", "angle", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_left_shift", "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "ceil", "copysign", "cos", "cosh", "deg2rad", "eq", "exp", "exp2", "expm1", "floor",
    "floor_divide",
    "fmax", "fmin", "fmod", "frac", "gcd", "ge", "gt", "heaviside", "hypot", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "lcm",
    "le",
    "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not",
    "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "ne", "neg", "nextafter", "rad2deg",
    "reciprocal", "remainder", "rsqrt", "sgn", "signbit", "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "xlogy",
)  # fmt: skip
for _name in DIRECT:
    globals()[_name] = getattr(ops, _name).function
SPECIAL = ("digamma", "erf", "erfc", "erfinv", "i0", "igamma", "igammac", "lgamma", "sigmoid")
for _name in SPECIAL:
    globals()[_name] = getattr(special, _name).function
relu = activation.relu.function
ALIASES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2",
    "arctanh": "atanh", "fix": "trunc", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "multiply": "mul",
    "negative": "neg", "not_equal": "ne",
}  # fmt: skip
globals().update({alias: globals()[name] for alias, name in ALIASES.items()})


# Arithmetic


def add(input: Any, other: Any, *args: Any, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """`input + alpha * other`, shapes broadcast and types promoted.

    Example:
        >>> add(tensor([1., 2.]), 3, alpha=2)
        tensor([7., 8.])
    """
    if args:  # PyTorch's old form, add(input, alpha, other)
        other, alpha = args[0], other
    return _add(input, other if alpha == 1 else scaled("add", input, other, alpha), out=out)


def sub(input: Any, other: Any, *args: Any, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """`input - alpha * other`, shapes broadcast and types promoted; refuses bools.

    Example:
        >>> sub(tensor([1., 2.]), 3)
        tensor([-2., -1.])
    """
    if args:  # PyTorch's old form, sub(input, alpha, other)
        other, alpha = args[0], other
    return _sub(input, other if alpha == 1 else scaled("sub", input, other, alpha), out=out)


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """`other - alpha * input`.

    Example:
        >>> rsub(tensor([1., 2.]), 3)
        tensor([2., 1.])
    """
    require_tensor("rsub", input)
    return _rsub(input if alpha == 1 else scaled("rsub", other, input, alpha), other)


_add, _sub, _rsub = ops.add.function, ops.sub.function, ops.rsub.function


def scaled(name: str, input: Any, other: Any, alpha: Any) -> Any:
    """`alpha * other` in the type of the whole sum."""
    compute = result_type((input, other))
    if compute.category < dtypes.FLOATING and isinstance(alpha, float):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if compute is not dtypes.bool_ and isinstance(alpha, bool):
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, builtins.complex) and not compute.is_complex:
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    if compute is dtypes.bool_:
        alpha = bool(alpha)
    return ops.mul.function(other, alpha) if isinstance(other, Tensor) else other * alpha


def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None) -> Tensor:
    """`input / other`; integers give floats unless `rounding_mode` is 'trunc' or 'floor'.

    Example:
        >>> div(tensor([7, -7]), 2, rounding_mode="floor")
        tensor([ 3, -4])
    """
    if rounding_mode is None:
        return _div(input, other, out=out)
    if rounding_mode not in ("trunc", "floor"):
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")
    return (ops.div_floor if rounding_mode == "floor" else ops.div_trunc).function(input, other, out=out)


_div = ops.div.function


def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """`input ** exponent`; either may be a number, one must be a tensor.

    Integers to a negative number raise RuntimeError.

    Example:
        >>> pow(tensor([1., 2., 3.]), 2)
        tensor([1., 4., 9.])
    """
    if isinstance(input, Tensor) and isinstance(exponent, numbers.Number):
        if exponent == 2 and input._data.dtype.kind != "b":
            if isinstance(exponent, int) or input._data.dtype.kind in "fcV":
                return ops.square.function(input, out=out)
        return pow_number(input, exponent, out)
    return _pow(input, exponent, out=out)


@public
def pow_number(input: Tensor, exponent: Any, out: Tensor | None = None) -> Tensor:
    if input._data.dtype.kind != "f" or isinstance(exponent, builtins.complex):
        compute = result_type((input, exponent))
        if compute.category < dtypes.FLOATING and exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        input = operand(input, compute)
    return finish("pow", _pow_scalar(input, exponent), out)


_pow, _pow_scalar, _clamp = ops.pow.function, eager(ops.pow_scalar), eager(ops.clamp)
_lerp, _lerp_scalar, _addcmul, _where = map(eager, (ops.lerp, ops.lerp_scalar, ops.addcmul, ops.where))
for _op, _shown in ((ops.add, add), (ops.sub, sub), (ops.rsub, rsub), (ops.div, div), (ops.pow, pow)):
    _op.shown = _shown


@public
def float_power(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """`input ** exponent` in double precision.

    Example:
        >>> float_power(tensor([2]), 3)
        tensor([8.], dtype=torch.float64)
    """
    given = [v for v in (input, exponent) if isinstance(v, Tensor)]
    is_complex = any([v.dtype.is_complex for v in given]) or isinstance(input, builtins.complex) or isinstance(exponent, builtins.complex)
    wide = dtypes.complex128 if is_complex else dtypes.float64
    cast = [operand(v, wide) if isinstance(v, Tensor) else v for v in (input, exponent)]
    return pow(*cast, out=out)


def true_divide(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """`input / other`, as `div`."""
    return _div(input, other, out=out)


@public
def positive(input: Tensor) -> Tensor:
    """`+input`: the tensor itself; bools are refused."""
    require_tensor("positive", input)
    if input._data.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def sign(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """-1, 0 or 1 for each element; complex numbers have `sgn`."""
    if isinstance(input, Tensor) and input._data.dtype.kind == "c":
        raise NotImplementedError("Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.")
    return ops.sign.function(input, out=out)


def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The elements rounded to `decimals` places, halves to even.

    Example:
        >>> round(tensor([2.5, 0.126]), decimals=2)
        tensor([2.5000, 0.1300])
    """
    if decimals == 0:
        return ops.round.function(input, out=out)
    require_tensor("round", input)
    if input._data.dtype.kind not in "fV":
        raise NotImplementedError(f"\"round_cpu\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    return finish("round", ops.round_decimals(input, decimals), out)


@public
def ldexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`input * 2 ** other`."""
    require_tensor("ldexp", input)
    require_tensor("ldexp", other, "other", 2)
    return ops.mul.function(input, _pow(2.0, other), out=out)


@public
def frexp(input: Tensor, *, out: Any = None) -> Any:
    """The named tuple (mantissa, exponent): `input` is mantissa * 2 ** exponent, |mantissa| in [0.5, 1).

    Example:
        >>> frexp(tensor([8.])).exponent
        tensor([4], dtype=torch.int32)
    """
    require_tensor("frexp", input)
    if not input.dtype.is_floating_point:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return finish("frexp", return_types.frexp(*ops.frexp(input)), out)


def finish(name: str, result: Any, out: Any) -> Any:
    return result if out is None else write_out(name, out, result)


# Extrema and choices


REAL = (int, float)


def bounds(input: Tensor, *limits: Any) -> dtypes.dtype:
    compute = result_type([v for v in (input, *limits) if v is not None])
    if compute.is_complex:
        raise NotImplementedError("clamp is not supported for complex types")
    return compute


@public
def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The elements moved into [min, max]; the bounds are numbers or tensors, and either can be missing. If min > max, max.

    Example:
        >>> clamp(tensor([-1., 0.5, 2.]), 0, 1)
        tensor([0.0000, 0.5000, 1.0000])
    """
    require_tensor("clamp", input)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if input._data.dtype.kind == "f" and (min is None or min.__class__ in REAL) and (max is None or max.__class__ in REAL):
        return finish("clamp", _clamp(input, min, max), out)
    given = [isinstance(v, Tensor) for v in (min, max) if v is not None]
    if any(given) and not all(given):
        raise TypeError("clamp() received an invalid combination of arguments: min and max must both be numbers or both be Tensors")
    compute = bounds(input, min, max)
    input = operand(input, compute)
    if not given[0]:
        return finish("clamp", _clamp(input, min, max), out)
    min, max = [v if v is None else operand(v, compute) for v in (min, max)]
    if min is None or max is None:
        return finish("clamp", ops.clamp_max_tensor(input, max) if min is None else ops.clamp_min_tensor(input, min), out)
    return finish("clamp", ops.clamp_tensors(input, min, max), out)


@public
def clamp_min(input: Tensor, min: Any, *, out: Tensor | None = None) -> Tensor:
    """The elements, or `min` where that is larger."""
    return clamp(input, min, None, out=out)


@public
def clamp_max(input: Tensor, max: Any, *, out: Tensor | None = None) -> Tensor:
    """The elements, or `max` where that is smaller."""
    return clamp(input, None, max, out=out)


clip = clamp


def chosen(condition: Any, input: Any, other: Any) -> Tensor | None:
    """The shorter way of `where`, for two tensors of one type."""
    if not isinstance(condition, Tensor) or not isinstance(input, Tensor) or not isinstance(other, Tensor):
        return None
    if condition._data.dtype.kind != "b" or input._data.dtype is not other._data.dtype:
        return None
    return _where(condition, input, other)


@shortcut(chosen)
@public
def where(condition: Tensor, input: Any = None, other: Any = None, *, out: Tensor | None = None) -> Any:
    """`input` where `condition` (bools), else `other`; shapes broadcast. With the condition alone, `nonzero(as_tuple=True)`.

    Example:
        >>> where(tensor([True, False]), tensor([1., 2.]), 0)
        tensor([1., 0.])
    """
    require_tensor("where", condition)
    if input is None and other is None:
        return tuple([wrap(index) for index in np.atleast_1d(condition._data).nonzero()])
    for position, v in enumerate((input, other), 2):
        if not isinstance(v, Tensor) and not isinstance(v, numbers.Number):
            raise TypeError(
                f"where(): argument '{'input' if position == 2 else 'other'}' (position {position}) must be Tensor, not {type(v).__name__}"
            )
    if condition._data.dtype.kind != "b":
        kind = dtypes.LEGACY[condition.dtype]
        raise RuntimeError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {kind}")
    if not isinstance(input, Tensor) or not isinstance(other, Tensor) or input._data.dtype != other._data.dtype:
        compute = result_type((input, other))
        input, other = operand(input, compute), operand(other, compute)
    return finish("where", ops.where(condition, input, other), out)


def where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """This tensor where `condition`, else `other`."""
    return where(condition, self, other)


@public
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with `value` (a number or a 0-dim tensor) where `mask` (bools, broadcast) is True.

    Example:
        >>> masked_fill(tensor([1., 2.]), tensor([True, False]), 0)
        tensor([0., 2.])
    """
    require_tensor("masked_fill", input)
    require_tensor("masked_fill", mask, "mask", 2)
    if mask._data.dtype.kind != "b":
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {dtypes.LEGACY[mask.dtype].lower()}")
    if not isinstance(value, Tensor):
        if isinstance(value, builtins.complex) and not input.dtype.is_complex:
            raise RuntimeError(f"value cannot be converted to type {dtypes.LEGACY[input.dtype].lower()} without overflow")
        return ops.masked_fill_scalar(input, mask, number_for(value, input._data.dtype))
    if value._data.ndim:
        raise RuntimeError(f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value._data.ndim} dimension(s).")
    if value.dtype.is_complex and not input.dtype.is_complex:
        raise RuntimeError(f"value cannot be converted to type {dtypes.LEGACY[input.dtype].lower()} without overflow")
    return ops.masked_fill(input, mask, operand(value, input.dtype))


def number_for(value: Any, dtype: np.dtype) -> Any:
    """A Python number as one that fits dtype's kind."""
    return value if dtype.kind in "fcV" else bool(value) if dtype.kind == "b" else int(value)


@public
def nan_to_num(
    input: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None, *, out: Tensor | None = None
) -> Tensor:
    """Numbers in place of NaN and, by default the largest ones, of the infinities.

    Example:
        >>> nan_to_num(tensor([nan, 1.]))
        tensor([0., 1.])
    """
    require_tensor("nan_to_num", input)
    return finish("nan_to_num", ops.nan_to_num(input, nan or 0.0, posinf, neginf), out)


# Blends


def between(input: Any, end: Any, weight: Any) -> Tensor | None:
    """The shorter way of `lerp`, for floats of one shape and type, and a number."""
    if weight.__class__ is not float or not isinstance(input, Tensor) or not isinstance(end, Tensor):
        return None
    a, b = input._data, end._data
    return _lerp_scalar(input, end, weight) if a.dtype in FAST and a.dtype is b.dtype and a.shape == b.shape else None


@shortcut(between)
@public
def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """`input + weight * (end - input)`; the weight is a number or a tensor, and all types are equal.

    Example:
        >>> lerp(tensor([0.]), tensor([10.]), 0.3)
        tensor([3.])
    """
    require_tensor("lerp", input)
    require_tensor("lerp", end, "end", 2)
    dtype, weighted = input._data.dtype, isinstance(weight, Tensor)
    for name, v in (("end", end), ("weight", weight)) if end._data.dtype is not dtype or weighted else ():
        if isinstance(v, Tensor) and v.dtype is not input.dtype:
            raise RuntimeError(
                f"expected dtype {dtypes.LEGACY[input.dtype].lower()} for `{name}` but got dtype {dtypes.LEGACY[v.dtype].lower()}"
            )
    if dtype.kind in "biu":
        raise NotImplementedError(f"\"lerp_kernel_scalar\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    try:
        result = (_lerp if weighted else _lerp_scalar)(input, end, weight)
    except ValueError:
        raise broadcast_error(input._data, end._data) from None
    return result if out is None else write_out("lerp", out, result)


def multiplied(input: Any, tensor1: Any, tensor2: Any) -> Tensor | None:
    """The shorter way of `addcmul`, for floats of one type."""
    if not isinstance(input, Tensor) or not isinstance(tensor1, Tensor) or not isinstance(tensor2, Tensor):
        return None
    dtype = input._data.dtype
    if dtype not in FAST or tensor1._data.dtype is not dtype or tensor2._data.dtype is not dtype:
        return None
    return _addcmul(input, tensor1, tensor2, 1)


@shortcut(multiplied)
@public
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *args: Any, value: Any = 1, out: Tensor | None = None) -> Tensor:
    """`input + value * tensor1 * tensor2`."""
    if args:  # PyTorch's old form, addcmul(input, value, tensor1, tensor2)
        value, tensor1, tensor2 = tensor1, tensor2, args[0]
    return finish("addcmul", ops.addcmul(*promoted(input, tensor1, tensor2), value), out)


@public
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *args: Any, value: Any = 1, out: Tensor | None = None) -> Tensor:
    """`input + value * tensor1 / tensor2`, for floating types."""
    if args:  # PyTorch's old form, addcdiv(input, value, tensor1, tensor2)
        value, tensor1, tensor2 = tensor1, tensor2, args[0]
    operands = promoted(input, tensor1, tensor2)
    if tensor1.dtype.category < dtypes.FLOATING and tensor2.dtype.category < dtypes.FLOATING:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true division of "
            "tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value * torch.trunc(tensor1 / tensor2))"
            ".to(input.dtype) for integer inputs and as "
            "(input + value * tensor1 / tensor2) for float inputs. The future addcdiv behavior is just the latter "
            "implementation: (input + value * tensor1 / tensor2), for all dtypes."
        )
    return finish("addcdiv", ops.addcdiv(*operands, value), out)


def promoted(*tensors: Any) -> tuple:
    """The tensors in the type that they promote to."""
    one, two, three = tensors
    if one.__class__ is two.__class__ is three.__class__ is Tensor and one._data.dtype is two._data.dtype is three._data.dtype:
        return tensors
    compute = result_type(tensors)
    return tuple([operand(t, compute) for t in tensors])


# Special functions with an argument


@public
def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of `sigmoid`; with `eps`, x is first moved into [eps, 1 - eps].

    Example:
        >>> logit(tensor([0.5]))
        tensor([0.])
    """
    require_tensor("logit", input)
    require_kind("logit", input, dtypes.COMPLEX)
    return finish("logit", special.logit(operand(input, floating(input)), eps), out)


@public
def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of `digamma`."""
    if isinstance(n, Tensor):  # in place: x.polygamma_(n)
        n, input = input, n
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return finish("polygamma", special.polygamma(operand(input, floating(input)), n), out)


def polygamma_method(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of `digamma`."""
    return polygamma(n, self)


@public
def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p; elements must exceed (p - 1) / 2."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return finish("mvlgamma", special.mvlgamma(operand(input, floating(input)), p), out)


def require_kind(name: str, input: Tensor, *refused: int) -> None:
    """NotImplementedError for types of these categories."""
    if input.dtype.category in refused:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{dtypes.LEGACY[input.dtype]}'")


def floating(t: Tensor) -> dtypes.dtype:
    return t.dtype if t.dtype.category >= dtypes.FLOATING else dtypes.get_default_dtype()


# Complex numbers


@public
def real(input: Tensor) -> Tensor:
    """The real parts, as a view; a real tensor itself."""
    require_tensor("real", input)
    return ops.real(input) if input._data.dtype.kind == "c" else input


@public
def imag(input: Tensor) -> Tensor:
    """The imaginary parts of a complex tensor, as a view."""
    require_tensor("imag", input)
    if input._data.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return ops.imag(input)


@public
def conj(input: Tensor) -> Tensor:
    """Complex conjugates; a real tensor itself."""
    require_tensor("conj", input)
    return ops.conj_view(input) if input._data.dtype.kind == "c" else input


@public
def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Complex conjugates in memory of their own; a real tensor itself."""
    require_tensor("conj_physical", input)
    return finish("conj_physical", ops.conj_physical(input) if input._data.dtype.kind == "c" else input, out)


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: conjugation is never postponed."""
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: negation is never postponed."""
    return input


def is_conj(input: Tensor) -> bool:
    """Whether conjugation is postponed: it never is."""
    return False


is_neg = is_conj


def joined(name: str, op: Pointwise, a: Tensor, b: Tensor, out: Any) -> Tensor:
    require_tensor(name, a)
    require_tensor(name, b, "other", 2)
    kinds = [dtypes.LEGACY[t.dtype] for t in (a, b)]
    if any([not t.dtype.is_floating_point for t in (a, b)]):
        raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {kinds[0]} and {kinds[1]}")
    if kinds[0] != kinds[1]:
        raise RuntimeError(f"Expected object of scalar type {kinds[0]} but got scalar type {kinds[1]} for second argument")
    result = op(a, b)
    if out is not None and out.dtype is not result.dtype:
        wanted, given = dtypes.LEGACY[result.dtype], dtypes.LEGACY[out.dtype]
        raise RuntimeError(f"Expected object of scalar type {wanted} but got scalar type {given} for argument 'out'")
    return finish(name, result, out)


@public
def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex tensor with these parts, which have one floating type.

    Example:
        >>> complex(tensor([1.]), tensor([2.]))
        tensor([1.+2.j])
    """
    return joined("complex", ops.complex, real, imag, out)


@public
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex tensor with these moduli and angles."""
    return joined("polar", ops.polar, abs, angle, out)


# Activations that PyTorch has at the top level (the others are in `nn.functional`)


@public
def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """`value` where elements are at most `threshold`."""
    require_tensor("threshold", input)
    return activation.threshold(input, threshold, value)


@public
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    require_tensor("celu", input)
    require_kind("elu", input, dtypes.BOOL, dtypes.INTEGRAL, dtypes.COMPLEX)
    return activation.celu(input, alpha)


def selu(input: Tensor) -> Tensor:
    """`scale * elu(x, alpha)` with the constants that keep mean 0 and variance 1."""
    return activation.selu.function(input)


@public
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, else weight * x; `weight` has one element, or one for each channel (dimension 1)."""
    require_tensor("prelu", input)
    require_tensor("prelu", weight, "weight", 2)
    if weight._data.size != 1:
        channels = input._data.shape[1] if input._data.ndim > 1 else 1
        if weight._data.size != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight._data.size} and channel size = {channels}."
            )
    if input._data.ndim > 1 and weight._data.ndim:
        weight = weight.reshape((1, -1) + (1,) * (input._data.ndim - 2))
    return activation.prelu(input, weight)


@public
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where |x| <= lambd, else x."""
    return activation.hardshrink(input, lambd)


__all__ = [
    *DIRECT, *SPECIAL, *ALIASES, "add", "addcdiv", "addcmul", "celu", "clamp", "clamp_max", "clamp_min", "clip", "complex",
    "conj",
    "conj_physical", "div", "divide", "float_power", "frexp", "hardshrink", "imag", "is_conj", "is_neg",
    "ldexp",
    "lerp", "logit", "masked_fill", "mvlgamma", "nan_to_num", "polar",
    "polygamma",
    "positive", "pow", "prelu", "real", "relu", "resolve_conj", "resolve_neg", "round", "rsub", "selu", "sign", "sub", "subtract",
    "threshold", "true_divide", "where",
]  # fmt: skip
divide, subtract = div, sub
NOT_METHODS = {"celu", "complex", "imag", "polar", "real", "rsub", "selu", "threshold", "where"}
METHODS = [n for n in __all__ if n not in NOT_METHODS]
_PLAIN = {
    "angle", "conj", "fmax", "fmin", "frexp", "hardshrink", "is_conj", "is_neg", "isfinite",
    "isinf",
    "isnan", "isneginf", "isposinf", "logaddexp", "logaddexp2", "maximum", "minimum", "positive", "prelu", "resolve_conj",
    "resolve_neg",
    "signbit",
}  # fmt: skip
OPERATORS = {"polygamma": polygamma_method}
INPLACE = [n for n in METHODS if n not in _PLAIN]
# In-place functions at the top level
WRITERS = (
    "abs", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh", "atan", "atanh", "ceil",
    "celu", "clamp",
    "clamp_max", "clamp_min", "clip", "conj_physical", "cos", "cosh", "deg2rad", "erf", "erfc", "exp", "exp2", "expm1", "fix", "floor",
    "frac", "gcd",
    "i0", "lcm", "ldexp", "log", "log10", "log1p", "log2", "logit", "nan_to_num", "neg", "negative", "rad2deg", "reciprocal", "relu",
    "round",
    "rsqrt", "selu", "sigmoid", "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "threshold", "trunc", "xlogy",
)  # fmt: skip
globals().update({f"{_name}_": inplace(globals()[_name], f"{_name}_") for _name in WRITERS})
__all__ += [f"{_name}_" for _name in WRITERS]
