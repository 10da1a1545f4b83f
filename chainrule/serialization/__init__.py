"""Checkpoints in PyTorch's own file format: `save` and `load`."""

from chainrule.serialization.loading import get_unsafe_globals_in_checkpoint, load
from chainrule.serialization.safe import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from chainrule.serialization.saving import save

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load", "safe_globals", "save"]
