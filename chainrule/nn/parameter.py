"""Tensors that modules hold: `Parameter` (learned), `Buffer` (carried along), and their forms without a shape yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule._core.types import device as Device
from chainrule.functions.creation import element
from chainrule.ops.overrides import run_plain
from chainrule.tensor import Tensor, adopt, disabled_torch_function

__all__ = ["Parameter", "UninitializedParameter", "is_lazy", "Buffer", "UninitializedBuffer", "UninitializedTensorMixin"]

NO_SHAPE = (
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying to load "
    "an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their attributes."
)
NO_SHARING = (
    "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters before calling "
    "`module.share_memory()`."
)
NO_VALUE = (
    "This error happens when you are using a `LazyModule` or explicitly manipulating `torch.nn.parameter.{}` objects. When using "
    "LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions"
)
ALLOWED = frozenset((
    "__hash__", "size", "copy_", "is_complex", "is_floating_point", "half", "bfloat16", "float", "double", "char", "short", "int", "long",
    "cuda", "cpu", "to", "get_device", "empty_like",
))  # fmt: skip


def same_memory(cls: type, data: Tensor, requires_grad: bool) -> Any:
    """A leaf of class `cls` over data's memory; writes through either are counted in both."""
    t = adopt(cls, data._data)
    t._versions = data._versions
    if requires_grad and t.dtype.category < dtypes.FLOATING:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return t.requires_grad_(requires_grad) if requires_grad else t


class _Marked(type):
    """Lets a tensor of any class that carries the class's mark pass for an instance of it."""

    _mark: str | None = None

    def __instancecheck__(cls, instance: Any) -> bool:
        mark = cls.__dict__.get("_mark")
        return (mark is not None and isinstance(instance, Tensor) and getattr(instance, mark, False)) or super().__instancecheck__(instance)


class Parameter(Tensor, metaclass=_Marked):
    """A tensor that a Module learns: assigned as an attribute it appears in `module.parameters()`.

    It shares the memory of `data` and requires grad unless told otherwise.

    Example:
        >>> Parameter(ones(2))
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    __torch_function__ = classmethod(disabled_torch_function)  # type: ignore[assignment]
    _mark = "_is_param"
    _is_param = True

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Any:
        if data is None:
            return adopt(cls, np.empty(0, element(None))).requires_grad_(requires_grad)
        if type(data) is Tensor or type(data) is Parameter:
            return same_memory(cls, data, requires_grad)
        t = data.detach().requires_grad_(requires_grad)
        if type(t) is not type(data):
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {type(data).__name__} requires that detach() returns an instance of the "
                f"same type, but return type {type(t).__name__} was found instead. To use the type as a Parameter, please correct the "
                "detach() semantics defined by its __torch_dispatch__() implementation."
            )
        t._is_param = True
        return t

    def __deepcopy__(self, memo: dict) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(adopt(Tensor, self._data.copy(order="K")), self.requires_grad)
        return memo[id(self)]


class Buffer(Tensor, metaclass=_Marked):
    """A tensor that a Module carries but does not learn; in its `state_dict` unless `persistent=False`.

    Example:
        >>> m = Module()
        >>> m.count = Buffer(zeros(1)); list(m.state_dict())
        ['count']
    """

    __torch_function__ = classmethod(disabled_torch_function)  # type: ignore[assignment]
    _mark = "_is_buffer"

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = adopt(Tensor, np.empty(0, element(None)))
        t = same_memory(Tensor, data, data.requires_grad) if type(data) is Tensor else data.detach().requires_grad_(data.requires_grad)
        t.persistent, t._is_buffer = persistent, True
        return t


class UninitializedTensorMixin:
    """A parameter or buffer whose shape the first forward of a lazy module finds out; few functions take it before."""

    cls_to_become: type = Tensor

    @classmethod
    def make(cls, requires_grad: bool, device: Any, dtype: Any) -> Any:
        if device is not None:
            Device(device)
        t = adopt(cls, np.empty(0, element(dtype)))
        return t.requires_grad_(requires_grad)

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary parameter or buffer of the given shape, uninitialised."""
        self._data = np.empty(tuple(shape), self._data.dtype if dtype is None else element(dtype))
        self.__class__ = self.cls_to_become
        self._end_watch()

    @property
    def shape(self) -> Any:
        raise RuntimeError(NO_SHAPE)

    def share_memory_(self) -> Any:
        raise RuntimeError(NO_SHARING)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.requires_grad,)

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, None, self.dtype)  # type: ignore[call-arg]
        return memo[id(self)]

    @classmethod
    def __torch_function__(cls, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func.__name__ not in ALLOWED:
            raise ValueError(f"Attempted to use an uninitialized parameter in {func}. {NO_VALUE.format(cls.__name__)}")
        result = run_plain(func, args, kwargs or {})
        return cls.make(result.requires_grad, None, result.dtype) if type(result) is Tensor else result


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer still waits for its shape."""
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A Parameter whose shape is not known yet; `materialize(shape)` makes it a Parameter."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return cls.make(requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):  # type: ignore[misc]
    """A buffer whose shape is not known yet; `materialize(shape)` makes it a Tensor."""

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True) -> Any:
        t = cls.make(requires_grad, device, dtype)
        t.persistent, t._is_buffer = persistent, True
        return t
