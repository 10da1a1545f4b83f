"""The memory under tensors as objects: `UntypedStorage`, bytes, and the older `TypedStorage`, elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import CPU
from chainrule._core.warn import warn_once
from chainrule.ops import shape as ops
from chainrule.ops.pointwise_form import cast_array
from chainrule.tensor import Tensor, root_memory

DEPRECATED = (
    "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage class. This should only "
    "matter to you if you are using storages directly.  To access UntypedStorage directly, use tensor.untyped_storage() instead of "
    "tensor.storage()"
)


class UntypedStorage:
    """The bare memory that a tensor and its views share. Example: `x.untyped_storage().data_ptr() == x.data_ptr()`."""

    __slots__ = ("memory",)
    device = CPU
    is_cuda = False

    def __init__(self, memory: np.ndarray | int | Sequence[int] = 0) -> None:
        """Over an array's memory; of so many bytes; or of these bytes."""
        if not isinstance(memory, np.ndarray):
            memory = np.empty(memory, np.uint8) if isinstance(memory, int) else np.array(memory, np.uint8)
        self.memory = memory

    @staticmethod
    def from_file(filename: str, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """A file mapped into memory; writes go to the file if `shared`. Without `nbytes`, all of it."""
        return UntypedStorage(np.memmap(filename, np.uint8, "r+" if shared else "c", shape=nbytes or None))

    def untyped(self) -> UntypedStorage:
        return self

    @property
    def __array_interface__(self) -> dict:
        return self.bytes().__array_interface__

    def bytes(self) -> np.ndarray:
        return self.memory.ravel(order="K").view(np.uint8)

    def fill_(self, value: int) -> UntypedStorage:
        """Set all bytes; returns itself."""
        self.bytes()[...] = value
        return self

    def data_ptr(self) -> int:
        return ops.address(self.memory) if self.memory.size else 0

    def nbytes(self) -> int:
        return self.memory.nbytes

    size = __len__ = nbytes

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def tolist(self) -> list:
        return self.bytes().tolist()

    def __getitem__(self, index: Any) -> Any:
        found = self.bytes()[index]
        return UntypedStorage(found) if isinstance(index, slice) else int(found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other.memory is self.memory

    def __hash__(self) -> int:
        return id(self.memory)

    def __repr__(self) -> str:
        lines = [f" {n}" for n in self.tolist()]
        return "\n".join([*lines, f"[torch.storage.UntypedStorage(device=cpu) of size {self.nbytes()}]"])


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory that the tensor looks into, shared by its views."""
    return UntypedStorage(root_memory(self._data))


class TypedStorage:
    """The memory of a tensor as elements of one type. Example: `len(ones(2, 3).storage())` is `6`."""

    __slots__ = ("dtype", "elements")
    device = CPU
    is_cuda = False

    def __init__(self, elements: np.ndarray | int | Sequence = 0, *, dtype: dtypes.dtype | None = None) -> None:
        """Over an array of one dimension; of so many elements; or of these elements."""
        if not isinstance(elements, np.ndarray):
            warn_once(DEPRECATED)
            target = (dtype or dtypes.get_default_dtype()).numpy
            elements = np.empty(elements, target) if isinstance(elements, int) else np.array(elements, target)
        self.elements, self.dtype = elements, dtypes.BY_NUMPY[elements.dtype]

    def untyped(self) -> UntypedStorage:
        return UntypedStorage(root_memory(self.elements))

    def data_ptr(self) -> int:
        return self.untyped().data_ptr()

    def element_size(self) -> int:
        return self.elements.itemsize

    def nbytes(self) -> int:
        return self.elements.nbytes

    def __len__(self) -> int:
        return self.elements.size

    size = __len__

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def tolist(self) -> list:
        return cast_array(self.elements, np.dtype(np.float32)).tolist() if self.dtype is dtypes.bfloat16 else self.elements.tolist()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, index: int) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return self.elements[index].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self.elements[index] = value

    def fill_(self, value: Any) -> TypedStorage:
        """Set all elements; returns itself."""
        self.elements[...] = value
        return self

    def copy_(self, source: TypedStorage, non_blocking: bool | None = None) -> TypedStorage:
        """Set the elements to those of another storage; returns itself."""
        np.copyto(self.elements, cast_array(source.elements, self.elements.dtype))
        return self

    def clone(self) -> TypedStorage:
        """A copy in other memory."""
        return TypedStorage(self.elements.copy())

    def __repr__(self) -> str:
        lines = [f" {v}" for v in self.tolist()]
        return "\n".join([*lines, f"[torch.storage.TypedStorage(dtype={self.dtype}, device=cpu) of size {len(self)}]"])


def storage(self: Tensor) -> TypedStorage:
    """Deprecated: the tensor's memory as elements of its type; `untyped_storage` has it as bytes."""
    warn_once(DEPRECATED)
    return TypedStorage(root_memory(self._data).ravel(order="K").view(np.uint8).view(self._data.dtype))


def is_storage(obj: Any) -> bool:
    """Whether obj is a storage. Example: `is_storage(ones(1).untyped_storage())` is `True`."""
    return isinstance(obj, (UntypedStorage, TypedStorage))


__all__ = ["TypedStorage", "UntypedStorage", "is_storage"]
METHODS = ["storage", "untyped_storage"]
