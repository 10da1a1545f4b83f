"""What numbers a type can hold: `finfo` for floats, `iinfo` for integers."""

from __future__ import annotations

from math import log10
from typing import Any

import numpy as np

from chainrule._core import dtypes


class finfo:
    """The limits of a floating type (of its parts, for a complex one). Example: `finfo(float32).eps` is `2**-23`."""

    __slots__ = ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype")

    def __init__(self, type: Any = None) -> None:
        kind = type or dtypes.get_default_dtype()
        if not isinstance(kind, dtypes.dtype):
            raise TypeError(f"finfo(): argument 'type' must be torch.dtype, not {kind.__class__.__name__}")
        if kind.category < dtypes.FLOATING:
            raise TypeError("torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'")
        real = kind.to_real()
        if real is dtypes.bfloat16:
            import ml_dtypes

            limits: Any = ml_dtypes.finfo(real.numpy)
        else:
            limits = np.finfo(real.numpy)
        self.bits = 8 * real.itemsize
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution, self.dtype = 10.0 ** int(log10(self.eps)), real.name

    def __repr__(self) -> str:
        shown = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join([f'{n}={getattr(self, n):g}' for n in shown])}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and other.dtype == self.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)


class iinfo:
    """The limits of an integer type. Example: `iinfo(int8).max` is `127`."""

    __slots__ = ("bits", "max", "min", "dtype")

    def __init__(self, type: Any) -> None:
        if not isinstance(type, dtypes.dtype):
            raise TypeError(f"iinfo(): argument 'type' must be torch.dtype, not {type.__class__.__name__}")
        if type.category != dtypes.INTEGRAL:
            if type is dtypes.bool_:
                raise RuntimeError("torch.bool is not supported by torch.iinfo")
            raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
        limits = np.iinfo(type.numpy)
        self.bits, self.max, self.min, self.dtype = limits.bits, int(limits.max), int(limits.min), type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and other.dtype == self.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)
