"""The eager path of a primitive with one array input and one result, written out as `pointwise_form` does for its ops.

    total = direct(sum)          # total(t, dim, keepdim): as sum(t, dim, keepdim), for a Tensor t, several times quicker

Modes, and whatever else makes the library busy, still take the primitive's own way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import next_sequence
from chainrule.ops.pointwise_form import BFLOAT16, narrowed
from chainrule.ops.primitive import INEXACT, Primitive, compile_lines
from chainrule.tensor import Tensor, sync


def direct(op: Primitive) -> Callable[..., Tensor]:
    """`op(t, *statics)` for a Tensor t and all statics given by position."""
    available = {"a": "a", "y": "y", "a_shape": "a.shape", "a_dtype": "dtype", "y_shape": "y.shape", "y_dtype": "y.dtype"}
    saved = ", ".join([available.get(n, n) for n in op.saves]) + ("," if op.saves else "")
    counters = {"a": "t._versions", "y": "version"}
    guards = "".join([f"{counters[n]}, {counters[n]}[0], " for n in op.saves if n in counters])
    args = ", ".join(["t", *op.statics])
    kernel = ", ".join(["a", *op.statics])
    lines = [
        f"def {op.name}({args}):",
        f"    if state.busy: return op({args})",
        "    a = t._data",
        "    dtype = a.dtype",
        f"    y = kernel({kernel})",
        "    if y.__class__ is not ndarray: y = asarray(y)",
        "    out = new(Tensor); out._data = y; out._base = out._grad = None; out._versions = version = [0, 0]",
        "    if t._base is not None: sync(t)",
        "    if t._tracked and y.dtype in INEXACT:",
        "        node = new(node_class if dtype is not BFLOAT16 else narrow_class); node.extra = node.fix = None",
        f"        node.sequence = next_sequence(); node.edges = (t._edge or t,); node.saved = ({saved}); node.guards = ({guards})",
        "        out._tracked = True; out._edge = node",
        "    else: out._tracked = False; out._edge = None",
        "    return out",
    ]
    scope: dict[str, Any] = {
        "op": op, "kernel": op.kernel, "state": modes.state, "asarray": np.asarray, "ndarray": np.ndarray, "new": object.__new__,
        "Tensor": Tensor, "sync": sync, "INEXACT": INEXACT, "BFLOAT16": BFLOAT16, "next_sequence": next_sequence, "node_class": op.node,
        "narrow_class": type(op.node.__name__, (op.node,), {"__slots__": (), "__module__": op.node.__module__, "vjp": narrowed(op.node.vjp)}),
    }  # fmt: skip
    return compile_lines(f"{op.name} function", lines, scope)[op.name]
