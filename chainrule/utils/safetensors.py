"""Checkpoints in the safetensors format, through its own library (`pip install chainrule[safetensors]`); the names of `safetensors.torch`.

A file holds tensors by name and text, no code; reading one maps it into memory.
"""

from __future__ import annotations

import os
from typing import Any

import ml_dtypes  # noqa: F401  # with it NumPy, and so the library, knows the name bfloat16
import numpy as np

from chainrule._core.types import require_cpu
from chainrule.tensor import Tensor, wrap

try:
    from safetensors import deserialize, numpy as library
except ImportError as error:
    raise ImportError("chainrule.utils.safetensors needs the package safetensors: pip install chainrule[safetensors]") from error

__all__ = ["load", "load_file", "load_model", "save", "save_file", "save_model"]

TYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32", "U64": "uint64",
    "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "C64": "complex64",
}  # fmt: skip
Tensors = dict[str, Tensor]


def save_file(tensors: Tensors, filename: str | os.PathLike, metadata: dict[str, str] | None = None) -> None:
    """Write tensors, and text that describes them, to a file.

    Raises ValueError for tensors that are not contiguous, RuntimeError for tensors that share memory.

    Example:
        >>> save_file({"weight": ones(2)}, "model.safetensors", metadata={"format": "pt"})
        >>> load_file("model.safetensors")
        {'weight': tensor([1., 1.])}
    """
    library.save_file(arrays(tensors), filename, metadata)


def save(tensors: Tensors, metadata: dict[str, str] | None = None) -> bytes:
    """As `save_file`; gives the bytes."""
    return library.save(arrays(tensors), metadata)


def load_file(filename: str | os.PathLike, device: Any = "cpu") -> Tensors:
    """The tensors in a file. Raises safetensors.SafetensorError for one that is damaged."""
    require_cpu(device)
    return {name: wrap(array) for name, array in library.load_file(filename).items()}


def load(data: bytes) -> Tensors:
    """As `load_file`, from bytes."""
    return {
        name: wrap(np.frombuffer(bytearray(view["data"]), np.dtype(TYPES[view["dtype"]])).reshape(view["shape"]))
        for name, view in deserialize(data)
    }


def save_model(model: Any, filename: str | os.PathLike, metadata: dict[str, str] | None = None, force_contiguous: bool = True) -> None:
    """Write a module's state_dict; of tensors that are one and the same the first by name is kept, and the metadata name the others."""
    state, notes = model.state_dict(), dict(metadata or {})
    for name, kept in duplicates(state).items():
        notes.setdefault(name, kept)
        del state[name]
    save_file({name: t.contiguous() for name, t in state.items()} if force_contiguous else state, filename, notes or None)


def load_model(model: Any, filename: str | os.PathLike, strict: bool = True, device: Any = "cpu") -> tuple[set[str], list[str]]:
    """Load a file into a module; gives the names that the file lacks and those that the module lacks.

    Raises RuntimeError for either if `strict`.
    """
    state = load_file(filename, device)
    same = duplicates(model.state_dict())
    missing, unexpected = model.load_state_dict(state, strict=False)
    loaded = {name for name in same if name in state} | {kept for name, kept in same.items() if kept in state or name in state}
    lacking = {name for name in missing if name not in loaded and same.get(name) not in loaded}
    if strict and (lacking or unexpected):
        parts = [f"Error(s) in loading state_dict for {type(model).__name__}:"]
        for what, names in (("Missing", sorted(lacking)), ("Unexpected", sorted(unexpected))):
            if names:
                parts.append(f"    {what} key(s) in state_dict: " + ", ".join([f'"{name}"' for name in names]))
        raise RuntimeError("\n".join(parts))
    return lacking, list(unexpected)


def arrays(tensors: Tensors) -> dict[str, np.ndarray]:
    """The arrays of tensors, once they are fit to be written."""
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    ends: list[tuple[int, int, str]] = []
    for name, t in tensors.items():
        if not isinstance(t, Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(t)}")
        if not t.is_contiguous():
            raise ValueError(
                f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. Either it is a slice or a transpose of "
                "another: save the whole one, or call `.contiguous()` before saving."
            )
        start = t.data_ptr()
        ends.append((start, start + t._data.nbytes, name))
    ends.sort()
    for (_, end, name), (start, _, other) in zip(ends, ends[1:]):
        if start < end:
            raise RuntimeError(f"Some tensors share memory: `{name}` and `{other}`. Save one of them, or clone one; `save_model` does so.")
    return {name: np.ascontiguousarray(t._data).reshape(t._data.shape) for name, t in tensors.items()}


def duplicates(state: Tensors) -> dict[str, str]:
    """Names of tensors that are the same memory as one with an earlier name, and that name."""
    seen: dict[tuple, str] = {}
    found = {}
    for name in sorted(state):
        array = state[name]._data
        first = seen.setdefault((array.__array_interface__["data"][0], array.dtype, array.shape, array.strides), name)
        if first != name and array.size:
            found[name] = first
    return found
