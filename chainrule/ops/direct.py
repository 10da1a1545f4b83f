"""The eager path of a primitive with one array input, written out as `pointwise_form` does for its ops.

    total = direct(sum)          # total(t, dim, keepdim): as sum(t, dim, keepdim), for a Tensor t, several times quicker

Modes, and whatever else makes the library busy, still take the primitive's own way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import Output, next_sequence
from chainrule.ops.pointwise_form import BFLOAT16, narrowed
from chainrule.ops.primitive import INEXACT, Primitive, compile_lines
from chainrule.tensor import Tensor, sync


def direct(op: Primitive) -> Callable[..., Any]:
    """`op(t, *statics)` for a Tensor t and all statics given by position."""
    results = op.outputs
    several = len(results) > 1
    terms = {"a": "a", "a_shape": "a.shape", "a_dtype": "dtype"}
    terms |= {f"{y}_{what}": f"{y}.{what}" for y in results for what in ("shape", "dtype")}
    counters = {"a": "t._versions"} | {y: f"v_{y}" for y in results}
    saved = ", ".join([terms.get(n, n) for n in op.saves]) + ("," if op.saves else "")
    guards = "".join([f"{counters[n]}, {counters[n]}[0], " for n in op.saves if n in counters])
    given = ", ".join(["t", *op.statics])
    lines = [
        f"def {op.name}({given}):",
        f"    if state.busy: return op({given})",
        "    a = t._data",
        "    dtype = a.dtype",
        f"    {', '.join(results)} = kernel({', '.join(['a', *op.statics])})",
    ]
    for y in results:
        lines += [
            f"    if {y}.__class__ is not ndarray: {y} = asarray({y})",
            f"    t_{y} = new(Tensor); t_{y}._data = {y}; t_{y}._base = t_{y}._grad = t_{y}._edge = None",
            f"    t_{y}._tracked = False; t_{y}._versions = v_{y} = [0, 0]",
        ]
    lines += [
        "    if t._base is not None: sync(t)",
        f"    if t._tracked and {results[0]}.dtype in INEXACT:",
        "        node = new(node_class if dtype is not BFLOAT16 else narrow_class); node.extra = node.fix = None",
        f"        node.sequence = next_sequence(); node.edges = (t._edge or t,); node.saved = ({saved}); node.guards = ({guards})",
    ]
    if several:
        every = ", ".join([f"({y}.shape, {y}.dtype)" for y in results])
        lines += [f"        node.width = {len(results)}; node.outputs = [{every}]"]
        for i, y in enumerate(results):
            lines += [f"        if {y}.dtype in INEXACT: t_{y}._edge = Output(node, {i}); t_{y}._tracked = True"]
    else:
        lines += [f"        t_{results[0]}._edge = node; t_{results[0]}._tracked = True"]
    lines += [f"    return {', '.join([f't_{y}' for y in results])}"]
    namespace = {"__slots__": (), "__module__": op.node.__module__}
    scope: dict[str, Any] = {
        "op": op, "kernel": op.kernel, "state": modes.state, "asarray": np.asarray, "ndarray": np.ndarray, "new": object.__new__,
        "Tensor": Tensor, "sync": sync, "INEXACT": INEXACT, "BFLOAT16": BFLOAT16, "next_sequence": next_sequence, "node_class": op.node,
        "narrow_class": type(op.node.__name__, (op.node,), {**namespace, "vjp": narrowed(op.node.vjp)}), "Output": Output,
    }  # fmt: skip
    return compile_lines(f"{op.name} function", lines, scope)[op.name]
