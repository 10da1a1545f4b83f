"""The graph behind a tensor as plain data: what backward would walk, with names and shapes, ready to be drawn.

It is walked by its public face (`grad_fn`, `next_functions`, `name()`, `variable`), so any object that has it can be drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chainrule.viz import facts
from chainrule.viz.facts import Line, Saved, Shape, op_name, size_text
from chainrule.viz.modules import Group, grouped, paths, worthwhile

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["Graph", "Node", "graph", "save"]


@dataclass(frozen=True, slots=True)
class Node:
    """One box of the picture: a leaf tensor, the op that made a tensor, or a folded module."""

    kind: str  # "leaf", "op" or "module"
    label: str
    shape: Shape | None  # of the tensor, or an op's first; None where the op does not tell
    hint: str  # what a pointer resting on the box is told
    root: bool = False
    note: str = ""  # the small second line in the box
    group: int | None = None  # the innermost of `Graph.groups` that it is in
    saved: tuple[Saved, ...] = ()  # what an op keeps for backward
    norm: float | None = None  # of the gradient, once there is one
    source: Line | None = None  # where an op was called


@dataclass(frozen=True, slots=True, repr=False)
class Graph:
    """The nodes, and the edges as (from, to) positions in `nodes`, in the direction of the forward computation.

    It shows itself in a notebook; `save` writes a file. Drawing needs `pip install chainrule[viz]`, looking at `nodes` does not.
    """

    nodes: list[Node]
    edges: list[tuple[int, int]]
    direction: Literal["down", "right"] = "down"
    shapes: list[Shape | None] = field(default_factory=list)  # of what each edge carries
    groups: list[Group] = field(default_factory=list)  # the modules, each after the one around it

    def save(self, path: str | Path) -> None:
        """Write the picture, in the format that the suffix names: `.svg`, `.png`, or `.html`.

        The page is one file without a network: it pans, zooms, folds modules, searches, and shows a node's facts when clicked.
        """
        save(self, path)

    def fold(self, depth: int = 1) -> Graph:
        """The graph with each module that lies in `depth - 1` others as one node: `fold(1)` shows only the outermost.

        Example:
            >>> import chainrule as torch
            >>> from chainrule import nn, viz
            >>> model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
            >>> picture = viz.graph(model(torch.ones(5, 4)).sum(), model.named_parameters())
            >>> picture
            Graph(ops=4, leaves=4, edges=7, modules=2)
            >>> [node.label for node in picture.fold(1).nodes]
            ['sum', '2', 'tanh', '0']
        """
        if depth < 1:
            raise ValueError(f"fold(depth) takes 1 for the outermost modules, 2 for those inside, ..., not {depth}")
        outermost: list[int | None] = []  # for each group, the one that it is folded into
        depths: list[int] = []
        for i, group in enumerate(self.groups):
            above = None if group.parent is None else outermost[group.parent]
            depths.append(1 if group.parent is None else depths[group.parent] + 1)
            outermost.append(above if above is not None else i if depths[i] == depth else None)
        renumbered = {old: new for new, old in enumerate([i for i, d in enumerate(depths) if d < depth])}
        groups = [replace(self.groups[i], parent=None if (p := self.groups[i].parent) is None else renumbered[p]) for i in renumbered]

        members: dict[int, list[Node]] = {}
        places: dict[tuple[str, int], int] = {}  # a node or a folded module -> position
        where: list[int] = []
        nodes: list[Node] = []
        for i, node in enumerate(self.nodes):
            module = None if node.group is None else outermost[node.group]
            key = ("node", i) if module is None else ("module", module)
            if key not in places:
                places[key] = len(nodes)
                nodes.append(replace(node, group=None if node.group is None or module is not None else renumbered[node.group]))
            where.append(places[key])
            if module is not None:
                members.setdefault(module, []).append(node)
        for module, inside in members.items():
            group = self.groups[module]
            nodes[places["module", module]] = summary(group, inside, None if group.parent is None else renumbered[group.parent])

        carried: dict[tuple[int, int], Shape | None] = {}
        for (a, b), shape in zip(self.edges, self.shapes or [None] * len(self.edges), strict=True):
            edge = where[a], where[b]
            if edge[0] != edge[1]:
                carried[edge] = shape if carried.get(edge, shape) == shape else None
        return Graph(nodes, list(carried), self.direction, list(carried.values()), groups)

    def _repr_svg_(self) -> str:
        from chainrule.viz.draw import svg

        return svg(self)

    def _repr_html_(self) -> str:
        from chainrule.viz.page import frame

        return frame(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the page, the picture where it shows no pages, a line of text where nothing can be drawn."""
        try:
            return {"text/plain": repr(self), "text/html": self._repr_html_(), "image/svg+xml": self._repr_svg_()}
        except (ImportError, ValueError) as error:
            return {"text/plain": f"{self!r}: {error}"}

    def __repr__(self) -> str:
        kinds = Counter(node.kind for node in self.nodes)
        modules = len(self.groups) + kinds["module"]
        told = f", modules={modules}" if modules else ""
        return f"Graph(ops={kinds['op']}, leaves={kinds['leaf']}, edges={len(self.edges)}{told})"


def graph(
    root: Tensor | Sequence[Tensor],
    params: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] | None = None,
    direction: Literal["down", "right"] = "down",
) -> Graph:
    """The computational graph that `root.backward()` would walk, or walked: gradients that are there by now are told, too.

    Modules are those that `viz.watch` saw, or else are guessed from the names of the parameters that the ops use.

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
        >>> [(node.label, node.shape) for node in picture.nodes]
        [('sum', ()), ('mul', (3,)), ('w', (3,))]
    """
    if direction not in ("down", "right"):
        raise ValueError(f"direction is 'down' or 'right', not {direction!r}")
    roots = roots_of(root)
    tensors = dict(params or {})
    for name, tensor in tensors.items():
        if not hasattr(tensor, "grad_fn"):
            raise TypeError(f"params maps names to tensors, but {name!r} is of type {type(tensor).__name__}")
    starts = [origin(tensor) for tensor in roots]
    origins = [origin(tensor) for tensor in tensors.values()]  # alive, so that identities stay theirs
    named = {id(source): item for source, item in zip(origins, tensors.items(), strict=True)}
    found, edges, shapes, known = walk(starts)
    ends = set(map(id, starts))

    inputs: dict[int, list] = {id(source): [] for source in found}
    users: dict[int, list[int]] = {id(source): [] for source in found}
    for a, b in edges:
        inputs[id(found[b])].append(found[a])
        users[id(found[a])].append(id(found[b]))
    ops = sorted([source for source in found if is_op(source)], key=lambda node: node._sequence_nr())
    leaf_names = {id(source): named[id(source)][0] for source in found if id(source) in named and not is_op(source)}
    groups, members = grouped(paths(ops, inputs, leaf_names))
    group_of = {id(op): group for op, group in zip(ops, members, strict=True)}
    for source in found:
        if not is_op(source):
            group_of[id(source)] = around_all(groups, [group_of[user] for user in users[id(source)]])
    groups, members = worthwhile(groups, [group_of[id(source)] for source in found])
    nodes = []
    for source, group in zip(found, members, strict=True):
        given, tensor = named.get(id(source), (None, source))
        norm = facts.gradient_norm(tensor) if hasattr(tensor, "grad_fn") else None
        nodes.append(
            describe_op(source, given, id(source) in ends, group, norm, facts.made(source, known=known))
            if is_op(source)
            else describe_leaf(source, given, id(source) in ends, group, norm)
        )
    return Graph(nodes, edges, direction, shapes, groups)


def save(graph: Graph, path: str | Path) -> None:
    """Write `graph` to `path` as `.svg`, `.png` or `.html`.

    Raises ValueError for another suffix, and for a graph of more nodes than a picture can show.

    Example:
        >>> import chainrule as torch
        >>> from chainrule import viz
        >>> viz.save(viz.graph(torch.ones(3, requires_grad=True).sum()), "graph.bmp")
        Traceback (most recent call last):
        ValueError: cannot tell the format of 'graph.bmp': end it in one of .svg, .html, .png
    """
    from chainrule.viz import draw, page

    formats = {".svg": draw.svg, ".html": page.html, ".png": draw.png}
    path = Path(path)
    if path.suffix.lower() not in formats:
        raise ValueError(f"cannot tell the format of {path.name!r}: end it in one of {', '.join(formats)}")
    picture = formats[path.suffix.lower()](graph)
    path.write_bytes(picture if isinstance(picture, bytes) else picture.encode())


def roots_of(root: Any) -> list[Any]:
    """The tensors whose graph is asked for, each with one."""
    roots = list(root) if isinstance(root, (list, tuple)) else [root]
    for tensor in roots:
        if not hasattr(tensor, "grad_fn"):
            raise TypeError(f"a graph hangs on a Tensor, or several, not on {type(tensor).__name__}")
        if not tensor.requires_grad:
            raise RuntimeError(
                "the tensor does not require grad and does not have a grad_fn, so it has no graph to draw: make it from tensors with "
                "requires_grad=True, outside of no_grad, and pass it as it is, not detached"
            )
    if not roots:
        raise ValueError("a graph hangs on a Tensor, or several: there is none in the list")
    return roots


def walk(sources: list[Any]) -> tuple[list[Any], list[tuple[int, int]], list[Shape | None], dict[int, Shape | None]]:
    """The nodes and leaf tensors behind `sources`; the edges between them, as positions; what each edge carries; and the shapes
    that `facts.made` remembers."""
    positions: dict[int, int] = {}  # identity -> position; `found` keeps them alive, so that identities stay theirs
    found: list[Any] = []
    edges: list[tuple[int, int]] = []
    shapes: list[Shape | None] = []
    waiting: list[int] = []
    known: dict[int, Shape | None] = {}

    def place(source: Any) -> int:
        at = positions.setdefault(id(source), len(found))
        if at == len(found):
            found.append(source)
            waiting.append(at)
        return at

    for source in sources:
        place(source)
    while waiting:
        at = waiting.pop()
        for function, output in getattr(found[at], "next_functions", ()):
            if function is not None:
                leaf = function.name().endswith("AccumulateGrad")
                source = function.variable if leaf else function
                edges.append((place(source), at))
                shapes.append(tuple(source.shape) if leaf else facts.made(source, output, known))
    return found, edges, shapes, known


def origin(tensor: Any) -> Any:
    """What made the tensor: its grad_fn, or the leaf itself."""
    return tensor if tensor.grad_fn is None else tensor.grad_fn


def is_op(source: Any) -> bool:
    """Whether a source is a node of the graph; else it is a leaf tensor."""
    return hasattr(source, "next_functions")


def around_all(groups: list[Group], members: list[int | None]) -> int | None:
    """The innermost frame around all of `members`, which are frames or None."""
    chains = [chain(groups, member)[::-1] for member in members]
    shared = [links[0] for links in zip(*chains, strict=False) if len(set(links)) == 1]
    return shared[-1] if shared else None


def chain(groups: list[Group], member: int | None) -> list[int]:
    """A frame and those around it, outwards."""
    found = []
    while member is not None:
        found.append(member)
        member = groups[member].parent
    return found


def describe_leaf(tensor: Any, name: str | None, root: bool, group: int | None, norm: float | None) -> Node:
    """The box of a leaf tensor."""
    shape = tuple(tensor.shape)
    note = "" if norm is None else f"‖grad‖ {norm:.3g}"
    return Node("leaf", name or "leaf", shape, f"{name or 'leaf'}: {tensor.dtype}, shape {shape}", root, note, group, norm=norm)


def describe_op(node: Any, name: str | None, root: bool, group: int | None, norm: float | None, shape: Shape | None) -> Node:
    """The box of a node."""
    op = op_name(node.name())
    metadata = next(iter(getattr(node, "_input_metadata", ())), None)  # PyTorch's nodes tell the type, too
    told = [f"{metadata.dtype}"] if metadata else []
    told += [] if shape is None else [f"shape {shape}"]
    hint = f"{node.name()}: {', '.join(told)}" if told else node.name()
    kept = facts.saved(node)
    for tensor in facts.retained(node).values():
        norm = facts.gradient_norm(tensor) if norm is None else norm
    notes = []
    if kept:
        tensors = ", ".join([saved.name for saved in kept[:3]]) + (", …" if len(kept) > 3 else "")
        notes.append(f"saves {tensors}: {size_text(sum([saved.nbytes for saved in kept]))}")
        hint += "".join([f"\nsaves {saved}" for saved in kept])
    elif kept is None:
        hint += "\nwhat it saved was freed by backward"
    if norm is not None:
        notes.append(f"‖grad‖ {norm:.3g}")
    source = facts.source(node)
    if source is not None:
        hint += f"\n{source}\n    {source.code}"
    return Node("op", f"{name} = {op}" if name else op, shape, hint, root, " · ".join(notes), group, kept or (), norm, source)


def summary(module: Group, inside: list[Node], group: int | None) -> Node:
    """The box of a folded module."""
    ops = sum([node.kind == "op" for node in inside])
    values = sum([prod(node.shape or ()) for node in inside if node.kind == "leaf"])
    nbytes = sum([saved.nbytes for node in inside for saved in node.saved])
    norms = [node.norm for node in inside if node.kind == "leaf" and node.norm is not None]
    notes = [f"{ops} op{'s' * (ops != 1)}"]
    if values:
        notes.append(f"{values:,} parameter{'s' * (values != 1)}")
    if nbytes:
        notes.append(f"saves {size_text(nbytes)}")
    if norms:
        notes.append(f"‖grad‖ {hypot(*norms):.3g}")
    title = module.title()
    root = any([node.root for node in inside])
    return Node("module", title, None, f"{title}\n" + ", ".join(notes), root, " · ".join(notes), group)


def check_size(graph: Graph, most: int, cure: str = "") -> None:
    """ValueError if there is too much for one picture."""
    if len(graph.nodes) > most:
        cure = "fold its modules (.fold(1)), or " if graph.groups else cure
        raise ValueError(
            f"a graph of {len(graph.nodes)} nodes is too large for this kind of picture, which can show {most}: {cure}draw the graph of a "
            "tensor on the way, or of fewer steps"
        )
