"""The backward pass: cotangents flow from the roots to the leaves, latest node first.

A node recorded later never feeds one recorded earlier, so taking the pending node with the highest sequence number runs each
node once, with its whole cotangent. Cotangents are plain arrays, and so are the values that formulas read; under
`create_graph` they are Tensors, and the same formulas record themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from itertools import count
from sys import getrefcount
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import FREED, SECOND_BACKWARD, AccumulateGrad, Node, Output
from chainrule.tensor import Tensor, wrap

ndarray = np.ndarray
next_pass = count().__next__


def run(roots: Sequence, cotangents: Sequence, keep: bool, create: bool, targets: Sequence | None = None, accumulate_targets: bool = False) -> list:
    """Send `cotangents` (Tensors) back from the edges `roots`.

    Without `targets` every leaf on the way accumulates into its `.grad`. With `targets` (edges) only what leads to them runs,
    and their cotangents are returned (None where nothing arrived), or accumulated if `accumulate_targets`.
    """
    needed, captured, wanted = None, {}, {}
    if targets is not None:
        needed = leading_to(roots, targets)
        for edge in targets:
            target, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
            wanted.setdefault(target, set()).add(index)
    pending: dict = {}
    heap: list = []
    local = modes.local
    before = local.grad, local.create_graph
    modes.set_grad(create)
    local.create_graph = create
    anomaly = local.anomaly
    # The roots stand as the edges of a node that has just run.
    edges: Sequence = roots
    grads: Any = [c if create or c is None else c._data for c in cotangents]
    del cotangents
    try:
        while True:
            # The latest node that this round reached; if nothing in the heap is later, it runs next without passing through there.
            following = following_g = None
            for edge, g in zip(edges, grads):  # noqa: B905  lengths agree by construction
                if edge is None:
                    continue
                if isinstance(edge, Node):
                    if needed is not None and edge not in needed:
                        continue
                    if edge is following:
                        following_g = g if following_g is None else following_g if g is None else following_g + g
                    elif edge in pending:
                        old = pending[edge]
                        pending[edge] = g if old is None else old if g is None else old + g
                    elif following is None:
                        following, following_g = edge, g
                    elif edge.sequence > following.sequence:
                        pending[following] = following_g
                        heappush(heap, (-following.sequence, following))
                        following, following_g = edge, g
                    else:
                        pending[edge] = g
                        heappush(heap, (-edge.sequence, edge))
                elif type(edge) is Output:
                    if needed is None or edge.node in needed:
                        send_output(edge, g, pending, heap)
                elif g is not None:
                    if needed is not None:
                        if edge in wanted:
                            captured[edge, 0] = captured[edge, 0] + g if (edge, 0) in captured else g
                    elif edge._grad is None and not create and edge._hooks is None and edge._leaf_hooks is None:
                        # Nobody else holds this array (our name, the tuple, the argument): it becomes the gradient as it is.
                        if g.__class__ is not ndarray or g.base is not None or getrefcount(g) > 3 or not g.flags.c_contiguous:
                            g = np.array(g, order="K")
                        edge._grad = wrap(g)
                    else:
                        deliver(edge, g, create)
            g = grads = None
            if following is None:
                if not heap:
                    break
                node = heappop(heap)[1]
                g = pending.pop(node)
            elif heap and -heap[0][0] > following.sequence:
                node = heapreplace(heap, (-following.sequence, following))[1]
                pending[following] = following_g
                g = pending.pop(node)
            else:
                node, g = following, following_g
            following = following_g = old = None
            edges = node.edges
            extra = node.extra
            if extra is not None and (extra.tensor_hooks or extra.retain or extra.pre_hooks):
                g = before_node(node, g, create)
            if node in wanted:
                for index in wanted[node]:
                    captured[node, index] = g[index] if node.width else g
                if not needed[node]:  # type: ignore[index]
                    edges = grads = ()
                    continue
            if node.width and not node.optional_cotangents:
                g = node.materialize(g, create)
            saved = node.saved
            if saved:
                if saved is FREED:
                    raise RuntimeError(SECOND_BACKWARD)
                guards = node.guards
                if create or extra is not None or (guards and (guards[0][0] != guards[1] or len(guards) > 2)):
                    saved = node.unpack(create)
                if not keep and not node.tensor_level:
                    node.release()
            if anomaly or node.tensor_level or (extra is not None and extra.post_hooks):
                grads = run_guarded(node, g, saved, create)
                if not keep:
                    node.release()
            elif g is None:
                grads = (None,) * len(edges)
            else:
                grads = node.vjp(g, saved)
            saved = None
    finally:
        modes.set_grad(before[0])
        local.create_graph = before[1]
    if targets is None:
        return []
    results = [captured.get((e.node, e.index) if type(e) is Output else (e, 0)) for e in targets]
    if accumulate_targets:
        for edge, g in zip(targets, results, strict=True):
            if g is not None:
                accumulate_captured(edge, g, create)
        return []
    return results


def send_output(edge: Output, g: Any, pending: dict, heap: list) -> None:
    """Deliver to one output of a node that has several: its cotangents wait in a list."""
    node, index = edge.node, edge.index
    slots = pending.get(node)
    if slots is None:
        slots = pending[node] = [None] * node.width
        heappush(heap, (-node.sequence, node))
    old = slots[index]
    slots[index] = g if old is None else old if g is None else old + g


def accumulate(leaf: Any, g: Any) -> None:
    """Add the cotangent `g` (an array, or a Tensor under create_graph) to `leaf.grad`."""
    if isinstance(g, Tensor):
        if modes.local.create_graph:
            leaf._grad = g.clone() if leaf._grad is None else leaf._grad + g
            return
        g = g._data
    if leaf._grad is None:
        leaf._grad = wrap(np.array(g))
    else:
        add_to_grad(leaf, g)


def add_to_grad(leaf: Any, g: Any) -> None:
    """In place, as PyTorch does, so that whoever holds the gradient sees it grow."""
    grad = leaf._grad
    if grad._edge is not None or grad._tracked:  # made under create_graph: leave its history alone
        leaf._grad = wrap(grad._data + g)
        return
    np.add(grad._data, g, out=grad._data)
    grad._versions[0] += 1


def deliver(leaf: Any, g: Any, create: bool) -> None:
    """Add a cotangent to a leaf's `.grad`, with the leaf's hooks."""
    if leaf._hooks is None and leaf._leaf_hooks is None:
        accumulate(leaf, g)
        return
    g = run_leaf_hooks(leaf, g, create)
    extra = leaf._leaf_hooks
    if extra is None:
        accumulate(leaf, g)
        return
    for hook in list(extra.pre_hooks.values()):
        result = hook((as_tensor(g),))
        g = result[0] if isinstance(result, tuple) else g if result is None else result
    accumulate(leaf, g)
    for hook in list(extra.post_hooks.values()):
        hook((), (as_tensor(g),))
    for hook in list(extra.tensor_hooks.get(-1, {}).values()):  # post-accumulate hooks
        hook(leaf)


def run_leaf_hooks(leaf: Any, g: Any, create: bool) -> Any:
    if leaf._hooks:
        g = as_tensor(g)
        for hook in list(leaf._hooks.values()):
            result = hook(g)
            if result is not None:
                g = check_replacement(result, g)
        if not create:
            g = g._data
    return g


def accumulate_captured(edge: Any, g: Any, create: bool) -> None:
    """`backward(inputs=...)`: the cotangent of an input goes to its `.grad`."""
    if isinstance(edge, Tensor):
        deliver(edge, g, create)
        return
    node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
    reference = node.extra and node.extra.retain.get(index)
    tensor = reference and reference()
    if tensor is not None and tensor._grad is None:
        tensor._grad = as_tensor(g)


def leading_to(roots: Sequence, targets: Sequence) -> dict:
    """The nodes between roots and targets; the value tells whether a node must run (False: only its cotangent is wanted)."""
    goal = {e.node if type(e) is Output else e for e in targets}
    nodes: dict = {}
    stack = [e.node if type(e) is Output else e for e in roots if e is not None]
    while stack:
        node = stack.pop()
        if node in nodes or not isinstance(node, Node):
            continue
        nodes[node] = [e.node if type(e) is Output else e for e in node.edges if e is not None]
        stack.extend(nodes[node])
    needed: dict = {}
    for node in sorted(nodes, key=lambda n: n.sequence):  # inputs before what uses them
        runs = any(child in goal or child in needed for child in nodes[node])
        if runs or node in goal:
            needed[node] = runs
    return needed


def before_node(node: Node, g: Any, create: bool) -> Any:
    """Tensor hooks, retained gradients and pre-hooks, on Tensors."""
    extra = node.extra
    grads = list(g) if node.width else [g]
    for index in sorted({*extra.tensor_hooks, *extra.retain}):
        if grads[index] is None:
            continue
        value = as_tensor(grads[index])
        for hook in list(extra.tensor_hooks.get(index, {}).values()):
            result = hook(value)
            if result is not None:
                value = check_replacement(result, value)
        reference = extra.retain.get(index)
        tensor = reference and reference()
        if tensor is not None:
            if tensor._grad is None:
                tensor._grad = value if create else wrap(np.array(value._data))
            else:
                tensor._grad = tensor._grad + value
        grads[index] = value
    if extra.pre_hooks:
        for hook in list(extra.pre_hooks.values()):
            result = hook(tuple([None if v is None else as_tensor(v) for v in grads]))
            if result is not None:
                grads = list(result) if isinstance(result, tuple) else [result]
    grads = [v if v is None or create or not isinstance(v, Tensor) else v._data for v in grads]
    return grads if node.width else grads[0]


def check_replacement(new: Any, old: Any) -> Any:
    if not isinstance(new, Tensor):
        raise TypeError(f"hook returned {type(new).__name__}; a gradient hook returns a Tensor or None")
    if new.shape != old.shape:
        raise RuntimeError(f"hook '<unknown>' has changed the size of value: from {list(old.shape)} to {list(new.shape)}")
    if new.dtype is not old.dtype:
        raise RuntimeError(f"hook '<unknown>' has changed the type of value (was torch.{old.dtype.name}, got torch.{new.dtype.name})")
    return new


def run_guarded(node: Node, g: Any, saved: Any, create: bool) -> tuple:
    """Run a node that wants Tensors, has post-hooks, or is watched by anomaly mode."""
    outputs = tuple([None if v is None else as_tensor(v) for v in (g if node.width else (g,))])
    before, modes.local.running = modes.local.running, node
    try:
        if node.tensor_level:
            grads = node.vjp(outputs if node.width else outputs[0], saved)
        elif all(v is None for v in outputs):
            grads = (None,) * len(node.edges)
        else:
            grads = node.vjp(g, saved)
    except Exception:
        if modes.local.anomaly:
            warn_of_forward(node)
        raise
    finally:
        modes.local.running = before
    if node.extra is not None:
        for hook in list(node.extra.post_hooks.values()):
            result = hook(tuple([None if v is None else as_tensor(v) for v in grads]), outputs)
            if result is not None:
                grads = result if isinstance(result, tuple) else (result,)
    if modes.local.anomaly and modes.local.check_nan:
        for i, v in enumerate(grads):
            array = v._data if isinstance(v, Tensor) else v
            if array is not None and np.isnan(array).any():
                warn_of_forward(node)
                raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")
    return tuple([v if create or not isinstance(v, Tensor) else v._data for v in grads])


def warn_of_forward(node: Node) -> None:
    """Anomaly mode: show where the failing node was made, and where the nodes that led to it were."""
    trace = node.extra and node.extra.metadata.get("traceback_")
    if not trace:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during forward pass for more information.",
            stacklevel=2,
        )
        return
    warnings.warn(f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{''.join(trace)}", stacklevel=2)
    parent = node.extra.metadata.get("parent_")
    while parent is not None:
        trace = parent.extra and parent.extra.metadata.get("traceback_")
        warnings.warn(
            f"\n\nPrevious calculation was induced by {parent.name()}. Traceback of forward call that induced the previous calculation:\n{''.join(trace or ())}",
            stacklevel=2,
        )
        parent = parent.extra and parent.extra.metadata.get("parent_")


def as_tensor(g: Any) -> Any:
    return g if isinstance(g, Tensor) else wrap(np.asarray(g))


def call_node(node: Node, grads: tuple) -> Any:
    """`node(*grads)`: one node's vjp on Tensors, recorded if gradients are on."""
    if isinstance(node, AccumulateGrad):
        accumulate(node.variable, grads[0])
        return None
    if node.saved is FREED:
        raise RuntimeError(SECOND_BACKWARD)
    result = node.vjp(list(grads) if node.width else grads[0], node.unpack(True))
    return result[0] if len(result) == 1 else tuple(result)
