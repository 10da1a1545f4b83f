"""Small helpers that PyTorch keeps beside its modules."""

from __future__ import annotations

from typing import Any

__all__ = ["consume_prefix_in_state_dict_if_present"]


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
