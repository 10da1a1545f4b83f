"""`pad`: elements put around a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import require_tensor
from chainrule.ops import padding as ops
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor

COMBINATIONS = """Supported combinations for non-constant padding:
  - 2D or 3D input: padding size = 2 (pads last dimension)
  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)
  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"""


@public
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with elements before and behind it: `pad` is (before, behind) of the last dimension, then of the one before it, ...

    `mode`: "constant" (of `value`; negative numbers cut), or, for the last 1 to 3 dimensions of an input that has one or two more,
    "reflect", "replicate" or "circular".

    Example:
        >>> pad(tensor([1, 2]), (1, 2))
        tensor([0, 1, 2, 0, 0])
    """
    require_tensor("pad", input)
    pad = [int(v) for v in pad]
    shape = input._data.shape
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * len(shape):
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length {len(pad)} and input "
            f"of dimension {len(shape)}"
        )
    if mode == "constant":
        return padded(input, pad, 0 if value is None else value)
    if mode not in ops.MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    d = len(pad) // 2
    if not 0 < d < 4 or len(shape) not in (d + 1, d + 2):
        raise NotImplementedError(f"Padding size {len(pad)} is not supported for {len(shape)}D input tensor.\n{COMBINATIONS}")
    return around(input, pad, mode)


def padded(input: Tensor, pad: list[int], value: Any) -> Tensor:
    shape = input._data.shape
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    sides = ((0, 0),) * (len(shape) - len(pairs)) + tuple(pairs)
    for i, (n, (p, q)) in enumerate(zip(shape, sides, strict=True)):
        if n + p + q < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {p} and {q} resulted in a negative output size, which is invalid. Check "
                f"dimension {i} of your input."
            )
    return ops.constant_pad(input, sides, value)


def around(input: Tensor, pad: list[int], mode: str) -> Tensor:
    """Padding by the input's own elements."""
    d = len(pad) // 2
    shape = input._data.shape
    if mode != "circular":
        check_own(shape, pad, mode, d)
    if input.dtype is dtypes.bool_ and mode != "circular":
        raise NotImplementedError(f"\"{'reflection' if mode == 'reflect' else 'replication'}_pad{d}d\" not implemented for 'Bool'")
    places: list[np.ndarray | None] = []
    for i in range(d):
        n, (p, q) = shape[len(shape) - d + i], pad[2 * (d - 1 - i) : 2 * (d - i)]
        if mode == "circular":
            if n == 0 or p > n or q > n:
                raise RuntimeError("Padding value causes wrapping around more than once.")
            if n + p + q < 0:
                raise RuntimeError("Negative padding value is resulting in an empty dimension")
        if mode == "circular":  # what negative numbers cut away is not repeated
            kept = np.arange(max(-p, 0), n - max(-q, 0))
            places.append(None if not p and not q else kept[np.arange(-max(p, 0), len(kept) + max(q, 0)) % len(kept)])
            continue
        along = np.arange(-p, n + q)
        if mode == "reflect":
            along = n - 1 - np.abs(n - 1 - np.abs(along))
        else:
            along = np.clip(along, 0, n - 1)
        places.append(None if not p and not q else along)
    return ops.MODES[mode][d](input, tuple(places))


def check_own(shape: tuple, pad: list[int], mode: str, d: int) -> None:
    """What PyTorch refuses of reflection and replication."""
    spatial = shape[-d:]
    if 0 in shape[len(shape) - d - 1 :]:
        kind = f"{d + 1}D or {d + 2}D (batch mode)"
        raise RuntimeError(
            f"Expected {kind} tensor with possibly 0 batch size and other non-zero dimensions for input, but got: {list(shape)}"
        )
    for i, n in enumerate(spatial):
        p, q = pad[2 * (d - 1 - i) : 2 * (d - i)]
        dim = len(shape) - d + i
        if mode == "reflect" and (p >= n or q >= n):
            raise RuntimeError(
                f"Argument #{4 + 2 * (d - 1 - i)}: Padding size should be less than the corresponding input dimension, but got: padding "
                f"({p}, {q}) at dimension {dim} "
                f"of input {list(shape)}"
            )
        if n + p + q < 1:
            sizes_out = [m + pad[2 * (d - 1 - k)] + pad[2 * (d - 1 - k) + 1] for k, m in enumerate(spatial)]
            names = ["D", "H", "W"][3 - d :]
            described = " ".join([f"{name}: {m}" for name, m in zip(names, spatial, strict=True)])
            calculated = " ".join([f"{name}: {m}" for name, m in zip(names, sizes_out, strict=True)])
            raise RuntimeError(f"input ({described}) is too small. Calculated output {calculated}")


__all__ = ["pad"]
