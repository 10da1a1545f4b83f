"""Quantization as training sees it: values rounded to a grid, gradients let through where the grid does not end."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor, wrap_dim
from chainrule.ops.overrides import public
from chainrule.ops.primitive import Primitive, general
from chainrule.tensor import Tensor

ZERO_POINTS = (dtypes.int32, dtypes.float32, dtypes.float16)


def quantizing(node: str) -> Primitive:
    @general(
        vjp=lambda g, inside: (g[0] * inside,), inputs=("a",), outputs=("y", "inside"), node=f"FakeQuantizePer{node}Backward0",
    )  # fmt: skip
    def fake_quantize(a: Any, scale: Any, zero: Any, low: int, high: int) -> Any:
        """(`a` at the nearest points of the grid (n - zero) * scale for n in [low, high], what lay within it)."""
        n = np.rint(a * (1 / scale)) + zero
        return ((np.clip(n, low, high) - zero) * scale).astype(a.dtype), (n >= low) & (n <= high)

    return fake_quantize


by_numbers, by_tensors = quantizing("TensorAffineCachemask"), quantizing("TensorAffineCachemaskTensorQparams")
by_channel = quantizing("ChannelAffineCachemask")


def check(input: Any, function: str, zeros: Any, low: int, high: int) -> None:
    require_tensor(function, input)
    if low > high:
        raise RuntimeError("`quant_min` should be less than or equal to `quant_max`.")
    if input.dtype not in (dtypes.float16, dtypes.float32, dtypes.float64):
        kernel = "fake_quantize_tensor_cachemask_kernel_type_handling"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtypes.LEGACY[input.dtype]}'")
    if (np.asarray(zeros) < low).any() or (np.asarray(zeros) > high).any():
        raise RuntimeError("`zero_point` must be between `quant_min` and `quant_max`.")


@public
def fake_quantize_per_tensor_affine(input: Tensor, scale: Any, zero_point: Any, quant_min: int, quant_max: int) -> Tensor:
    """Each element rounded to the nearest (n - zero_point) * scale, n an integer from `quant_min` to `quant_max`.

    Example: `fake_quantize_per_tensor_affine(tensor([0.3, 9.]), 0.5, 0, 0, 4)` is `tensor([0.5000, 2.0000])`.
    """
    zero = zero_point._data.reshape(()) if isinstance(zero_point, Tensor) else zero_point
    check(input, "fake_quantize_per_tensor_affine", zero, quant_min, quant_max)
    kind = input._data.dtype
    tensors = isinstance(scale, Tensor)
    size = scale._data.reshape(()) if tensors else np.float32(scale)
    return (by_tensors if tensors else by_numbers)(input, size.astype(kind), np.asarray(zero).astype(kind), quant_min, quant_max)[0]


@public
def fake_quantize_per_channel_affine(
    input: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> Tensor:
    """As `fake_quantize_per_tensor_affine` with a scale and a zero point for each place along `axis`."""
    check(input, "fake_quantize_per_channel_affine", 0 if not isinstance(zero_point, Tensor) else zero_point._data, quant_min, quant_max)
    require_tensor("fake_quantize_per_channel_affine", scale, "scale", 2)
    require_tensor("fake_quantize_per_channel_affine", zero_point, "zero_point", 3)
    if zero_point.dtype not in ZERO_POINTS:
        raise RuntimeError(f"Zero-point must be Int32, Float or Half, found {dtypes.LEGACY[zero_point.dtype]}")
    shape = input._data.shape
    if scale._data.shape != zero_point._data.shape or scale._data.shape != (shape[wrap_dim(axis, len(shape))],):
        raise RuntimeError("dimensions of scale and zero-point are not consistent with input tensor")
    if axis < 0:
        raise RuntimeError("`axis` must be between 0 and number of dimensions of input")
    along = [n if d == axis else 1 for d, n in enumerate(shape)]
    scales, zeros = [t._data.astype(input._data.dtype).reshape(along) for t in (scale, zero_point)]
    return by_channel(input, scales, zeros, quant_min, quant_max)[0]


__all__ = ["fake_quantize_per_channel_affine", "fake_quantize_per_tensor_affine"]
