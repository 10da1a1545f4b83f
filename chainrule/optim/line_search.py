"""Line search: how far to go in a direction of descent, so that the strong Wolfe conditions hold.

A point is (t, loss, gradient, slope): how far it lies, and what is there. First the step grows until a minimum must lie between two
points, then these close in on it by cubic interpolation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Point = tuple[Any, float, np.ndarray, Any]


def strong_wolfe(
    evaluate: Callable[[Any], tuple[float, np.ndarray]], t: Any, direction: np.ndarray, loss: float, grad: np.ndarray, slope: Any,
    c1: float = 1e-4, c2: float = 0.9, tolerance: float = 1e-9, limit: int = 25,
) -> tuple[float, np.ndarray, Any, int]:  # fmt: skip
    """The (loss, gradient, t, evaluations) of a point where the loss fell by c1 and the slope by 1 - c2 of what the start promised.

    Args:
        evaluate: t -> (loss, flat gradient) there
        t: the first step to try
        loss, grad, slope: those at the start; slope = grad . direction
        limit: the most steps to try after the first; then the best so far is returned
    """
    start: Point = (0, loss, grad, slope)

    def look(t: Any) -> Point:
        value, gradient = evaluate(t)
        return t, value, gradient, gradient.dot(direction)

    def too_high(point: Point) -> bool:
        return point[1] > loss + c1 * point[0] * slope

    def flat_enough(point: Point) -> bool:
        return abs(point[3]) <= -c2 * slope

    point, last, tried = look(t), start, 0
    bracket = [start, point]
    while tried < limit:
        if too_high(point) or (tried > 1 and point[1] >= last[1]):
            bracket = [last, point]
            break
        if flat_enough(point):
            return point[1], point[2], point[0], tried + 1
        if point[3] >= 0:
            bracket = [last, point]
            break
        span = point[0] + 0.01 * (point[0] - last[0]), point[0] * 10
        last, point = point, look(cubic_minimum(last, point, span))
        tried += 1
    else:
        bracket = [start, point]
    reach, stalled, done = np.abs(direction).max(), False, False
    low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
    while not done and tried < limit and not abs(bracket[1][0] - bracket[0][0]) * reach < tolerance:
        t, near, far = cubic_minimum(*bracket), min(b[0] for b in bracket), max(b[0] for b in bracket)
        margin = 0.1 * (far - near)
        close = min(far - t, t - near) < margin
        if close and (stalled or t >= far or t <= near):  # twice at an end: step inside
            t = far - margin if abs(t - far) < abs(t - near) else near + margin
            stalled = False
        else:
            stalled = close
        point = look(t)
        tried += 1
        if too_high(point) or point[1] >= bracket[low][1]:
            bracket[high] = point
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            done = flat_enough(point)
            if not done and point[3] * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = point
    best = bracket[low]
    return best[1], best[2], best[0], tried + 1


def cubic_minimum(one: Point, two: Point, span: tuple | None = None) -> Any:
    """Where the cubic through two points with their slopes is lowest, within `span` (left out: between them)."""
    (x1, f1, _, g1), (x2, f2, _, g2) = (one, two) if one[0] <= two[0] else (two, one)
    low, high = span or (x1, x2)
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    d2 = np.sqrt(square)
    return min(max(x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2)), low), high)
