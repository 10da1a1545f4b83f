"""Warnings that a program is given once, as PyTorch gives its own."""

from __future__ import annotations

import warnings

given: set[str] = set()
always = False  # `set_warn_always`


def warn_once(message: str, stacklevel: int = 3) -> None:
    """A UserWarning that is given the first time only; `stacklevel` counts from here, as for `warnings.warn`."""
    if always or message not in given:
        if not always:
            given.add(message)
        warnings.warn(message, UserWarning, stacklevel=stacklevel)
