"""The backward pass: cotangents flow from the roots to the leaves, latest node first.

A node recorded later never feeds one recorded earlier, so taking the pending node with the highest sequence number runs each
node once, with its whole cotangent. Cotangents are plain arrays, and so are the values that formulas read; under
`create_graph` they are Tensors, and the same formulas record themselves.
"""

from __future__ import annotations

import contextvars
import threading
import warnings
from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from itertools import count
from sys import getrefcount
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule._core.dtypes import LEGACY
from chainrule._core.silence import restore, silence
from chainrule.autograd.node import FREED, SECOND_BACKWARD, AccumulateGrad, Node, Output
from chainrule.autograd.views import laid_as
from chainrule.kernels.batched import NotBatched
from chainrule.ops.primitive import as_array
from chainrule.tensor import Tensor, wrap

ndarray, add = np.ndarray, np.add
next_pass = count().__next__


def lone_references() -> int:
    """What `getrefcount` says, in a loop like that of `run`, of an array that nobody else holds; Pythons differ."""
    for _, g in zip((None,), (np.empty(1),)):
        return getrefcount(g)
    return 0


def holders_of_base(g: np.ndarray) -> int:
    """How many hold the array that g is a view of."""
    return getrefcount(g.base)


def reshaped(g: np.ndarray) -> bool:
    """Whether g is all of another array, seen in another shape."""
    base = g.base
    return base.__class__ is ndarray and base.size == g.size and base.dtype is g.dtype and base.base is None  # type: ignore[union-attr]


def whole(g: np.ndarray) -> bool:
    """Whether g is all of an array, seen in another shape perhaps, which nobody else holds."""
    return g.base is None or (reshaped(g) and holders_of_base(g) <= LONE_BASE)


def lendable(g: np.ndarray) -> bool:
    """Whether g is much of a large array that others hold, too: it can be the gradient until that grows, as in PyTorch."""
    base = g.base
    plain = base.__class__ is ndarray and base.base is None and base.dtype is g.dtype  # type: ignore[union-attr]
    return g.size >= LENT and plain and base.size <= MUCH * g.size and g.flags.c_contiguous and g.flags.writeable  # type: ignore[union-attr]


ALONE = lone_references()
LONE_BASE = holders_of_base(np.empty(2).reshape(1, 2))
LENT, MUCH = 1 << 14, 4  # elements that are worth it; how many times as many they keep alive at most
DEPTH_OF_THREAD = 40  # how many backward passes may run inside each other before the next gets a thread of its own


def run(
    roots: Sequence, cotangents: Sequence, keep: bool, create: bool, targets: Sequence | None = None, accumulate_targets: bool = False
) -> list:  # fmt: skip
    """Send `cotangents` (Tensors) back from the edges `roots`.

    Without `targets` every leaf on the way accumulates into its `.grad`. With `targets` (edges) only what leads to them runs,
    and their cotangents are returned (None where nothing arrived), or accumulated if `accumulate_targets`.
    """
    local = modes.local
    depth = local.task[-1] + 1 if local.task is not None else 0
    if depth and depth % DEPTH_OF_THREAD == 0 and threading.get_ident() == local.task[-2]:
        return in_new_thread(run, roots, cotangents, keep, create, targets, accumulate_targets)
    needed, captured, wanted = None, {}, {}
    if targets is not None:
        needed = leading_to(roots, targets)
        for edge in targets:
            target, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
            wanted.setdefault(target, set()).add(index)
    pending: dict = {}
    heap: list = []
    waiting: dict = {}  # leaves with hooks, which want their whole gradient at once
    before = local.grad, local.create_graph, local.task
    token = silence()
    modes.set_grad(create)
    local.create_graph = create
    create = create or local.dual_level >= 0  # tangents, too, need Tensors
    local.task = next_pass(), roots, needed, wanted, targets is not None and not accumulate_targets, threading.get_ident(), depth
    anomaly, profile = local.anomaly, local.profile
    watched, deliveries = anomaly or profile is not None, zip if profile is None else profile.deliveries
    # The roots stand as the edges of a node that has just run.
    edges: Sequence = roots
    grads: Any = [c if create or c is None else c._data for c in cotangents]
    del cotangents
    try:
        while True:
            # The latest node that this round reached; if nothing in the heap is later, it runs next without passing through there.
            following = following_g = None
            for edge, g in deliveries(edges, grads):
                if edge is None:
                    continue
                if isinstance(edge, Node):
                    if needed is not None and edge not in needed:
                        continue
                    if edge is following:
                        following_g = g if following_g is None else following_g if g is None else following_g + g
                    elif pending and edge in pending:
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
                elif needed is not None:
                    if g is not None and edge in wanted:
                        captured[edge, 0] = captured[edge, 0] + g if (edge, 0) in captured else g
                elif edge._hooks is not None or edge._leaf_hooks is not None:
                    gather(edge, g, create, waiting, roots)
                elif g is not None:
                    if edge._grad is None and not create:
                        # An array that nobody else holds becomes the gradient as it is.
                        lent = False
                        if g.__class__ is not ndarray or getrefcount(g) > ALONE or g.strides != edge._data.strides or not whole(g):
                            lent = g.__class__ is ndarray and g.strides == edge._data.strides and lendable(g)
                            if not lent:
                                g = laid_as.kernel(np.asarray(g), edge._data)
                        edge._grad = wrap(g)
                        if lent:
                            edge._grad._lent = True
                    elif create:
                        accumulate(edge, g)
                    else:
                        grow(edge._grad, g)
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
            if extra is not None and (extra.tensor_hooks or extra.retain):
                g = run_tensor_hooks(node, g, create)
            if wanted and node in wanted:
                for index in wanted[node]:
                    captured[node, index] = g[index] if node.width else g
                if not needed[node]:  # type: ignore[index]
                    edges = grads = ()
                    continue
            if extra is not None and extra.pre_hooks:
                g = run_pre_hooks(node, g, create)
            if node.width and not node.optional_cotangents:
                g = node.materialize(g, create)
            saved = node.saved
            if saved:
                if saved is FREED:
                    raise RuntimeError(SECOND_BACKWARD)
                guards = node.guards
                if create or extra is not None or (
                    guards and (guards[0][0] != guards[1] or (len(guards) > 2 and (guards[2][0] != guards[3] or len(guards) > 4)))
                ):  # fmt: skip
                    saved = unpack_watched(node, create) if anomaly else node.unpack(create)
                if not keep and not node.tensor_level:
                    if extra is None and node.frees:
                        node.saved = FREED
                    else:
                        node.release()
            if watched or node.tensor_level or (extra is not None and extra.post_hooks):
                grads = (run_guarded if profile is None else run_profiled)(node, g, saved, create)
                if not keep and node.tensor_level:
                    node.release()
            elif g is None:
                grads = (None,) * len(edges)
            else:
                try:
                    grads = node.vjp(g, saved)
                except NotBatched:
                    grads = by_example(node, g, saved)
            saved = None
        for leaf, (_, total) in waiting.items():  # hooks that came while the gradients did
            if total is not None:
                deliver(leaf, total, create)
        if targets is None:
            return []
        results = [captured.get((e.node, e.index) if type(e) is Output else (e, 0)) for e in targets]
        if not accumulate_targets:
            return [g if isinstance(e, (Node, Output)) or not e._hooks else run_leaf_hooks(e, g, create) for e, g in zip(targets, results)]
        for edge, g in zip(targets, results, strict=True):
            if isinstance(edge, Tensor):  # a non-leaf has kept its gradient on the way
                deliver(edge, g, create)
        return []
    finally:
        modes.set_grad(before[0])
        local.create_graph, local.task = before[1:]
        restore(token)


def by_example(node: Node, g: Any, saved: Any) -> tuple:
    """What `node.vjp` gives in a `vmap`, if its formula has no way for all examples at once."""
    from chainrule.func.calls import vjp_by_example

    return vjp_by_example(node, g, saved)


def in_new_thread(function: Any, *args: Any) -> Any:
    """Call a function in a thread of its own, with this thread's modes: Python counts recursion by thread."""
    settings, outcome = dict(modes.local.__dict__), []

    def work() -> None:
        modes.local.__dict__.update(settings)
        try:
            outcome.append((function(*args), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
    thread.start()
    thread.join()
    result, error = outcome.pop()
    if error is not None:
        raise error
    return result


def send_output(edge: Output, g: Any, pending: dict, heap: list) -> None:
    """Deliver to one output of a node that has several: its cotangents wait in a list."""
    node, index = edge.node, edge.index
    slots = pending.get(node)
    if slots is None:
        slots = pending[node] = [None] * node.width
        heappush(heap, (-node.sequence, node))
    old = slots[index]
    slots[index] = g if old is None else old if g is None else old + g


def grow(grad: Tensor, g: Any) -> None:
    """Add the array g to a gradient in place; its memory stays as it is if it is lent."""
    if grad._lent:
        grad._data, grad._lent = grad._data + g, False
    else:
        add(grad._data, g, grad._data)
    grad._versions[0] += 1


def accumulate(leaf: Any, g: Any) -> None:
    """Add the cotangent `g` (an array, or a Tensor under create_graph) to `leaf.grad`, which is laid out as the leaf is.

    Without create_graph the gradient grows in place, as PyTorch's does, so that whoever holds it sees it.
    """
    old = leaf._grad
    if isinstance(g, Tensor) and (modes.local.create_graph or (g._tangents is not None and old is None)):
        leaf._grad = laid_as(g, leaf._data) if old is None else old + g
        return
    if isinstance(g, Tensor):
        g = g._data
    if old is None:
        leaf._grad = wrap(laid_as.kernel(np.asarray(g), leaf._data))
    else:
        grow(old, g)


def gather(leaf: Any, g: Any, create: bool, waiting: dict, roots: Sequence) -> None:
    """One of the cotangents of a leaf with hooks arrived; once all have, the hooks run."""
    extra = leaf._leaf_hooks
    if extra is not None and extra.grad_dtype and g is not None and g.dtype != leaf.grad_dtype.numpy:
        g = g.to(leaf.grad_dtype) if isinstance(g, Tensor) else g.astype(leaf.grad_dtype.numpy)
    if not leaf._hooks and not (extra and (extra.pre_hooks or extra.post_hooks or extra.tensor_hooks)):
        if g is not None:
            accumulate(leaf, g)
        return
    if not waiting:
        waiting.update(arrivals(roots))
    entry = waiting[leaf]
    entry[0] -= 1
    if g is not None:
        entry[1] = g if entry[1] is None else entry[1] + g
    if entry[0] == 0:
        deliver(leaf, waiting.pop(leaf)[1], create)
        waiting[None] = 0, None  # not empty again, or all would be counted anew


def arrivals(roots: Sequence) -> dict:
    """For each leaf, how many cotangents a pass from `roots` sends there, and None for their sum so far."""
    counts: dict = {}
    seen: set = set()
    stack = [roots]
    while stack:
        for edge in stack.pop():
            node = edge.node if type(edge) is Output else edge
            if node is None or node in seen:
                continue
            if isinstance(node, Node):
                seen.add(node)
                stack.append(node.edges)
            else:
                counts.setdefault(node, [0, None])[0] += 1
    return counts


def deliver(leaf: Any, g: Any, create: bool) -> None:
    """Add a leaf's whole gradient to its `.grad`, with the leaf's hooks; it is None if no cotangent was."""
    if leaf._hooks:
        g = run_leaf_hooks(leaf, g, create)
    extra = leaf._leaf_hooks
    if extra is None:
        if g is not None:
            accumulate(leaf, g)
        return
    for hook in list(extra.pre_hooks.values()):
        (g,) = check_replacements(hook, hook((as_optional(g),)), (as_optional(g),))
    if g is not None:
        accumulate(leaf, g)
    for hook in list(extra.post_hooks.values()):
        hook((), (as_optional(g),))
    for hook in list(extra.tensor_hooks.get(-1, {}).values()):  # post-accumulate hooks
        if check_replacement(hook, hook(leaf), leaf) is not leaf:
            raise RuntimeError("Tensor post accumulate grad hooks should return None.")


def run_leaf_hooks(leaf: Any, g: Any, create: bool) -> Any:
    """A leaf's gradient after its tensor hooks."""
    g = as_optional(g)
    for hook in list(leaf._hooks.values()):
        g = check_replacement(hook, hook(g), g)
    return g if create or g is None else g._data


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


def run_tensor_hooks(node: Node, g: Any, create: bool) -> Any:
    """The cotangents after the hooks of the tensors that they belong to; those that want to keep theirs do."""
    extra = node.extra
    grads = list(g) if node.width else [g]
    for index in sorted({*extra.tensor_hooks, *extra.retain}):
        value = as_optional(grads[index])
        for hook in list(extra.tensor_hooks.get(index, {}).values()):
            value = check_replacement(hook, hook(value), value)
        reference = extra.retain.get(index)
        tensor = reference and reference()
        if tensor is not None and value is not None:
            if tensor._grad is not None:
                tensor._grad = tensor._grad + value
            else:
                tensor._grad = value if create else wrap(np.array(value._data))
        grads[index] = value if create or value is None else value._data
    return grads if node.width else grads[0]


def run_pre_hooks(node: Node, g: Any, create: bool) -> Any:
    """The cotangents after the node's pre-hooks."""
    grads = tuple([as_optional(v) for v in (g if node.width else (g,))])
    shown, hidden = grads[: node.outputs_shown()], grads[node.outputs_shown() :]
    for hook in list(node.extra.pre_hooks.values()):
        shown = check_replacements(hook, hook(shown), shown)
    kept = [v if create or v is None else v._data for v in (*shown, *hidden)]
    return kept if node.width else kept[0]


def run_post_hooks(node: Node, grads: list, outputs: tuple) -> list:
    """The cotangents of a node's inputs after its hooks, which see those of the edges that `next_functions` shows."""
    places = range(len(grads)) if node.visible is None else node.visible
    seen = tuple([grads[i] for i in places])
    for hook in list(node.extra.post_hooks.values()):
        seen = check_replacements(hook, hook(seen, outputs), seen)
    for i, g in zip(places, seen, strict=True):
        grads[i] = g
    return grads


def check_replacement(hook: Any, new: Any, old: Any) -> Any:
    """What a hook made of a gradient: the old one if it returned None."""
    if new is None:
        return old
    name = getattr(hook, "__name__", "<unknown>")
    if old is None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    if not isinstance(new, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(new).__name__}'")
    if new._data.dtype != old._data.dtype:
        types = [f"torch.{LEGACY[t.dtype]}Tensor" for t in (old, new)]
        raise RuntimeError(f"hook '{name}' has changed the type of value (was {types[0]} got {types[1]})")
    if new._data.shape != old._data.shape:
        raise RuntimeError(f"hook '{name}' has changed the size of value")
    return new


def check_replacements(hook: Any, new: Any, old: tuple) -> tuple:
    """What a hook made of a tuple of gradients: the old ones if it returned None; a None in a tuple takes a gradient away."""
    if new is None:
        return old
    if not isinstance(new, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(new).__name__}'")
    if len(new) != len(old):
        name = getattr(hook, "__name__", "<unknown>")
        raise RuntimeError(f"hook '{name}' has returned an incorrect number of values (got {len(new)}, but expected {len(old)})")
    return tuple([v if v is None else check_replacement(hook, v, o) for v, o in zip(new, old, strict=True)])


def run_guarded(node: Node, g: Any, saved: Any, create: bool) -> tuple:
    """Run a node that wants Tensors, has post-hooks, or is watched by anomaly mode."""
    outputs = tuple([as_optional(v) for v in (g if node.width else (g,))])
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
    if node.extra is not None and node.extra.post_hooks:
        grads = run_post_hooks(node, [as_optional(v) for v in grads], outputs[: node.outputs_shown()])
    if modes.local.anomaly and modes.local.check_nan:
        for i, v in enumerate(grads):
            array = v._data if isinstance(v, Tensor) else v
            if array is not None and np.isnan(array).any():
                warn_of_forward(node)
                raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")
    return tuple([v if create or not isinstance(v, Tensor) else v._data for v in grads])


def run_profiled(node: Node, g: Any, saved: Any, create: bool) -> tuple:
    """Run a node while a profile is on."""
    guarded = modes.local.anomaly or node.tensor_level or bool(node.extra and node.extra.post_hooks)

    def run() -> tuple:
        if guarded:
            return run_guarded(node, g, saved, create)
        if g is None:
            return (None,) * len(node.edges)
        try:
            return node.vjp(g, saved)
        except NotBatched:
            return by_example(node, g, saved)

    return modes.local.profile.node(node, g, run, not guarded and not create)


def unpack_watched(node: Node, create: bool) -> Any:
    """What node saved, under anomaly mode: a change in place since shows the forward call, too."""
    try:
        return node.unpack(create)
    except RuntimeError:
        warn_of_forward(node)
        raise


def warn_of_forward(node: Node) -> None:
    """Anomaly mode: show where the failing node was made, and where the nodes that led to it were."""
    trace = node.extra and node.extra.metadata.get("traceback_")
    if not trace:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during forward pass for more "
            "information.",
            stacklevel=2,
        )
        return
    warnings.warn(f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{''.join(trace)}", stacklevel=2)
    parent = node.extra.metadata.get("parent_")
    while parent is not None:
        trace = parent.extra and parent.extra.metadata.get("traceback_")
        warnings.warn(
            f"\n\nPrevious calculation was induced by {parent.name()}. Traceback of forward call that induced the previous calculation:\n"
            + "".join(trace or ()),
            stacklevel=2,
        )
        parent = parent.extra and parent.extra.metadata.get("parent_")


def as_tensor(g: Any) -> Any:
    return g if isinstance(g, Tensor) else wrap(as_array(g))


def as_optional(g: Any) -> Any:
    return None if g is None else as_tensor(g)


def call_node(node: Node, grads: tuple) -> Any:
    """`node(*grads)`: one node's vjp on Tensors, recorded if gradients are on; a cotangent for each edge that `next_functions` shows."""
    expected = node.outputs_shown()
    if len(grads) != expected:
        raise TypeError(f"expected {expected} arguments, got {len(grads)} instead")
    for i, g in enumerate(grads):
        if g is not None and not isinstance(g, Tensor):
            raise TypeError(f"argument {i} is not a Variable")
    if isinstance(node, AccumulateGrad):
        accumulate(node.variable, grads[0])
        return None
    if node.saved is FREED:
        raise RuntimeError(SECOND_BACKWARD)
    g = [*grads, *[None] * (node.width - expected)] if node.width else grads[0]
    if node.width and not node.optional_cotangents:
        g = node.materialize(g, True)
    result = (None,) * len(node.edges) if g is None else node.vjp(g, node.unpack(True))
    result = node.of_visible(result)
    return result[0] if len(result) == 1 else tuple(result)
