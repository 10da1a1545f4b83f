"""What a node of the graph tells of itself: the shapes it made, what it saved, the line and the modules that made it.

PyTorch's nodes keep metadata of their outputs and nothing else that is read here, so of those only shapes and types are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autograd.node import FREED, Output
from chainrule.ops.primitive import PUBLIC

FRAME = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)\n(?: {4}(?P<code>.*)\n)?')
WORD_STARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z])")

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """A tensor that a node keeps for backward."""

    name: str
    shape: Shape
    dtype: str
    nbytes: int

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}, {shape_text(self.shape) or 'one value'}, {size_text(self.nbytes)}"


@dataclass(frozen=True, slots=True)
class Line:
    """The line of source that made a node."""

    file: str
    line: int
    function: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}, in {self.function}"


def op_name(node_name: str) -> str:
    """The op as one writes it: "LogSoftmaxBackward0" -> "log_softmax"; a custom Function keeps its class's name."""
    name = node_name.rpartition("::")[2]
    stem, backward, number = name.partition("Backward")
    return WORD_STARTS.sub("_", stem).lower() if backward and number.isdigit() else stem


def made(node: Any, output: int = 0, known: dict[int, Shape | None] | None = None) -> Shape | None:
    """The shape of an output of `node`; None if it cannot be told. A node that keeps none has that of its only input.

    `known` remembers, by identity, what was found on the way along a chain of such nodes.
    """
    known = {} if known is None else known
    passed = []
    shape: Shape | None = None
    while node is not None:
        if id(node) in known:
            shape = known[id(node)]
            break
        metadata = getattr(node, "_input_metadata", None)  # PyTorch's
        outputs = metadata or getattr(node, "outputs", None)
        if outputs:
            entry = outputs[output] if output < len(outputs) else None
            shape = None if entry is None else tuple(entry.shape if metadata else entry[0])
            break
        if is_leaf(node) or type(getattr(node, "made", None)) is tuple:
            shape = tuple(node.shape) if is_leaf(node) else node.made
            break
        passed.append(node)
        edges = [edge for edge in getattr(node, "edges", ()) if edge is not None]
        edge = edges[0] if len(edges) == 1 else None
        node, output = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
    known.update({id(n): shape for n in passed})
    return shape


def is_leaf(edge: Any) -> bool:
    """Whether what an edge leads to is a leaf tensor."""
    return hasattr(edge, "grad_fn")


def saved(node: Any) -> tuple[Saved, ...] | None:
    """The tensors that `node` keeps for backward; None if they are gone, as backward frees them."""
    values = getattr(node, "saved", ())
    if values is FREED:
        return None
    if hasattr(node, "ctx"):
        try:
            kept = [(f"saved_tensors[{i}]", t._data) for i, t in enumerate(node.ctx.saved_tensors) if t is not None]
        except RuntimeError:
            return None
    else:
        named = zip(getattr(node, "saves", ()), values, strict=False)
        kept = [pair for name, value in named for pair in arrays(PUBLIC.get(name, name), value)]
    return tuple([Saved(name, array.shape, str(array.dtype), array.nbytes) for name, array in kept])


def arrays(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays in a saved value, with names."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif type(value) is tuple:
        for i, item in enumerate(value):
            yield from arrays(f"{name}[{i}]", item)


def notes(node: Any) -> dict:
    """A node's metadata, without making room for it where there is none."""
    return {} if getattr(node, "extra", False) is None else node.metadata


def source(node: Any) -> Line | None:
    """The user's line that made `node`, if anomaly mode or `viz.watch` was on."""
    for frame in reversed(notes(node).get("traceback_", ())):
        found = FRAME.match(frame)
        if found:
            return Line(found["file"], int(found["line"]), found["function"], found["code"] or "")
    return None


def retained(node: Any) -> dict[int, Any]:
    """The tensors that `node` made and whose `.grad` is kept (`retain_grad`), by output number."""
    extra = getattr(node, "extra", None)
    tensors = {} if extra is None else {index: reference() for index, reference in extra.retain.items()}
    return {index: tensor for index, tensor in tensors.items() if tensor is not None}


def gradient_norm(tensor: Any) -> float | None:
    """The 2-norm of `tensor.grad`, once there is one."""
    if not (tensor.is_leaf or tensor.retains_grad) or tensor.grad is None:
        return None
    return norm(tensor.grad)


def norm(gradient: Any) -> float:
    """The 2-norm of a gradient, summed in double precision."""
    values = np.asarray(gradient.detach().cpu().resolve_conj().numpy())
    return float(np.linalg.norm(values.astype(np.complex128 if values.dtype.kind == "c" else np.float64).ravel()))


def shape_text(shape: Shape | None) -> str:
    """ "2×3" for a matrix, nothing for a single value."""
    return "×".join(map(str, shape or ()))


def size_text(nbytes: int) -> str:
    """ "1.2 kB" and the like."""
    size = float(nbytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
