"""`load`: PyTorch's zip archives and its older plain streams.

A file is untrusted until checked: sizes, offsets and names are compared with what it holds.
"""

from __future__ import annotations

import os
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, TypeAlias

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import Size, device, strided
from chainrule.serialization import names
from chainrule.serialization.safe import Machine, Sealed, is_safe
from chainrule.tensor import Tensor, wrap

FileLike: TypeAlias = str | os.PathLike | IO[bytes]
MAP_LOCATION: TypeAlias = Callable[[Any, str], Any] | device | str | dict[str, str] | None
OLD_MAGIC = 0x1950A86A20F9469CFC6C
CORRUPT = (
    "PytorchStreamReader failed reading zip archive: {}. There is a high likelihood that your checkpoint file is corrupted: "
    "it was not saved or transferred whole."
)
STORAGES: dict[str, dtypes.dtype] = {f"torch.{legacy}Storage": d for d, legacy in dtypes.LEGACY.items() if not legacy.startswith("UInt")}
STORAGES["torch.storage.UntypedStorage"] = STORAGES["torch.UntypedStorage"] = dtypes.uint8
DTYPES: dict[str, dtypes.dtype] = {f"torch.{d.name}": d for d in dtypes.ALL}


def rebuild_tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    """A tensor that looks into a storage; RuntimeError if it would look beyond."""
    sizes, strides = tuple(size), tuple(stride)
    whole = all([type(n) is int and n >= 0 for n in (offset, *sizes, *strides)]) and len(sizes) == len(strides)
    last = offset + sum([(n - 1) * s for n, s in zip(sizes, strides)]) if whole else 0
    if not isinstance(storage, np.ndarray) or not whole or (all(sizes) and last >= storage.size):
        raise RuntimeError(
            f"a tensor of size {list(sizes)}, stride {list(strides)} and offset {offset} does not fit its storage of "
            f"{np.size(storage)} elements"
        )
    step = storage.itemsize
    return wrap(np.ndarray(sizes, storage.dtype, storage, offset * step if all(sizes) else 0, tuple([s * step for s in strides])))


def rebuild_v2(
    storage: Any, offset: int, size: tuple, stride: tuple, requires_grad: bool, hooks: Any = None, metadata: Any = None
) -> Tensor:
    return rebuild_tensor(storage, offset, size, stride).requires_grad_(bool(requires_grad))


def rebuild_v3(
    storage: Any, offset: int, size: tuple, stride: tuple, requires_grad: bool, hooks: Any, dtype: dtypes.dtype, metadata: Any = None
) -> Tensor:
    return rebuild_v2(storage.view(dtype.numpy), offset, size, stride, requires_grad)


def rebuild_parameter(data: Tensor, requires_grad: bool, hooks: Any) -> Tensor:
    from chainrule.nn.parameter import Parameter

    return Parameter(data.detach(), bool(requires_grad))


def rebuild_parameter_with_state(data: Tensor, requires_grad: bool, hooks: Any, state: Any) -> Tensor:
    return with_state(rebuild_parameter(data, requires_grad, hooks), state)


def rebuild_from_type(function: Any, kind: Any, arguments: tuple, state: Any) -> Tensor:
    """A tensor with attributes of its own, or of a class derived from Tensor."""
    function, kind = (f.call if type(f) is Sealed else f for f in (function, kind))
    if function not in FUNCTIONS.values():
        raise pickle.UnpicklingError(f"Weights only load failed: a tensor is to be made by {function!r:.80}")
    result = function(*arguments)
    if not (isinstance(kind, type) and issubclass(kind, Tensor)):
        raise pickle.UnpicklingError(f"Weights only load failed: {kind!r:.80} is no class of tensors")
    if type(result) is not kind:
        result.__class__ = kind
    return with_state(result, state)


def with_state(t: Tensor, state: Any) -> Tensor:
    attributes, slots = state if isinstance(state, tuple) else (state, {})
    for name, value in {**(attributes or {}), **(slots or {})}.items():
        if not isinstance(name, str) or name in Tensor.__slots__:
            raise pickle.UnpicklingError(f"Weights only load failed: a tensor has no attribute {name!r:.40} to set")
        t.__dict__[name] = value
    return t


def layout_of(name: str) -> Any:
    return {"torch.strided": strided}[name]


FUNCTIONS: dict[str, Callable] = {
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_v2,
    "torch._utils._rebuild_tensor_v3": rebuild_v3,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter_with_state,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type,
    "torch.Tensor": Tensor,
    "torch.serialization._get_layout": layout_of,
    "torch.Size": Size,
    "torch.device": device,
}


class StorageType:
    """The type of a storage, as the stream names it."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: dtypes.dtype) -> None:
        self.dtype = dtype


def torch_name(name: str) -> Any:
    """What a name of PyTorch's stands for; None if it is not known."""
    if name in STORAGES:
        return StorageType(STORAGES[name])
    return DTYPES.get(name) or FUNCTIONS.get(name)


class TrustingUnpickler(pickle.Unpickler):
    """Any pickle (`weights_only=False`), PyTorch's modules being ours."""

    def __init__(self, file: IO[bytes], persistent: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(file, **options)
        self.persistent_load = persistent  # type: ignore[method-assign]

    def find_class(self, module: str, name: str) -> Any:
        known = torch_name(f"{module}.{name}")
        if known is not None:
            return known
        if module == "torch" or module.startswith("torch."):
            return names.ours(module, name)
        return super().find_class(module, name)


def load(
    f: FileLike, map_location: MAP_LOCATION = None, pickle_module: Any = None, *, weights_only: bool | None = None,
    mmap: bool | None = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """Read what `save`, here or in PyTorch, wrote.

    By default (`weights_only` None or True) a file can make tensors, numbers, strings and containers only, and what
    `serialization.add_safe_globals` names; anything else raises pickle.UnpicklingError before it runs. Every tensor lands on the CPU,
    wherever it was saved; a `map_location` that names another device raises RuntimeError. With `mmap` tensors look into the file, which
    must be given by its path: their memory is read when it is used, and copied when it is written to. Raises RuntimeError for a file
    that is damaged or cut short.

    Example:
        >>> save(arange(3), "x.pt")
        >>> load("x.pt")
        tensor([0, 1, 2])
    """
    trusted = weights_only is False
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    check_location(map_location)
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return load_file(file, trusted, pickle_load_args, (f"{f}, " if isinstance(f, str) else "") if mmap else None)
    if mmap:
        raise ValueError("f must be a file path in order to use the mmap argument")
    if not hasattr(f, "seek") or not hasattr(f, "read"):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'seek'. You can only torch.load from a file that is seekable. Please pre-load "
            "the data into a buffer like io.BytesIO and try to load from it instead."
        )
    return load_file(f, trusted, pickle_load_args)


def check_location(place: Any) -> None:
    """RuntimeError if tensors are to go where they cannot; functions and dicts of places are asked where what is on the CPU goes."""
    if isinstance(place, dict):
        place = place.get("cpu", "cpu")
    if place is None or callable(place):
        return
    if not isinstance(place, (str, device)):
        raise TypeError(f"{type(place).__name__!r} object is not callable")
    name = str(place)
    if name.startswith("cuda"):
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are running on a CPU-only "
            "machine, please use torch.load with map_location=torch.device('cpu') to map your storages to the CPU."
        )
    if name.partition(":")[0] != "cpu":
        raise RuntimeError(f"don't know how to restore data location of torch.storage.UntypedStorage (tagged with {name})")


def load_file(file: IO[bytes], trusted: bool, options: dict, mapped: str | None = None) -> Any:
    """What the file holds; if it is to be `mapped`, this is how errors show its path."""
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    if not head:
        raise EOFError("Ran out of input")
    if head == b"PK\x03\x04":
        return load_zip(file, trusted, options, mapped is not None)
    if mapped is not None:
        raise RuntimeError(
            f"mmap can only be used with files saved with `torch.save({mapped}_use_new_zipfile_serialization=True), please torch.save "
            "your checkpoint with this option in order to use mmap."
        )
    return load_stream(file, trusted, options)


def unpickled(file: IO[bytes], persistent: Callable[[Any], Any], trusted: bool, options: dict) -> Any:
    if trusted:
        return TrustingUnpickler(file, persistent, **options).load()
    try:
        return Machine(torch_name, persistent).read(file)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, MemoryError) as error:  # what a broken stream leads to
        raise pickle.UnpicklingError(f"Weights only load failed: the stream is damaged ({error})") from error


def storage_description(saved: Any) -> tuple[dtypes.dtype, str, int]:
    """The type, key and number of elements of a storage that the stream refers to."""
    if not isinstance(saved, tuple) or len(saved) < 5 or saved[0] not in ("storage", b"storage"):
        raise pickle.UnpicklingError(f"expected a reference to a storage, got {saved!r:.80}")
    _, kind, key, _, count = saved[:5]
    if not isinstance(kind, StorageType) or type(count) is not int or count < 0:
        raise pickle.UnpicklingError(f"expected a storage's type and size, got {kind!r:.40} and {count!r:.40}")
    return kind.dtype, str(key), count


# The zip archive


def load_zip(file: IO[bytes], trusted: bool, options: dict, mapped: bool) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            return read_archive(archive, trusted, options, mapped_file(file) if mapped else None)
    except zipfile.BadZipFile as error:
        raise RuntimeError(CORRUPT.format(f"failed finding central directory ({error})")) from error


def mapped_file(file: IO[bytes]) -> Any:
    """The file as memory that is read when it is used and is this process's own where it writes to it."""
    from mmap import ACCESS_COPY, mmap

    return mmap(file.fileno(), 0, access=ACCESS_COPY)


def whole_record(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """The bytes of a record, its sum checked."""
    memory = np.empty(info.file_size, np.uint8)
    with archive.open(info) as record:
        if record.readinto(memoryview(memory)) != info.file_size:  # type: ignore[attr-defined]
            raise RuntimeError(CORRUPT.format(f"the record {info.filename} is cut short"))
        record.read(1)  # checks the sum
    return memory


def record_in_place(memory: Any, info: zipfile.ZipInfo, itemsize: int) -> np.ndarray | None:
    """The bytes of a stored record where they lie in a mapped file; None if there are none or they start between two elements."""
    header = info.header_offset
    names = [int.from_bytes(memory[header + i : header + i + 2], "little") for i in (26, 28)]
    start = header + 30 + sum(names)
    if not info.file_size or start % itemsize:
        return None
    if memory[header : header + 4] != b"PK\x03\x04" or start + info.file_size > len(memory):
        raise RuntimeError(CORRUPT.format(f"the record {info.filename} is not where the directory says"))
    return np.frombuffer(memory, np.uint8, info.file_size, start)


def read_archive(archive: zipfile.ZipFile, trusted: bool, options: dict, mapped: Any = None) -> Any:
    records = {info.filename: info for info in archive.infolist()}
    folder = next((name.removesuffix("data.pkl") for name in records if name.endswith("/data.pkl")), None)
    if folder is None:
        raise RuntimeError(CORRUPT.format("there is no data.pkl in it"))
    if f"{folder}byteorder" in records and archive.read(f"{folder}byteorder") not in (b"little", b""):
        raise RuntimeError("the checkpoint was written on a big-endian machine, which is not supported")
    storages: dict[str, np.ndarray] = {}

    def persistent(saved: Any) -> np.ndarray:
        dtype, key, count = storage_description(saved)
        if key not in storages:
            info = records.get(f"{folder}data/{key}")
            if info is None:
                raise RuntimeError(CORRUPT.format(f"the record data/{key} is missing"))
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != count * dtype.itemsize:
                raise RuntimeError(CORRUPT.format(f"the record data/{key} has {info.file_size} bytes, not {count} of {dtype}"))
            memory = None if mapped is None else record_in_place(mapped, info, dtype.itemsize)
            storages[key] = (whole_record(archive, info) if memory is None else memory).view(dtype.numpy)
        return storages[key]

    with archive.open(f"{folder}data.pkl") as stream:
        return unpickled(stream, persistent, trusted, options)


# The stream of pickles that PyTorch wrote before 1.6


def load_stream(file: IO[bytes], trusted: bool, options: dict) -> Any:
    def refuse(saved: Any) -> Any:
        raise pickle.UnpicklingError("a storage where none belongs")

    magic = unpickled(file, refuse, False, {})
    if magic != OLD_MAGIC:
        raise pickle.UnpicklingError("this is no checkpoint of PyTorch's: neither a zip archive nor the stream that older versions wrote")
    version, machine = unpickled(file, refuse, False, {}), unpickled(file, refuse, False, {})
    if version != 1001 or not isinstance(machine, dict) or not machine.get("little_endian", True):
        raise RuntimeError(f"version {version!r:.40} of the old format, for {machine!r:.80}, is not known: 1001, little-endian, is")
    here = file.tell()
    left = file.seek(0, os.SEEK_END) - here
    file.seek(here)
    storages: dict[str, np.ndarray] = OrderedDict()

    def persistent(saved: Any) -> np.ndarray:
        dtype, key, count = storage_description(saved)
        if len(saved) > 5 and saved[5] is not None:
            raise RuntimeError("storages that are views of others are not supported")
        if key not in storages:
            if count * dtype.itemsize > left:
                raise RuntimeError(f"the checkpoint is cut short: a storage has {count} elements of {dtype}, the file {left} bytes")
            storages[key] = np.empty(count, dtype.numpy)
        return storages[key]

    result = unpickled(file, persistent, trusted, options)
    keys = unpickled(file, refuse, False, {})
    if not isinstance(keys, list) or set(map(str, keys)) != set(storages):
        raise RuntimeError("the checkpoint is damaged: its list of storages does not match what it refers to")
    for key in keys:
        memory = storages[str(key)]
        count = int.from_bytes(file.read(8), "little")
        if count != memory.size or file.readinto(memoryview(memory.view(np.uint8))) != memory.nbytes:  # type: ignore[attr-defined]
            raise RuntimeError(f"the checkpoint is cut short: storage {key} of {memory.size} elements is not whole")
    return result


def get_unsafe_globals_in_checkpoint(f: FileLike) -> list[str]:
    """The names in a checkpoint that `load` would refuse, found without running anything: what `add_safe_globals` could be told of.

    Raises ValueError for a file that is not a zip archive, pickle.UnpicklingError for names that the stream makes up as it goes.

    Example:
        >>> save({"weight": ones(2)}, "model.pt")
        >>> serialization.get_unsafe_globals_in_checkpoint("model.pt")
        []
    """
    if not zipfile.is_zipfile(f):
        raise ValueError("Expected input to be a checkpoint returned by torch.save")
    with zipfile.ZipFile(f) as archive:
        stream = next((archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl")), b".")
    found = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "STACK_GLOBAL":
            raise pickle.UnpicklingError("the stream names classes and functions in a way that cannot be listed without running it")
        if opcode.name == "GLOBAL":
            found.append(str(argument).replace(" ", ".", 1))
    return [name for name in dict.fromkeys(found) if torch_name(name) is None and not is_safe(name)]


__all__ = ["get_unsafe_globals_in_checkpoint", "load"]
