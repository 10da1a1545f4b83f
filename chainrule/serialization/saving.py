"""`save`: a zip of one pickle, whose tensors are references, and one uncompressed record for each memory that they look at.

The format is PyTorch's (docs: "Serialization semantics"), so `torch.load` reads what is written here.
"""

from __future__ import annotations

import os
import pickle
import shutil
import uuid
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path
from types import FunctionType
from typing import IO, Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import Size, device, layout
from chainrule.serialization.names import theirs
from chainrule.tensor import Tensor, root_memory

ALIGNMENT = 64


class Global:
    """A name in PyTorch's modules, pickled without being looked up here."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        raise TypeError("the pickler asks that what it writes as a function can be called; nothing calls it here")


class Storage:
    """The memory of some tensors, as a record of the archive."""

    __slots__ = ("key", "memory", "dtype")

    def __init__(self, key: str, memory: np.ndarray, dtype: dtypes.dtype) -> None:
        self.key, self.memory, self.dtype = key, memory, dtype


named = cache(Global)  # one object a name, so that the pickler's memo finds it again


class TensorPickler(pickle._Pickler):  # type: ignore[name-defined]  # the one in Python, whose dispatch table takes Global
    """Pickles PyTorch's names for our types, and collects the storages."""

    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def __init__(self, file: IO[bytes], protocol: int) -> None:
        super().__init__(file, protocol)
        self.storages: dict[Any, Storage] = {}

    def save_name(self, obj: Global) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        self.memoize(obj)

    dispatch[Global] = save_name

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is not Storage:
            return None
        legacy = dtypes.LEGACY[obj.dtype]
        if legacy.startswith("UInt"):
            return "storage", named("torch.storage", "UntypedStorage"), obj.key, "cpu", obj.memory.nbytes
        return "storage", named("torch", f"{legacy}Storage"), obj.key, "cpu", obj.memory.nbytes // obj.dtype.itemsize

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return self.reduce_tensor(obj)
        if isinstance(obj, Size):
            return named("torch", "Size"), (tuple(obj),)
        if isinstance(obj, device):
            return named("torch", "device"), (str(obj),)
        if isinstance(obj, layout):
            return named("torch.serialization", "_get_layout"), (str(obj),)
        return NotImplemented

    def save(self, obj: Any, save_persistent_id: bool = True) -> Any:
        if isinstance(obj, dtypes.dtype):
            obj = named("torch", obj.name)
        elif isinstance(obj, (type, FunctionType)) and (name := theirs(obj)):
            obj = named(*name)
        return super().save(obj, save_persistent_id)  # type: ignore[misc]  # the stubs leave it out

    def reduce_tensor(self, t: Tensor) -> tuple:
        from collections import OrderedDict

        from chainrule.nn.parameter import Parameter

        kind, attributes = type(t), dict(t.__dict__)
        if isinstance(t, Parameter):
            plain = t.detach()
            plain.__class__ = Tensor
            if attributes:
                return named("torch._utils", "_rebuild_parameter_with_state"), (plain, t.requires_grad, OrderedDict(), attributes)
            return named("torch._utils", "_rebuild_parameter"), (plain, t.requires_grad, OrderedDict())
        if t.requires_grad and not t.is_leaf:
            t = t.detach().requires_grad_()
        storage, offset, strides = self.storage_of(t)
        arguments: tuple = (storage, offset, tuple(t.shape), strides, t.requires_grad, OrderedDict())
        rebuild = named("torch._utils", "_rebuild_tensor_v2")
        if dtypes.LEGACY[t.dtype].startswith("UInt"):
            rebuild, arguments = named("torch._utils", "_rebuild_tensor_v3"), (*arguments, named("torch", t.dtype.name))
        if kind is Tensor and not attributes:
            return rebuild, arguments
        own = named("torch", "Tensor") if kind is Tensor else kind
        return named("torch._tensor", "_rebuild_from_type_v2"), (rebuild, own, arguments, attributes)

    def storage_of(self, t: Tensor) -> tuple[Storage, int, tuple]:
        """The storage of a tensor's whole memory (tensors that share memory share it), where it starts there, its strides; in elements."""
        array, size = t._data, t._data.itemsize
        root = root_memory(array)
        start = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        if not root.flags.forc or start % size or root.nbytes % size or any([s < 0 or s % size for s in array.strides]):
            array = root = np.ascontiguousarray(array).reshape(array.shape)
            start = 0
        key = id(root), t.dtype
        if key not in self.storages:
            self.storages[key] = Storage(str(len(self.storages)), root, t.dtype)
        return self.storages[key], start // size, tuple([s // size for s in array.strides])


def save(
    obj: object, f: str | os.PathLike | IO[bytes], pickle_module: Any = pickle, pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True, _disable_byteorder_record: bool = False,
) -> None:  # fmt: skip
    """Write `obj` (a state_dict, a tensor, any structure of them) to the file `f`, which PyTorch can read too.

    A path is written beside its target first and then moved there, so a crash leaves the old file whole. Tensors that share memory
    still do after loading. Raises RuntimeError if the directory does not exist.

    Example:
        >>> save({"weight": ones(2)}, "model.pt")
        >>> load("model.pt")
        {'weight': tensor([1., 1.])}
    """
    if not isinstance(f, (str, os.PathLike)):
        if not hasattr(f, "write"):
            raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
        write(obj, f, "archive", pickle_protocol)
        return
    path = Path(f)
    if not path.parent.is_dir():
        raise RuntimeError(f"Parent directory {path.parent} does not exist.")
    name, path = path.stem, Path(os.path.realpath(path))  # what a link leads to is written, the link stays
    if path.exists() and not path.is_file():  # /dev/null, a pipe
        with open(path, "wb") as file:
            write(obj, file, name, pickle_protocol)
        return
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(partial, "wb") as file:
            write(obj, file, name, pickle_protocol)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write(obj: object, file: IO[bytes], name: str, protocol: int) -> None:
    """The archive: all records lie under one folder, as PyTorch expects."""
    data = BytesIO()
    pickler = TensorPickler(data, protocol)
    pickler.dump(obj)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        archive.writestr(f"{name}/data.pkl", data.getvalue())
        archive.writestr(f"{name}/byteorder", "little")
        for storage in pickler.storages.values():
            wide = storage.memory.nbytes >= 1 << 31
            with archive.open(aligned(archive, f"{name}/data/{storage.key}", wide), "w", force_zip64=wide) as record:
                record.write(memoryview(storage.memory.ravel(order="K").view(np.uint8)))
        archive.writestr(f"{name}/version", "3\n")


def aligned(archive: zipfile.ZipFile, name: str, wide: bool) -> zipfile.ZipInfo:
    """A record whose bytes start at a multiple of 64 in the file, so that a mapped file can be used as it lies."""
    info = zipfile.ZipInfo(name)
    start = archive.start_dir + 30 + len(name.encode()) + (20 if wide else 0) + 4  # header, name, sizes of 64 bits, this field's own head
    padding = -start % ALIGNMENT
    info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
    return info
