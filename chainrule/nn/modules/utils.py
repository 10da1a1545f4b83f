"""Small helpers that PyTorch keeps beside its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

__all__ = ["consume_prefix_in_state_dict_if_present"]


def _ntuple(n: int, name: str = "parse") -> Callable[[Any], tuple]:
    """A function that makes n equal values of one, and a tuple of several.

    Example: `_ntuple(2)(3) == (3, 3)`.
    """

    def parse(x: Any) -> tuple:
        return tuple(x) if isinstance(x, Iterable) else tuple(repeat(x, n))

    parse.__name__ = name
    return parse


_single, _pair, _triple, _quadruple = [_ntuple(n, name) for n, name in enumerate(("_single", "_pair", "_triple", "_quadruple"), 1)]


def _reverse_repeat_tuple(t: tuple, n: int) -> tuple:
    """The values in reverse order, each n times: paddings of the dimensions as `F.pad` takes them."""
    return tuple(x for x in reversed(t) for _ in range(n))


def _list_with_default(out_size: list, defaults: list) -> list:
    """Sizes, with those of the input (the last ones of `defaults`) where they are None."""
    if isinstance(out_size, (int, float)):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(f"Input dimension should be at least {len(out_size) + 1}")
    return [d if v is None else v for v, d in zip(out_size, defaults[-len(out_size) :], strict=True)]


def consume_prefix_in_state_dict_if_present(state_dict: dict[str, Any], prefix: str) -> None:
    """Take `prefix` off the keys of a state_dict, in place; for checkpoints of wrapped models.

    Example:
        >>> state = {"module.weight": 1}
        >>> consume_prefix_in_state_dict_if_present(state, "module."); state
        {'weight': 1}
    """
    for entries in (state_dict, getattr(state_dict, "_metadata", {})):
        for key in list(entries):
            if key.startswith(prefix) or (key and key == prefix.replace(".", "")):
                entries[key[len(prefix) :]] = entries.pop(key)
