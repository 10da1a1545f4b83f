"""Array in, array out: what ops compute with. The compiled rooms `*_numba` are loaded when they are first asked for.

One at a time: several threads that import Numba at once would see its modules half made.
"""

from importlib import import_module
from threading import RLock
from typing import Any

_loading = RLock()


def __getattr__(name: str) -> Any:
    if not name.endswith("_numba"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _loading:
        return import_module(f"{__name__}.{name}")
