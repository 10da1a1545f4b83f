"""How ops hand tangents on, each form of op in its own way.

- pointwise: the tangent times the local partial derivative;
- linear: the op itself, on the tangent;
- general: its `jvp` if it has one, else its vjp transposed: what is linear in the cotangent u, <vjp(u), t>, has the gradient
  J t with respect to u, wherever u is.

The tangents of level n are computed with the levels below n on, so that nested levels mix as they should.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule._core.silence import restore, silence
from chainrule.autograd.duals import pointwise_slope
from chainrule.autograd.engine import as_tensor, run
from chainrule.autograd.forward_ad import attach, below, hold, note, tangent_of, tangents_of
from chainrule.autograd.node import Node
from chainrule.kernels.batched import Batched, mapped_levels
from chainrule.ops import shape as ops
from chainrule.ops.inplace import check_writable, overwrite
from chainrule.ops.pointwise import where
from chainrule.ops.pointwise_form import Pointwise
from chainrule.ops.primitive import INEXACT, MultiNode, Primitive, argument_names, as_array, bare, conjugate, edge_of, mark_view
from chainrule.tensor import Tensor, wrap

local = modes.local


def push_forward(op: Primitive, inputs: Sequence, statics: tuple, outs: list, node: Node | None) -> None:
    """Give the results of `op` their tangents, at each level; what its node saved keeps its own, for forward over reverse mode."""
    if local.inference or not local.forward:
        return
    token = silence()
    try:
        push_levels(op, inputs, statics, outs, node)
    finally:
        restore(token)


def push_levels(op: Primitive, inputs: Sequence, statics: tuple, outs: list, node: Node | None) -> None:
    """`push_forward`, with NumPy's warnings off."""
    for level in range(local.dual_level + 1):
        tangents = [tangent_of(t, level) if isinstance(t, Tensor) else None for t in inputs]
        if all([t is None for t in tangents]):
            if op.view and inputs[0]._tangents is not None and level in inputs[0]._tangents:
                for out in outs:
                    hold(out, level, None)
            continue
        if not op.differentiable or not any([out._data.dtype in INEXACT for out in outs]):
            continue
        if node is None and local.dual_level == 0 and push_arrays(op, inputs, statics, outs, tangents):
            return
        with below(level):
            found = pushed(op, inputs, statics, outs, tangents)
        for out, tangent in zip(outs, found, strict=True):
            if tangent is not None and out._data.dtype in INEXACT:
                attach(out, level, tangent)
    if node is not None and node.saves:
        saved = [read(op, name, inputs, statics, outs) if name in op.carriers else None for name in node.saves]
        theirs = [tuple([tangents_of(t) for t in value]) if isinstance(value, (tuple, list)) else tangents_of(value) for value in saved]
        if any(theirs):
            extra = node.ensure_extra()
            extra.tangents = theirs
            for level in range(local.dual_level + 1):
                note(extra, level)


def push_arrays(op: Primitive, inputs: Sequence, statics: tuple, outs: list, tangents: list) -> bool:
    """Push tangents that have no history as arrays, as first-order backward does its cotangents; False if that cannot be."""
    known = [t for t in tangents if t is not None]
    if any([t.requires_grad for t in known]) or (op.jvp is None and not op.linear and not isinstance(op, Pointwise)):
        return False
    arrays, slopes = bare(tuple(inputs)), bare(tuple(tangents))
    results = [out._data for out in outs]
    if isinstance(op, Pointwise):
        if results[0].dtype.kind == "c" or any([t.dtype.kind == "c" for t in slopes if t is not None]):
            return False
        found: Sequence = [pointwise_slope(op, arrays, results[0], slopes)]
    elif op.jvp is not None:
        found = push_by_rule(op, arrays, statics, results, slopes)
    else:
        found = push_linear(op, arrays, statics, slopes)
    for out, slope in zip(outs, found, strict=True):
        if slope is not None and out._data.dtype in INEXACT:
            tangent = wrap(as_array(slope))
            if op.view:
                mark_view(tangent, tangents[0], len(outs) > 1, local.grad)
            hold(out, 0, tangent)
    return True


def pushed(op: Primitive, inputs: Sequence, statics: tuple, outs: list, tangents: list) -> Sequence:
    """The tangents of the outputs, given those of the inputs."""
    if isinstance(op, Pointwise):
        return [push_pointwise(op, inputs, outs[0], tangents)]
    if op.jvp is not None:
        return push_by_rule(op, inputs, statics, outs, tangents)
    if op.linear:
        return push_linear(op, inputs, statics, tangents)
    return push_transposed(op, inputs, statics, outs, tangents)


def read(op: Primitive, name: str, inputs: Sequence, statics: tuple, outs: list) -> Any:
    """What a rule asks for by `name`."""
    if name in op.outputs:
        return outs if op.variadic == "outputs" else outs[op.outputs.index(name)]
    if name in op.inputs:
        return tuple(inputs) if op.variadic is True else inputs[op.inputs.index(name)]
    return op.look_up(name, inputs, bare(tuple(inputs)), statics, [t if isinstance(t, Tensor) else wrap(t) for t in outs], [])


def push_pointwise(op: Pointwise, inputs: Sequence, out: Tensor, tangents: list) -> Tensor | None:
    """The sum over the inputs of tangent times partial derivative."""
    values = [t if isinstance(t, Tensor) or not isinstance(t, (np.ndarray, np.generic)) else wrap(np.asarray(t)) for t in inputs]
    total = None
    for name, t in zip(op.inputs, tangents, strict=True):
        rule = op.rules.get(name)
        if t is None or rule is None:
            continue
        if t._data.shape != out._data.shape:
            t = ops.expand(t, out._data.shape)
        if not callable(rule):
            part = t if rule == 1 else -t
        else:
            names = argument_names(rule)
            given = {n: read(op, n, values, (), [out]) for n in names if n != "g"}
            part = t * rule(**given) if "g" not in names else through_cotangent(rule, given, t, out)
        total = part if total is None else total + part
    return total


def through_cotangent(rule: Any, given: dict, t: Tensor, out: Tensor) -> Any:
    """J t for a rule that gives the cotangent J^H g, element by element."""
    if out._data.dtype.kind != "c" and t._data.dtype.kind != "c":
        return rule(g=t, **given)
    one = wrap(np.ones_like(out._data))
    real = kept(conjugate(rule(g=one, **given)), t).real
    if out._data.dtype.kind != "c":
        return real
    return real + 1j * kept(conjugate(rule(g=wrap(one._data * out._data.dtype.type(1j)), **given)), t).real


def kept(d: Any, t: Tensor) -> Tensor:
    """d t; where d is 0 nothing of t is left, not even NaN: these are the elements that `where` and its kind do not take."""
    return where(d == 0, 0, d * t)


def zeros_as(t: Any) -> Any:
    return wrap(np.zeros_like(t._data)) if isinstance(t, Tensor) else np.zeros_like(t)


def add_up(totals: Sequence | None, parts: Any) -> Sequence:
    parts = parts if isinstance(parts, (tuple, list)) else (parts,)
    return parts if totals is None else [a + b for a, b in zip(totals, parts, strict=True)]


def push_linear(op: Primitive, inputs: Sequence, statics: tuple, tangents: list) -> Sequence:
    """The op on the tangents, one input at a time.

    What the rule of an input does not read, its derivative does not depend on: zero will do. So one way serves products, which
    are linear in each input, and sums, which are so in all together.
    """
    totals: Sequence | None = None
    if op.variadic is True:
        name = op.inputs[0]
        if name not in argument_names(op.combined or op.rules[name]):
            return add_up(None, op(tuple([zeros_as(v) if t is None else t for v, t in zip(inputs, tangents, strict=True)]), *statics))
        for i, t in enumerate(tangents):
            if t is not None:
                totals = add_up(totals, op((*inputs[:i], t, *inputs[i + 1 :]), *statics))
        return totals  # type: ignore[return-value]
    for name, t in zip(op.inputs, tangents, strict=True):
        rule = op.rules.get(name, op.combined)
        if t is None or rule is None:
            continue
        names = argument_names(rule)
        arguments = [
            t if n == name else v if n in names or (n not in op.rules and op.combined is None) or v is None else zeros_as(v)
            for n, v in zip(op.inputs, inputs, strict=True)
        ]
        totals = add_up(totals, op(*arguments, *statics))
    return [None] if totals is None else totals


def push_by_rule(op: Primitive, inputs: Sequence, statics: tuple, outs: list, tangents: list) -> Sequence:
    """The op's own `jvp`: it reads `t` (or `t_a`, `t_b`, ...; zeros where there is none) and what other rules can read."""
    named = {f"t_{n}": t for n, t in zip(op.inputs, tangents, strict=False)}
    given: dict = {}
    for name in argument_names(op.jvp):
        if name == "t" or name in named:
            i = 0 if name == "t" else op.inputs.index(name[2:])
            if op.variadic is True:
                given[name] = tuple([zeros_as(v) if t is None else t for v, t in zip(inputs, tangents, strict=True)])
            else:
                given[name] = zeros_as(inputs[i]) if tangents[i] is None else tangents[i]
        else:
            given[name] = read(op, name, inputs, statics, outs)
    assert op.jvp is not None
    return add_up(None, op.jvp(**given))


def push_transposed(op: Primitive, inputs: Sequence, statics: tuple, outs: list, tangents: list) -> Sequence:
    """The transpose of the vjp, which is linear in the cotangents."""
    create = local.grad or local.dual_level >= 0
    node: Node = object.__new__(op.node)
    node.edges, node.fix, node.extra = tuple([None if t is None else op for t in tangents]), None, None  # the rules ask which are needed
    node.saved = tuple([read(op, name, inputs, statics, outs) for name in op.saves])
    cotangents = [zeros_as(out) for out in outs]
    for u in cotangents:
        u._tracked = u._data.dtype in INEXACT
    if isinstance(node, MultiNode):
        node.width, node.outputs = len(outs), [(u._data.shape, u._data.dtype) for u in cotangents]
    before = modes.set_grad(True), modes.set_inference(False)
    try:
        grads = node.vjp(cotangents if node.width else cotangents[0], node.saved)
        pairs = [(edge_of(g), t) for g, t in zip(grads, tangents, strict=True) if t is not None and isinstance(g, Tensor)]
        pairs = [(edge, t) for edge, t in pairs if edge is not None]
        if not pairs:
            return [zeros_as(out) for out in outs]
        wanted = [u for u in cotangents if u._tracked]
        found = iter(run([e for e, _ in pairs], [t for _, t in pairs], create, create, wanted))
    finally:
        modes.set_grad(before[0])
        modes.set_inference(before[1])
    results = [next(found) if u._tracked else None for u in cotangents]
    return [zeros_as(out) if g is None else as_tensor(g) for g, out in zip(results, outs, strict=True)]


# In-place ops and custom Functions


def push_overwrite(target: Tensor, result: Tensor) -> None:
    """`target` was overwritten with `result`: so are its tangents."""
    for level in range(local.dual_level + 1):
        new, old = tangent_of(result, level), tangent_of(target, level)
        if new is None and old is None:
            continue
        with below(level):
            if old is None:
                old = fresh_tangent(target, level)
            if new is not None and modes.state.levels:
                old = with_room(target, level, old, new)
            check_writable(old, modes.grad_enabled())
            overwrite(old, zeros_as(target) if new is None else new)


def with_room(target: Tensor, level: int, old: Tensor, new: Tensor) -> Tensor:
    """The tangent of `target` with memory for each example that `new` is to write to: what is mapped may be the tangents alone."""
    missing = [v for v in mapped_levels(new._data) if v not in mapped_levels(old._data)]
    if not missing:
        return old
    base = target if target._base is None else target._base
    whole = tangent_of(base, level)
    assert whole is not None
    for v in missing:
        whole = whole + wrap(Batched(np.zeros((v.size, *whole._data.shape), whole._data.dtype), v))  # type: ignore[operator]
    hold(base, level, whole)
    if target is not base and target._tangents is not None:
        target._tangents.pop(level, None)
    made = tangent_of(target, level)
    assert made is not None
    return made


def copy_tangents(source: Tensor, copy: Tensor) -> None:
    """Give a copy of a tensor copies of its tangents."""
    for level in range(local.dual_level + 1):
        tangent = tangent_of(source, level)
        if tangent is not None:
            with below(level):
                hold(copy, level, ops.clone(tangent))


def fresh_tangent(t: Tensor, level: int) -> Tensor:
    """A tangent of zeros, to be written into; if t is a view, a part of a new tangent of its base."""
    base = t._base
    if base is None or (base._tangents is not None and level in base._tangents):
        hold(t, level, zeros_as(t))
    else:
        hold(base, level, zeros_as(base))
        if t._tangents is not None:
            t._tangents.pop(level, None)
    made = tangent_of(t, level)
    assert made is not None
    return made


def push_function(cls: Any, ctx: Any, args: tuple, outputs: list) -> None:
    """The tangents of a custom Function's outputs, by its `jvp`."""
    for level in range(local.dual_level + 1):
        tangents = [tangent_of(a, level) if isinstance(a, Tensor) else None for a in args]
        if all([t is None for t in tangents]):
            continue
        given = tangents
        if ctx.materialize_grads:
            given = [
                zeros_as(a) if t is None and isinstance(a, Tensor) and a._data.dtype in INEXACT else t
                for a, t in zip(args, tangents, strict=True)
            ]
        with below(level):
            result = cls.jvp(ctx, *given)
        found = result if isinstance(result, tuple) else (result,)
        if len(found) != len(outputs):
            raise RuntimeError(
                f"Function's jvp returned an invalid number of forward gradients (expected {len(outputs)} but got {len(found)})"
            )
        for i, (out, g) in enumerate(zip(outputs, found, strict=True)):
            set_output(ctx, args, tangents, level, i, out, g)


def set_output(ctx: Any, args: tuple, tangents: list, level: int, i: int, out: Any, g: Any) -> None:
    """Give output i its tangent, as far as views and in-place changes allow it."""
    if g is not None and not isinstance(g, Tensor):
        raise RuntimeError(f"expected Variable or None (got {type(g).__name__}) for grad output {i}.")
    differentiable = isinstance(out, Tensor) and out._data.dtype in INEXACT and not any([out is t for t in ctx.non_differentiable])
    if not differentiable:
        if g is not None:
            raise RuntimeError(
                f"Function's jvp returned a gradient at position {i}, but  the corresponding forward output is not a differentiable Tensor."
                "You should return None at that position instead."
            )
        return
    if any([out is t for t in ctx.dirty_tensors]):
        old = next((t for a, t in zip(args, tangents, strict=True) if a is out), None)
        if old is not None and g is not old:
            raise RuntimeError(
                "An inplace custom Function is not modifying the forward mode gradients inplace. If the forward is modifying an input "
                "inplace, then the jvp function must modify the corresponding gradient inplace."
            )
        if old is not None:
            return
    elif out._base is not None and any([isinstance(a, Tensor) and (a is out._base or a._base is out._base) for a in args]):
        if g is not None and g._base is None and not local.transforms:
            raise RuntimeError(
                "A custom Function's forward is returning a view (or an input as-is) but the jvp is not returning a view."
            )
    if g is None:
        raise RuntimeError("Expected both tensor and its forward grad to be floating point or complex")
    attach(out, level, g)
