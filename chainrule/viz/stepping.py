"""Backward, one node at a time: what each node receives, and what it sends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from html import escape
from typing import TYPE_CHECKING, Any

from chainrule._core import modes
from chainrule._core.silence import restore, silence
from chainrule.autograd import engine
from chainrule.autograd.gradients import cotangents_for, root_edges
from chainrule.autograd.node import FREED, SECOND_BACKWARD, Node, Output
from chainrule.viz import facts
from chainrule.viz.graph import roots_of

if TYPE_CHECKING:
    from chainrule.tensor import Tensor


@dataclass(frozen=True, slots=True, repr=False)
class Sent:
    """A gradient on its way, and where it goes: to an op by its name, or to a leaf tensor by its own."""

    to: str
    gradient: Tensor | None


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """One node's part in backward. `receives` has a gradient for each output of the node (None: that output was not used)."""

    number: int
    node: Node
    receives: tuple[Tensor | None, ...]
    sends: tuple[Sent, ...]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(receives or sends, shape, norm, where to) of each gradient."""
        arrived = [("receives", g, "") for g in self.receives]
        sent = [("sends", s.gradient, f"to {s.to}") for s in self.sends]
        found, before = [], ""
        for word, g, to in [*arrived, *sent]:
            told = ("nothing", "") if g is None else (facts.shape_text(tuple(g.shape)) or "one value", f"norm {facts.norm(g):.4g}")
            found.append((word if word != before else "", *told, to))
            before = word
        return found

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max([len(row[i]) for row in rows], default=0) for i in range(3)]
        lines = ["  " + "  ".join([cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]).rstrip() for row in rows]
        source = facts.source(self.node)
        made = [f"  made at {source.file}:{source.line}: {source.code}"] if source else []
        return "\n".join([f"step {self.number}: {self.node.name()}", *made, *lines])

    def _repr_html_(self) -> str:
        rows = "".join(["<tr>" + "".join([f"<td>{escape(cell)}</td>" for cell in row]) + "</tr>" for row in self.rows()])
        return f"<b>step {self.number}: {escape(self.node.name())}</b><table>{rows}</table>"


def step(
    root: Tensor,
    gradient: Tensor | None = None,
    params: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] | None = None,
    retain_graph: bool = False,
) -> Iterator[Step]:
    """Walk `root.backward(gradient)` node by node: each `next()` runs one node, and its gradients are in the leaves' `.grad` at once.

    Run to its end it leaves the `.grad`s that `backward` does; hooks run, and what nodes saved is freed unless `retain_graph`.

    Args:
        root: the tensor to start from
        gradient: the gradient of it, of its shape; None stands for 1 and is for tensors of one element
        params: names for leaves, as a dict or as `model.named_parameters()`
        retain_graph: whether to keep what the graph saved, for another backward

    Raises:
        RuntimeError: as `backward` does, if the root does not require grad, has no gradient of its own, or was freed

    Example:
        >>> import chainrule as torch
        >>> from chainrule import viz
        >>> w = torch.tensor([3., 4.], requires_grad=True)
        >>> steps = viz.step((w * w).sum(), params={"w": w})
        >>> next(steps)
        step 1: SumBackward0
          receives  one value  norm 1
          sends     2          norm 1.414  to MulBackward0
        >>> next(steps)
        step 2: MulBackward0
          receives  2  norm 1.414
          sends     2  norm 5      to w
                    2  norm 5      to w
        >>> w.grad
        tensor([6., 8.])
    """
    (root,) = roots_of([root])
    cotangents = cotangents_for((root,), gradient)
    return walk(root_edges((root,)), cotangents, dict(params or {}), retain_graph)


def walk(roots: list, cotangents: list, params: dict[str, Tensor], keep: bool) -> Iterator[Step]:
    """The engine's loop (`autograd.engine.run`, which says why) with a stop after each node."""
    names = {id(tensor): name for name, tensor in params.items()}
    pending: dict[Node, list] = {}
    heap: list[tuple[int, Node]] = []
    waiting: dict = {}  # leaves with hooks, which want their whole gradient at once

    def send(edge: Any, g: Any) -> None:
        node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
        if not isinstance(node, Node):
            if node._hooks is not None or node._leaf_hooks is not None:
                engine.gather(node, g, False, waiting, roots)
            elif g is not None:
                engine.accumulate(node, g)
            return
        if node not in pending:
            pending[node] = [None] * max(node.width, 1)
            heappush(heap, (-node.sequence, node))
        old = pending[node][index]
        pending[node][index] = g if old is None else old if g is None else old + g

    for edge, cotangent in zip(roots, cotangents, strict=True):
        send(edge, None if cotangent is None else cotangent._data)
    number = 0
    while heap:
        _, node = heappop(heap)
        with Backward(roots):
            received = pending.pop(node)
            g, grads = run(node, received if node.width else received[0], keep)
            leaving = [(edge, v) for edge, v in zip(node.edges, grads, strict=True) if edge is not None]
            for edge, v in leaving:
                send(edge, v)
        number += 1
        receives = tuple([engine.as_optional(v) for v in (g if node.width and g is not None else [g])])
        yield Step(number, node, receives, tuple([Sent(target(edge, names), engine.as_optional(v)) for edge, v in leaving]))
    with Backward(roots):
        for leaf, (_, total) in waiting.items():  # hooks that came while the gradients did
            if total is not None:
                engine.deliver(leaf, total, False)


def run(node: Node, g: Any, keep: bool) -> tuple[Any, Any]:
    """The gradients that a node receives, after the hooks on them, and those that it sends."""
    extra = node.extra
    if extra is not None and (extra.tensor_hooks or extra.retain):
        g = engine.run_tensor_hooks(node, g, False)
    if extra is not None and extra.pre_hooks:
        g = engine.run_pre_hooks(node, g, False)
    if node.width and not node.optional_cotangents:
        g = node.materialize(g, False)
    saved = node.saved
    if saved is FREED:
        raise RuntimeError(SECOND_BACKWARD)
    if saved:
        saved = node.unpack(False)
    if g is None:
        return g, (None,) * len(node.edges)
    grads = engine.run_guarded(node, g, saved, False)
    if not keep:
        node.release()
    return g, grads


def target(edge: Any, names: dict[int, str]) -> str:
    """What an edge leads to, in words."""
    node = edge.node if type(edge) is Output else edge
    if isinstance(node, Node):
        return f"{node.name()}, output {edge.index}" if type(edge) is Output else node.name()
    return names.get(id(node), "a leaf")


class Backward:
    """The settings under which a node runs: no recording, no warnings of NumPy's, a backward pass that hooks can ask about."""

    def __init__(self, roots: list) -> None:
        self.roots = roots

    def __enter__(self) -> None:
        local = modes.local
        self.before = local.grad, local.create_graph, local.task
        depth = local.task[-1] + 1 if local.task is not None else 0
        self.token = silence()
        modes.set_grad(False)
        local.create_graph = False
        local.task = engine.next_pass(), self.roots, None, {}, False, engine.threading.get_ident(), depth

    def __exit__(self, *exc: object) -> None:
        modes.set_grad(self.before[0])
        modes.local.create_graph, modes.local.task = self.before[1:]
        restore(self.token)
