"""Writing into tensors that exist: `op_`, `out=`, and what that does to histories."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from sys import getrefcount
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import Node, Output
from chainrule.kernels.elementwise import MANY, copy
from chainrule.ops import overrides
from chainrule.ops.pointwise_form import cast_array
from chainrule.ops.primitive import edge_of
from chainrule.tensor import Tensor, adopt, sync

WORTH = 1 << 13  # elements that are better not copied
LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
LEAF_VIEW = "a view of a leaf Variable that requires grad is being used in an in-place operation."


def check_writable(t: Tensor, recording: bool, uniform: bool = False) -> None:
    """Refuse an in-place change that autograd could not follow; `uniform`: all elements become the same."""
    if t._inference and not modes.local.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed."
            "You can make a clone to get a normal tensor before doing inplace update."
            "See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if not uniform:
        check_memory(t._data)
    if not recording:
        return
    if t._base is None:
        if t._tracked and (t._edge is None or t._restriction == "input"):
            raise RuntimeError(LEAF)
        return
    base = t._base
    if (base._edge is None or base._restriction == "input") and t.requires_grad:
        raise RuntimeError(LEAF_VIEW)
    if t._restriction is not None and (t.requires_grad or base._tracked):
        raise refusal(t, "is being modified inplace")


def refusal(view: Tensor, event: str) -> RuntimeError:
    """Why in-place changes of a view, or of what it is a view of, cannot be followed."""
    edge = view._edge
    node = edge.node if type(edge) is Output else edge
    name = node.name().rpartition("Backward")[0] if isinstance(node, Node) else ""
    if view._restriction == "custom":
        return RuntimeError(
            f"Output {view.output_nr} of {name} is a view and {event}. This view was created inside a custom Function (or because an "
            "input was returned as-is) and the autograd logic to handle view+inplace would override the custom backward associated with "
            "the custom Function, leading to incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of "
            "the custom Function."
        )
    if view._restriction == "multiple" and name:
        return RuntimeError(
            f"Output {view.output_nr} of {name} is a view and {event}. This view is the output of a function that returns multiple views. "
            "Such functions do not allow the output views to be modified inplace. You should replace the inplace operation by an "
            "out-of-place one."
        )
    why = (
        "This view is the output of a function that returns multiple views. Such functions do not allow the output views to be modified "
        "inplace. You should replace the inplace operation by an out-of-place one."
        if view._restriction == "multiple"
        else "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view "
        "and the inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or both outside (if you "
        "want the inplace to be tracked)."
    )
    return RuntimeError(f"A view was created in no_grad mode and {event} with grad mode enabled. {why}")


def check_memory(a: np.ndarray) -> None:
    """Refuse to write to an array that shows one element several times."""
    if not a.flags.writeable or (0 in a.strides and any([n > 1 and s == 0 for n, s in zip(a.shape, a.strides)])):
        if a.size > 1:
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
                "Please clone() the tensor before performing the operation."
            )


def put(data: np.ndarray, value: Any) -> None:
    """data[...] = value, large ones on all threads."""
    if data.size < MANY or np.may_share_memory(data, value):
        np.copyto(data, value)
    else:
        copy(value, data)


def overwrite(target: Tensor, result: Tensor) -> Tensor:
    """Put `result`'s values into `target`'s memory and its history in place of target's."""
    data, value = target._data, result._data
    if value.shape != data.shape:
        try:
            fits = np.broadcast_shapes(value.shape, data.shape) == data.shape
        except ValueError:
            fits = False
        if not fits:
            raise RuntimeError(f"output with shape {list(data.shape)} doesn't match the broadcast shape {list(value.shape)}")
    require_castable(result, target)
    recording = modes.grad_enabled()
    put(data, cast_array(value, data.dtype))
    target._versions[0] += 1
    if recording and (result._tracked or target.requires_grad):
        if value.dtype != data.dtype and result._tracked:
            from chainrule.ops.shape import cast

            result = cast(result, target.dtype)
        from chainrule.autograd.views import rebase

        rebase(target, edge_of(result))
    if modes.state.busy and modes.local.dual_level >= 0:
        from chainrule.autograd.pushforward import push_overwrite

        push_overwrite(target, result)
    return target


def require_castable(result: Tensor, target: Tensor) -> None:
    if result._data.dtype != target._data.dtype and not dtypes.can_cast(result.dtype, target.dtype):
        source, wanted = dtypes.LEGACY[result.dtype], dtypes.LEGACY[target.dtype]
        raise RuntimeError(f"result type {source} can't be cast to the desired output type {wanted}")


def inplace(function: Callable, name: str) -> Callable:
    """`function_`: the same function, its result written over its first argument."""

    @wraps(function)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if modes.state.busy:
            done, value = overrides.dispatch(method, (self, *args), kwargs)
            if done:
                return value
        recording = modes.grad_enabled()
        check_writable(self, recording)
        if (recording and (self.requires_grad or any([isinstance(v, Tensor) and v.requires_grad for v in args]))) or modes.local.duals:
            if self._edge is not None and self._data.size >= WORTH and alone(self):
                return exchange(self, function(snapshot(self, False), *args, **kwargs))
            return overwrite(self, function(snapshot(self), *args, **kwargs))
        return overwrite(self, function(self, *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    return method


def alone(t: Tensor) -> bool:
    """Whether nothing but t looks into its memory, so that it may as well go on in other memory."""
    if t._base is not None or modes.state.busy or t._data.__class__ is not np.ndarray or not t._data.flags.c_contiguous:
        return False
    return references(t) == LONE[0] and (t._data.base is None or (plain(t._data.base) and base_references(t) == LONE[1]))


def plain(a: Any) -> bool:
    return a.__class__ is np.ndarray and a.base is None


def references(t: Any) -> int:
    return getrefcount(t._data)


def base_references(t: Any) -> int:
    return getrefcount(t._data.base)


def lone_references() -> tuple[int, int]:
    """What these two say of an array that nobody else holds, and of one of which such an array is a view; Pythons differ."""
    t = adopt(Tensor, np.empty(2).reshape(1, 2))
    return references(t), base_references(t)


LONE = lone_references()


def exchange(target: Tensor, result: Tensor) -> Tensor:
    """`overwrite` of a target that is `alone`: result's memory becomes its own, if it is fresh, and who saved the old one keeps that."""
    data, node = target._data, result._edge
    if not (isinstance(node, Node) and fresh(result, node, data)):
        target._data = data.copy()
        return overwrite(target, result)
    from chainrule.autograd.views import rebase

    target._data = value = result._data
    versions = target._versions
    versions[0] += 1
    rebase(target, edge_of(result))
    if any([v is value for v in node.saved]):  # what changes target from now on changes what the node saved
        pairs = zip(node.guards[::2], node.guards[1::2], strict=True)
        node.guards = tuple([v for c, n in pairs for v in ((versions, versions[0]) if c is result._versions else (c, n))])
    return target


def fresh(t: Tensor, node: Node, model: np.ndarray) -> bool:
    """Whether t's array is like the model, no view, and held by nothing but t and the node that made it."""
    if t._data.__class__ is not np.ndarray or t._data.dtype is not model.dtype or t._data.shape != model.shape:
        return False
    holders = sum([v is t._data for v in node.saved])
    return t._data.base is None and t._data.flags.c_contiguous and references(t) == LONE[0] + holders


def snapshot(t: Tensor, copied: bool = True) -> Tensor:
    """t as it was before an in-place op: its values copied, so that rules may save them, and its history."""
    if t._base is not None:
        sync(t)
    old = adopt(Tensor, t._data.copy() if copied else t._data)
    old._edge, old._tracked = t._edge, t._tracked
    if modes.state.busy and modes.local.duals:
        from chainrule.autograd.pushforward import copy_tangents

        copy_tangents(t, old)
    return old


def write_out(name: str, out: Any, result: Any) -> Any:
    """`out=`: put the result(s) into the given tensor(s), which are resized if they have another shape."""
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(f"{name}(): argument 'out' must be tuple of {len(result)} Tensors, not {type(out).__name__}")
        pairs = [write_out(name, o, r) for o, r in zip(out, result, strict=True)]
        return type(result)(*pairs) if hasattr(result, "_fields") else tuple(pairs)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if modes.local.dual_level >= 0 and (result._tangents or out._tangents):
        raise NotImplementedError(f"Trying to use forward AD with {name}_out that does not support it because it is an out= function")
    if modes.grad_enabled() and (result._tracked or out.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad."
        )
    require_castable(result, out)
    if out._data.shape != result._data.shape:
        if out._data.size:
            import warnings

            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(out._data.shape)}, which does not match the "
                f"required output shape {list(result._data.shape)}. This behavior is deprecated, and in a future PyTorch release outputs "
                "will not be resized unless they have zero elements. You can explicitly reuse an out tensor t by resizing it, inplace, "
                "to zero elements with t.resize_(0).",
                UserWarning,
                stacklevel=4,
            )
        out._data = np.empty(result._data.shape, out._data.dtype)
    check_memory(out._data)
    np.copyto(out._data, cast_array(result._data, out._data.dtype))
    out._versions[0] += 1
    return out
