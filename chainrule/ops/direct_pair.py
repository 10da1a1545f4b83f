"""The eager path of ops on two Tensors without statics, such as matrix products: recorded in a few written-out lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import next_sequence
from chainrule.ops.primitive import INEXACT, Primitive, compile_lines
from chainrule.tensor import Tensor, sync

AVAILABLE = {"a": "a", "b": "b", "a_shape": "a.shape", "b_shape": "b.shape"}
COUNTERS = {"a": "va", "b": "vb"}


def direct_pair(op: Primitive) -> Callable[[Tensor, Tensor], Tensor]:
    """`op(s, t)` for Tensors s and t."""
    lines = [
        f"def {op.name}(s, t):",
        "    if state.busy: return op(s, t)",
        "    a = s._data; b = t._data",
        "    y = kernel(a, b)",
        "    if y.__class__ is not ndarray: y = asarray(y)",
        "    out = new(Tensor); out._data = y; out._base = out._grad = None; out._versions = [0, 0]",
        "    if s._base is not None: sync(s)",
        "    if t._base is not None: sync(t)",
        "    if (s._tracked or t._tracked) and y.dtype in INEXACT:",
        "        node = new(node_class); node.extra = node.fix = None; node.sequence = next_sequence()",
        "        va = s._versions; vb = t._versions",
        "        if not t._tracked:",
        *recorded(op, {"a"}),
        "        elif not s._tracked:",
        *recorded(op, {"b"}),
        "        else:",
        *recorded(op, {"a", "b"}),
        "        out._tracked = True; out._edge = node",
        "    else: out._tracked = False; out._edge = None",
        "    return out",
    ]
    scope: dict[str, Any] = {
        "op": op, "kernel": op.kernel, "state": modes.state, "asarray": np.asarray, "ndarray": np.ndarray, "new": object.__new__,
        "Tensor": Tensor, "sync": sync, "INEXACT": INEXACT, "next_sequence": next_sequence, "node_class": op.node,
    }  # fmt: skip
    return compile_lines(f"{op.name} function", lines, scope)[op.name]


def recorded(op: Primitive, tracked: set[str]) -> list[str]:
    """The lines that fill a node when `tracked` inputs need a gradient."""
    edges = [f"{t}._edge or {t}" if n in tracked else "None" for n, t in (("a", "s"), ("b", "t"))]
    kept = [n if tracked & set(op.readers[n]) else None for n in op.saves]
    saved = "".join([f"{AVAILABLE[n] if n else None}, " for n in kept])
    guards = "".join([f"{COUNTERS[n]}, {COUNTERS[n]}[0], " for n in kept if n in COUNTERS])
    return [f"            node.edges = ({', '.join(edges)}); node.saved = ({saved}); node.guards = ({guards})"]
