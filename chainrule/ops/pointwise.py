"""The pointwise ops: kernel and partial derivatives, a line or two each.

A rule that names `g` is the whole cotangent, one that does not is the partial derivative. What rules read is what PyTorch
saves for the op, so that the same in-place changes are refused.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.kernels.elementwise import COMPILED, MANY, blockwise, clip, combined, compiled, one_pass, select, whole
from chainrule.ops.pointwise_form import pointwise
from chainrule.ops.primitive import conjugate as conj, general, linear
from chainrule.tensor import Tensor

LN2, LN10, PI = 0.6931471805599453, 2.302585092994046, 3.141592653589793


@whole
def nothing(g: Any) -> Any:
    """The cotangent through a step function."""
    return where(False, g, 0)


def undefined(name: str) -> Any:
    """The rule of an op that can be recorded but not differentiated."""

    def rule(g: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return rule


def missing(name: str) -> Any:
    """The rule of an input for which PyTorch has no derivative yet."""

    def rule(g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return rule


def is_bool(v: Any) -> bool:
    return isinstance(v, (bool, np.bool_)) if not isinstance(v, Tensor) else v._data.dtype.kind == "b"


MASK = "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."


def no_bools(args: tuple) -> None:
    """Bools cannot be subtracted."""
    bools = [is_bool(v) for v in args]
    if all(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead."
        )
    if any(bools):
        raise RuntimeError(f"Subtraction, the `-` operator, with a bool tensor is not supported. {MASK}")


def no_bool(args: tuple) -> None:
    if is_bool(args[0]):
        raise RuntimeError(f"Negation, the `-` operator, on a bool tensor is not supported. {MASK}")


def ordered(error: type, message: str) -> Any:
    """A check that refuses complex numbers."""

    def check(args: tuple) -> None:
        if any([v.dtype.is_complex if isinstance(v, Tensor) else v.__class__ is complex_number for v in args]):
            raise error(message)

    return check


complex_number, abs_number = complex, builtins.abs

# Arithmetic

add = pointwise("add", np.add, "`input` plus `other`", a=1, b=1)
sub = pointwise("sub", np.subtract, "`input` minus `other`", check=no_bools, a=1, b=-1)
rsub = pointwise(
    "rsub", lambda a, b: np.subtract(b, a), "`other` minus `input`", scalars="fast", check=no_bools, scalar_b="RsubBackward1", a=-1, b=1,
)  # fmt: skip
mul = pointwise("mul", np.multiply, "`input` times `other`", a=lambda b: b, b=lambda a: a)
div = pointwise(
    "div", np.divide, "`input` divided by `other`", result="float", a=lambda g, b: g / conj(b), b=lambda g, a, b: -g * conj(a / b / b)
)
neg = pointwise("neg", np.negative, "the elements with their signs changed", kinds="uifc", check=no_bool, a=-1)
abs = pointwise(
    "abs", np.abs, "absolute values; the moduli of complex numbers", kinds="ifc", a=one_pass("abs rule", lambda g, a: g * sgn(a)),
)  # fmt: skip
square = pointwise("square", np.square, "the elements squared", result="number", node="PowBackward0", a=lambda a: 2 * a)
reciprocal = pointwise("reciprocal", np.reciprocal, "1 / `input`", result="float", a=lambda y: -(y * y))


def _checked(divide: Any) -> Any:
    """A division that refuses integer zeros."""

    def kernel(a: Any, b: Any) -> Any:
        if a.dtype.kind in "iu" and not np.all(b):
            raise RuntimeError("ZeroDivisionError")
        return divide(a, b)

    return kernel


def _trunc_divide(a: Any, b: Any) -> Any:
    if a.dtype.kind not in "iu":
        return np.trunc(np.divide(a, b))
    quotient, rest = np.divmod(a, b)
    return quotient + ((rest != 0) & (quotient < 0)).astype(quotient.dtype)


_floor_divide, _remainder, _fmod = _checked(np.floor_divide), _checked(np.remainder), _checked(np.fmod)
_trunc_divide = _checked(_trunc_divide)
div_floor = pointwise("div", _floor_divide, node="DivBackward3", scalar_b="DivBackward2", kinds="uif", noisy=True, a=nothing, b=nothing)
div_trunc = pointwise("div", _trunc_divide, node="DivBackward3", scalar_b="DivBackward2", kinds="uif", noisy=True, a=nothing, b=nothing)
floor_divide = pointwise(
    "floor_divide", _floor_divide, "the quotient rounded down", node="NotImplemented", kinds="uif", noisy=True,
    a=undefined("floor_divide"), b=undefined("floor_divide"),
)  # fmt: skip
remainder = pointwise(
    "remainder", _remainder, "what remains of `input` after a division that rounds down: it has the sign of `other`", kinds="uif",
    node="RemainderBackward1", scalar_b="RemainderBackward0", noisy=True, a=1, b=lambda g, a, b: -g * div_floor(a, b),
)  # fmt: skip
fmod = pointwise(
    "fmod", _fmod, "what remains of `input` after a division that truncates: it has the sign of `input`", kinds="uif",
    node="FmodBackward1", scalars="second", scalar_b="FmodBackward0", noisy=True, a=1, b=lambda g, a, b: -g * div_trunc(a, b),
)  # fmt: skip

# Powers, exponentials, logarithms


def _power(a: Any, b: Any) -> Any:
    if a.dtype.kind in "biu" and (b < 0).any():  # only 1 and -1 have integer inverses
        return np.where(b < 0, np.where(a == 1, 1, np.where(a == -1, 1 - 2 * (b & 1), 0)), np.power(a, np.maximum(b, 0))).astype(a.dtype)
    return np.power(a, b)


pow = pointwise(
    "pow", _power, "`input` to the power `exponent`", names=("input", "exponent"), node="PowBackward1", scalar_a="PowBackward2",
    kinds="uifc", noisy=True,
    a=lambda g, a, b: where(b == 0, 0, g * conj(b * a ** (b - 1))),
    b=lambda g, a, b, y: where((a == 0) & (real_part(b) >= 0), 0, g * conj(y * log(a))),
)  # fmt: skip
exp = pointwise("exp", np.exp, "e to the power `input`", result="float", a=lambda y: y)
exp2 = pointwise("exp2", np.exp2, "2 to the power `input`", result="float", a=lambda y: y * LN2)
expm1 = pointwise("expm1", np.expm1, "exp(`input`) - 1, exact near 0", result="float", a=lambda y: y + 1)
log = pointwise("log", np.log, "natural logarithms", result="float", a=lambda g, a: g / conj(a))
log2 = pointwise("log2", np.log2, "logarithms to base 2", result="float", a=lambda g, a: g / conj(a * LN2))
log10 = pointwise("log10", np.log10, "logarithms to base 10", result="float", a=lambda g, a: g / conj(a * LN10))
log1p = pointwise(
    "log1p", np.log1p, "log(1 + `input`), exact near 0", result="float", node="Log1PBackward0", a=lambda g, a: g / conj(a + 1)
)
sqrt = pointwise("sqrt", np.sqrt, "square roots", result="float", a=one_pass("sqrt rule", lambda g, y: g / conj(2 * y)))


@whole
def _rsqrt(a: Any) -> Any:
    y = compiled("rsqrt", a) if a.size >= COMPILED else None
    return np.reciprocal(np.sqrt(a)) if y is None else y


rsqrt = pointwise("rsqrt", _rsqrt, "1 / sqrt(`input`)", result="float", a=one_pass("rsqrt rule", lambda y: -0.5 * (y * y * y)))


def _logaddexp(a: Any, b: Any) -> Any:
    if a.dtype.kind != "c":
        return np.logaddexp(a, b)
    high, low = np.where(a.real >= b.real, a, b), np.where(a.real >= b.real, b, a)
    same = np.isinf(high.real) & (high.real == low.real)  # their difference is NaN
    return np.where(same, np.where(high.real < 0, low, np.log(np.exp(high) + np.exp(low))), high + np.log1p(np.exp(low - high)))


logaddexp = pointwise(
    "logaddexp", _logaddexp, "log(exp(`input`) + exp(`other`)) without overflow", kinds="fc", scalars="no", noisy=True,
    a=lambda g, a, b: g / conj(1 + exp(b - a)), b=lambda g, a, b: g / conj(1 + exp(a - b)),
)  # fmt: skip
logaddexp2 = pointwise(
    "logaddexp2", np.logaddexp2, "log2(2 ** `input` + 2 ** `other`) without overflow", kinds="f", scalars="no", noisy=True,
    a=lambda g, a, b: g / (1 + exp2(b - a)), b=lambda g, a, b: g / (1 + exp2(a - b)),
)  # fmt: skip


def _xlogy(a: Any, b: Any) -> Any:
    y = np.multiply(a, np.log(b))
    return np.where((a == 0) & ~np.isnan(b), np.zeros((), y.dtype), y)


xlogy = pointwise(
    "xlogy", _xlogy, "`input` * log(`other`), and 0 where `input` is 0", result="float", scalar_a="XlogyBackward1",
    scalar_b="XlogyBackward2",
    kinds="uif", a=lambda g, a, b: where((a == 0) & (b <= 0), 0, xlogy(g, b)), b=lambda g, a, b: g * a / b,
)  # fmt: skip


@general(a=lambda g, a, exponent: pow_cotangent(g, a, exponent), node="PowBackward0", elementwise=True)
def pow_scalar(a: Any, exponent: Any) -> Any:
    """a to the power of a Python number, in a's type."""
    if exponent == 2:
        return np.square(a)
    if exponent == 0.5 and a.dtype.kind in "fc":
        return _quiet_sqrt(a)
    if exponent == 3:
        return a * a * a
    if exponent == -1 and a.dtype.kind in "fc":
        return 1 / a
    return _quiet_power(a, a.dtype.type(exponent))


_quiet_sqrt, _quiet_power = sqrt.kernel, pow.kernel


def pow_cotangent(g: Any, a: Any, exponent: Any) -> Any:
    if exponent == 0:
        return nothing(g)
    if exponent == 2:
        return g * conj(2 * a)
    return g * conj(exponent * pow_scalar(a, exponent - 1))


# Circles and hyperbolas

sin = pointwise("sin", np.sin, "sines", result="float", a=lambda a: cos(a))
cos = pointwise("cos", np.cos, "cosines", result="float", a=lambda a: -sin(a))
tan = pointwise("tan", np.tan, "tangents", result="float", a=lambda y: 1 + y * y)
asin = pointwise("asin", np.arcsin, "arc sines", result="float", a=lambda a: rsqrt(1 - a * a))
acos = pointwise("acos", np.arccos, "arc cosines", result="float", a=lambda a: -rsqrt(1 - a * a))
atan = pointwise("atan", np.arctan, "arc tangents", result="float", a=lambda g, a: g / conj(a * a + 1))
sinh = pointwise("sinh", np.sinh, "hyperbolic sines", result="float", a=lambda a: cosh(a))
cosh = pointwise("cosh", np.cosh, "hyperbolic cosines", result="float", a=lambda a: sinh(a))
tanh = pointwise("tanh", np.tanh, "hyperbolic tangents", result="float", a=one_pass("tanh rule", lambda y: 1 - y * y))
asinh = pointwise("asinh", np.arcsinh, "inverse hyperbolic sines", result="float", a=lambda a: rsqrt(a * a + 1))
acosh = pointwise("acosh", np.arccosh, "inverse hyperbolic cosines", result="float", a=lambda a: rsqrt(a - 1) * rsqrt(a + 1))
atanh = pointwise("atanh", np.arctanh, "inverse hyperbolic tangents", result="float", a=lambda a: 1 / (1 - a * a))


def squares(a: Any, b: Any) -> Any:
    """a² + b², or 1 if both are 0."""
    y = a * a + b * b
    return where(y == 0, 1, y)


atan2 = pointwise(
    "atan2", np.arctan2, "the angle of the point (x=`other`, y=`input`)", result="float", kinds="uif", scalars="no",
    a=lambda a, b: b / squares(a, b), b=lambda a, b: -a / squares(a, b),
)  # fmt: skip
hypot = pointwise(
    "hypot", np.hypot, "sqrt(`input`² + `other`²) without overflow", kinds="f", scalars="no", noisy=True,
    a=lambda g, a, y: g * (a / y), b=lambda g, b, y: g * (b / y),
)  # fmt: skip
deg2rad = pointwise(
    "deg2rad", lambda a: a * a.dtype.type(PI / 180), "degrees as radians", result="float", kinds="uif", node="Deg2RadBackward0",
    a=lambda g: g * (PI / 180),
)  # fmt: skip
rad2deg = pointwise(
    "rad2deg", lambda a: a * a.dtype.type(180 / PI), "radians as degrees", result="float", kinds="uif", node="Rad2DegBackward0",
    a=lambda g: g * (180 / PI),
)  # fmt: skip


def _sinc(a: Any) -> Any:
    x = a * a.dtype.type(PI)
    return np.where(a == 0, a.dtype.type(1), np.sin(x) / x)


sinc = pointwise(
    "sinc", _sinc, "sin(pi * `input`) / (pi * `input`), and 1 at 0", result="float",
    a=lambda g, a: where(a * a * PI == 0, 0, g * conj((a * PI * cos(a * PI) - sin(a * PI)) / (a * a * PI))),
)  # fmt: skip

# Signs and rounding


def _integers_stay(round_float: Any) -> Any:
    def kernel(a: Any) -> Any:
        return round_float(a) if a.dtype.kind not in "iu" else np.array(a)

    kernel.ufunc = round_float  # type: ignore[attr-defined]
    return kernel


def _sign(a: Any) -> Any:
    """NaN has sign 0."""
    if a.dtype.kind in "bu":
        return (a != 0).astype(a.dtype)
    if a.dtype.kind == "i":
        return np.sign(a)
    return np.subtract(np.greater(a, 0), np.less(a, 0), dtype=np.int8).astype(a.dtype)


sign = pointwise("sign", _sign, "-1, 0 or 1", kinds="buif", noisy=True, a=nothing)
floor = pointwise(
    "floor", _integers_stay(np.floor), "the elements rounded down", kinds="uif",
    check=ordered(NotImplementedError, "floor is not supported for complex inputs"), a=nothing,
)  # fmt: skip
ceil = pointwise(
    "ceil", _integers_stay(np.ceil), "the elements rounded up", kinds="uif",
    check=ordered(NotImplementedError, "ceil is not supported for complex inputs"), a=nothing,
)  # fmt: skip
round = pointwise(
    "round", _integers_stay(np.rint), "the elements rounded, halves to even", kinds="uif",
    check=ordered(NotImplementedError, "round is not supported for complex inputs"), a=nothing,
)  # fmt: skip
trunc = pointwise(
    "trunc", _integers_stay(np.trunc), "the elements rounded towards 0", kinds="uif",
    check=ordered(NotImplementedError, "trunc is not supported for complex inputs"), a=nothing,
)  # fmt: skip
frac = pointwise("frac", lambda a: a - np.trunc(a), "what `trunc` takes away", kinds="f", noisy=True, a=1)


@general(a=nothing, inputs=("a",), node="RoundBackward1")
def round_decimals(a: Any, decimals: int) -> Any:
    """Rounded to a number of decimals (negative: tens, hundreds, ...)."""
    power = a.dtype.type(10.0 ** np.abs(decimals))
    return np.rint(a * power) / power if decimals >= 0 else np.rint(a / power) * power


def _sgn(a: Any) -> Any:
    if a.dtype.kind != "c":
        return _sign(a)
    modulus = np.abs(a)
    return np.where(modulus == 0, a.dtype.type(0), a / np.where(modulus == 0, modulus.dtype.type(1), modulus))


def sgn_cotangent(g: Any, a: Any, y: Any, dtype: Any) -> Any:
    if dtype.kind != "c":
        return nothing(g)
    return where(a == 0, 0, (g - real_part(conj(g) * y) * y) / abs(a))


sgn = pointwise(
    "sgn", _sgn, "-1, 0 or 1; for complex numbers the point of the unit circle in their direction", noisy=True,
    a=lambda g, a, y, a_dtype: sgn_cotangent(g, a, y, a_dtype),
)  # fmt: skip


copysign = pointwise(
    "copysign", np.copysign, "the magnitudes of `input` with the signs of `other`", result="float", kinds="uif", scalars="second",
    scalar_b="CopysignBackward1",
    a=lambda g, a, y: where(a == 0, 0, g * (y / a)), b=nothing,
)  # fmt: skip
nextafter = pointwise(
    "nextafter", np.nextafter, "the next number after `input` in the direction of `other`", kinds="f", scalars="no", noisy=True,
    a=lambda g, a, b: where(a == b, 0, g), b=nothing,
)  # fmt: skip
heaviside = pointwise(
    "heaviside", lambda a, b: np.where(a == 0, b, (a > 0).astype(a.dtype)), "0 below 0, 1 above, `other` at 0", scalars="no",
    node="NotImplemented",
    kinds="buif", names=("input", "values"), a=undefined("heaviside"), b=undefined("heaviside"),
)  # fmt: skip

# Extrema and choices


def _halved(g: Any, tie: Any, lost: Any) -> Any:
    return where(lost, 0, where(tie, g / 2, g))


maximum = pointwise(
    "maximum", np.maximum, check=ordered(RuntimeError, "maximum not implemented for complex tensors."),
    doc="the larger of each pair; NaN if either is", kinds="buif", scalars="no", noisy=True,
    a=lambda g, a, b: _halved(g, a == b, a < b), b=lambda g, a, b: _halved(g, a == b, b < a),
)  # fmt: skip
minimum = pointwise(
    "minimum", np.minimum, check=ordered(RuntimeError, "minimum not implemented for complex tensors."),
    doc="the smaller of each pair; NaN if either is", kinds="buif", scalars="no", noisy=True,
    a=lambda g, a, b: _halved(g, a == b, a > b), b=lambda g, a, b: _halved(g, a == b, b > a),
)  # fmt: skip
fmax = pointwise(
    "fmax", np.fmax, "the larger of each pair; NaN only if both are", kinds="buif", scalars="no", noisy=True,
    a=lambda g, a, b: where((a >= b) | (b != b), g, 0), b=lambda g, a, b: where((a >= b) | (b != b), 0, g),
)  # fmt: skip
fmin = pointwise(
    "fmin", np.fmin, "the smaller of each pair; NaN only if both are", kinds="buif", scalars="no", noisy=True,
    a=lambda g, a, b: where((a <= b) | (b != b), g, 0), b=lambda g, a, b: where((a <= b) | (b != b), 0, g),
)  # fmt: skip


where = pointwise("where", lambda a, b, c: select(a, b, c), arity=3, b=lambda g, a: where(a, g, 0), c=lambda g, a: where(a, 0, g))
masked_fill = pointwise(
    "masked_fill", lambda a, b, c: select(b, c, a), arity=3, a=lambda g, b: where(b, 0, g), c=lambda g, b: where(b, g, 0),
)  # fmt: skip
masked_fill_scalar = pointwise(
    "masked_fill", lambda a, b, c: select(b, c, a), arity=3, node="MaskedFillBackward0", a=lambda g, b: where(b, 0, g),
)  # fmt: skip


@general(a=lambda g, a, min, max: where(inside(a, min, max), g, 0), node="ClampBackward1", elementwise=True)
def clamp(a: Any, min: Any, max: Any) -> Any:
    """Bounded by Python numbers, either of which can be None."""
    number = a.dtype.type
    if a.dtype.kind == "f":
        low, high = -np.inf if min is None else min, np.inf if max is None else max
        if a.size >= COMPILED and low == low and high == high:
            y = compiled("clip", a, float(low), float(high))
            if y is not None:
                return y
        return clip(a, number(low), number(high)) if a.size < MANY else blockwise(clip, a, number(low), number(high))
    if min is not None:
        a = np.maximum(a, number(min))
    return a if max is None else np.minimum(a, number(max))


def inside(a: Any, low: Any, high: Any) -> Any:
    if low is None:
        return a <= high
    return a >= low if high is None else (a >= low) & (a <= high)


whole(clamp.kernel)
clamp_tensors = pointwise(
    "clamp", lambda a, b, c: np.minimum(np.maximum(a, b), c), arity=3, noisy=True, a=lambda g, a, b, c: where((a >= b) & (a <= c), g, 0),
    b=lambda g, a, b, c: where((b < c) & (a < b), g, 0), c=lambda g, a, b, c: where((a > c) | (c < b), g, 0),
)  # fmt: skip
clamp_min_tensor = pointwise(
    "clamp_min", np.maximum, noisy=True, node="ClampMinBackward1", a=lambda g, a, b: where(a >= b, g, 0),
    b=lambda g, a, b: where(a < b, g, 0),
)  # fmt: skip
clamp_max_tensor = pointwise(
    "clamp_max", np.minimum, noisy=True, node="ClampMaxBackward1", a=lambda g, a, b: where(a <= b, g, 0),
    b=lambda g, a, b: where(a > b, g, 0),
)  # fmt: skip


@general(a=lambda g, a: g * isfinite(a), inputs=("a",), node="NanToNumBackward0")
def nan_to_num(a: Any, nan: float, posinf: float, neginf: float) -> Any:
    """Numbers in place of NaN and the infinities."""
    return np.nan_to_num(a, copy=True, nan=nan, posinf=posinf, neginf=neginf)


@general(vjp=lambda g, exponent, a_dtype: (g[0] / exp2(as_dtype(exponent, a_dtype)),), inputs=("a",), outputs=("mantissa", "exponent"))
def frexp(a: Any) -> Any:
    """a as mantissa * 2 ** exponent, |mantissa| in [0.5, 1)."""
    mantissa, exponent = np.frexp(a)
    return mantissa, exponent.astype(np.int32)


# Blends: c is the weight or the second factor

lerp = pointwise(
    "lerp", lambda a, b, c: np.where(np.abs(c) < 0.5, a + c * (b - a), b - (b - a) * (1 - c)), node="LerpBackward1", noisy=True, arity=3,
    a=lambda g, c: g * conj(1 - c), b=lambda c: c, c=lambda a, b: b - a,
)  # fmt: skip


@whole
def _lerp_scalar(a: Any, b: Any, c: Any) -> Any:
    near = abs_number(c) < 0.5
    if a.size >= COMPILED and a.__class__ is np.ndarray:
        found = combined("lerp" if near else "lerp from the end", a, b, c if near else 1 - c)
        if found is not None:
            return found
    weight, y = np.asarray(c if near else 1 - c, a.dtype), b - a
    if y.__class__ is not np.ndarray:
        return a + weight * y if near else b - y * weight
    np.multiply(y, weight, y)
    return np.add(a, y, y) if near else np.subtract(b, y, y)


def times(g: Any, factor: Any) -> Any:
    """g times the conjugate of a Python number."""
    factor = conj(factor)
    if g.__class__ is not np.ndarray or g.size < COMPILED:
        return g * factor
    y = compiled("scale", g, factor) if factor.__class__ is float else None
    return blockwise(np.multiply, g, factor) if y is None else y


lerp_scalar = pointwise(
    "lerp", _lerp_scalar, node="LerpBackward0", noisy=True, arity=3,
    a=whole(lambda g, c: times(g, 1 - c)), b=whole(lambda g, c: times(g, c)),
)  # fmt: skip


@whole
def _addcmul(a: Any, b: Any, c: Any, d: Any) -> Any:
    if a.__class__ is np.ndarray and a.size >= COMPILED:
        found = combined("addcmul", a, b, c, d)
        if found is not None:
            return found
    return a + b * c if d == 1 else a + a.dtype.type(d) * b * c


addcmul = pointwise(
    "addcmul",
    _addcmul,
    noisy=True,
    arity=4,
    a=1,
    b=lambda g, c, d: g * conj(c if d == 1 else c * d),
    c=lambda g, b, d: g * conj(b if d == 1 else b * d),
)
addcdiv = pointwise(
    "addcdiv", lambda a, b, c, d: a + a.dtype.type(d) * (b / c), noisy=True, arity=4, a=1, b=lambda g, c, d: g * conj(d / c),
    c=lambda g, b, c, d: -g * conj(d * b / (c * c)),
)  # fmt: skip

# Complex numbers


@linear(a=lambda g, a_dtype: as_dtype(g, a_dtype), node="SelectBackward0", view=True)
def real(a: Any) -> Any:
    """The real parts, a view."""
    return a.real


@linear(a=lambda g, a_dtype: as_dtype(g, a_dtype) * 1j, node="SelectBackward0", view=True)
def imag(a: Any) -> Any:
    """The imaginary parts, a view."""
    return a.imag


def as_dtype(g: Any, dtype: Any) -> Any:
    from chainrule.ops.shape import cast

    return cast(g, dtypes.BY_NUMPY[dtype])


def real_part(z: Any) -> Any:
    """z, or its real part if it is complex; z is any carrier or a number."""
    return z.real


conj_physical = pointwise("conj_physical", np.conj, "complex conjugates", a=lambda g: conj(g))
conj_view = pointwise("conj", np.conj, "complex conjugates", a=lambda g: conj(g))
angle = pointwise(
    "angle", lambda a: np.angle(a) if a.dtype.kind == "c" else np.where(np.isnan(a), a, np.where(a < 0, a.dtype.type(PI), a.dtype.type(0))),
    "the angles of complex numbers; 0 or pi for real ones", result="float", a=lambda g, a, a_dtype: angle_cotangent(g, a, a_dtype),
)  # fmt: skip
complex = pointwise(
    "complex", lambda a, b: _join(a, b), "complex numbers from their parts", result="any", a=lambda g: g.real, b=lambda g: g.imag
)
polar = pointwise(
    "polar", lambda a, b: _join(a * np.cos(b), a * np.sin(b)), "complex numbers from moduli and angles", result="any",
    a=lambda g, b: (conj(g) * complex(cos(b), sin(b))).real, b=lambda g, a, b: (conj(g) * complex(-a * sin(b), a * cos(b))).real,
)  # fmt: skip


def _join(real: Any, imag: Any) -> Any:
    shape = np.broadcast_shapes(np.shape(real), np.shape(imag))
    y = np.empty(shape, np.result_type(real, np.complex64))
    y.real, y.imag = real, imag
    return y


def angle_cotangent(g: Any, a: Any, dtype: Any) -> Any:
    if dtype.kind != "c":
        return nothing(g)
    size = abs(a)
    return where(a == 0, 0, g * a / (size * size) * 1j)


# Comparisons and tests

eq = pointwise("eq", np.equal, "whether `input` == `other`", result="bool", scalars="second")
ne = pointwise("ne", np.not_equal, "whether `input` != `other`", result="bool", scalars="second")
lt = pointwise("lt", np.less, "whether `input` < `other`", result="bool", scalars="second", kinds="buif")
le = pointwise("le", np.less_equal, "whether `input` <= `other`", result="bool", scalars="second", kinds="buif")
gt = pointwise("gt", np.greater, "whether `input` > `other`", result="bool", scalars="second", kinds="buif")
ge = pointwise("ge", np.greater_equal, "whether `input` >= `other`", result="bool", scalars="second", kinds="buif")
isnan = pointwise("isnan", np.isnan, "which elements are NaN", result="bool")
isinf = pointwise("isinf", np.isinf, "which elements are infinite", result="bool")
isfinite = pointwise("isfinite", np.isfinite, "which elements are neither NaN nor infinite", result="bool")
isposinf = pointwise("isposinf", lambda a: a == np.inf, "which elements are +inf", result="bool", kinds="buif")
isneginf = pointwise("isneginf", lambda a: a == -np.inf, "which elements are -inf", result="bool", kinds="buif")
signbit = pointwise(
    "signbit", lambda a: np.signbit(a) if a.dtype.kind not in "biu" else a < 0, "which elements have a minus sign, -0.0 included",
    result="bool", kinds="buif",
)  # fmt: skip
logical_not = pointwise("logical_not", np.logical_not, "which elements are 0", result="bool")
logical_and = pointwise("logical_and", np.logical_and, "where both are not 0", result="bool", scalars="no")
logical_or = pointwise("logical_or", np.logical_or, "where either is not 0", result="bool", scalars="no")
logical_xor = pointwise("logical_xor", np.logical_xor, "where just one is not 0", result="bool", scalars="no")

# Bits and divisors

bitwise_not = pointwise("bitwise_not", np.invert, "every bit changed", kinds="bui")
bitwise_and = pointwise("bitwise_and", np.bitwise_and, "the bits that both have", kinds="bui")
bitwise_or = pointwise("bitwise_or", np.bitwise_or, "the bits that either has", kinds="bui")
bitwise_xor = pointwise("bitwise_xor", np.bitwise_xor, "the bits that just one has", kinds="bui")
bitwise_left_shift = pointwise("bitwise_left_shift", np.left_shift, "the bits moved left by `other`", kinds="ui")
bitwise_right_shift = pointwise("bitwise_right_shift", np.right_shift, "the bits moved right by `other`", kinds="ui")
gcd = pointwise("gcd", np.gcd, "greatest common divisors", kinds="ui", scalars="no")
lcm = pointwise("lcm", np.lcm, "least common multiples", kinds="ui", scalars="no")
