"""Silencing NumPy's floating-point warnings, which PyTorch does not give, for less than `np.errstate` costs."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    _silent = _make_extobj(all="ignore")

    def silence() -> Any:
        """Ignore floating-point errors from here on; `restore(token)` ends it."""
        return _extobj_contextvar.set(_silent)

    restore = _extobj_contextvar.reset
except (ImportError, AttributeError):

    def silence() -> Any:
        """Ignore floating-point errors from here on; `restore(token)` ends it."""
        return np.seterr(all="ignore")

    def restore(token: Any) -> None:
        np.seterr(**token)
