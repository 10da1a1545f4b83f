"""Handles of registered hooks, under the name that PyTorch's users import."""

from chainrule.autograd.node import RemovableHandle

__all__ = ["RemovableHandle"]
