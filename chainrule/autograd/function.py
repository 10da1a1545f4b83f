"""Custom functions: `Function`, whose forward and backward the user writes, and the `ctx` that they share.

Three objects meet here. The class that the user derives from `Function`; the `ctx`, which carries what forward wants to tell
backward; and the node of the graph, which owns the ctx and shows its attributes. The ctx knows its node only weakly, and an
output that it saved only as an array, so nothing refers in a circle.
"""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import FREED, SECOND_BACKWARD, Node, Output, next_sequence
from chainrule.autograd.saved import packed, unpacked
from chainrule.autograd.views import rebase
from chainrule.ops.inplace import LEAF_VIEW
from chainrule.ops.primitive import INEXACT, changed_in_place, edge_of, mark_view, note_forward, with_edge
from chainrule.tensor import Tensor, adopt, wrap

DIRTY_LEAF = "a leaf Variable that requires grad has been used in an in-place operation."
DIRTY_VIEW = (
    "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more than one Tensor. This "
    "is not supported by the current autograd engine. You should either make sure the input is not a view (using .clone() for example) or "
    "make your Function only return one Tensor (potentially splitting it into two Functions: one doing the inplace that returns a "
    "single Tensor "
    "and a second one that does the other operations). You can ask on the forum https://discuss.pytorch.org/ if you need help to do this "
    "change."
)
DIRTY_LOST = (
    "Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified inplace must all be "
    "outputs of the Function."
)
SAVED_AS_IS = (
    "An input that has been returned as-is as output is being saved for backward. This is not supported if you override setup_context. You "
    "should return and save a view of the input instead, e.g. with x.view_as(x) or setup ctx inside the forward function itself."
)


EXPLAINED = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"
NEEDS_SETUP = (
    "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must override the setup_context "
    f"staticmethod. {EXPLAINED}"
)
READ_ONCE = (
    "saved_tensors can only be accessed once when clear_saved_tensors_on_access=True is set on the autograd.Function. Either access "
    "saved_tensors only once, or set clear_saved_tensors_on_access=False."
)
READ = object()  # stands where saved tensors stood, once they have been read, if they may be read once


class FunctionCtx:
    """What forward leaves for backward: saved tensors, marks on inputs and outputs, and any attribute that it likes to set."""

    needs_input_grad: tuple[bool, ...] = ()
    materialize_grads = True
    to_save: tuple = ()
    dirty_tensors: tuple = ()
    non_differentiable: tuple = ()
    saved_for_forward: tuple | None = None
    _kept: Any = ()
    _node: Any = None  # weak reference
    _clears = False

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or intermediate tensors for backward, where `ctx.saved_tensors` gives them; None is allowed."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `jvp`, where `ctx.saved_tensors` gives them."""
        for t in tensors:
            if not isinstance(t, Tensor) and t is not None:
                raise AssertionError(
                    "save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes on ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which inputs forward changed in place; it must return them."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which outputs have no gradient; backward gets zeros for them."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (True, the default) or None for an output that nobody used."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple:
        """What `save_for_backward` kept, after checking that it is still there and unchanged; in `jvp`, what `save_for_forward` did."""
        if self.saved_for_forward is not None:
            return self.saved_for_forward
        if self._kept is FREED:
            raise RuntimeError(SECOND_BACKWARD)
        if self._kept is READ:
            raise RuntimeError(READ_ONCE)
        node = self._node and self._node()
        tensors = tuple([None if s is None else s.unpack(node) for s in self._kept])
        if self._clears:
            self._kept = READ
        return tensors

    @property
    def saved_variables(self) -> tuple:
        warnings.warn("'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2)
        return self.saved_tensors

    def __getattr__(self, name: str) -> Any:
        node = None if name.startswith("__") else self._node and self._node()
        if node is None or not hasattr(type(node), name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(node, name)


class Saved:
    """A tensor that a ctx keeps: its array, where it came from, and the version it had."""

    __slots__ = ("tensor", "index", "version", "unpack_hook", "packed", "edge")

    def __init__(self, t: Tensor, index: int | None) -> None:
        """`index` tells which output of the node t is, None if none: then its history can be kept without a circle."""
        self.index, self.version, self.unpack_hook, self.packed = index, t._versions[0], None, None
        is_leaf = index is None and edge_of(t) in (None, t)
        self.tensor: Any = t if is_leaf else alias(t, None if index is not None else edge_of(t))
        if modes.state.busy and modes.local.saved_hooks:
            pack, self.unpack_hook = modes.local.saved_hooks[-1]
            self.packed = packed(pack, self.tensor)
            self.edge = None if index is not None else edge_of(t)
            self.tensor = None

    def unpack(self, node: Node | None) -> Tensor:
        t = self.tensor
        if self.unpack_hook is not None:
            t = unpacked((self.unpack_hook, self.packed))
            if self.index is None:
                return with_edge(t, self.edge)
        elif t._versions[0] != self.version:
            origin = t._edge if self.index is None else Output(node, self.index)  # type: ignore[arg-type]
            raise changed_in_place(t._data, origin, t._versions[0], self.version)
        return t if self.index is None or node is None else alias(t, Output(node, self.index))


def alias(t: Tensor, edge: Any) -> Tensor:
    """The same memory and version counter with `edge` for a history."""
    new = adopt(Tensor, t._data)
    new._versions, new._edge, new._tracked = t._versions, edge, edge is not None
    new._epoch = t._versions[1]
    if t._tangents is not None:
        from chainrule.autograd.forward_ad import revive, tangents_of

        revive(new, tangents_of(t))
    return new


class BackwardCFunction(Node):
    """The node of a custom function; what it does not have it looks up in its ctx, as `grad_fn.saved_tensors`."""

    __slots__ = ("ctx", "width", "inputs", "outputs")
    tensor_level = True
    optional_cotangents = True
    _forward_cls: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "ctx"), name)

    def apply(self, *grads: Any) -> Any:
        """Run this node by hand."""
        return self(*grads)

    def release(self) -> None:
        self.ctx._kept = FREED

    def vjp(self, g: Any, saved: Any) -> tuple:
        cls, ctx = self._forward_cls, self.ctx
        if ctx.materialize_grads:
            g = [
                v if v is not None or o is None else wrap(np.zeros(*o)) for v, o in zip(g, self.outputs, strict=True)
            ]
        if cls.vjp is not Function.vjp and cls.backward is not Function.backward:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of them."
            )
        backward = cls.vjp if cls.vjp is not Function.vjp else cls.backward
        grads = backward(ctx, list(g)) if cls.boxed_grads_call else backward(ctx, *g)
        return self.check(grads if isinstance(grads, tuple) else (grads,))

    def check(self, grads: tuple) -> tuple:
        """The gradients of the tensor inputs, in their shapes and types."""
        name, count = type(self).__name__, len(self.inputs)
        if len(grads) > count and all([v is None for v in grads[count:]]):
            grads = grads[:count]
        if len(grads) != count:
            raise RuntimeError(f"function {name} returned an incorrect number of gradients (expected {count}, got {len(grads)})")
        kept: list = []
        for i, (v, made) in enumerate(zip(grads, self.inputs, strict=True)):
            if made is None:
                if v is not None:
                    raise RuntimeError(
                        f"function {name} returned a gradient different than None at position {i + 1}, but the corresponding forward input "
                        "was not a Variable"
                    )
                continue
            if v is not None and not isinstance(v, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(v).__name__})")
            kept.append(None if v is None else v if self.edges[len(kept)] is None else fitted(v, made[0], made[1], name, len(kept)))
        return tuple(kept)


def fitted(g: Tensor, shape: tuple, dtype: np.dtype, name: str, i: int) -> Tensor:
    """A gradient in the shape and type of its input: broadcast dimensions summed, floats cast."""
    if g._data.shape != shape:
        try:
            fits = np.broadcast_shapes(g._data.shape, shape) == g._data.shape
        except ValueError:
            fits = False
        if not fits:
            raise RuntimeError(
                f"Function {name} returned an invalid gradient at index {i} - got {list(g.shape)} but expected shape compatible with "
                f"{list(shape)}"
            )
        from chainrule.ops.reduce import sum_to

        g = sum_to(g, shape)
    if g._data.dtype != dtype:
        if (g._data.dtype.kind == "c") != (dtype.kind == "c"):
            raise RuntimeError(
                "Expected isFloatingType(grad.scalar_type()) || (input_is_complex == grad_is_complex) to be true, but got false.  "
                "(Could this error message be improved?  If so, please report an enhancement request to PyTorch.)"
            )
        from chainrule._core.dtypes import BY_NUMPY
        from chainrule.ops.shape import cast

        g = cast(g, BY_NUMPY[dtype])
    return g


class FunctionMeta(type):
    """Gives each Function its node and ctx classes, named as PyTorch names them."""

    def __init__(cls, name: str, bases: tuple, namespace: dict) -> None:
        super().__init__(name, bases, namespace)
        node = {"__slots__": (), "_forward_cls": cls, "__module__": "torch.autograd.function"}
        cls._backward_cls = type(f"{name}Backward", (BackwardCFunction,), node)
        cls._ctx_cls = type(f"{name}Backward", (FunctionCtx,), {"_forward_cls": cls, "__module__": "torch.autograd.function"})


class Function(metaclass=FunctionMeta):
    """A differentiable function of your own: derive from this, write `forward` and `backward` as static methods, call `apply`.

    Example:
        >>> class Cube(Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x ** 3
        ...     @staticmethod
        ...     def backward(ctx, g):
        ...         x, = ctx.saved_tensors
        ...         return 3 * x ** 2 * g
        >>> x = tensor(2., requires_grad=True)
        >>> Cube.apply(x).backward(); x.grad
        tensor(12.)
    """

    _backward_cls: Any
    _ctx_cls: Any
    generate_vmap_rule = False
    clear_saved_tensors_on_access = False  # whether `ctx.saved_tensors` can be read once only
    boxed_grads_call = False  # whether backward gets its gradients as one list, which it may empty

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{self.__class__} should not be instantiated. Methods on autograd functions are all static, so you should invoke them on the "
            "class itself. Instantiating an autograd function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function with static "
            "forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """`forward(ctx, *inputs)`, or `forward(*inputs)` if `setup_context` is written too: the outputs, one or a tuple."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> Any:
        """Fill ctx after a `forward` that does not take it."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of all of forward's inputs (None for those without one), given those of its outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the outputs, given those of the inputs (None for those without one)."""
        raise NotImplementedError("You must implement the jvp function for custom autograd.Function to use it with forward mode AD.")

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *args: Any) -> Any:
        """The function on batches, for vmap."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward on `args` and record the call, if an input requires grad."""
        own_setup = cls.setup_context is not Function.setup_context
        if own_setup:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        elif kwargs:
            bound = inspect.signature(cls.forward).bind(None, *args, **kwargs)
            args, kwargs = bound.args[1:], bound.kwargs
        if modes.local.transforms:
            if not own_setup:
                raise RuntimeError(NEEDS_SETUP)
            if modes.state.levels:
                from chainrule.func.functions import applied

                done, value, args = applied(cls, args)
                if done:
                    return value
        ctx = cls._ctx_cls()
        sequence = next_sequence()
        edges = [edge_of(a) for a in args if isinstance(a, Tensor)]
        ctx.needs_input_grad = tuple([isinstance(a, Tensor) and a._tracked for a in args])
        recording = modes.grad_enabled() and any([e is not None for e in edges])
        level, modes.local.dual_level = modes.local.dual_level, -1
        before = modes.set_grad(False)
        try:
            if own_setup:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        finally:
            modes.set_grad(before)
            modes.local.dual_level = level
        outputs = result if isinstance(result, tuple) else (result,)
        node = None
        if recording:
            node = object.__new__(cls._backward_cls)
            node.edges, node.saved, node.guards, node.fix, node.extra = tuple(edges), (), (), None, None
            node.sequence, node.ctx, node.width = sequence, ctx, len(outputs)
            node.inputs = [(a._data.shape, a._data.dtype) if isinstance(a, Tensor) else None for a in args]
            ctx._node, ctx._clears = weakref.ref(node), cls.clear_saved_tensors_on_access
        made = link(ctx, node, args, outputs, own_setup)
        if level >= 0:
            from chainrule.autograd.pushforward import push_function

            push_function(cls, ctx, args, made)
        if node is not None:
            node.outputs = [(t._data.shape, t._data.dtype) if isinstance(t, Tensor) else None for t in made]
            ctx._kept = keep(ctx.to_save, made)
            if modes.local.anomaly:
                note_forward(node)
        for name in ("to_save", "dirty_tensors", "non_differentiable", "saved_for_forward"):
            ctx.__dict__.pop(name, None)
        return tuple(made) if isinstance(result, tuple) else made[0]


def keep(tensors: tuple, outputs: list) -> tuple:
    """What a ctx was asked to save, in a form that does not refer to outputs."""
    if not isinstance(tensors, tuple):
        raise TypeError("saved tensors must be given to save_for_backward as separate arguments")
    kept: list = []
    for i, t in enumerate(tensors):
        if t is not None and not isinstance(t, Tensor):
            raise TypeError(f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}")
        index = next((k for k, o in enumerate(outputs) if o is t), None)
        kept.append(None if t is None else Saved(t, index if index is not None and t._edge is not None else None))
    return tuple(kept)


def link(ctx: Any, node: Node | None, args: tuple, outputs: tuple, own_setup: bool) -> list:
    """The outputs with `node` as their history."""
    made: list = []
    dirty, constant = ctx.dirty_tensors, ctx.non_differentiable
    several = sum([isinstance(t, Tensor) for t in outputs]) > 1
    if any([not is_among(t, outputs) for t in dirty]):
        raise RuntimeError(DIRTY_LOST)
    for t in dirty:
        if not is_among(t, args):
            warnings.warn(
                "ctx.mark_dirty() received a tensor that was not an input. Only input Tensors that have been mutated should be passed to "
                "ctx.mark_dirty().",
                stacklevel=3,
            )
    for i, t in enumerate(outputs):
        if not isinstance(t, Tensor):
            made.append(t)
            continue
        is_input, is_dirty = is_among(t, args), is_among(t, dirty)
        edge = None if node is None or is_among(t, constant) or t._data.dtype not in INEXACT else Output(node, i)
        if is_input and is_dirty:
            mark_changed(t, edge, several)
        elif is_input:
            if edge is not None and own_setup and is_among(t, ctx.to_save):
                raise RuntimeError(SAVED_AS_IS)
            source, t = t, alias(t, edge)
            mark_view(t, source, False, True)
            t._restriction = "custom"
        else:
            if t._base is not None and edge is not None:
                t._epoch = t._versions[1]
                t._restriction = "multiple" if several else "custom"
            t._edge, t._tracked = edge, edge is not None
        made.append(t)
    return made


def mark_changed(t: Tensor, edge: Any, several: bool) -> None:
    """An input that forward changed in place gets a new history."""
    base = t._base
    if edge is not None:
        if base is None and t._tracked and t._edge is None:
            raise RuntimeError(DIRTY_LEAF)
        if base is not None and base._tracked and base._edge is None:
            raise RuntimeError(LEAF_VIEW)
        if base is not None and several:
            raise RuntimeError(DIRTY_VIEW)
    t._versions[0] += 1
    if edge is not None:
        rebase(t, edge)


def is_among(t: Any, tensors: tuple) -> bool:
    return any([t is v for v in tensors])


class DelayedError(Node):
    """A node that refuses to be differentiated."""

    __slots__ = ("message", "width")
    optional_cotangents = True
    tensor_level = True

    def __init__(self, message: str, width: int) -> None:
        super().__init__()
        self.message, self.width = message, width

    def vjp(self, g: Any, saved: Any) -> tuple:
        raise RuntimeError(self.message)


def once_differentiable(fn: Callable) -> Callable:
    """Decorate a `backward` that cannot be differentiated itself (it leaves tensors, say): doing so then raises RuntimeError."""

    @wraps(fn)
    def wrapper(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        enabled = modes.set_grad(False)
        try:
            outputs = fn(ctx, *args, **kwargs)
        finally:
            modes.set_grad(enabled)
        if not enabled or not any([isinstance(a, Tensor) and a.requires_grad for a in args]):
            return outputs
        many = outputs if isinstance(outputs, tuple) else (outputs,)
        node = DelayedError("trying to differentiate twice a function that was marked with @once_differentiable", len(many))
        aliases = tuple([alias(t, Output(node, i)) if isinstance(t, Tensor) else t for i, t in enumerate(many)])
        return aliases if isinstance(outputs, tuple) else aliases[0]

    return wrapper


class InplaceFunction(Function):
    """Kept for old code; use `Function`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace
