"""For tests of programs: `assert_close` and random inputs (`make_tensor`).

See https://docs.pytorch.org/docs/stable/testing.html
"""

from __future__ import annotations

import cmath
import math
import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import chainrule as torch

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

OLD_NAME = (
    "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a future release. Please use "
    "`torch.testing.assert_close()` instead. You can find detailed upgrade instructions in "
    "https://github.com/pytorch/pytorch/issues/61844."
)
TOLERANCES = {  # (rtol, atol) for each dtype; types that are not here must agree exactly
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float32: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7),
    torch.complex64: (1.3e-6, 1e-5),
    torch.complex128: (1e-7, 1e-7),
}
TYPES = {int: torch.int64, float: torch.float64, complex: torch.complex128}


class Mismatch(Exception):
    """What is wrong with a pair, and where in nested inputs it is; `values` says that it is the values that differ."""

    def __init__(self, text: str, error: type[Exception] = AssertionError, values: bool = True) -> None:
        self.text, self.error, self.values, self.path = text, error, values and error is AssertionError, ""

    def at(self, key: Any) -> Mismatch:
        self.path = f"[{key!r}]{self.path}"
        return self


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True, check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """Raise AssertionError unless `|actual - expected| <= atol + rtol * |expected|` for every element.

    Takes tensors, arrays, numbers, None, and sequences or mappings of them, nested as may be. The tolerances go with the dtype
    (float32: rtol 1.3e-6, atol 1e-5; float64: both 1e-7) unless both are given. `msg` replaces the message, or makes it from the
    generated one.

    Example:
        >>> assert_close(tensor([1.0, 2.0]), tensor([1.0, 2.0 + 1e-6]))
    """
    attributes = {"layout": check_layout, "device": check_device, "dtype": check_dtype, "stride()": check_stride}
    try:
        compare(actual, expected, (rtol, atol), equal_nan, attributes, allow_subclasses)
    except Mismatch as m:
        text = m.text + (f"\n\nThe failure occurred for item {m.path}" if m.path else "")
        if m.values and msg is not None:
            text = msg(text) if callable(msg) else msg
        raise m.error(text) from None


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True, msg: str = ""
) -> None:
    """`assert_close` without the check of dtypes, by its old name."""
    warnings.warn(OLD_NAME, FutureWarning, stacklevel=2)
    actual, expected = [v if isinstance(v, torch.Tensor) else torch.tensor(v) for v in (actual, expected)]
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)


def compare(a: Any, b: Any, tolerances: tuple, equal_nan: bool, attributes: dict, subclasses: bool) -> None:
    """Raise a Mismatch if a pair, or a pair within it, is not close."""
    rest = tolerances, equal_nan, attributes, subclasses
    if type(a) is str or type(b) is str:
        raise unknown(a, b)
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        if len(a) != len(b):
            raise Mismatch(f"The length of the sequences mismatch: {len(a)} != {len(b)}", values=False)
        pairs: list = list(zip(range(len(a)), a, b, strict=True))
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            raise Mismatch(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(b.keys() - a.keys())}\n"
                f"Additional keys in the actual mapping: {sorted(a.keys() - b.keys())}",
                values=False,
            )
        pairs = [(k, a[k], b[k]) for k in a]
    else:
        return compare_leaves(a, b, *rest)
    for key, one, other in pairs:
        try:
            compare(one, other, *rest)
        except Mismatch as m:
            raise m.at(key) from None


def compare_leaves(a: Any, b: Any, tolerances: tuple, equal_nan: bool, attributes: dict, subclasses: bool) -> None:
    if a is None or b is None:
        if a is not b:
            raise Mismatch(f"None mismatch: {a} is not {b}")
    elif isinstance(a, (bool, np.bool_)) and isinstance(b, (bool, np.bool_)):
        if bool(a) is not bool(b):
            raise Mismatch(f"Booleans mismatch: {a} is not {b}")
    elif isinstance(a, numbers.Number) and isinstance(b, numbers.Number) and not isinstance(a, bool) and not isinstance(b, bool):
        kind = max((type(v.item()) if isinstance(v, np.generic) else type(v) for v in (a, b)), key=list(TYPES).index)
        compare_numbers(a, b, tolerances_for(tolerances, TYPES[kind]), equal_nan)
    elif comparable(a, b, subclasses):
        one, other = [torch.as_tensor(v).detach() for v in (a, b)]
        compare_tensors(one, other, tolerances, equal_nan, attributes)
    else:
        raise unknown(a, b)


def comparable(a: Any, b: Any, subclasses: bool) -> bool:
    related = isinstance(a, type(b)) or isinstance(b, type(a))
    return related and isinstance(a, (torch.Tensor, np.ndarray)) and (subclasses or type(a) is type(b))


def unknown(a: Any, b: Any) -> Mismatch:
    return Mismatch(f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}.", TypeError)


def tolerances_for(given: tuple, *kinds: Any) -> tuple[float, float]:
    if (given[0] is None) != (given[1] is None):
        missing = "rtol" if given[0] is None else "atol"
        raise Mismatch(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}.", ValueError)
    if given[0] is not None:
        return given
    rtol, atol = zip(*[TOLERANCES.get(k, (0.0, 0.0)) for k in kinds], strict=True)
    return max(rtol), max(atol)


def allowed(tolerance: float, exact: bool) -> str:
    return "" if exact else f" (up to {tolerance} allowed)"


def compare_numbers(a: Any, b: Any, tolerances: tuple[float, float], equal_nan: bool) -> None:
    rtol, atol = tolerances
    difference = abs(a - b)
    if a == b or (equal_nan and cmath.isnan(a) and cmath.isnan(b)) or (cmath.isfinite(b) and difference <= atol + rtol * abs(b)):
        return
    exact = rtol == atol == 0
    relative = math.inf if b == 0 else abs(difference / abs(b))
    raise Mismatch(
        f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {b} but got {a}.\n"
        f"Absolute difference: {difference}{allowed(atol, exact)}\nRelative difference: {relative}{allowed(rtol, exact)}"
    )


def compare_tensors(a: Any, b: Any, tolerances: tuple, equal_nan: bool, attributes: dict) -> None:
    rtol, atol = tolerances_for(tolerances, a.dtype, b.dtype)
    for name, wanted in {"shape": True, **attributes}.items():
        one, other = [v.stride() if name == "stride()" else getattr(v, name) for v in (a, b)]
        if wanted and one != other:
            raise Mismatch(f"The values for attribute '{name}' do not match: {one} != {other}.")
    if a.dtype != b.dtype:
        a, b = [v.to(torch.promote_types(a.dtype, b.dtype)) for v in (a, b)]
    matches = torch.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if matches.all():
        return
    if a.ndim == 0:
        compare_numbers(a.item(), b.item(), (rtol, atol), equal_nan)
    count, total, exact = int((~matches).sum()), matches.numel(), rtol == atol == 0
    if not a.dtype.is_floating_point and not a.dtype.is_complex:
        a, b = a.to(torch.int64), b.to(torch.int64)
    difference = (a - b).abs()
    difference[matches] = 0
    relative = difference / b.abs()
    relative[matches] = 0
    lines = [
        f"Tensor-likes are not {'equal' if exact else 'close'}!\n",
        f"Mismatched elements: {count} / {total} ({count / total:.1%})",
    ]
    for name, values, tolerance in (("absolute", difference, atol), ("relative", relative, rtol)):
        flat = int(values.argmax())
        place = tuple(int(i) for i in np.unravel_index(flat, values.shape))
        lines.append(f"Greatest {name} difference: {values.flatten()[flat].item()} at index {place}{allowed(tolerance, exact)}")
    raise Mismatch("\n".join(lines))


def make_tensor(
    *shape: int | Sequence[int], dtype: Any, device: Any, low: float | None = None, high: float | None = None, requires_grad: bool = False,
    noncontiguous: bool = False, exclude_zero: bool = False, memory_format: Any = None,
) -> Any:  # fmt: skip
    """A tensor of random values from `[low, high)`; by default [-9, 9) for floats, [-9, 9] for integers, both bools.

    With `exclude_zero` zeros are replaced by the smallest positive number of the dtype; `noncontiguous` takes every other element of a
    tensor twice as long.

    Example:
        >>> make_tensor(2, 3, dtype=int64, device="cpu", low=0, high=5).shape
        torch.Size([2, 3])
    """
    size: list = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else list(shape)
    exact = not dtype.is_floating_point and not dtype.is_complex
    if noncontiguous and memory_format is not None:
        raise ValueError(
            f"The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got {noncontiguous=} and {memory_format=}"
        )
    if requires_grad and exact:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}")
    noncontiguous = noncontiguous and math.prod(size) > 1
    if noncontiguous:
        size[-1] *= 2
    low, high = interval(dtype, low, high)
    if exact:
        result = torch.randint(math.ceil(low), math.ceil(high), size, dtype=dtype, device=device)
    else:
        result = torch.empty(size, dtype=dtype, device=device)
        half = high / 2 - low / 2 > torch.finfo(dtype).max / 2  # an interval wider than the largest number
        reals = torch.view_as_real(result) if dtype.is_complex else result
        reals.uniform_(low / 2, high / 2).mul_(2) if half else reals.uniform_(low, high)
    if noncontiguous:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = 1 if exact else torch.finfo(dtype).tiny
    return result.requires_grad_() if requires_grad else result


def interval(dtype: Any, low: float | None, high: float | None) -> tuple[float, float]:
    """What `[low, high)` means for a dtype: defaults filled in, cut to what it can hold."""
    if dtype is torch.bool:
        lowest, end, defaults = 0.0, 2.0, (0, 2)
    elif dtype.is_floating_point or dtype.is_complex:
        lowest, end, defaults = torch.finfo(dtype).min, torch.finfo(dtype).max, (-9, 9)
    else:
        lowest, end, defaults = torch.iinfo(dtype).min, torch.iinfo(dtype).max + (dtype is not torch.int64), (-9, 10)
    low, high = defaults[0] if low is None else low, defaults[1] if high is None else high
    if any([isinstance(v, float) and math.isnan(v) for v in (low, high)]):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    if high < lowest or low >= end:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} only supports [{lowest}, {end})"
        )
    return max(low, lowest), min(high, end)
