"""Boxes (x1, y1, x2, y2) around things in pictures: their areas, how much two share, and which to keep."""

from __future__ import annotations

import numpy as np

from chainrule import functions
from chainrule._core.dtypes import float32, float64, int32, int64
from chainrule.tensor import Tensor

__all__ = [
    "batched_nms", "box_area", "box_convert", "box_iou", "clip_boxes_to_image", "complete_box_iou", "distance_box_iou",
    "generalized_box_iou", "masks_to_boxes", "nms", "remove_small_boxes",
]  # fmt: skip

FORMATS = ("xyxy", "xywh", "cxcywh")


def wide(t: Tensor) -> Tensor:
    """Types whose products do not overflow."""
    if t.is_floating_point():
        return t if t.dtype in (float32, float64) else t.float()
    return t if t.dtype in (int32, int64) else t.int()


def corners(boxes: Tensor, fmt: str) -> tuple[Tensor, Tensor]:
    """The first and the last corner of each box, (..., 2) each."""
    a, b = boxes[..., :2], boxes[..., 2:]
    if fmt == "xyxy":
        return a, b
    return (a, a + b) if fmt == "xywh" else (a - b / 2, a + b / 2)


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (..., 4) in another format: corners "xyxy", corner and size "xywh", or middle and size "cxcywh"; ValueError for others."""
    if in_fmt not in FORMATS or out_fmt not in FORMATS:
        raise ValueError(f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}")
    if in_fmt == out_fmt:
        return boxes.clone()
    first, last = corners(boxes, in_fmt)
    pair = {"xyxy": (first, last), "xywh": (first, last - first), "cxcywh": ((first + last) / 2, last - first)}[out_fmt]
    return functions.cat(pair, -1)


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """The area of each box, (...)."""
    if fmt not in FORMATS:
        raise ValueError(f"Unsupported Bounding Box area for given format {fmt}")
    boxes = wide(boxes)
    w, h = ((boxes[..., 2:] - boxes[..., :2]) if fmt == "xyxy" else boxes[..., 2:]).unbind(-1)
    return w * h


def shared(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> tuple[Tensor, Tensor]:
    """What each of N boxes has in common with each of M, and what they cover together: two (N, M)."""
    (low1, high1), (low2, high2) = corners(boxes1, fmt), corners(boxes2, fmt)
    low = functions.maximum(low1[..., None, :], low2[..., None, :, :])
    high = functions.minimum(high1[..., None, :], high2[..., None, :, :])
    common = wide(high - low).clamp(min=0).prod(-1)
    return common, box_area(boxes1, fmt)[..., None] + box_area(boxes2, fmt)[..., None, :] - common


def hull(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """The width and height of the box around each two, (N, M, 2)."""
    low = functions.minimum(boxes1[..., None, :2], boxes2[..., None, :, :2])
    high = functions.maximum(boxes1[..., None, 2:], boxes2[..., None, :, 2:])
    return wide(high - low).clamp(min=0)


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """The common part of each of N boxes and each of M, as a part of what they cover: (N, M).

    Example:
        >>> box_iou(tensor([[0., 0., 2., 2.]]), tensor([[1., 0., 3., 2.], [0., 0., 2., 2.]]))
        tensor([[0.3333, 1.0000]])
    """
    if fmt not in FORMATS:
        raise ValueError(f"Unsupported format '{fmt}'. Supported axis-aligned formats: {FORMATS}.")
    common, union = shared(boxes1, boxes2, fmt)
    return common / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """`box_iou` less what the box around both covers in vain (Rezatofighi et al. 2019)."""
    common, union = shared(boxes1, boxes2)
    area = hull(boxes1, boxes2).prod(-1)
    return common / union - (area - union) / area


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """`box_iou` less the squared distance of the middles by the squared diagonal around both (Zheng et al. 2020)."""
    boxes1, boxes2 = wide(boxes1), wide(boxes2)
    diagonal = hull(boxes1, boxes2).square().sum(-1) + eps
    middle1, middle2 = ((boxes[..., :2] + boxes[..., 2:]) / 2 for boxes in (boxes1, boxes2))
    apart = (middle1[..., None, :] - middle2[..., None, :, :]).square().sum(-1)
    return box_iou(boxes1, boxes2) - apart / diagonal


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """`distance_box_iou` less how far the shapes differ (Zheng et al. 2020)."""
    boxes1, boxes2 = wide(boxes1), wide(boxes2)
    slope1, slope2 = (((b[..., 2] - b[..., 0]) / (b[..., 3] - b[..., 1])).atan() for b in (boxes1, boxes2))
    v = 4 / np.pi**2 * (slope1[..., None] - slope2[..., None, :]).square()
    weight = (v / (1 - box_iou(boxes1, boxes2) + v + eps)).detach()
    return distance_box_iou(boxes1, boxes2, eps) - weight * v


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The indices of the boxes to keep, best first: none shares more than `iou_threshold` with a better one.

    Args:
        boxes: (N, 4), corners
        scores: (N,)

    Example:
        >>> nms(tensor([[0., 0., 2., 2.], [0., 0., 2., 1.9], [5., 5., 6., 6.]]), tensor([0.5, 0.9, 0.1]), 0.5)
        tensor([1, 2])
    """
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise RuntimeError(f"boxes should be a tensor of shape (N, 4), got {tuple(boxes.shape)}")
    if scores.dim() != 1 or len(scores) != len(boxes):
        raise RuntimeError(f"scores should be a 1d tensor with a score for each of {len(boxes)} boxes, got {tuple(scores.shape)}")
    order = np.argsort(-scores.detach().numpy(), kind="stable")
    rows = boxes.detach().numpy()[order]
    areas = (rows[:, 2:] - rows[:, :2]).prod(1)
    left, kept = np.arange(len(rows)), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(order[best])
        low, high = np.maximum(rows[best, :2], rows[left, :2]), np.minimum(rows[best, 2:], rows[left, 2:])
        common = np.clip(high - low, 0, None).prod(1)
        left = left[~(common / (areas[best] + areas[left] - common) > iou_threshold)]
    return functions.tensor(kept, dtype=int64)


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each class, of which `idxs` (N,) are the numbers."""
    if boxes.numel() == 0:
        return functions.empty(0, dtype=int64)
    apart = idxs.to(boxes.dtype) * (boxes.max() + 1)  # so that classes do not meet
    return nms(boxes + apart[:, None], scores, iou_threshold)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The indices of the boxes that are at least so wide and so high."""
    return functions.where(((boxes[..., 2:] - boxes[..., :2]) >= min_size).all(-1))[0]


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes cut at the border of a picture of `size` (height, width)."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(min=0, max=width), boxes[..., 1::2].clamp(min=0, max=height)
    return functions.stack([x, y], -1).reshape(boxes.shape)


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The boxes (N, 4) around what is true in each of N masks (N, H, W); zeros around nothing."""
    boxes = np.zeros((len(masks), 4), np.float32)
    array = masks.numpy() != 0
    if array.size:
        sides = (array.any(1), array.any(2))  # columns, rows
        for k, side in enumerate(sides):
            boxes[:, k], boxes[:, k + 2] = side.argmax(1), side.shape[1] - 1 - side[:, ::-1].argmax(1)
        boxes[~sides[0].any(1)] = 0
    return functions.from_numpy(boxes)
