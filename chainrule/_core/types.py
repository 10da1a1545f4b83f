"""Small public value types: Size, device, memory formats and layouts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Size(tuple):
    """The shape of a tensor: a tuple that prints as PyTorch's and knows its number of elements.

    Example: `Size([2, 3]).numel() == 6`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(repr, self))}])"

    __str__ = __repr__

    def numel(self) -> int:
        product = 1
        for n in self:
            product *= n
        return product

    def __getitem__(self, index: Any) -> Any:
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item

    def __add__(self, other: Iterable) -> Size:  # type: ignore[override]
        return Size(tuple.__add__(self, tuple(other)))

    def __radd__(self, other: Iterable) -> Size:
        return Size(tuple(other) + tuple(self))

    def __mul__(self, count: Any) -> Size:
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self) -> tuple:
        return Size, (tuple(self),)


class device:
    """Where a tensor lives. chainrule computes on the CPU; other types can be named, not used.

    Example: `device("cpu").type == "cpu"`.
    """

    __slots__ = ("type", "index")
    NAMED = (
        "cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, mps, meta, hpu, mtia, privateuseone"
    )
    KNOWN = ("cpu", "cuda", "meta", "mps", "xpu", "xla", "hpu", "mtia", "privateuseone")

    def __init__(self, type: str | device | int = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int):
            raise RuntimeError("Cannot access accelerator device when none is available.")
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        if not type:
            raise RuntimeError("Device string must not be empty")
        name, colon, number = type.partition(":")
        if name[-1:].isdigit():
            raise RuntimeError(f"Invalid device string: '{type}'")
        if name not in self.KNOWN:
            raise RuntimeError(f"Expected one of {self.NAMED} device type at start of device string: {name}")
        if colon:
            if index is not None:
                raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {type}")
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        self.type, self.index = name, index

    def __repr__(self) -> str:
        return f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        require_cpu(self)
        return self

    def __exit__(self, *exc: object) -> None:
        return None


CPU = device("cpu")


def require_cpu(where: Any) -> None:
    """Refuse a device that chainrule cannot compute on."""
    if where is not None and where is not CPU:
        where = device(where)
        if where.type == "cuda":
            raise AssertionError("Torch not compiled with CUDA enabled: chainrule computes on the CPU; use device='cpu'")
        if where.type != "cpu":
            raise RuntimeError(f"chainrule computes on the CPU, but got device '{where}'; use device='cpu'")


class _Constant:
    """A named constant with PyTorch's printed form."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple:
        return _constant, (self.name,)


class layout(_Constant):
    """How a tensor's elements are laid out; chainrule's tensors are `strided`."""

    __slots__ = ()


class memory_format(_Constant):
    """The order of strides that a function should produce."""

    __slots__ = ()


strided, sparse_coo = layout("strided"), layout("sparse_coo")
contiguous_format, preserve_format, channels_last, channels_last_3d = map(
    memory_format, ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
)
_CONSTANTS = {c.name: c for c in (strided, sparse_coo, contiguous_format, preserve_format, channels_last, channels_last_3d)}


def _constant(name: str) -> _Constant:
    return _CONSTANTS[name]
