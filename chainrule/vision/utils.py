"""Tensors of pictures to look at: put side by side, and saved."""

from __future__ import annotations

import math
from typing import Any

from chainrule import functions
from chainrule._core.dtypes import uint8
from chainrule.autograd.grad_mode import no_grad
from chainrule.tensor import Tensor

__all__ = ["make_grid", "save_image"]


@no_grad()
def make_grid(
    tensor: Tensor | list[Tensor], nrow: int = 8, padding: int = 2, normalize: bool = False, value_range: tuple[float, float] | None = None,
    scale_each: bool = False, pad_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """One picture (C, H, W) with all those of a batch (N, C, H, W) or list; grey ones become three channels.

    Args:
        nrow: pictures in a row
        padding, pad_value: pixels between pictures, and their colour
        normalize: stretch from `value_range`, by default from the least and the greatest number, to 0 and 1
        scale_each: take those numbers of each picture

    Example:
        >>> make_grid(rand(10, 3, 32, 32), nrow=5).shape
        torch.Size([3, 70, 172])
    """
    if isinstance(tensor, list):
        for t in tensor:
            if not isinstance(t, Tensor):
                raise TypeError(f"tensor or list of tensors expected, got a list containing {type(t)}")
        tensor = functions.stack(tensor)
    elif not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    while tensor.dim() < 4:
        tensor = tensor.unsqueeze(0)
    if tensor.shape[1] == 1:
        tensor = functions.cat([tensor] * 3, 1)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        tensor = tensor.clone()
        for part in tensor if scale_each else [tensor]:
            low, high = (float(part.min()), float(part.max())) if value_range is None else value_range
            part.clamp_(min=low, max=high).sub_(low).div_(max(high - low, 1e-5))
    n, channels, h, w = tensor.shape
    if n == 1:
        return tensor.squeeze(0)
    columns = min(nrow, n)
    rows = math.ceil(n / columns)
    grid = tensor.new_full((channels, (h + padding) * rows + padding, (w + padding) * columns + padding), pad_value)
    for k in range(n):
        y, x = k // columns * (h + padding) + padding, k % columns * (w + padding) + padding
        grid[:, y : y + h, x : x + w] = tensor[k]
    return grid


@no_grad()
def save_image(tensor: Tensor | list[Tensor], fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Write a picture of numbers from 0 to 1, or a grid of several, to a file; needs Pillow.

    `fp` is a path, or a file with `format` ("png"); keyword arguments go to `make_grid`.

    Example:
        >>> save_image(rand(16, 3, 32, 32), "grid.png", nrow=4)
    """
    from chainrule.vision.transforms.functional import pictures

    grid = make_grid(tensor, **kwargs)
    array = grid.mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to(uint8).numpy()
    pictures().from_array(array, "RGB").save(fp, format=format)
