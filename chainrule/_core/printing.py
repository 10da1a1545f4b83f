"""How arrays print: PyTorch's text to the character, with PyTorch's print options.

An array is summarised first (only the corners of a large one are looked at), its numbers become texts of one common notation and
width, and the texts are nested in brackets and wrapped into lines. `tensor_str` adds what `repr` tells of a tensor besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import compress, islice
from math import inf, isfinite
from typing import Any

import numpy as np

PROFILES: dict[str | None, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": inf, "edgeitems": 3, "linewidth": 80},
}
_options: dict[str, Any] = {**PROFILES["default"], "sci_mode": None}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Choose how tensors print, in every thread; None leaves an option as it is, but for `sci_mode`.

    `precision` counts digits after the point; above `threshold` elements only `edgeitems` at both ends of each dimension show; lines
    break at `linewidth`; `profile` ("default", "short" or "full") sets these four before the others apply. `sci_mode` True or False
    forces or forbids the scientific notation, None (also when left out) lets the numbers decide.

    >>> set_printoptions(precision=2)
    >>> array_str(np.array([1.12345]))
    '[1.12]'
    >>> set_printoptions(profile="default")
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update(PROFILES.get(profile, {}))
    _options.update({name: value for name, value in given.items() if value is not None}, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """The print options in force, as keyword arguments of `set_printoptions`.

    >>> get_printoptions()["linewidth"]
    80
    """
    return dict(_options)


@contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """Print with other options inside a `with`; takes what `set_printoptions` takes.

    >>> with printoptions(precision=1):
    ...     array_str(np.array([1.12345]))
    '[1.1]'
    """
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


def array_str(data: np.ndarray, indent: int = 0) -> str:
    """The elements of `data` (any shape; bool, integer, float or complex) in nested brackets, as a tensor prints them.

    Lines after the first start below the element that follows `indent` columns and the brackets.

    >>> print(array_str(np.array([[1.0, 2.5], [-3.0, np.inf]]), indent=7))
    [[ 1.0000,  2.5000],
            [-3.0000,     inf]]
    """
    if not data.size:
        return "[]"
    edge = _options["edgeitems"] if data.size > _options["threshold"] else None
    texts, width = _texts(data if edge is None else _corners(data, edge))
    return _nest(iter(texts), data.shape, indent, width, edge) if data.ndim else texts[0]


def tensor_str(
    data: np.ndarray,
    *,
    dtype_name: str,
    default_dtypes: tuple[str, ...] = ("float32", "complex64", "int64", "bool"),
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    prefix: str = "tensor(",
    device_suffix: str | None = None,
    tangent: object = None,
    contents: str | None = None,
) -> str:
    """The `repr` of a tensor that holds `data`: its elements, then what they do not tell by themselves.

    `dtype_name` ("float32") is left unsaid when it is among `default_dtypes`; of an empty tensor, when it is the first of them, the
    type that Python floats become (`implied_dtypes` makes the tuple). A tensor with a `grad_fn_name` does not tell `requires_grad`.
    `device_suffix` is the whole remark, `device='cuda:0'`. `tangent` prints as f-strings print it. `contents` replaces the elements.
    Lines after the first align with the last line of `prefix`.

    >>> tensor_str(np.array([1, 2], np.int32), dtype_name="int32")
    'tensor([1, 2], dtype=torch.int32)'
    >>> tensor_str(np.zeros((0, 3), np.float32), dtype_name="float32", grad_fn_name="AddBackward0")
    'tensor([], size=(0, 3), grad_fn=<AddBackward0>)'
    """
    indent = len(prefix) - (prefix.rfind("\n") + 1)
    size_told = data.ndim == 1 if not data.size else _options["edgeitems"] != 0
    dtype_told = dtype_name in (default_dtypes if data.size else default_dtypes[:1])
    remarks = (
        device_suffix,
        None if size_told else f"size={data.shape}",
        None if dtype_told else f"dtype=torch.{dtype_name}",
        f"grad_fn=<{grad_fn_name}>" if grad_fn_name is not None else "requires_grad=True" if requires_grad else None,
        None if tangent is None else f"tangent={tangent}",
    )
    return _append(prefix + (array_str(data, indent) if contents is None else contents), [r for r in remarks if r is not None], indent)


def implied_dtypes(default: str) -> tuple[str, ...]:
    """The types that go without saying when Python floats become `default`, which comes first.

    >>> implied_dtypes("float64")
    ('float64', 'complex128', 'int64', 'bool')
    """
    return default, "complex128" if default == "float64" else "complex64", "int64", "bool"


def _corners(data: np.ndarray, edge: int) -> np.ndarray:
    """The elements of `data` that a summary shows: up to `edge` at both ends of each dimension."""
    shown = [np.r_[:edge, n - edge : n] if n > 2 * edge else np.arange(n) for n in data.shape]
    corners: np.ndarray = data[np.ix_(*shown)]
    return corners


def _texts(data: np.ndarray) -> tuple[list[str], int]:
    """What each element reads, flat and padded to align, and the width that a line reserves for one."""
    values = np.ravel(data)
    if values.dtype.kind != "c":
        texts, width = _integers(values) if values.dtype.kind in "biu" else _floats(values)
        return [text.rjust(width) for text in texts], width
    (real, width), (imag, imag_width) = _floats(values.real), _floats(values.imag)
    texts = [f"{a.rjust(width)}{'' if b[0] == '-' else '+'}{b}j" for a, b in zip(real, imag, strict=True)]
    return texts, width + imag_width + 1


def _integers(values: np.ndarray) -> tuple[list[str], int]:
    texts = [str(v) for v in values.tolist()]
    return texts, max(map(len, texts), default=1)


def _floats(values: np.ndarray) -> tuple[list[str], int]:
    """Texts in one notation: whole (`2.`), fixed or scientific. Zeros, infinities and NaNs have no say in it, nor in the width."""
    with np.errstate(invalid="ignore"):  # a signalling NaN may be cast
        values = values.astype(np.float64)
    telling = np.isfinite(values) & (values != 0)
    magnitudes = np.abs(values[telling])
    scientific = magnitudes.size > 0 and _wants_exponent(magnitudes.min().item(), magnitudes.max().item())
    if scientific or np.any(magnitudes != np.ceil(magnitudes)):
        spec = f".{_options['precision']}{'e' if scientific else 'f'}"
        texts = [format(v, spec) for v in values.tolist()]
    else:
        texts = [f"{v:.0f}." if isfinite(v) else str(v) for v in values.tolist()]
    return texts, max(map(len, compress(texts, telling)), default=1)


def _wants_exponent(low: float, high: float) -> bool:
    """Whether numbers of magnitudes `low` to `high` print in scientific notation."""
    forced = _options["sci_mode"]
    return bool(high / low > 1000 or high > 1e8 or low < 1e-4) if forced is None else bool(forced)


def _nest(texts: Iterator[str], shape: tuple[int, ...], indent: int, width: int, edge: int | None) -> str:
    """Brackets around the next texts for `shape`; dimensions longer than twice `edge`, if given, have an ellipsis inside."""
    length, inner = shape[0], shape[1:]
    cut = edge is not None and length > 2 * edge
    count = 2 * edge if cut else length  # type: ignore[operator]
    parts = [_nest(texts, inner, indent + 1, width, edge) for _ in range(count)] if inner else list(islice(texts, count))
    if cut:
        parts.insert(edge, "..." if inner or not edge else " ...")  # type: ignore[arg-type]
    if not inner:
        per_line = max(1, int((_options["linewidth"] - indent) // (width + 2)))  # + 2 for the comma and the space
        parts = [", ".join(parts[i : i + per_line]) for i in range(0, len(parts), per_line)]
    breaks = "\n" * max(1, len(inner))
    return "[" + f",{breaks}{' ' * (indent + 1)}".join(parts) + "]"


def _append(text: str, remarks: list[str], indent: int) -> str:
    """`text`, the remarks and the closing bracket, with a line break before a remark that would reach past the line width."""
    column = len(text) - text.rfind("\n") + 1
    for remark in remarks:
        fits = column + len(remark) + 2 <= _options["linewidth"]
        text += f", {remark}" if fits else f",\n{' ' * indent}{remark}"
        column = column + len(remark) + 2 if fits else indent + len(remark)
    return text + ")"
