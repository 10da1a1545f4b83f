"""Gradients of convolutions as functions: of their input and of their weight, given that of their result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.autograd import grad
from chainrule.autograd.grad_mode import enable_grad
from chainrule.functions.creation import empty
from chainrule.nn import functional as F
from chainrule.tensor import Tensor

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def gradient(conv: Callable, wanted: Tensor, input: Tensor, weight: Tensor, grad_output: Tensor, options: tuple) -> Tensor:
    with enable_grad():
        return grad(conv(input, weight, None, *options), wanted, grad_output)[0]


def of_input(conv: Callable) -> Callable[..., Tensor]:
    def gradient_of_input(
        input_size: Any, weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Tensor:
        input = empty(*input_size, dtype=weight.dtype).requires_grad_()
        return gradient(conv, input, input, weight, grad_output, (stride, padding, dilation, groups))

    return named(gradient_of_input, f"{conv.__name__}_input", conv, "input, whose size is `input_size`")


def of_weight(conv: Callable) -> Callable[..., Tensor]:
    def gradient_of_weight(
        input: Tensor, weight_size: Any, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Tensor:
        weight = empty(*weight_size, dtype=input.dtype).requires_grad_()
        return gradient(conv, weight, input, weight, grad_output, (stride, padding, dilation, groups))

    return named(gradient_of_weight, f"{conv.__name__}_weight", conv, "weight, whose size is `weight_size`")


def named(function: Callable[..., Tensor], name: str, conv: Callable, what: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The gradient of `{conv.__name__}` with respect to its {what}, given that of its result."
    return function


conv1d_input, conv2d_input, conv3d_input = of_input(F.conv1d), of_input(F.conv2d), of_input(F.conv3d)
conv1d_weight, conv2d_weight, conv3d_weight = of_weight(F.conv1d), of_weight(F.conv2d), of_weight(F.conv3d)
