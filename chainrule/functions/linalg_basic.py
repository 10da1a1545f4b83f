"""The linear algebra that PyTorch keeps beside `linalg`: matrix decompositions and inverses as functions and methods."""

from __future__ import annotations

__all__: list[str] = []
