"""Nested tuples, lists and dicts of values ("pytrees"), taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chainrule.tensor import Tensor


def children(tree: Any) -> Any:
    """What a container holds, in order; None for a leaf."""
    kind = tree.__class__
    if kind is Tensor:
        return None
    if isinstance(tree, (tuple, list)):
        return tree
    return list(tree.values()) if isinstance(tree, dict) else None


def rebuilt(tree: Any, parts: list) -> Any:
    """A container like `tree` that holds `parts`."""
    kind = tree.__class__
    if kind is tuple:
        return tuple(parts)
    if isinstance(tree, dict):
        return kind(zip(tree, parts, strict=True))
    return kind(*parts) if hasattr(tree, "_fields") else kind(parts)


def leaves(tree: Any) -> list:
    """All that is in a tree and is no container itself.

    Example: `leaves({"a": 1, "b": (2, [3])}) == [1, 2, 3]`.
    """
    inner = children(tree)
    return [tree] if inner is None else [leaf for child in inner for leaf in leaves(child)]


def mapped(function: Callable, tree: Any) -> Any:
    """The same containers with `function(leaf)` for each leaf."""
    inner = children(tree)
    return function(tree) if inner is None else rebuilt(tree, [mapped(function, child) for child in inner])


def filled(tree: Any, values: Any) -> Any:
    """The same containers with `values`, in order, for the leaves."""
    source: Iterator = iter(values)
    return mapped(lambda _: next(source), tree)


def same_structure(a: Any, b: Any) -> bool:
    """Whether two trees are built alike."""
    one, two = children(a), children(b)
    if one is None or two is None:
        return one is two
    if type(a) is not type(b) or len(one) != len(two) or (isinstance(a, dict) and list(a) != list(b)):
        return False
    return all([same_structure(x, y) for x, y in zip(one, two, strict=True)])


def spread(prefix: Any, tree: Any) -> list | None:
    """For each leaf of `tree` what stands for it in `prefix`, whose leaves may stand for whole parts; None if they do not match."""
    inner = children(tree)
    above = children(prefix)
    if inner is None:
        return [prefix] if above is None else None
    if above is None:
        return [prefix] * len(leaves(tree))
    if type(prefix) is not type(tree) or len(above) != len(inner):
        return None
    parts = [spread(p, t) for p, t in zip(above, inner, strict=True)]
    return None if any([p is None for p in parts]) else [v for p in parts for v in p or ()]


def pattern(tree: Any, indent: int = 2) -> str:
    """How a tree is built, as PyTorch shows it, with `*` for its leaves."""
    inner = children(tree)
    if inner is None:
        return "*"
    context = list(tree) if isinstance(tree, dict) else type(tree) if hasattr(tree, "_fields") else None
    name = "namedtuple" if hasattr(tree, "_fields") else type(tree).__name__
    parts = f",\n{' ' * indent}".join([pattern(child, indent + 2) for child in inner])
    return f"TreeSpec({name}, {context}, [{parts}])"


def sketch(tree: Any) -> str:
    """A tree with `*` for its leaves."""
    return str(mapped(lambda _: "*", tree)).replace("'*'", "*")
