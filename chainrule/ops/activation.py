"""The activation functions of neural networks. Settings (slopes, bounds) are static; `nn.functional` gives them their defaults."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core.silence import restore, silence
from chainrule.kernels.elementwise import COMPILED, ONES, clip, compiled, one_pass, select, whole, within
from chainrule.ops.pointwise import exp, log1p, tanh, where
from chainrule.ops.pointwise_form import pointwise
from chainrule.ops.primitive import conjugate as conj, general
from chainrule.ops.special import erf, sigmoid

SQRT_HALF, INVERSE_SQRT_2PI, SQRT_2_OVER_PI = 0.7071067811865476, 0.3989422804014327, 0.7978845608028654
ndarray, F32, TWENTY = np.ndarray, np.dtype(np.float32), np.full((), 20, np.float32)
POSITIVE = {d: (np.zeros((), d), np.full((), np.inf, d)) for d in (F32, np.dtype(np.float64))}  # faster bounds than Python's numbers
CUBIC = 0.044715  # of the tanh form of gelu
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@whole
def positive_part(a: Any) -> Any:
    """max(a, 0)."""
    if a.size >= COMPILED:
        y = compiled("relu", a)
        if y is not None:
            return y
    bounds = POSITIVE.get(a.dtype)
    return np.maximum(a, a.dtype.type(0)) if bounds is None else clip(a, *bounds)


relu = pointwise(
    "relu", positive_part, "max(`input`, 0)", kinds="uif", noisy=True, a=one_pass("relu rule", lambda g, y: where(y <= 0, 0, g)),
)  # fmt: skip


@general(a=lambda g, a, threshold: where(a <= threshold, 0, g), inputs=("a",))
def threshold(a: Any, threshold: float, value: float) -> Any:
    """a where it exceeds threshold, else value."""
    return np.where(a <= a.dtype.type(threshold), a.dtype.type(value), a)


@general(a=lambda g, a, slope: where(a > 0, g, g * slope))
def leaky_relu(a: Any, slope: float) -> Any:
    """a where it is positive, else slope * a."""
    other = a * a.dtype.type(slope)
    return np.maximum(a, other) if 0 < slope <= 1 else np.where(a > 0, a, other)


prelu = pointwise(
    "prelu", lambda a, b: np.where(a > 0, a, a * b), node="PreluKernelBackward0", noisy=True,
    a=lambda g, a, b: where(a > 0, g, b * g), b=lambda g, a: where(a > 0, 0, a * g),
)  # fmt: skip


def elu_kernel(a: Any, alpha: float, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    real = a.dtype.type
    y = np.expm1(np.minimum(a, real(0)) * real(input_scale)) * real(alpha * scale)
    return y + (positive_part(a) if scale == 1 else positive_part(a) * real(scale))


def elu_cotangent(g: Any, a: Any, alpha: float, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    return where(a <= 0, g * exp(a * input_scale) * (alpha * scale * input_scale), g * scale)


elu = general(a=lambda g, a, alpha: elu_cotangent(g, a, alpha), name="elu")(lambda a, alpha: elu_kernel(a, alpha))
celu = general(a=lambda g, a, alpha: elu_cotangent(g, a, alpha, 1.0, 1.0 / alpha), name="celu")(
    lambda a, alpha: elu_kernel(a, alpha, 1.0, 1.0 / alpha)
)
selu = pointwise(
    "selu", lambda a: elu_kernel(a, SELU_ALPHA, SELU_SCALE), "elu with the constants of self-normalising networks", kinds="f", noisy=True,
    node="EluBackward0", a=lambda g, a: elu_cotangent(g, a, SELU_ALPHA, SELU_SCALE),
)  # fmt: skip


@whole
def _gelu(a: Any) -> Any:
    y = compiled("gelu", a)
    if y is not None:
        return y
    return a * 0.5 * (1 + erf.kernel(a * a.dtype.type(SQRT_HALF))) if a.dtype.kind == "f" else _in_float32(_gelu, a)


def _gelu_tanh(a: Any) -> Any:
    if a.dtype.kind != "f":
        return _in_float32(_gelu_tanh, a)
    inner = SQRT_2_OVER_PI * (a + CUBIC * (a * a * a))
    return 0.5 * a * (1 + np.tanh(inner))


def _in_float32(kernel: Any, a: Any) -> Any:
    """bfloat16: Python numbers would make it float32 anyway."""
    return kernel(a.astype(np.float32)).astype(a.dtype)


@whole
def _gelu_slope(a: Any) -> Any:
    y = compiled("gelu_slope", a)
    if y is not None:
        return y
    if a.dtype.kind != "f":
        return _in_float32(_gelu_slope, a)
    return 0.5 * (1 + erf.kernel(a * a.dtype.type(SQRT_HALF))) + a * np.exp(-0.5 * (a * a)) * a.dtype.type(INVERSE_SQRT_2PI)


gelu_slope = pointwise(
    "gelu_backward", _gelu_slope, kinds="f", noisy=True, a=lambda a: (2 - a * a) * exp(-0.5 * (a * a)) * INVERSE_SQRT_2PI,
)  # fmt: skip


def gelu_tanh_slope(a: Any) -> Any:
    square = a * a
    t = tanh(SQRT_2_OVER_PI * (a + CUBIC * (square * a)))
    return 0.5 * (1 + t) + 0.5 * a * (1 - t * t) * (SQRT_2_OVER_PI * (1 + 3 * CUBIC * square))


gelu = pointwise(
    "gelu", _gelu, "`input` times the normal distribution function", kinds="f", noisy=True,
    a=one_pass("gelu rule", lambda a: gelu_slope(a)),
)  # fmt: skip
gelu_tanh = pointwise("gelu_tanh", _gelu_tanh, "gelu's tanh approximation", kinds="f", noisy=True, node="GeluBackward0", a=gelu_tanh_slope)


@whole
def _silu(a: Any) -> Any:
    if a.size >= COMPILED:
        y = compiled("silu", a)
        if y is not None:
            return y
    y = np.negative(a)
    if y.__class__ is not ndarray:
        return a / (np.exp(y) + ONES.get(a.dtype, 1))
    np.exp(y, y)
    np.add(y, ONES.get(a.dtype, 1), y)
    return np.divide(a, y, y)


@whole
def _silu_slope(a: Any) -> Any:
    y = compiled("silu_slope", a)
    if y is not None:
        return y
    s = sigmoid.kernel(a)
    return s * (1 + a * (1 - s))


silu_slope = pointwise(
    "silu_backward", _silu_slope, kinds="fc", noisy=True, a=lambda g, a: g * conj(silu_curve(a, sigmoid(a))),
)  # fmt: skip


def silu_curve(a: Any, s: Any) -> Any:
    """The second derivative of silu, s being sigmoid(a)."""
    return s * (1 - s) * (2 + a * (1 - 2 * s))


silu = pointwise("silu", _silu, "`input` * sigmoid(`input`)", result="float", kinds="fc", a=one_pass("silu rule", lambda a: silu_slope(a)))


def log_of_one_plus_exp(a: Any) -> Any:
    """log(1 + exp(a)) without overflow: softplus, of arrays."""
    y = np.log1p(np.exp(-np.abs(a)))
    return y + positive_part(a)


def mish_slope(a: Any) -> Any:
    t = tanh(softplus(a, 1.0, float("inf")))
    return t + a * sigmoid(a) * (1 - t * t)


mish = pointwise(
    "mish", lambda a: a * np.tanh(log_of_one_plus_exp(a)), "`input` * tanh(softplus(`input`))", kinds="f", noisy=True,
    a=mish_slope,
)  # fmt: skip


@general(a=one_pass("softplus rule", lambda g, a, beta, threshold: softplus_cotangent(g, a, beta, threshold)), elementwise=True)
def softplus(a: Any, beta: float, threshold: float) -> Any:
    """log(1 + exp(beta a)) / beta, and a itself where beta a exceeds threshold."""
    y = compiled("softplus", a) if a.size >= COMPILED and beta == 1 and threshold == 20 else None  # in float32 that is x from there on
    if y is not None:
        return y
    if beta == 1 and threshold == 20 and a.__class__ is ndarray and a.dtype is F32:  # in both ways equal from there on
        return np.maximum(np.log1p(np.exp(np.minimum(a, TWENTY))), a)
    scaled = a if beta == 1 else a * a.dtype.type(beta)
    token = silence()
    try:
        y = np.log1p(np.exp(scaled))
    finally:
        restore(token)
    if beta != 1:
        y = y / a.dtype.type(beta)
    return select(scaled > a.dtype.type(threshold), a, y)


def softplus_cotangent(g: Any, a: Any, beta: float, threshold: float) -> Any:
    scaled = a if beta == 1 else a * beta
    return where(scaled > threshold, g, g * sigmoid(scaled))


logsigmoid = pointwise(
    "log_sigmoid",
    lambda a: -log_of_one_plus_exp(-a),
    "log(sigmoid(`input`))",
    kinds="f",
    noisy=True,
    a=lambda g, a: g * sigmoid(-a),
)


def hardtanh_cotangent(g: Any, a: Any, low: float, high: float) -> Any:
    y = within(g, a, low, high)
    return where((a <= low) | (a >= high), 0, g) if y is None else y


@general(a=hardtanh_cotangent)
def hardtanh(a: Any, low: float, high: float) -> Any:
    """a bounded by low and high, where its derivative is 0."""
    return bounded(a, low, high)


def bounded(a: Any, low: float, high: float) -> Any:
    if a.size >= COMPILED:
        y = compiled("clip", a, float(low), float(high))
        if y is not None:
            return y
    real = a.dtype.type
    return clip(a, real(low), real(high)) if a.dtype.kind == "f" else np.minimum(np.maximum(a, real(low)), real(high))


hardsigmoid = pointwise(
    "hardsigmoid", lambda a: bounded(a + a.dtype.type(3), 0, 6) / a.dtype.type(6),
    "min(max(`input` + 3, 0), 6) / 6", kinds="f", a=lambda g, a: where((a > -3) & (a < 3), g * (1 / 6), 0),
)  # fmt: skip
hardswish = pointwise(
    "hardswish", lambda a: a * bounded(a + a.dtype.type(3), 0, 6) / a.dtype.type(6),
    "`input` * hardsigmoid(`input`)", kinds="f", a=lambda g, a: where(a <= -3, 0, where(a < 3, g * (a / 3 + 0.5), g)),
)  # fmt: skip


@general(a=lambda g, a, lambd: where((a >= -lambd) & (a <= lambd), 0, g))
def hardshrink(a: Any, lambd: float) -> Any:
    """0 where |a| <= lambd, else a."""
    return np.where(np.abs(a) <= lambd, a.dtype.type(0), a)


@general(a=lambda g, a, lambd: where((a >= -lambd) & (a <= lambd), 0, g))
def softshrink(a: Any, lambd: float) -> Any:
    """a moved towards 0 by lambd."""
    size = a.dtype.type(lambd)
    return np.where(a > size, a - size, np.where(a < -size, a + size, a * 0))


__all__ = [
    "celu", "elu", "gelu", "gelu_tanh", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log1p", "logsigmoid", "mish",
    "prelu", "relu", "selu", "silu", "softplus", "softshrink", "threshold",
]  # fmt: skip
