"""How tensors lie in memory: sizes and strides, `contiguous` and `clone`, `as_strided`, and the ops that change a tensor's own shape."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule._core.types import Size, channels_last, channels_last_3d, contiguous_format, memory_format as MemoryFormat, preserve_format
from chainrule.autograd.node import Node, Output
from chainrule.functions import shape as views
from chainrule.functions.arguments import as_shape, require_tensor, wrap_dim
from chainrule.functions.creation import blank
from chainrule.ops import shape as ops
from chainrule.ops.inplace import check_writable
from chainrule.ops.overrides import public
from chainrule.ops.shape import Layout, derive, layout_of, look
from chainrule.tensor import Tensor, root_memory, watch, wrap

LAST = {channels_last: (4, (0, 2, 3, 1)), channels_last_3d: (5, (0, 2, 3, 4, 1))}
DETACHED_VIEW = (
    "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for training, and "
    "gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() cannot be called on these gradients. "
    "To fix this error, please refer to the Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution."
)

# What a tensor says of itself


def size(input: Tensor, dim: int | None = None) -> Any:
    """The shape, or the size of one dimension. Example: `ones(2, 3).size(-1)` is 3."""
    shape = input._data.shape
    return Size(shape) if dim is None else shape[wrap_dim(dim, len(shape), scalar_ok=False)]


def stride(input: Tensor, dim: int | None = None) -> Any:
    """How many elements lie from one to the next along each dimension, or along `dim`. Example: `ones(2, 3).stride()` is `(3, 1)`."""
    a = input._data
    item = a.itemsize
    if dim is not None:
        return a.strides[wrap_dim(dim, a.ndim, scalar_ok=False)] // item
    return tuple([s // item for s in a.strides])


def dim(input: Tensor) -> int:
    """The number of dimensions."""
    return input._data.ndim


def numel(input: Tensor) -> int:
    """The number of elements. Example: `numel(ones(2, 3))` is 6."""
    require_tensor("numel", input)
    return input._data.size


def storage_offset(input: Tensor) -> int:
    """Where in its memory the first element lies, in elements."""
    return layout_of(input._data).offset


def is_contiguous(input: Tensor, *, memory_format: MemoryFormat = contiguous_format) -> bool:
    """Whether the elements lie in memory in the order of the dimensions, or in the order of `memory_format`."""
    a = input._data
    if memory_format in LAST:
        rank, order = LAST[memory_format]
        return a.ndim == rank and a.transpose(order).flags.c_contiguous
    return a.flags.c_contiguous


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape."""
    return input._data.shape == other._data.shape


def is_set_to(input: Tensor, tensor: Tensor) -> bool:
    """Whether two tensors look at the same memory in the same way."""
    a, b = input._data, tensor._data
    return a.shape == b.shape and a.strides == b.strides and ops.address(a) == ops.address(b)


def dim_order(input: Tensor, *, ambiguity_check: bool | list = False) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost. Example: `ones(2, 3).t().dim_order()` is `(1, 0)`."""
    sizes, strides = input._data.shape, input._data.strides
    formats = ambiguity_check if isinstance(ambiguity_check, list) else []
    if not isinstance(ambiguity_check, (bool, list)) or not all([isinstance(f, MemoryFormat) for f in formats]):
        raise TypeError("The ambiguity_check argument must be a bool or a list of memory formats.")
    if ambiguity_check is not False:
        several = 1 in sizes or any([s == t for s, t in pairwise(strides)])
        if several and sum([is_contiguous(input, memory_format=f) for f in formats]) != 1:
            raise RuntimeError("The tensor does not have unique dim order, or cannot map to exact one of the given memory formats.")
    if 0 in strides:
        if ambiguity_check:
            raise RuntimeError("The tensor does not have unique dim order.")
        return tuple(range(len(sizes)))
    return tuple(sorted(range(len(sizes)), key=lambda d: -strides[d]))


# Copies


@public
def clone(input: Tensor, *, memory_format: MemoryFormat | None = preserve_format) -> Tensor:
    """A copy in memory of its own, through which gradients flow.

    Example:
        >>> x = ones(2); y = x.clone(); y[0] = 5; x
        tensor([1., 1.])
    """
    require_tensor("clone", input)
    return duplicate(input, memory_format)


def duplicate(input: Tensor, memory_format: MemoryFormat | None) -> Tensor:
    order = copy_order(input._data, memory_format)
    return derive(ops.clone, input, ops.clone.compute(input._data, order), order)


def copy_order(a: np.ndarray, memory_format: MemoryFormat | None) -> Any:
    """How `ops.clone` should order a copy of `a` in memory."""
    if memory_format in LAST:
        rank, order = LAST[memory_format]
        if a.ndim != rank:
            raise RuntimeError(f"required rank {rank} tensor to use {memory_format.name} format")
        return order
    return "C" if memory_format is contiguous_format or 0 in a.strides else "K"


@public
def contiguous(input: Tensor, *, memory_format: MemoryFormat = contiguous_format) -> Tensor:
    """The tensor itself if its elements lie in memory in order, else a copy for which they do."""
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    if is_contiguous(input, memory_format=memory_format):
        return input
    return duplicate(input, memory_format)


@public
def detach(input: Tensor) -> Tensor:
    """The same memory without history: gradients do not flow through it, in-place changes are still noticed."""
    require_tensor("detach", input)
    return ops.share(input, input._data)


def detach_(input: Tensor) -> Tensor:
    """Forget the history of this tensor, which becomes a leaf. Raises RuntimeError for a view."""
    if input._base is not None:
        raise RuntimeError(DETACHED_VIEW)
    input._edge, input._tracked = None, False
    return input


# Any view


def target_layout(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None) -> tuple[Layout, Layout]:
    """Where a tensor looks in its storage, and where `as_strided` shall look, checked to lie inside."""
    sizes, strides = as_shape("as_strided", (tuple(size),)), as_shape("as_strided", (tuple(stride),))
    source = layout_of(input._data)
    offset = source.offset if storage_offset is None else storage_offset
    if len(sizes) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any([s < 0 for s in strides]):
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: [{', '.join(map(str, strides))}]"
        )
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    target = Layout(sizes, strides, offset)
    memory = root_memory(input._data)
    if target.extent() * input._data.itemsize > memory.nbytes:
        raise RuntimeError(
            f"setStorage: sizes {list(sizes)}, strides {list(strides)}, storage offset {offset}, and itemsize {input._data.itemsize} "
            f"requiring a storage size of {target.extent() * input._data.itemsize} are out of bounds for storage of size {memory.nbytes}"
        )
    return source, target


@public
def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """A view of the storage with these sizes, strides and offset (by default the tensor's own), all counted in elements.

    Example:
        >>> as_strided(arange(6), (2, 3), (1, 2))
        tensor([[0, 2, 4],
                [1, 3, 5]])
    """
    require_tensor("as_strided", input)
    return ops.as_strided(input, *target_layout(input, size, stride, storage_offset))


def as_subclass(input: Tensor, cls: type) -> Any:
    """A view of the tensor as an object of a subclass of Tensor, through which gradients flow."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(
            "Creating a Tensor subclass from a class that does not inherit from Tensor is not possible. Make sure your class inherits from "
            "Tensor."
        )
    y = look(ops.alias, input, input._data[...])
    y.__class__ = cls
    if cls._watched:
        watch(y)
    return y


# A tensor that changes its own shape

_renamed: dict[type, type] = {}


def in_place(node: Node) -> None:
    """Give a view's node the name that PyTorch gives it if the view took its input's place: TBackward1 for TBackward0."""
    kind = type(node)
    if kind not in _renamed:
        number = 3 if kind.__name__.startswith("Squeeze") else 1
        name = kind.__name__[:-1] + str(int(kind.__name__[-1]) + number)
        _renamed[kind] = type(name, (kind,), {"__slots__": (), "__module__": kind.__module__})
    node.__class__ = _renamed[kind]  # type: ignore[assignment]


def reseat(input: Tensor, viewed: Tensor) -> Tensor:
    """Make `input` the view of itself that `viewed` is."""
    input._data = viewed._data
    input._versions[0] += 1
    if viewed._tangents is not None:
        input._tangents = viewed._tangents
    if viewed._tracked:
        in_place(viewed._edge)
        input._edge, input._tracked = viewed._edge, True
    return input


def reseating(view: Any, name: str) -> Any:
    """`view_`: the tensor itself becomes the view."""

    @public
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_writable(self, modes.grad_enabled())
        return reseat(self, view(self, *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{view.__name__}`, of which this tensor itself becomes the result. Returns itself."
    return method


RESEATED = (views.squeeze, views.swapaxes, views.swapdims, views.t, views.transpose, views.unsqueeze, as_strided)
squeeze_, swapaxes_, swapdims_, t_, transpose_, unsqueeze_, as_strided_ = [reseating(f, f"{f.__name__}_") for f in RESEATED]


def resize_(input: Tensor, *sizes: Any, memory_format: MemoryFormat | None = None) -> Tensor:
    """Another shape for this tensor: the elements in memory are kept, further ones uninitialised. Returns itself.

    Raises RuntimeError if the tensor requires grad.
    """
    shape = as_shape("resize_", sizes)
    for n in shape:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    if input.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    a = input._data
    if a.shape != shape:
        wanted = blank(shape, a.dtype, memory_format)
        layout = Layout(shape, layout_of(wanted).strides, layout_of(a).offset)
        memory = root_memory(a)
        if layout.extent() * a.itemsize <= memory.nbytes:
            input._data = ops.window(a, shape, wanted.strides, inside=False)
        else:
            held = ops.window(a, ((memory.nbytes - layout.offset * a.itemsize) // a.itemsize,), (a.itemsize,), inside=False)
            grown = np.empty(wanted.size, a.dtype)
            grown[: held.size] = held
            input._data = np.ndarray(shape, a.dtype, grown, 0, wanted.strides)
    input._versions[0] += 1
    return input


def resize_as_(input: Tensor, the_template: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """`resize_` to the shape of another tensor."""
    require_tensor("resize_as_", the_template, "the_template")
    return resize_(input, the_template._data.shape, memory_format=memory_format)


def set_(
    input: Tensor, source: Tensor | None = None, storage_offset: int | None = None, size: Sequence[int] | None = None, stride: Any = ()
) -> Tensor:
    """Make this tensor look at the memory of `source` (nothing, if it is None), as `source` does or as the other arguments say."""
    recording = modes.grad_enabled()
    check_writable(input, recording, uniform=True)
    if hasattr(source, "untyped"):  # a storage
        source = wrap(source.untyped().bytes().view(input._data.dtype))
    if source is None:
        input._data = np.empty(0, input._data.dtype)
    else:
        if source._data.dtype != input._data.dtype:
            raise RuntimeError(
                f"Could not set tensor of type {views.input_type(source)} to a tensor of type {views.input_type(input)}"
            )
        if size is not None:
            source = as_strided(source, size, stride or layout_of(np.empty(tuple(size), bool)).strides, storage_offset)
        input._data = source._data
    input._versions[0] += 1
    if recording and input.requires_grad:
        from chainrule.autograd.function import DelayedError

        input._edge = Output(DelayedError("derivative for set_ is not implemented", 1), 0)
    return input


nelement, ndimension = numel, dim
__all__ = ["as_strided", "as_strided_", "clone", "detach", "detach_", "is_same_size", "numel", "resize_as_"]
METHODS = [
    "as_strided", "as_strided_", "as_subclass", "clone", "contiguous", "detach", "detach_", "dim", "dim_order", "is_contiguous",
    "is_same_size", "is_set_to", "ndimension", "nelement", "numel", "resize_", "resize_as_", "set_", "size", "squeeze_",
    "storage_offset", "stride", "swapaxes_", "swapdims_", "t_", "transpose_", "unsqueeze_",
]  # fmt: skip
