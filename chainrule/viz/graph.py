"""The graph behind a tensor as plain data: what backward would walk, with names and shapes, ready to be drawn.

Only the public face of the graph is used (`grad_fn`, `next_functions`, `name()`, `variable`), so any object that has it can be drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["Graph", "Node", "graph", "save"]

WORD_STARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Node:
    """One box of the picture: a leaf tensor, or the op that made a tensor."""

    kind: str  # "leaf" or "op"
    label: str
    shape: tuple[int, ...] | None  # of the tensor; None where the op does not tell
    hint: str  # what a pointer resting on the box is told
    root: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Graph:
    """The nodes, and the edges as (from, to) positions in `nodes`, in the direction of the forward computation.

    It shows itself in a notebook; `save` writes a file. Drawing needs `pip install chainrule[viz]`, looking at `nodes` does not.
    """

    nodes: list[Node]
    edges: list[tuple[int, int]]
    direction: Literal["down", "right"] = "down"

    def save(self, path: str | Path) -> None:
        """Write the picture, in the format that the suffix names: `.svg`, `.png`, or `.html` (a page to pan and zoom in)."""
        save(self, path)

    def _repr_svg_(self) -> str:
        from chainrule.viz.draw import svg

        return svg(self)

    def __repr__(self) -> str:
        leaves = sum(node.kind == "leaf" for node in self.nodes)
        return f"Graph(ops={len(self.nodes) - leaves}, leaves={leaves}, edges={len(self.edges)})"


def graph(
    root: Tensor | Sequence[Tensor],
    params: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] | None = None,
    direction: Literal["down", "right"] = "down",
) -> Graph:
    """The computational graph that `root.backward()` would walk.

    Args:
        root: the tensor (or tensors) whose history to draw
        params: names for tensors, as a dict or as `model.named_parameters()`; a tensor that is no leaf names the op that made it
        direction: where the computation flows in the picture, "down" or "right"

    Raises:
        RuntimeError: if a root does not require grad, so that there is no graph

    Example:
        >>> import chainrule as torch
        >>> from chainrule.viz import graph
        >>> w, x = torch.ones(3, requires_grad=True), torch.ones(3)
        >>> picture = graph((w * x).sum(), {"w": w})
        >>> picture
        Graph(ops=2, leaves=1, edges=2)
        >>> [node.label for node in picture.nodes]
        ['sum', 'mul', 'w']
    """
    if direction not in ("down", "right"):
        raise ValueError(f"direction is 'down' or 'right', not {direction!r}")
    roots: list[Any] = list(root) if isinstance(root, (list, tuple)) else [root]
    if not all(tensor.requires_grad for tensor in roots):
        raise RuntimeError("the tensor does not require grad and does not have a grad_fn, so it has no graph to draw")
    named = [(origin(tensor), name) for name, tensor in dict(params or {}).items()]
    names = {id(source): name for source, name in named}

    positions: dict[int, int] = {}  # identity of a leaf tensor or of a node -> position
    found: list[Any] = []  # the leaf tensors and nodes themselves, kept alive (as in `named`) so that identities stay theirs
    edges: list[tuple[int, int]] = []
    waiting: list[int] = []

    def place(source: Any) -> int:
        at = positions.setdefault(id(source), len(found))
        if at == len(found):
            found.append(source)
            waiting.append(at)
        return at

    ends = {place(origin(tensor)) for tensor in roots}
    while waiting:
        at = waiting.pop()
        for function, _ in getattr(found[at], "next_functions", ()):
            if function is not None:
                leaf = function.name().endswith("AccumulateGrad")
                edges.append((place(function.variable if leaf else function), at))

    return Graph([describe(source, names.get(id(source)), at in ends) for at, source in enumerate(found)], edges, direction)


def save(graph: Graph, path: str | Path) -> None:
    """Write `graph` to `path` as `.svg`, `.png` or `.html`."""
    from chainrule.viz import draw

    formats = {".svg": draw.svg, ".html": draw.html, ".png": draw.png}
    path = Path(path)
    if path.suffix.lower() not in formats:
        raise ValueError(f"cannot tell the format of {path.name!r}: end it in one of {', '.join(formats)}")
    picture = formats[path.suffix.lower()](graph)
    path.write_bytes(picture if isinstance(picture, bytes) else picture.encode())


def origin(tensor: Any) -> Any:
    """What made the tensor: its grad_fn, or the leaf itself."""
    return tensor if tensor.grad_fn is None else tensor.grad_fn


def describe(source: Any, name: str | None, root: bool) -> Node:
    """The box of a leaf tensor or of a node; a node that keeps metadata of its outputs, as PyTorch's do, tells the first one's shape."""
    made: Any
    if hasattr(source, "next_functions"):
        kind, title, op = "op", source.name(), op_name(source.name())
        label = f"{name} = {op}" if name else op
        made = next(iter(getattr(source, "_input_metadata", ())), None)
    else:
        kind, title, made = "leaf", name or "leaf", source
        label = title
    shape = None if made is None else tuple(made.shape)
    return Node(kind, label, shape, title if made is None else f"{title}: {made.dtype}, shape {shape}", root)


def op_name(node_name: str) -> str:
    """The op as one writes it: "LogSoftmaxBackward0" -> "log_softmax"; a custom Function keeps its class's name."""
    name = node_name.rpartition("::")[2]
    stem, backward, number = name.partition("Backward")
    return WORD_STARTS.sub("_", stem).lower() if backward and number.isdigit() else stem
