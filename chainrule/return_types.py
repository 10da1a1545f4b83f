"""The named tuples that functions with several results return, with PyTorch's field names and printed form.

Example: `max(x, 0).indices`; `values, indices = topk(x, 3)`.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

FIELDS = {
    **dict.fromkeys(("cummax", "cummin", "kthvalue", "max", "median", "min", "mode", "nanmedian", "sort", "topk"), ("values", "indices")),
    "aminmax": ("min", "max"),
    "frexp": ("mantissa", "exponent"),
    "geqrf": ("a", "tau"),
    "histogram": ("hist", "bin_edges"),
    "histogramdd": ("hist", "bin_edges"),
    "linalg_cholesky_ex": ("L", "info"),
    "linalg_eig": ("eigenvalues", "eigenvectors"),
    "linalg_eigh": ("eigenvalues", "eigenvectors"),
    "linalg_inv_ex": ("inverse", "info"),
    "linalg_ldl_factor": ("LD", "pivots"),
    "linalg_ldl_factor_ex": ("LD", "pivots", "info"),
    "linalg_lstsq": ("solution", "residuals", "rank", "singular_values"),
    "linalg_lu": ("P", "L", "U"),
    "linalg_lu_factor": ("LU", "pivots"),
    "linalg_lu_factor_ex": ("LU", "pivots", "info"),
    "linalg_qr": ("Q", "R"),
    "linalg_slogdet": ("sign", "logabsdet"),
    "linalg_solve_ex": ("result", "info"),
    "linalg_svd": ("U", "S", "Vh"),
    "_lu_with_info": ("LU", "pivots", "info"),
    "lu_unpack": ("P", "L", "U"),
    "qr": ("Q", "R"),
    "slogdet": ("sign", "logabsdet"),
    "svd": ("U", "S", "V"),
    "triangular_solve": ("solution", "cloned_coefficient"),
}


def _make(name: str, fields: tuple[str, ...]) -> Any:
    def __repr__(self: Any) -> str:
        return f"torch.return_types.{name}(\n" + ",\n".join(f"{f}={v!r}" for f, v in zip(fields, self, strict=True)) + ")"

    def __reduce__(self: Any) -> tuple:
        return _rebuild, (name, tuple(self))

    base: Any = namedtuple(name, fields)  # type: ignore[misc]  # the names come from the table
    return type(name, (base,), {"__slots__": (), "__module__": "torch.return_types", "__repr__": __repr__, "__reduce__": __reduce__})


def _rebuild(name: str, values: tuple) -> Any:
    return globals()[name](*values)


globals().update({name: _make(name, fields) for name, fields in FIELDS.items()})
__all__ = list(FIELDS)


def __getattr__(name: str) -> Any:  # for type checkers, which do not see the table
    raise AttributeError(f"module 'torch.return_types' has no attribute {name!r}")
