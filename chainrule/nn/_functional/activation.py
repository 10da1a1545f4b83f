"""Activation functions. With `inplace=True` they write over their input and return it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.functions.arguments import FAST, as_dtype, require_tensor, wrap_dim
from chainrule.kernels.random import exponential, uniform
from chainrule.nn._functional.arguments import legacy, require_floating
from chainrule.ops import activation as ops, pointwise as elements, softmax as soft, special
from chainrule.ops.eager import eager
from chainrule.ops.gates import gated, sloped
from chainrule.ops.inplace import inplace as overwriting, write_out
from chainrule.ops.overrides import public, shortcut
from chainrule.ops.shape import cast, reshape
from chainrule.tensor import Tensor, wrap

relu_function = ops.relu.function
state = modes.state


def applied(name: str, inplace: bool, function: Callable, input: Tensor, *settings: Any) -> Tensor:
    """`function(input, *settings)`, written over input if `inplace`."""
    return overwriting(function, f"{name}_")(input, *settings) if inplace else function(input, *settings)


def directly(op: Any) -> Callable:
    """For a function that is `op`, after checks: floats go to it without them."""

    def decorate(checked: Any) -> Callable:
        def call(input: Tensor, inplace: bool = False) -> Tensor:
            if not inplace and isinstance(input, Tensor) and input._data.dtype in FAST and not state.busy:
                return op.function(input)
            return checked(input, inplace)

        checked.shown = call
        return update_wrapper(call, checked)

    return decorate


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), element by element.

    Example:
        >>> relu(tensor([-1., 2.]))
        tensor([0., 2.])
    """
    if inplace:
        return overwriting(relu_function, "relu_")(input)
    return relu_function(input)


# Softmax and its kin


def softmax_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.", stacklevel=stacklevel
    )
    return 0 if ndim in (0, 1, 3) else 1


def along(name: str, kernel: Callable, input: Tensor, dim: Any, stacklevel: int, dtype: Any) -> Tensor:
    require_tensor(name, input)
    if dim is None:
        dim = softmax_dim(name, input._data.ndim, stacklevel + 2)
    wanted = as_dtype(dtype)
    if wanted is not None and wanted is not input.dtype:
        input = cast(input, wanted)
    dim = wrap_dim(dim, input._data.ndim)
    if input.dtype.category != dtypes.FLOATING:
        where = "lastdim_kernel_impl" if dim == input._data.ndim - 1 else "kernel_impl"
        raise NotImplementedError(f"\"{name}_{where}\" not implemented for '{legacy(input)}'")
    return kernel(input, (dim,) if input._data.ndim else ())


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(x) scaled to sum to 1 along `dim`; `dtype` is the type to compute in.

    Example:
        >>> softmax(zeros(2), 0)
        tensor([0.5000, 0.5000])
    """
    if dtype is None and dim.__class__ is int and isinstance(input, Tensor) and not state.busy and input._data.dtype in FAST:
        ndim = input._data.ndim
        if -ndim <= dim < ndim:  # type: ignore[operator]
            return soft.softmax.quick(input, (dim % ndim,))  # type: ignore[operator]
    return softmax_any(input, dim, _stacklevel + 1, dtype)


@public
def softmax_any(input: Tensor, dim: int | None, _stacklevel: int, dtype: Any) -> Tensor:
    return along("softmax", soft.softmax, input, dim, _stacklevel, dtype)


@public
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`softmax(-input)`."""
    require_tensor("softmin", input)
    return along("softmin", soft.softmax, -input, dim, _stacklevel, dtype)  # type: ignore[operator]


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, computed without overflow.

    Example:
        >>> log_softmax(zeros(2), 0)
        tensor([-0.6931, -0.6931])
    """
    if dtype is None and dim.__class__ is int and isinstance(input, Tensor) and not state.busy and input._data.dtype in FAST:
        ndim = input._data.ndim
        if -ndim <= dim < ndim:  # type: ignore[operator]
            return soft.log_softmax.quick(input, (dim % ndim,))  # type: ignore[operator]
    return log_softmax_any(input, dim, _stacklevel + 1, dtype)


@public
def log_softmax_any(input: Tensor, dim: int | None, _stacklevel: int, dtype: Any) -> Tensor:
    return along("log_softmax", soft.log_softmax, input, dim, _stacklevel, dtype)


softmax_any.shown, log_softmax_any.shown = softmax, log_softmax


# Element by element


def stated(name: str, op: Any, kernel: str, input: Any, inplace: bool, *settings: Any) -> Tensor:
    """An op with settings, of a floating tensor."""
    require_floating(name, kernel, input)
    if settings and input.dtype is dtypes.bfloat16:  # which does not survive Python numbers
        return applied(name, inplace, lambda t: cast(op(cast(t, dtypes.float32), *settings), dtypes.bfloat16), input)
    return applied(name, inplace, op, input, *settings)


@public
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it is greater than `threshold`, else `value`."""
    require_tensor("threshold", input)
    if input.dtype is dtypes.bool_:
        raise NotImplementedError("\"threshold_cpu\" not implemented for 'Bool'")
    return applied("threshold", inplace, ops.threshold, input, threshold, value)


@public
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x bounded by `min_val` and `max_val`."""
    require_tensor("hardtanh", input)
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if input.dtype is dtypes.bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype in UNSIGNED and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return applied("hardtanh", inplace, ops.hardtanh, input, min_val, max_val)


UNSIGNED = {dtypes.uint8, dtypes.uint16, dtypes.uint32, dtypes.uint64}


@public
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0, 6, inplace)


@public
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, else negative_slope * x.

    Example:
        >>> leaky_relu(tensor([-1., 2.]), 0.5)
        tensor([-0.5000,  2.0000])
    """
    return stated("leaky_relu", ops.leaky_relu, "leaky_relu_cpu", input, inplace, negative_slope)


@public
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha * (exp(x) - 1)."""
    return stated("elu", ops.elu, "elu_cpu", input, inplace, alpha)


@public
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha * (exp(x / alpha) - 1)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return stated("celu", ops.celu, "elu_cpu", input, inplace, alpha)


@directly(ops.selu)
@public
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """elu with the scale and alpha that keep mean 0 and variance 1."""
    return stated("selu", ops.selu.function, "elu_cpu", input, inplace)


@public
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, else weight * x; `weight` has one element, or one for each channel (dimension 1)."""
    require_tensor("prelu", input)
    require_tensor("prelu", weight, "weight", 2)
    x, w = input._data, weight._data
    if x.dtype != w.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {legacy(input)} and {legacy(weight)}")
    if w.size != 1:
        if not x.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = x.shape[1] if x.ndim > 1 else 1
        if channels != w.size:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {w.size} and channel size = {channels}."
            )
    if w.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}")
    if w.shape != (1,) * x.ndim:
        weight = reshape(weight, (1, w.size, *[1] * (x.ndim - 2)) if x.ndim > 1 else (w.size,) * x.ndim)
    return ops.prelu(input, weight)


@public
def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """leaky_relu; in training the slope of each negative element is drawn from [lower, upper), else it is their middle."""
    require_floating("rrelu", "rrelu_with_noise_out_cpu" if training else "leaky_relu_cpu", input)
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return applied("rrelu", inplace, ops.leaky_relu, input, (lower + upper) / 2)
    negative = input._data <= 0
    noise = np.ones(input._data.shape, input._data.dtype)
    noise[negative] = uniform((int(negative.sum()),), np.dtype(np.float64), None, lower, upper)
    return applied("rrelu", inplace, sloped, input, noise)


def gelu(input: Tensor, approximate: str = "none", *, out: Tensor | None = None) -> Tensor:
    """x times the normal distribution function of x; `approximate="tanh"` computes it by a tanh.

    Example:
        >>> gelu(tensor([0., 1.]))
        tensor([0.0000, 0.8413])
    """
    if approximate == "none":
        op = ops.gelu.function
    elif approximate == "tanh":
        op = ops.gelu_tanh.function
    else:
        raise RuntimeError("approximate argument must be either none or tanh.")
    if isinstance(input, Tensor) and input._data.dtype.kind not in "fV":
        raise NotImplementedError(f"\"GeluKernelImpl\" not implemented for '{legacy(input)}'")
    return op(input, out=out)


@directly(ops.silu)
@public
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x)."""
    require_floating("silu", "silu_cpu", input, complex=True)
    return applied("silu", inplace, ops.silu.function, input)


@directly(ops.mish)
@public
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x))."""
    return stated("mish", ops.mish.function, "mish_cpu", input, inplace)


@directly(ops.hardswish)
@public
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x)."""
    return stated("hardswish", ops.hardswish.function, "hardswish_cpu", input, inplace)


@directly(ops.hardsigmoid)
@public
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6."""
    return stated("hardsigmoid", ops.hardsigmoid.function, "hardsigmoid_cpu", input, inplace)


_softplus = eager(ops.softplus)


def plain_softplus(input: Any) -> Tensor | None:
    """The shorter way of `softplus`."""
    return _softplus(input, 1.0, 20.0) if isinstance(input, Tensor) and input._data.dtype in FAST else None


@shortcut(plain_softplus)
@public
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0, *, out: Tensor | None = None) -> Tensor:
    """log(1 + exp(beta * x)) / beta, and x where beta * x exceeds `threshold`."""
    result = stated("softplus", ops.softplus, "softplus_cpu", input, False, beta, threshold)
    return result if out is None else write_out("softplus", out, result)


@public
def softshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """x moved towards 0 by `lambd`, 0 where it would pass it."""
    require_floating("softshrink", "softshrink_check", input)
    if not lambd >= 0:
        largest = np.finfo(np.float32 if input._data.dtype.itemsize == 4 else np.float64).max
        raise RuntimeError(f"lambda must be in range [0, {largest:.6g}] for input dtype {legacy(input)}, but found {lambd:g}")
    result = ops.softshrink(input, lambd)
    return result if out is None else write_out("softshrink", out, result)


@public
def hardshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """0 where |x| <= lambd, else x."""
    result = stated("hardshrink", ops.hardshrink, "hardshrink_cpu", input, False, lambd)
    return result if out is None else write_out("hardshrink", out, result)


@public
def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    require_tensor("softsign", input)
    return input / (elements.abs.function(input) + 1)  # type: ignore[operator]


@public
def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    require_tensor("tanhshrink", input)
    return input - elements.tanh.function(input)  # type: ignore[operator]


def logsigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(sigmoid(x)), computed without overflow."""
    if isinstance(input, Tensor) and input._data.dtype.kind not in "fV":
        raise NotImplementedError(f"\"log_sigmoid_cpu\" not implemented for '{legacy(input)}'")
    return ops.logsigmoid.function(input, out=out)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangents."""
    return elements.tanh.function(input)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return special.sigmoid.function(input)


# Over a dimension


@public
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of `input` along `dim` times the sigmoid of the second half.

    Example:
        >>> glu(tensor([3., 0.]))
        tensor([1.5000])
    """
    require_tensor("glu", input)
    if not input._data.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    dim = wrap_dim(dim, input._data.ndim)
    size = input._data.shape[dim]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    require_floating("glu", "glu_cpu", input)
    return gated(input, dim)


@public
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A random sample near a corner of the simplex: softmax((logits + Gumbel noise) / tau); `hard` moves it into the corner.

    The gradient is that of the soft sample in either case.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=3)
    require_tensor("gumbel_softmax", logits)
    noise = -np.log(exponential(logits._data.shape, logits._data.dtype, None))
    soft_sample: Any = softmax((logits + wrap(noise)) / tau, dim)  # type: ignore[operator]
    if not hard:
        return soft_sample
    data = soft_sample._data
    corner = np.zeros_like(data)
    np.put_along_axis(corner, np.expand_dims(data.argmax(dim), dim), 1, dim)
    return wrap(corner) - soft_sample.detach() + soft_sample


relu_, elu_, hardtanh_, leaky_relu_, selu_, celu_, threshold_, rrelu_ = (
    partial(f, inplace=True) for f in (relu, elu, hardtanh, leaky_relu, selu, celu, threshold, rrelu)
)

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_",
    "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_",
    "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "threshold_",
]  # fmt: skip
