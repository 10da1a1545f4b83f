"""Convolutions and transposed convolutions in 1, 2 and 3 dimensions; `unfold` and `fold`, the columns that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.kernels.conv import output_size
from chainrule.nn._functional.arguments import ints, legacy
from chainrule.ops import conv as ops
from chainrule.ops.overrides import public
from chainrule.ops.padding import constant_pad
from chainrule.tensor import Tensor

Size = int | Sequence[int]


def sizes(function: str, name: str, value: Any, count: int) -> tuple[int, ...]:
    """A setting for each of the `count` spatial dimensions of the weight."""
    many = ints(value, count, function, name)
    if len(many) != count:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {count} values to match the convolution dimensions, but got "
            f"{name}={list(many)}"
        )
    return many


def check(
    function: str, input: Any, weight: Any, bias: Any, d: int, stride: Any, padding: Any, dilation: Any, groups: int, transposed: bool,
) -> tuple[tuple, tuple, tuple]:  # fmt: skip
    """Refuse what does not fit together, in PyTorch's words; returns stride, padding and dilation as tuples."""
    require_tensor(function, input)
    require_tensor(function, weight, "weight", 2)
    x, w = input._data, weight._data
    if x.ndim not in (d + 1, d + 2):
        raise RuntimeError(
            f"Expected {d + 1}D (unbatched) or {d + 2}D (batched) input to {function}, but got input of size: {list(x.shape)}"
        )
    given = ints(stride, d, function, "stride"), ints(padding, d, function, "padding"), ints(dilation, d, function, "dilation")
    dims = w.ndim - 2
    stride, padding, dilation = (sizes(function, n, v, dims) for n, v in zip(("stride", "padding", "dilation"), given, strict=True))
    for wrong, message in (
        (any(p < 0 for p in padding), "negative padding is not supported"),
        (any(s <= 0 for s in stride), "non-positive stride is not supported"),
        (any(q <= 0 for q in dilation), f"dilation should be greater than zero, but got {list(dilation)}"),
        (groups <= 0, "non-positive groups is not supported"),
    ):
        if wrong:
            raise RuntimeError(message)
    shape = f"{list(w.shape)}"
    if w.shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size {shape} instead"
        )
    if w.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size [{shape}] instead"
        )
    channels = x.shape[x.ndim - d - 1]
    wanted, produced = (w.shape[0], w.shape[1] * groups) if transposed else (w.shape[1] * groups, w.shape[0])
    how = "transposed=1" if transposed else f"groups={groups}"
    if channels != wanted:
        size = [1, *x.shape] if x.ndim == d + 1 else list(x.shape)
        raise RuntimeError(
            f"Given {how}, weight of size {shape}, expected input{size} to have {wanted} channels, but got {channels} channels instead"
        )
    if bias is not None and bias._data.shape != (produced,):
        raise RuntimeError(
            f"Given {how if transposed else ''}{', ' if transposed else ''}weight of size {shape}, expected bias to be 1-dimensional "
            f"with {produced} elements, "
            f"but got bias of size {list(bias._data.shape)} instead"
        )
    if x.dtype != w.dtype:
        raise RuntimeError(f"expected scalar type {legacy(input)} but found {legacy(weight)}")
    if bias is not None and bias._data.dtype != x.dtype:
        raise RuntimeError(f"Input type ({NAMES[legacy(input)]}) and bias type ({NAMES[legacy(bias)]}) should be the same")
    if x.dtype == bool:
        raise NotImplementedError("\"slow_conv2d_cpu\" not implemented for 'Bool'")
    return stride, padding, dilation


NAMES = {v: d.name.replace("float32", "float").replace("float64", "double") for d, v in dtypes.LEGACY.items()}


def batched(compute: Any, input: Any, d: int) -> Tensor:
    """compute(input), for an input that may lack the batch dimension."""
    return compute(input) if input._data.ndim == d + 2 else compute(input.unsqueeze(0)).squeeze(0)


F32 = dtypes.float32.numpy
MANY = 1024
checked: dict[tuple, tuple] = {}  # shapes and settings that are known to fit together, with stride, padding and dilation as tuples


def question(input: Any, weight: Any, bias: Any, *settings: Any) -> tuple | None:
    """The key in `checked` of a convolution of batched float32; None if it has none."""
    for t in (input, weight) if bias is None else (input, weight, bias):
        if not isinstance(t, Tensor) or t._data.dtype is not F32:
            return None
    if input._data.ndim != weight._data.ndim or not all([v.__class__ is tuple or v.__class__ is int for v in settings]):
        return None
    return (input._data.shape, weight._data.shape, bias if bias is None else bias._data.shape, *settings)


def convolve(function: str, d: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    key = question(input, weight, bias, stride, padding, dilation, groups, d)
    known = checked.get(key) if key else None
    if known:
        return ops.conv(input, weight, bias, *known, groups)
    sides = None
    if isinstance(padding, str):
        require_tensor(function, input)
        require_tensor(function, weight, "weight", 2)
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        kernel, steps = weight._data.shape[2:], ints(dilation, d, function, "dilation")
        if padding == "same" and any(s != 1 for s in ints(stride, d, function, "stride")):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [q * (k - 1) for q, k in zip(steps, kernel, strict=False)] if padding == "same" else [0] * d
        padding = tuple([n // 2 for n in total])
        if any(n % 2 for n in total):  # PyTorch gives the odd element to the end
            sides = [v for n in reversed(total) for v in (0, n % 2)]
    stride, padding, dilation = check(function, input, weight, bias, d, stride, padding, dilation, groups, False)
    kernel = weight._data.shape[2:]
    reach = [n + 2 * p for n, p in zip(input._data.shape[-d:], padding, strict=True)]
    if sides:
        reach = [n + v for n, v in zip(reach, sides[1::2][::-1], strict=True)]
    if any(n < q * (k - 1) + 1 for n, q, k in zip(reach, dilation, kernel, strict=True)):
        effective = [q * (k - 1) + 1 for q, k in zip(dilation, kernel, strict=True)]
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, reach))}). Kernel size: ({' x '.join(map(str, effective))}). "
            "Kernel size can't be greater than actual input size"
        )
    if key:
        if len(checked) == MANY:
            checked.clear()
        checked[key] = stride, padding, dilation

    def compute(x: Any) -> Tensor:
        if sides:
            x = constant_pad(x, ((0, 0), (0, 0), *[(0, v) for v in sides[1::2][::-1]]), 0)
        return ops.conv(x, weight, bias, stride, padding, dilation, groups)

    return batched(compute, input, d)


@public
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution along the last dimension: input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O).

    `padding` is the number of zeros at both ends, or "valid" (none) or "same" (the result is as long as the input).

    Example:
        >>> conv1d(ones(1, 1, 4), ones(1, 1, 2))
        tensor([[[2., 2., 2.]]])
    """
    return convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@public
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of images: input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O).

    `padding` is the number of zeros around the image, or "valid" (none) or "same" (the result is as large as the input).

    Example:
        >>> conv2d(ones(1, 1, 2, 2), ones(1, 1, 2, 2))
        tensor([[[[4.]]]])
    """
    return convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@public
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of volumes: input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O)."""
    return convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@public
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """`conv1d` with time first: input (T, N, C), weight (K, C, O), bias (O), `pad` steps at both ends; (T', N, O)."""
    for i, (name, t, d) in enumerate((("input", input, 3), ("weight", weight, 3), ("bias", bias, 1))):
        require_tensor("conv_tbc", t, name, i + 1)
        if t._data.ndim != d:
            raise RuntimeError(f"{name.capitalize()} must have {d} dims: {NAMES_TBC[name]}")
    x: Any = input
    w: Any = weight
    if x._data.shape[2] != w._data.shape[1]:
        raise RuntimeError("Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if w._data.shape[2] != bias._data.shape[0]:
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")
    return ops.conv(x.permute(1, 2, 0), w.permute(2, 1, 0), bias, (1,), (pad,), (1,), 1).permute(2, 0, 1)


NAMES_TBC = {"input": "time, batch, in_channel", "weight": "kernel_width, in_channels, out_channels.", "bias": "out_channels."}


def transposed(
    function: str, d: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Tensor:
    stride, padding, dilation = check(function, input, weight, bias, d, stride, padding, dilation, groups, True)
    extra = sizes(function, "output_padding", output_padding, d)
    if any(v < 0 for v in extra):
        raise RuntimeError("negative output_padding is not supported")
    if any(v >= max(s, q) for v, s, q in zip(extra, stride, dilation, strict=True)):
        names = ("depth", "height", "width")[3 - max(d, 2) :]
        settings = (("output_padding", extra), ("stride", stride), ("dilation", dilation))
        found = " ".join(
            [f"{what}_{n}: {v}" for what, many in settings for n, v in zip(names, (1,) * (len(names) - d) + many, strict=True)]
        )
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got {found}")
    shape = input._data.shape[-d:]
    spatial = tuple([
        (n - 1) * s - 2 * p + q * (k - 1) + v + 1
        for n, s, p, q, k, v in zip(shape, stride, padding, dilation, weight._data.shape[2:], extra, strict=True)
    ])  # fmt: skip
    if any(n < 1 for n in spatial):
        sizes_in, sizes_out = (" x ".join(map(str, v)) for v in (shape, spatial))
        raise RuntimeError(
            f"Given input size per channel: ({sizes_in}). Calculated output size per channel: ({sizes_out}). Output size is too small"
        )
    return batched(lambda x: ops.conv_input(x, weight, bias, spatial, stride, padding, dilation, groups), input, d)


@public
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
    groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv1d`: input (N, C, L) or (C, L), weight (C, O / groups, K). `output_padding` lengthens the result at its end."""
    return transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
    groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv2d`: input (N, C, H, W) or (C, H, W), weight (C, O / groups, KH, KW).

    Example:
        >>> conv_transpose2d(ones(1, 1, 1, 1), ones(1, 1, 2, 2))
        tensor([[[[1., 1.],
                  [1., 1.]]]])
    """
    return transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
    groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv3d`: input (N, C, D, H, W) or (C, D, H, W), weight (C, O / groups, KD, KH, KW)."""
    return transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


# Columns


@public
def unfold(input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Tensor:
    """The windows of images as columns: (N, C, H, W) to (N, C * KH * KW, places); the batch dimension can be missing.

    Example:
        >>> unfold(tensor([[[1., 2.], [3., 4.]]]), (1, 2))
        tensor([[1., 3.],
                [2., 4.]])
    """
    require_tensor("unfold", input)
    kernel, apart, margin, step = windows("unfold", kernel_size, dilation, padding, stride)
    shape = input._data.shape
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: "
            f"{list(shape)}"
        )
    out = output_size(shape[-2:], kernel, step, margin, apart)
    if min(out) < 1:
        raise RuntimeError(
            f"Given input with spatial size {shape[-2:]}, kernel_size={kernel}, dilation={apart}, padding={margin}, calculated shape of "
            "the array of "
            f"sliding blocks as {out}, but its components must be at least one."
        )
    if input.dtype.category == dtypes.INTEGRAL:
        raise NotImplementedError(f"\"im2col_out_cpu\" not implemented for '{legacy(input)}'")
    return batched(lambda x: ops.unfold(x, kernel, step, margin, apart), input, 2)


def windows(function: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> list[tuple[int, ...]]:
    names = ("kernel_size", "dilation", "padding", "stride")
    many: list[tuple[int, ...]] = []
    for name, value in zip(names, (kernel_size, dilation, padding, stride), strict=True):
        pair = ints(value, 2, function, name)
        if len(pair) != 2:
            raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(pair)}")
        many.append(pair)
    for name, pair in zip(names, many, strict=True):
        short, what = name.removesuffix("_size"), name.replace("_", " ")
        if min(pair) < (0 if name == "padding" else 1):
            least = "non-negative" if name == "padding" else "greater than zero"
            raise RuntimeError(f"{what} should be {least}, but got {short}_height: {pair[0]} {short}_width: {pair[1]}")
    return many


@public
def fold(input: Tensor, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Tensor:
    """Columns added where `unfold` would take them from: (N, C * KH * KW, places) to (N, C, H, W); the batch dimension can be missing."""
    require_tensor("fold", input)
    size = ints(output_size, 2, "fold", "output_size", 2)
    if len(size) != 2:
        raise RuntimeError(f"It is expected output_size equals to 2, but got size {len(size)}")
    kernel, apart, margin, step = windows("fold", kernel_size, dilation, padding, stride)
    shape = input._data.shape
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: "
            f"{list(shape)}"
        )
    if shape[-2] % (kernel[0] * kernel[1]):
        raise RuntimeError(
            f"Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)={shape[-2]} and "
            f"kernel_size={kernel}."
        )
    blocks = places(size, kernel, step, margin, apart)
    if shape[-1] != blocks[0] * blocks[1]:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={apart}, padding={margin}, stride={step}, expected size of "
            "input's dimension 2 "
            f"to match the calculated number of sliding blocks {blocks[0]} * {blocks[1]} = {blocks[0] * blocks[1]}, but got "
            f"input.size(2)={shape[-1]}."
        )
    if min(blocks) < 1:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={apart}, padding={margin}, stride={step}, calculated shape of "
            "the array of sliding "
            f"blocks as {blocks}, which is too small (non-positive)"
        )
    if input.dtype.category == dtypes.INTEGRAL:
        raise NotImplementedError(f"\"col2im_out_cpu\" not implemented for '{legacy(input)}'")
    return batched(lambda x: ops.fold(x, size, kernel, step, margin, apart), input, 1)


places = output_size
__all__ = ["conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold", "unfold"]
