"""Checkpoints in PyTorch's own file format: `save` and `load`."""

from chainrule.serialization.loading import MAP_LOCATION, FileLike, get_unsafe_globals_in_checkpoint, load
from chainrule.serialization.safe import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from chainrule.serialization.saving import save

__all__ = [
    "MAP_LOCATION", "FileLike", "add_safe_globals", "clear_safe_globals", "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load",
    "safe_globals", "save",
]  # fmt: skip
