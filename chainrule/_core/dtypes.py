"""Element types: PyTorch's names and promotion rules over NumPy's dtypes."""

from __future__ import annotations

import ml_dtypes
import numpy as np

BOOL, INTEGRAL, FLOATING, COMPLEX = range(4)


class dtype:
    """The type of a tensor's elements; compare with `is` or `==`. Prints as PyTorch prints it, `torch.float32`."""

    __slots__ = ("name", "numpy", "category", "itemsize", "is_floating_point", "is_complex", "is_signed")

    def __init__(self, name: str, numpy: object, category: int, signed: bool = True) -> None:
        self.name, self.numpy, self.category, self.is_signed = name, np.dtype(numpy), category, signed  # type: ignore[call-overload]
        self.itemsize = self.numpy.itemsize
        self.is_floating_point, self.is_complex = category == FLOATING, category == COMPLEX

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple:
        return _named, (self.name,)

    def to_real(self) -> dtype:
        return _REAL.get(self, self)

    def to_complex(self) -> dtype:
        return _COMPLEX.get(self, self)


bool_ = dtype("bool", np.bool_, BOOL, signed=False)
uint8 = dtype("uint8", np.uint8, INTEGRAL, signed=False)
uint16 = dtype("uint16", np.uint16, INTEGRAL, signed=False)
uint32 = dtype("uint32", np.uint32, INTEGRAL, signed=False)
uint64 = dtype("uint64", np.uint64, INTEGRAL, signed=False)
int8 = dtype("int8", np.int8, INTEGRAL)
int16 = dtype("int16", np.int16, INTEGRAL)
int32 = dtype("int32", np.int32, INTEGRAL)
int64 = dtype("int64", np.int64, INTEGRAL)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOATING)
float16 = dtype("float16", np.float16, FLOATING)
float32 = dtype("float32", np.float32, FLOATING)
float64 = dtype("float64", np.float64, FLOATING)
complex64 = dtype("complex64", np.complex64, COMPLEX)
complex128 = dtype("complex128", np.complex128, COMPLEX)

ALL = (bool_, uint8, uint16, uint32, uint64, int8, int16, int32, int64, bfloat16, float16, float32, float64, complex64, complex128)
ALIASES = {
    "half": float16, "float": float32, "double": float64, "short": int16, "int": int32, "long": int64, "cfloat": complex64,
    "cdouble": complex128,
}  # fmt: skip
BY_NUMPY: dict[np.dtype, dtype] = {d.numpy: d for d in ALL}
BY_PYTHON: dict[type, dtype] = {bool: bool_, int: int64}  # float and complex follow the default dtype
# The names of the legacy tensor types, which error messages and `Tensor.type()` use.
LEGACY = {
    bool_: "Bool", uint8: "Byte", int8: "Char", int16: "Short", int32: "Int", int64: "Long", bfloat16: "BFloat16", float16: "Half",
    float32: "Float", float64: "Double", complex64: "ComplexFloat", complex128: "ComplexDouble",
    uint16: "UInt16", uint32: "UInt32", uint64: "UInt64",
}  # fmt: skip
# C++'s names, which a few messages use.
CPP = {
    bool_: "bool", uint8: "unsigned char", int8: "signed char", int16: "short int", int32: "int", int64: "long int",
    bfloat16: "c10::BFloat16", float16: "c10::Half", float32: "float", float64: "double", complex64: "c10::complex<float>",
    complex128: "c10::complex<double>", uint16: "short unsigned int", uint32: "unsigned int", uint64: "long unsigned int",
}  # fmt: skip
_REAL = {complex64: float32, complex128: float64}
_COMPLEX = {float32: complex64, float64: complex128, float16: complex64, bfloat16: complex64}
_BAREBONES = {uint16, uint32, uint64}

_default = [float32]


def _named(name: str) -> dtype:
    return next(d for d in ALL if d.name == name)


def get_default_dtype() -> dtype:
    """The floating type that Python floats become; `float32` unless `set_default_dtype` changed it."""
    return _default[0]


def set_default_dtype(d: dtype) -> None:
    """Make `d` (a floating type) what Python floats become."""
    if not isinstance(d, dtype):
        raise TypeError(f"invalid dtype object: only floating-point types are supported as the default type, but got {d!r}")
    if not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, but got {d!r}")
    _default[0] = d


def of_scalar(value: object) -> dtype:
    """The dtype a Python scalar becomes as a tensor of its own."""
    if isinstance(value, bool):
        return bool_
    if isinstance(value, int):
        return int64
    return get_default_dtype() if isinstance(value, float) else get_default_dtype().to_complex()


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest type that both fit in, by PyTorch's table. Example: `promote_types(int64, float16)` is `float16`."""
    if a is b:
        return a
    for i, v in enumerate((a, b)):
        if not isinstance(v, dtype):
            raise TypeError(f"promote_types(): argument 'type{i + 1}' (position {i + 1}) must be torch.dtype, not {type(v).__name__}")
    if a.category != b.category:
        low, high = (a, b) if a.category < b.category else (b, a)
        if high.category == COMPLEX and low is float64:
            return complex128
        return high
    if a.category == FLOATING and {a, b} == {float16, bfloat16}:
        return float32
    if a.category == INTEGRAL and _BAREBONES & {a, b}:
        if {a, b} <= {uint8, *_BAREBONES}:
            return max(a, b, key=lambda d: d.itemsize)
        raise RuntimeError(f"Promotion for uint16, uint32, uint64 types is not supported, attempted to promote {LEGACY[a]} and {LEGACY[b]}")
    return BY_NUMPY[np.promote_types(a.numpy, b.numpy)] if a.category == INTEGRAL else max(a, b, key=lambda d: d.itemsize)


def can_cast(source: dtype, target: dtype) -> bool:
    """Whether a result of type `source` may be written to a tensor of type `target`: never down a category.

    As PyTorch: complex to real, float to integer and anything to bool are refused.
    """
    if source.category > target.category:
        return False
    return not (source.category == INTEGRAL and target is bool_)


def combine(dimensioned: dtype | None, zerodim: dtype | None, scalar: dtype | None) -> dtype:
    """Promotion between the three ranks of operands: a lower rank counts only if its category is higher.

    Scalars are Python numbers, already given their default type.
    """
    current = dimensioned
    for weaker in (zerodim, scalar):
        if weaker is None:
            continue
        if current is None:
            current = weaker
        elif weaker.category > current.category:
            current = current.to_complex() if current.category == FLOATING else weaker
    assert current is not None
    return current
