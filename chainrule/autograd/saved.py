"""What nodes save, under saved-tensor hooks: packed when it is saved, unpacked when it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import FREED, Node, Output
from chainrule.tensor import Tensor, adopt

MODIFIED = (
    "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot be modified by in-place "
    "operations as this can lead to unexpected side-effects. Please open an issue if you need to perform in-place operations on the input "
    "to a pack hook."
)


FREED_BEFORE = (
    "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you need to "
    "access saved variables after calling backward."
)


def packed(hook: Callable, t: Tensor) -> Any:
    """What the pack hook makes of t."""
    version, before = t._versions[0], modes.set_grad(False)
    try:
        value = hook(t)
    finally:
        modes.set_grad(before)
    if t._versions[0] != version:
        raise RuntimeError(MODIFIED)
    return value


def unpacked(entry: Any) -> Any:
    """What the unpack hook makes of an entry of `Extra.packed`: a tensor, or a tuple of them."""
    if isinstance(entry, list):
        return tuple([unpacked(e) for e in entry])
    hook, value = entry
    t = hook(value)
    if not isinstance(t, Tensor):
        raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}")
    return t


def pack_saved(node: Node, op: Any, inputs: Sequence) -> None:
    """Pack the tensors that `node` saved with the innermost pair of hooks."""
    pack, unpack = modes.local.saved_hooks[-1]
    entries: list = []
    for name, value in zip(node.saves, node.saved, strict=True):
        entry: Any = None
        if name in op.inputs and op.variadic is True:
            pairs = zip(value, inputs, node.edges, strict=True)
            entry = [(unpack, packed(pack, as_saved(t, a, e))) for a, t, e in pairs]
        elif name in op.inputs:
            i = op.inputs.index(name)
            if isinstance(value, np.ndarray) and isinstance(inputs[i], Tensor):
                entry = (unpack, packed(pack, as_saved(inputs[i], value, node.edges[i])))
        elif name in op.outputs and isinstance(value, np.ndarray):
            entry = (unpack, packed(pack, as_saved(None, value, Output(node, op.outputs.index(name)) if node.width else node)))
        entries.append(entry)
    if any([e is not None for e in entries]):
        node.saved = tuple([v if e is None else None for v, e in zip(node.saved, entries, strict=True)])
        node.guards = ()
        node.ensure_extra().packed = entries


def as_saved(t: Any, array: np.ndarray, edge: Any) -> Tensor:
    """A saved array as the tensor that a pack hook gets: a leaf itself, of others an alias."""
    if edge is t and t is not None:
        return t
    alias = adopt(Tensor, array)
    alias._edge, alias._tracked = edge, edge is not None
    return alias


class SavedTensor:
    """One of the tensors that a node saved (`grad_fn._raw_saved_self`), for hooks of its own."""

    __slots__ = ("node", "index")

    def __init__(self, node: Node, index: int) -> None:
        self.node, self.index = node, index

    def register_hooks(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        """Pack the tensor now; `unpack_hook` must give it back when it is read. RuntimeError if it has hooks already, or is gone."""
        node, index = self.node, self.index
        if node.saved is FREED:
            raise RuntimeError(FREED_BEFORE)
        entries = node.extra.packed if node.extra is not None else None
        if entries is not None and entries[index] is not None:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is "
                "allowed at a time."
            )
        if node.saved[index] is None:
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        value = packed(pack_hook, node.unpack(True)[index])
        entries = entries or [None] * len(node.saves)
        entries[index] = (unpack_hook, value)
        node.saved = tuple([None if i == index else v for i, v in enumerate(node.saved)])
        node.guards = ()
        node.ensure_extra().packed = entries
