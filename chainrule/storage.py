"""PyTorch's name for the memory under tensors."""

from chainrule.functions.storage import TypedStorage, UntypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]
