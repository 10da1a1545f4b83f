"""`rearrange`: the dimensions of a tensor by name, as einops writes it: `"batch (rows columns) -> rows (columns batch)"`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any

from chainrule.ops import joining, shape as ops
from chainrule.tensor import Tensor

TOKEN = re.compile(r"\.\.\.|[()]|[^\s()]+")
Group = tuple[str, ...]
REST: Group = ("...",)  # "..." by itself; in brackets it is one dimension, ("...", "")


def groups(side: str) -> list[Group]:
    """One side of a pattern: for each dimension the names in it."""
    found: list[Group] = []
    inner: list[str] | None = None
    for token in TOKEN.findall(side):
        if token == "(" and inner is None:
            inner = []
        elif token == ")" and inner is not None:
            found.append(("...", "") if inner == ["..."] else tuple(inner))
            inner = None
        elif token in "()":
            raise ValueError(f"Imbalanced parentheses in expression: '{side}'")
        else:
            check_name(token)
            names = [] if token == "1" else [token]
            if inner is None:
                found.append(tuple(names))
            else:
                inner += names
    if inner is not None:
        raise ValueError(f"Imbalanced parentheses in expression: '{side}'")
    names = [name for group in found for name in group if name]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Indexing expression contains duplicate dimension '{name}'")
    return found


def check_name(token: str) -> None:
    """ValueError unless a dimension may be called that."""
    if token.isdecimal() and token != "1":
        raise ValueError("rearrange only supports unnamed axes of size 1")
    if token == "..." or token == "1":
        return
    if not token.isidentifier():
        raise ValueError(f"Invalid axis identifier: {token}\nnot a valid python identifier")
    if token[0] == "_" or token[-1] == "_":
        raise ValueError(f"Invalid axis identifier: {token}\naxis name should should not start or end with underscore")


def lengths(left: list[Group], shape: Sequence[int], known: dict[str, int], pattern: str) -> dict[str, tuple[int, ...]]:
    """The sizes that each name stands for: one, or any number for "..."."""
    whole = REST in left
    spare = len(shape) - (len(left) - whole)
    if spare < 0 or (spare and not whole):
        raise ValueError(
            f"Number of dimensions in pattern ({len(left) - whole}) must be equal to the number of dimensions in the tensor ({len(shape)})"
        )
    if any(["..." in group and group != REST for group in left]):
        raise ValueError(f"Ellipsis is parenthesis in the left side is not allowed: {pattern}")
    sizes: dict[str, tuple[int, ...]] = {"": ()}
    rest = list(shape)
    for group in left:
        if group == REST:
            sizes["..."] = tuple(rest[:spare])
            del rest[:spare]
            continue
        size = rest.pop(0)
        unknown = [name for name in group if name not in known]
        given = prod([known[name] for name in group if name in known])
        if len(unknown) > 1:
            raise ValueError(f"cannot infer the sizes of two dimensions at once: {' and '.join(unknown)}")
        if (unknown and (not given or size % given)) or (not unknown and size != given):
            parts = tuple([known.get(name, "?") for name in group])
            raise ValueError(f"inferred dimension does not evenly fit into larger dimension: {size} vs {parts}")
        sizes |= {name: (known.get(name, size // given),) for name in group}
    return sizes


def rearrange(tensor: Tensor | list[Tensor] | tuple[Tensor, ...], pattern: str, **axes_lengths: int) -> Tensor:
    """The elements of a tensor in other dimensions, as `pattern` says; tensors in a list are stacked first.

    `axes_lengths` gives sizes of names that share brackets. ValueError for a pattern that does not fit.

    Example:
        >>> rearrange(arange(6.).reshape(2, 3), "rows columns -> columns rows").shape
        torch.Size([3, 2])
    """
    t: Any = tensor if isinstance(tensor, Tensor) else joining.stack(tuple(tensor), 0)
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError("Pattern must contain a single '->' separator")
    left, right = [groups(side) for side in sides]
    here, there = [{name for group in side for name in group if name} for side in (left, right)]
    if "..." in there - here:
        raise ValueError(f"Ellipsis found in right side, but not left side of a pattern {pattern}")
    if here != there:
        raise ValueError(f"Identifiers only on one side of rearrange expression (should be on both): {here ^ there}")
    if axes_lengths.keys() - here:
        raise ValueError(f"Identifiers not found in rearrange expression: {axes_lengths.keys() - here}")
    for n in axes_lengths.values():
        if not isinstance(n, int):
            raise TypeError(f"rearrange axis lengths must be integers, got: {type(n)}")
    sizes = lengths(left, t._data.shape, axes_lengths, pattern)
    order = [name for group in left for name in group]
    t = ops.reshape(t, tuple([n for name in order for n in sizes[name]]))
    places, at = {"": range(0)}, 0
    for name in order:
        places[name] = range(at, at + len(sizes[name]))
        at += len(sizes[name])
    t = ops.permute(t, tuple([d for group in right for name in group for d in places[name]]))
    shape: list[int] = []
    for group in right:
        inside = [n for name in group for n in sizes[name]]
        shape += inside if group == REST else [prod(inside)]
    return ops.reshape(t, tuple(shape))
