"""The eager path of a primitive, written out for its inputs and for what its rules save, as `pointwise_form` does for its ops.

A primitive's first call makes it. It does what `Primitive.record` does in general, in a few lines without loops; modes, and whatever
else makes the library busy, take the general way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import Output, next_sequence
from chainrule.kernels.elementwise import MANY, blockwise
from chainrule.ops.pointwise_form import BFLOAT16, Pointwise, narrowed
from chainrule.ops.primitive import INEXACT, Primitive, compile_lines, mark_view
from chainrule.tensor import Tensor, sync

NEVER = [0, 0]  # the version counter of what no op changes


def eager(op: Primitive) -> Callable[..., Any]:
    """`op(*inputs, *statics)`, all by position, for inputs that are Tensors, arrays or None."""
    defaults = getattr(op.kernel, "__defaults__", None) or ()
    first = len(op.statics) - len(defaults)
    signature = [f"x_{n}" for n in op.inputs] + [s if i < first else f"{s}=_default_{s}" for i, s in enumerate(op.statics)]
    given = ", ".join([f"x_{n}" for n in op.inputs] + list(op.statics))
    several = len(op.outputs) > 1
    lines = [f"def {op.name}({', '.join(signature)}):", f"    if _state.busy: return _op.general({given})"]
    for n in op.inputs:
        lines.append(f"    is_{n} = isinstance(x_{n}, _Tensor)")
    lines.append(f"    if not ({' or '.join([f'is_{n}' for n in op.inputs])}): return _kernel({given})")
    for n in op.inputs:
        lines.append(f"    {n} = x_{n}._data if is_{n} else x_{n}")
    arguments = ", ".join([*op.inputs, *op.statics])
    if op.elementwise:
        first_input = op.inputs[0]
        lines.append(f"    if {first_input}.__class__ is _ndarray and {first_input}.size >= _MANY: y = _blockwise(_kernel, {arguments})")
        lines.append(f"    else: y = _kernel({arguments})")
    else:
        lines.append(f"    {', '.join(op.outputs)} = _kernel({arguments})")
    for y in op.outputs:
        lines += [
            f"    if {y}.__class__ is not _ndarray: {y} = _asarray({y})",
            f"    t_{y} = _new(_Tensor); t_{y}._data = {y}; t_{y}._base = t_{y}._grad = t_{y}._edge = None",
            f"    t_{y}._tracked = False; t_{y}._versions = v_{y} = [0, 0]",
        ]
        if op.view:
            lines.append(f"    _mark_view(t_{y}, x_{op.inputs[0]}, {several}, True)")
    if op.differentiable:
        lines += recording(op)
    lines.append(f"    return {', '.join([f't_{y}' for y in op.outputs])}")
    scope: dict[str, Any] = {
        "_op": op, "_kernel": op.kernel, "_state": modes.state, "_asarray": np.asarray, "_ndarray": np.ndarray, "_new": object.__new__,
        "_Tensor": Tensor, "_sync": sync, "_INEXACT": INEXACT, "_BFLOAT16": BFLOAT16, "_next_sequence": next_sequence, "_node": op.node,
        "_Output": Output, "_mark_view": mark_view, "_NEVER": NEVER, "_MANY": MANY, "_blockwise": blockwise,
    }  # fmt: skip
    if op.differentiable:
        namespace = {"__slots__": (), "__module__": op.node.__module__, "vjp": narrowed(op.node.vjp)}
        scope["_narrow"] = type(op.node.__name__, (op.node,), namespace)
    if isinstance(op, Pointwise):
        scope |= {f"_scalar_{n}": node for n, node in zip(op.inputs, op.scalar_nodes, strict=False)}
        scope |= {"_F32": np.dtype(np.float32), "_F64": np.dtype(np.float64)}
    scope |= {f"_default_{s}": d for s, d in zip(op.statics[first:], defaults)}
    return compile_lines(f"{op.name} function", lines, scope)[op.name]


def recording(op: Primitive) -> list[str]:
    """The lines that leave a node if an input is tracked."""
    lines = []
    for n in op.inputs:
        lines += [
            f"    if is_{n}:",
            f"        if x_{n}._base is not None: _sync(x_{n})",
            f"        e_{n} = (x_{n}._edge or x_{n}) if x_{n}._tracked else None",
            f"    else: e_{n} = None",
        ]
    tracked = " or ".join([f"e_{n} is not None" for n in op.inputs])
    several = len(op.outputs) > 1
    lines += [f"    if {tracked}:" if several else f"    if ({tracked}) and {op.outputs[0]}.dtype in _INEXACT:"]
    inner = ["node = _new(_node); node.extra = node.fix = None; node.sequence = _next_sequence()"]
    inner.append(f"node.edges = ({', '.join([f'e_{n}' for n in op.inputs])},)")
    saved, always, sometimes = [], [], []
    for name in op.saves:
        term, counter = described(op, name)
        needed = "" if op.combined is not None or len(op.inputs) == 1 else " or ".join([f"e_{r} is not None" for r in op.readers[name]])
        saved.append(f"({term} if {needed} else None)" if needed else term)
        if counter and needed:
            sometimes.append(f"if {needed}: guards += ({counter}, {counter}[0])")
        elif counter:
            always += [counter, f"{counter}[0]"]
    for n in op.inputs:
        if n in op.saves:
            inner.append(f"v_{n} = x_{n}._versions if is_{n} else _NEVER")
    inner.append(f"node.saved = ({''.join([f'{s}, ' for s in saved])})")
    if sometimes:
        inner += [f"guards = ({''.join([f'{c}, ' for c in always])})", *sometimes, "node.guards = guards"]
    else:
        inner.append(f"node.guards = ({''.join([f'{c}, ' for c in always])})")
    if several:
        inner.append(f"node.width = {len(op.outputs)}; node.outputs = [{', '.join([f'({y}.shape, {y}.dtype)' for y in op.outputs])}]")
        for i, y in enumerate(op.outputs):
            inner.append(f"if {y}.dtype in _INEXACT: t_{y}._edge = _Output(node, {i}); t_{y}._tracked = True")
    else:
        inner.append(f"t_{op.outputs[0]}._edge = node; t_{op.outputs[0]}._tracked = True; node.made = {op.outputs[0]}.shape")
    if isinstance(op, Pointwise):
        inner += broadcasting(op)
    else:
        inner.append(f"if is_{op.inputs[0]} and {op.inputs[0]}.dtype is _BFLOAT16: node.__class__ = _narrow")
    return lines + [f"        {line}" for line in inner]


def broadcasting(op: Pointwise) -> list[str]:
    """The lines that note which inputs were broadcast, and choose the node for numbers, complex numbers and bfloat16."""
    lines = ["shape = y.shape"]
    shaped = [f"(None if e_{n} is None or {n}.shape == shape else {n}.shape)" for n in op.inputs]
    unequal = " or ".join([f"(e_{n} is not None and {n}.shape != shape)" for n in op.inputs])
    lines.append(f"if {unequal}: node.fix = ({', '.join(shaped)},)")
    for n, scalar_node in zip(op.inputs, op.scalar_nodes, strict=False):
        if scalar_node is not None:
            lines.append(f"if not is_{n}: node.__class__ = _scalar_{n}")
    lines.append("if y.dtype is not _F32 and y.dtype is not _F64:")
    lines.append("    if y.dtype.kind == 'c': node.__class__ = node.complex_twin")
    lines.append("    elif y.dtype is _BFLOAT16: node.__class__ = node.bfloat16_twin")
    return lines


def described(op: Primitive, name: str) -> tuple[str, str]:
    """What `name`, which a rule asks for, is on the eager path, and the counter of its versions if it is an array."""
    if name in op.statics:
        return name, ""
    if name in op.inputs or name in op.outputs:
        return name, f"v_{name}"
    source, _, what = name.rpartition("_")
    return f"getattr({source}, '{what}', {'()' if what == 'shape' else 'None'})" if source in op.inputs else f"{source}.{what}", ""
