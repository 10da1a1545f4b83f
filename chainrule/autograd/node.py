"""The nodes of the graph: what an op leaves behind so that a cotangent can go back through it.

A node holds its edges (where its inputs came from), what its rule saved, and the versions those arrays had. An edge is

- a `Node`, for an input that some op made (its only output),
- an `Output`, for one of several outputs of a node,
- the leaf tensor itself, whose `.grad` will receive the cotangent (PyTorch's AccumulateGrad node, made only when looked at),
- None, for an input that needs no gradient.

Nothing here refers to the tensors that ops return, so a graph has no cycles: it goes when the last tensor that needs it goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

next_sequence = count().__next__
FREED = object()  # stands where saved values stood, once backward has used them

QUALIFIED = "AccumulateGrad", "CopyBackwards", "CopySlices"  # PyTorch says the namespace of these

SECOND_BACKWARD = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). "
    "Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you "
    "need to backward through the graph a second time or if you need to access saved tensors after calling backward."
)


class Extra:
    """What few nodes have: hooks, metadata, the forward traceback of anomaly mode."""

    __slots__ = ("pre_hooks", "post_hooks", "tensor_hooks", "retain", "metadata", "packed", "tangents", "grad_dtype", "__weakref__")

    def __init__(self) -> None:
        self.pre_hooks: OrderedDict = OrderedDict()
        self.post_hooks: OrderedDict = OrderedDict()
        self.tensor_hooks: dict[int, OrderedDict] = {}  # by output number
        self.retain: dict[int, Any] = {}  # output number -> weak reference to the tensor whose .grad is kept
        self.metadata: dict = {}
        self.grad_dtype: Any = ()  # of a leaf, if it was set: the dtype of its gradient, or None for any
        self.tangents: list | None = None  # for each saved value, its tangents by level
        self.packed: list | None = None  # for each saved value None, or (unpack hook, packed value)


class Node:
    """One recorded operation. Subclasses, made when an op is defined, say how to go back (`vjp`)."""

    __slots__ = ("edges", "saved", "guards", "sequence", "fix", "extra", "made", "__weakref__")
    saves: tuple[str, ...] = ()  # what `saved` holds, in order
    frees = False  # whether there are inputs or outputs among it
    made: Any  # the shape of its output, for pictures; unset where there are several, or where it is the only input's
    visible: tuple[int, ...] | None = None  # which edges PyTorch's node has (None: all): not those of indices, masks and numbers
    width = 0  # the number of outputs of a node that may have several, else 0
    tensor_level = False  # whether vjp wants Tensors always (custom Functions)
    optional_cotangents = False  # whether vjp takes None for an output that nobody used

    def __init__(self) -> None:
        self.edges, self.saved, self.guards, self.fix, self.extra = (), (), (), None, None  # type: tuple, Any, tuple, Any, Any
        self.sequence = next_sequence()

    def vjp(self, g: Any, saved: Any) -> tuple:
        """The cotangents of the inputs, given the cotangent(s) of the output(s); g and saved are arrays, or Tensors."""
        raise NotImplementedError

    def unpack(self, tracked: bool) -> Any:
        """What was saved, after checking that it is still there and unchanged; as Tensors with their history if `tracked`."""
        return self.saved

    def release(self) -> None:
        """Drop what was saved; edges stay, so the graph can still be looked at. Shapes and the like may be used again."""
        if self.frees or any([holds_array(v) for v in self.saved]):
            self.saved = FREED
            if self.extra is not None:
                self.extra.packed = self.extra.tangents = None

    # What PyTorch shows of a node.

    def name(self) -> str:
        return qualified(type(self))

    @property
    def next_functions(self) -> tuple:
        return tuple([as_function(edge) for edge in self.of_visible(self.edges)])

    def of_visible(self, values: Sequence) -> Sequence:
        """Those of the values, one an edge, whose edges are shown."""
        return values if self.visible is None else [values[i] for i in self.visible]

    def outputs_shown(self) -> int:
        """The number of outputs that PyTorch's node has: trailing ones that cannot need a gradient are left out."""
        return self.width or 1

    @property
    def metadata(self) -> dict:
        return self.ensure_extra().metadata

    def _sequence_nr(self) -> int:
        return self.sequence

    def ensure_extra(self) -> Extra:
        if self.extra is None:
            self.extra = Extra()
        return self.extra

    def register_hook(self, fn: Callable) -> RemovableHandle:
        """Call `fn(grad_inputs, grad_outputs)` after this node ran; what it returns, if not None, replaces grad_inputs."""
        return RemovableHandle(self.ensure_extra().post_hooks, fn)

    def register_prehook(self, fn: Callable) -> RemovableHandle:
        """Call `fn(grad_outputs)` before this node runs; what it returns, if not None, replaces them."""
        return RemovableHandle(self.ensure_extra().pre_hooks, fn)

    def _register_hook_dict(self, hooks: dict) -> None:
        self.ensure_extra().post_hooks = OrderedDict(hooks)

    def __call__(self, *grads: Any) -> Any:
        """Run this node by hand on Tensor cotangents, as PyTorch allows."""
        from chainrule.autograd.engine import call_node

        return call_node(self, grads)


def qualified(kind: type) -> str:
    """The name of a kind of nodes, as PyTorch says it."""
    return f"torch::autograd::{kind.__name__}" if kind.__name__ in QUALIFIED else kind.__name__


def holds_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (isinstance(value, (tuple, list)) and any([holds_array(v) for v in value]))


class Output:
    """An edge to one output of a node that has several."""

    __slots__ = ("node", "index")

    def __init__(self, node: Node, index: int) -> None:
        self.node, self.index = node, index


class AccumulateGrad(Node):
    """The view of a leaf as a node: `next_functions` shows it, edges hold the leaf itself."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any) -> None:
        super().__init__()
        self.variable, self.extra = variable, variable._leaf_extra()
        self.sequence = 2**64 - 1

    def vjp(self, g: Any, saved: Any) -> tuple:
        from chainrule.autograd.engine import accumulate

        accumulate(self.variable, g)
        return ()


def as_function(edge: Any) -> tuple[Any, int]:
    """An edge as PyTorch shows it: (node, output number)."""
    if edge is None or isinstance(edge, Node):
        return edge, 0
    if isinstance(edge, Output):
        return edge.node, edge.index
    return edge._accumulate_node(), 0


def as_edge(node: Any, index: int = 0) -> Any:
    """The inverse of `as_function`."""
    if isinstance(node, AccumulateGrad):
        return node.variable
    return Output(node, index) if node is not None and node.width else node


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook out again; also a context manager."""

    _next_id = count().__next__

    def __init__(self, hooks: dict, fn: Callable) -> None:
        self.id = RemovableHandle._next_id()
        self._hooks = hooks
        hooks[self.id] = fn

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


AccumulateGrad.__module__ = "builtins"  # where PyTorch's nodes say they are
