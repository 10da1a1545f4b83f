"""The Tensor: an array, whether it is tracked, the edge to what made it, and its gradient.

Only what concerns the tensor as an object lives here. Its operators are bound from `chainrule.functions` by
`chainrule.methods`, so each is written once.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from math import nan
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule._core.types import CPU, Size, device, layout, strided
from chainrule.autograd.node import AccumulateGrad, Extra, Node, Output, RemovableHandle

NON_LEAF_GRAD = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated during "
    "autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf "
    "Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf Tensor instead. See "
    "github.com/pytorch/pytorch/pull/30531 for more information."
)


class Tensor:
    """A multi-dimensional array that remembers how it was made.

    Make one with `tensor`, `zeros`, `rand`, ...; `Tensor(2, 3)` is PyTorch's legacy constructor (uninitialised, default dtype).

    Example:
        >>> x = tensor([1., 2.], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
    """

    # _tracked and _edge of a view can be behind its base (see autograd.views.sync); `requires_grad` and `grad_fn` never are.
    __slots__ = ("_data", "_tracked", "_edge", "_versions", "_base", "_epoch", "_grad", "__weakref__", "__dict__")
    _hooks: OrderedDict | None = None  # a leaf's tensor hooks
    _leaf_hooks: Extra | None = None  # hooks on a leaf's AccumulateGrad node
    _accumulator: Any = None  # weak reference to that node, while somebody looks at it
    _inference = False
    _lent = False  # a gradient in memory that somebody else has, too
    _restriction: str | None = None  # why this view may not be changed in place
    _retains = False
    _tangents: dict | None = None
    __array_priority__ = 1000  # so that ndarray + Tensor is ours
    _watched = False  # whether ops on tensors of this class go through its __torch_function__

    @classmethod
    def __torch_function__(cls, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None) -> Any:
        """What a subclass does with a function that is called with it: run it, and give the results its class.

        A subclass that overrides this sees every call, and calls `super().__torch_function__` to let it happen; `types` are the classes
        that have a say in it.
        """
        from chainrule.ops.overrides import run_for_subclass

        return run_for_subclass(cls, func, types, args, kwargs or {})

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        from chainrule.functions.creation import legacy_tensor

        return adopt(cls, legacy_tensor(*args, **kwargs)._data)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    @staticmethod
    def _make_subclass(cls: type, data: Tensor, require_grad: bool = False) -> Any:
        """A leaf of class `cls` over the memory of `data`."""
        return adopt(cls, data._data).requires_grad_(require_grad)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._watched = getattr(cls.__torch_function__, "__func__", None) is not disabled_torch_function

    # Where and what

    @property
    def shape(self) -> Size:
        return Size(self._data.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        return dtypes.BY_NUMPY[self._data.dtype]

    @property
    def device(self) -> device:
        return CPU

    @property
    def layout(self) -> layout:
        return strided

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def itemsize(self) -> int:
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        return self._data.size * self._data.itemsize

    is_cuda = is_sparse = is_sparse_csr = is_quantized = is_meta = is_mps = is_xpu = is_xla = is_mkldnn = is_nested = is_vulkan = False
    is_ipu = is_maia = is_mtia = False
    is_cpu = True
    name = names = None

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    # Autograd

    @property
    def requires_grad(self) -> bool:
        if self._base is not None:
            sync(self)
        return self._tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError("requires_grad must be a bool")
        if value and self.dtype.category < dtypes.FLOATING:
            raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Start (or stop) recording ops on this leaf; returns itself."""
        if not isinstance(requires_grad, bool):
            raise TypeError(f"requires_grad_(): argument 'requires_grad' (position 1) must be bool, not {type(requires_grad).__name__}")
        if requires_grad and modes.local.transforms:
            raise RuntimeError(IN_TRANSFORM)
        if not self.is_leaf:
            if requires_grad:
                return self
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that "
                "doesn't require differentiation use var_no_grad = var.detach()."
            )
        if requires_grad:
            check_differentiable(self.dtype)
            if self._inference and not modes.local.inference:
                raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        self._tracked = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        if self._base is not None:
            sync(self)
        edge = self._edge
        return edge.node if type(edge) is Output else edge

    @property
    def output_nr(self) -> int:
        return self._edge.index if type(self._edge) is Output else 0

    @property
    def grad(self) -> Tensor | None:
        if self._grad is None and self._tracked and self._edge is not None and not self._retains:
            warnings.warn(NON_LEAF_GRAD, UserWarning, stacklevel=2)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            extra = self._leaf_hooks
            wanted = self.dtype if extra is None or extra.grad_dtype == () else extra.grad_dtype
            if wanted not in (None, value.dtype):
                raise RuntimeError(
                    f"attempting to assign a gradient with dtype '{dtypes.CPP[value.dtype]}' to a tensor with grad_dtype "
                    f"'{dtypes.LEGACY[wanted]}'. The gradient must match the tensor's grad_dtype (defaults to the tensor's "
                    "dtype). You can set "
                    "the tensor's grad_dtype attribute with a specific dtype, or None to allow any dtype. Set grad_dtype with "
                    "caution. Diverging the dtypes of a tensor and its gradient may break downstream systems that assume they match."
                )
            if value._data.shape != self._data.shape:
                raise RuntimeError(
                    f"attempting to assign a gradient of size '{list(value._data.shape)}' to a tensor of size '{list(self._data.shape)}'. "
                    "Please ensure that the gradient and the tensor are the same size"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def grad_dtype(self) -> dtypes.dtype | None:
        """The dtype of this leaf's gradient, its own unless it was set; None allows any."""
        if self._tracked and self._edge is not None:
            raise RuntimeError("grad_dtype can only be accessed on leaf tensors.")
        extra = self._leaf_hooks
        return self.dtype if extra is None or extra.grad_dtype == () else extra.grad_dtype

    @grad_dtype.setter
    def grad_dtype(self, value: dtypes.dtype | None) -> None:
        grad = self.grad
        if self._tracked and self._edge is not None:
            raise RuntimeError("grad_dtype can only be set on leaf tensors.")
        if value is not None and not isinstance(value, dtypes.dtype):
            raise RuntimeError(f"grad_dtype must be a torch.dtype or None, but got {type(value).__name__}")
        if value is not None and grad is not None and grad.dtype is not value:
            raise RuntimeError(
                f"Cannot set grad_dtype to '{dtypes.LEGACY[value]}' because there is already a gradient with dtype "
                f"'{dtypes.CPP[grad.dtype]}'. Please clear the gradient (.grad = None) before changing grad_dtype, or ensure the new "
                "grad_dtype matches the existing gradient's dtype."
            )
        self._leaf_extra().grad_dtype = value

    @property
    def data(self) -> Tensor:
        """The same memory without history; changes through it are not seen by autograd."""
        if modes.state.levels and modes.local.batching and self._data.__class__ is not np.ndarray:
            raise RuntimeError("accessing `data` under vmap transform is not allowed")
        return adopt(type(self) if self._watched else Tensor, self._data)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self._tracked and not value.dtype.is_floating_point and not value.dtype.is_complex:
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        self._data = value._data

    @property
    def _version(self) -> int:
        if self._inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return self._versions[0]

    def _is_view(self) -> bool:
        return self._base is not None

    def is_inference(self) -> bool:
        return self._inference

    @property
    def retains_grad(self) -> bool:
        return self._retains

    def retain_grad(self) -> None:
        """Keep this non-leaf's gradient in `.grad` too."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._edge is not None and not self._retains:
            self._retains = True
            self.grad_fn.ensure_extra().retain[self.output_nr] = weakref.ref(self)  # type: ignore[union-attr]

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(grad)` when this tensor's gradient is computed; what it returns, if not None, replaces the gradient.

        Example:
            >>> x = ones(2, requires_grad=True)
            >>> handle = x.register_hook(lambda g: 2 * g)
            >>> x.sum().backward(); x.grad
            tensor([2., 2.])
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._edge is None:
            if self._hooks is None:
                self._hooks = OrderedDict()
            return RemovableHandle(self._hooks, hook)
        return RemovableHandle(self.grad_fn.ensure_extra().tensor_hooks.setdefault(self.output_nr, OrderedDict()), hook)  # type: ignore[union-attr]

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(param)` after a backward pass has added to this leaf's `.grad`."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._edge is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return RemovableHandle(self._leaf_extra().tensor_hooks.setdefault(-1, OrderedDict()), hook)

    def _leaf_extra(self) -> Extra:
        if self._leaf_hooks is None:
            self._leaf_hooks = Extra()
        return self._leaf_hooks

    def _accumulate_node(self) -> AccumulateGrad:
        node = self._accumulator and self._accumulator()
        if node is None:
            node = AccumulateGrad(self)
            self._accumulator = weakref.ref(node)
        return node

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add d(self)/d(leaf) to every leaf's `.grad`; `gradient` (self's shape) weighs the elements of a non-scalar.

        Raises RuntimeError for a non-scalar without `gradient`, and when the graph was freed by an earlier backward.

        Example:
            >>> x = tensor(3., requires_grad=True)
            >>> (x ** 2).backward(); x.grad
            tensor(6.)
        """
        from chainrule import autograd

        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    # Values

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The memory as an ndarray, shared. `force=True` detaches first."""
        if not force and self.requires_grad and modes.grad_enabled():
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self._data.dtype == dtypes.bfloat16.numpy:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self._data if self._data.__class__ is np.ndarray else self._data.tolist()  # which says that vmap's have no memory

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy) if dtype is not None or copy else array

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(f"a Tensor with {self._data.size} elements cannot be converted to Scalar")
        value = self._data.item()
        return value if isinstance(value, (bool, int, float, complex)) else float(value)

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        data = self._data
        return data.astype(np.float32).tolist() if data.dtype == dtypes.bfloat16.numpy else data.tolist()

    def __bool__(self) -> bool:
        if self._data.size != 1:
            few = "more than one value" if self._data.size else "no values"
            raise RuntimeError(f"Boolean value of Tensor with {few} is ambiguous")
        return bool(self._data)

    def __int__(self) -> int:
        return int(self._only("int64_t"))

    def __float__(self) -> float:
        return float(self._only("double"))

    def __complex__(self) -> complex:
        return complex(self._only())

    def _only(self, real: str | None = None) -> Any:
        """The only element, for a Python number; of the C++ type `real`, if it has to be real."""
        if self._data.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        value = self.item()
        if real is not None and isinstance(value, complex):
            if value.imag:
                raise RuntimeError(f"value cannot be converted to type {real} without overflow")
            value = value.real
        return value

    def __index__(self) -> int:
        value = self.item() if self._data.size == 1 else None
        if not isinstance(value, int):
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(value)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))  # type: ignore[attr-defined]

    __hash__ = object.__hash__

    # Copies on disk and in memory

    def __deepcopy__(self, memo: dict) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "
                "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, "
                "see https://github.com/pytorch/pytorch/pull/103001"
            )
        if id(self) in memo:
            return memo[id(self)]
        import copy

        storage = root_memory(self._data)
        if id(storage) not in memo:  # views of one memory stay views of one memory
            memo[id(storage)] = storage, storage.copy(order="K")
        copied = memo[id(storage)][1]
        if storage is self._data:
            data = copied
        else:
            offset = self._data.__array_interface__["data"][0] - storage.__array_interface__["data"][0]
            data = np.ndarray(self._data.shape, self._data.dtype, copied, offset, self._data.strides)
        result = adopt(type(self), data)
        memo[id(self)] = result
        result._tracked = self._tracked
        result._grad = copy.deepcopy(self._grad, memo)
        for name, value in self.__dict__.items():
            if not name.startswith("_"):
                setattr(result, name, copy.deepcopy(value, memo))
        return result

    def __reduce_ex__(self, protocol: Any) -> tuple:
        extra = {k: v for k, v in self.__dict__.items() if not k.startswith("_")}
        return _rebuild, (type(self), np.ascontiguousarray(self._data).reshape(self._data.shape), self.requires_grad, extra)

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        from chainrule.functions.display import tensor_repr

        return tensor_repr(self)

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        if not self._data.ndim and type(self) is Tensor:
            return self.item().__format__(spec)
        return object.__format__(self, spec)


IN_TRANSFORM = (
    "You are attempting to call Tensor.requires_grad_() (or perhaps using torch.autograd.functional.* APIs) inside of a function being "
    "transformed by a functorch transform. This is unsupported, please attempt to use the functorch transforms (e.g. grad, vjp, jacrev, "
    "jacfwd, hessian) or call requires_grad_() outside of a function being transformed instead."
)
_new = object.__new__


def adopt(cls: type, data: np.ndarray) -> Any:
    """A fresh untracked tensor of type `cls` around an array, without a copy."""
    t: Any = _new(cls)
    t._data, t._tracked, t._edge, t._versions, t._base, t._grad = data, False, None, [0, 0], None, None
    if cls is not Tensor and cls._watched:
        watch(t)
    if modes.state.busy and modes.local.inference:
        t._inference = True
        t._versions[0] = nan  # a guard of it never holds, so what saved it cannot be read
    return t


def watch(t: Tensor) -> None:
    """As long as t lives, ops look for `__torch_function__`; `t._end_watch()` ends it before."""
    modes.occupy(1)
    t._end_watch = weakref.finalize(t, modes.occupy, -1)


def disabled_torch_function(cls: type, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None) -> Any:
    """The `__torch_function__` of a subclass whose results are plain Tensors, such as Parameter."""
    from chainrule.ops.overrides import run_plain

    return run_plain(func, args, kwargs or {})


def wrap(data: np.ndarray) -> Tensor:
    """A fresh untracked Tensor around an array, without a copy."""
    return adopt(Tensor, data)


def sync(view: Tensor) -> None:
    """Bring a view's history up to date when its base's was rewritten by an in-place op."""
    if view._epoch != view._versions[1]:
        from chainrule.autograd.views import regenerate

        regenerate(view)


def root_memory(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory an array looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def check_differentiable(dtype: dtypes.dtype) -> None:
    if dtype.category < dtypes.FLOATING:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")


def _rebuild(cls: type, data: np.ndarray, tracked: bool, extra: dict) -> Tensor:
    native = dtypes.BY_NUMPY[data.dtype].numpy  # an unpickled array can carry an equal dtype that is another object
    t = adopt(cls, data if data.dtype is native else data.view(native))
    t._tracked = tracked
    t.__dict__.update(extra)
    return t


Tensor.__module__ = "chainrule"
