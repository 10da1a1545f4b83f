"""Names for type annotations, as `torch.types` has them."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence

from chainrule._core.dtypes import dtype as _dtype  # noqa: F401
from chainrule._core.types import Size, device as _device, layout as _layout  # noqa: F401
from chainrule.tensor import Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number = builtins.int | builtins.float | builtins.bool
Device = _device | str | int | None
FileLike = str | os.PathLike
Storage = object

_bool, _complex, _float, _int = builtins.bool, builtins.complex, builtins.float, builtins.int
_size = Size | list[int] | tuple[int, ...]
_symsize = _size
_dispatchkey = str
_TensorOrTensors = Tensor | Sequence[Tensor]
_TensorOrTensorsOrGradEdge = _TensorOrTensors
PyNumber = int | float | bool
