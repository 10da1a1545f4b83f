"""How an op is stated: a kernel and its derivative rule, in one of three forms.

    exp = pointwise("exp", np.exp, a=lambda y: y)                     # a local partial derivative for each input
    mul = pointwise("mul", np.multiply, a=lambda b: b, b=lambda a: a)

    @linear(a=lambda g, a_shape, dim, keepdim: ...)                   # the transpose, for each input
    def sum(a, dim, keepdim): return np.sum(a, dim, keepdims=keepdim)

    @general(vjp=lambda g, a, y, dim: ...)                            # anything else: all cotangents at once

`a`, `b`, ... are the kernel's array arguments, the rest of its parameters are static; `y` is the result, `g` its cotangent.
The names that a rule takes are what the node saves, for just the inputs that need a gradient: an array by its name, a shape or
dtype alone as `a_shape`, `a_dtype`. A rule is written against the carrier: it gets arrays in a first-order backward and Tensors,
history included, under `create_graph`, so it uses operators and other primitives and never asks which it has.

A primitive called on arrays is its kernel; called on Tensors it records.
"""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import FREED, SECOND_BACKWARD, Node, Output, next_sequence, qualified
from chainrule.kernels.batched import Batched
from chainrule.kernels.elementwise import COMPILED, MANY, blockwise, in_one_pass
from chainrule.tensor import Tensor, adopt, root_memory, sync

ndarray = np.ndarray
state = modes.state
OWN_FILES = (str(Path(__file__).parents[1]), "<chainrule ")
INEXACT = frozenset(d.numpy for d in dtypes.ALL if d.category >= dtypes.FLOATING)
_COMPLEX = frozenset(d.numpy for d in dtypes.ALL if d.is_complex)


class RecordedNode(Node):
    """A node made by a primitive; `saves` and `vjp` come from the primitive's rules."""

    __slots__ = ()
    primitive: Primitive

    def unpack(self, tracked: bool) -> tuple:
        saved = self.saved
        if saved is FREED:
            raise RuntimeError(SECOND_BACKWARD)
        check_versions(self)
        packed = self.extra.packed if self.extra is not None else None
        if packed is None:
            if not tracked:
                return saved
        else:
            from chainrule.autograd.saved import unpacked

            saved = tuple([s if p is None else unpacked(p) for s, p in zip(saved, packed, strict=True)])
            if not tracked:
                return tuple([bare(s) for s in saved])
        values = tuple([self._with_history(name, s) for name, s in zip(self.saves, saved, strict=True)])
        if self.extra is not None and self.extra.tangents is not None:
            from chainrule.autograd.forward_ad import revive

            values = tuple([revive(v, t) for v, t in zip(values, self.extra.tangents, strict=True)])
        return values

    def _with_history(self, name: str, value: Any) -> Any:
        """The Tensor that `value` was, for a rule that is itself recorded."""
        prim = self.primitive
        if value is None or name not in prim.carriers:
            return value
        if isinstance(value, tuple):
            return tuple([with_edge(v, e) for v, e in zip(value, self.edges, strict=True)])
        if not isinstance(value, (ndarray, Tensor, np.generic, Batched)):
            return value
        if name in prim.inputs:
            return with_edge(value, self.edges[prim.inputs.index(name)])
        return with_edge(value, Output(self, prim.outputs.index(name)) if self.width else self)

    def __getattr__(self, name: str) -> Any:
        """`_saved_self`, `_saved_result`, ...: what PyTorch shows of the saved values."""
        raw = name.startswith("_raw_saved_")
        if not raw and not name.startswith("_saved_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        wanted = name.partition("saved_")[2]
        wanted = wanted if wanted in self.saves else SAVED_ALIASES.get(wanted, wanted)
        if wanted not in self.saves:
            wanted = next((n for n in self.saves if public_name(n) == wanted), wanted)
        if wanted not in self.saves:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        if raw:
            from chainrule.autograd.saved import SavedTensor

            return SavedTensor(self, self.saves.index(wanted))
        if self.saved is FREED:
            raise RuntimeError(SECOND_BACKWARD)
        return self.unpack(True)[self.saves.index(wanted)]


    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *[f"_saved_{public_name(n)}" for n in self.saves]]


def public_name(name: str) -> str:
    """What PyTorch calls a saved value, mostly: `_saved_self`, `_saved_other`, `_saved_self_sym_sizes`."""
    known, _, what = name.partition("_")
    if known not in PUBLIC or what not in ("", "shape", "dtype"):
        return name
    return PUBLIC[known] + {"": "", "shape": "_sym_sizes", "dtype": "_scalar_type"}[what]


class MultiNode(RecordedNode):
    """A node of a primitive with several outputs."""

    __slots__ = ("width", "outputs")

    def outputs_shown(self) -> int:
        return max([i + 1 for i, (_, dtype) in enumerate(self.outputs) if dtype in INEXACT], default=1)

    def materialize(self, g: list, create: bool) -> Any:
        """Zeros where no cotangent arrived; None if none did."""
        if all(v is None for v in g):
            return None
        for i, (shape, dtype) in enumerate(self.outputs):
            if g[i] is None:
                g[i] = adopt(Tensor, np.zeros(shape, dtype)) if create else np.zeros(shape, dtype)
        return g


INFERENCE_SAVED = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation tracked by "
    "autograd. "
    "To work around this, you can make a clone to get a normal tensor and use it in autograd, or use `torch.no_grad()` instead of "
    "`torch.inference_mode()`."
)
PUBLIC = {"a": "self", "b": "other", "y": "result"}
SAVED_ALIASES = {"self": "a", "other": "b", "result": "y", "input": "a", "exponent": "b", "mat2": "b", "self_sym_sizes": "a_shape"}


def bare(value: Any) -> Any:
    """A saved value as rules on arrays want it."""
    if type(value) is tuple:  # a named one holds settings, no tensors
        return tuple([bare(v) for v in value])
    return value._data if isinstance(value, Tensor) else value


def as_array(value: Any) -> Any:
    """A result of a kernel as what a Tensor holds."""
    return value if value.__class__ is ndarray or value.__class__ is Batched else np.asarray(value)


def with_edge(value: Any, edge: Any) -> Any:
    data = value._data if isinstance(value, Tensor) else as_array(value)
    if edge is None:
        return adopt(Tensor, data)
    t = adopt(Tensor, data)
    if isinstance(edge, Tensor):
        if data is edge._data:
            return edge
        alias.make_node([edge], (t,), (data,), (), [t], False)  # a hook gave the leaf's values in other memory
        return t
    t._edge, t._tracked = edge, True
    return t


def check_versions(node: Node) -> None:
    """Raise if an array that `node` saved was changed in place since."""
    pairs = iter(node.guards)
    for k, (counter, version) in enumerate(zip(pairs, pairs, strict=True)):
        if counter[0] != version:
            arrays = list(saved_arrays(node))
            array, origin = arrays[k] if k < len(arrays) else arrays[-1]
            own = type(origin) is Output and origin.node is node
            raise changed_in_place(array, origin, counter[0], version, None if own or len(counter) < 3 else counter[2])


def saved_arrays(node: Node) -> Iterator[tuple[ndarray, Any]]:
    """The arrays that a node saved, each with the edge to what made it."""
    prim = node.primitive
    for name, value in zip(node.saves, node.saved, strict=True):
        start = prim.inputs.index(name) if name in prim.inputs else None
        for i, array in enumerate(value if isinstance(value, tuple) and name in prim.carriers else (value,)):
            if isinstance(array, ndarray):
                if start is not None:
                    yield array, node.edges[start + i]
                else:
                    yield array, Output(node, prim.outputs.index(name) if name in prim.outputs else 0)


def changed_in_place(array: ndarray, origin: Any, current: int, expected: int, writer: type | None = None) -> RuntimeError:
    """The error for a saved array that an in-place op changed; `origin` is the edge to what made it, `writer` the node class of the op."""
    if expected != expected:  # an inference tensor: its versions are NaN
        return RuntimeError(INFERENCE_SAVED)
    made_by, index = (origin.node, origin.index) if type(origin) is Output else (origin, 0)
    maker = ""
    if writer is not None or isinstance(made_by, Node):
        part = writer is not None and root_memory(array).nbytes > array.nbytes  # the view got a new history from its base's
        name = "AsStrided" if part else made_by.name() if writer is None else qualified(writer)
        maker = f", which is output {0 if writer else index} of {re.sub('Backward[0-9]*$', '', name)},"
    hint = (
        "the backtrace further above shows the operation that failed to compute its gradient. The variable in question was changed "
        "in there or anywhere later. Good luck!"
        if modes.local.anomaly
        else "enable anomaly detection to find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False)."
    )
    return RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{dtypes.LEGACY[dtypes.BY_NUMPY[array.dtype]]}Tensor {list(array.shape)}]{maker} is at version {current}; "
        f"expected version {expected} instead. Hint: {hint}"
    )


class Primitive:
    """A differentiable op on carriers: a kernel, its rules, and the node class that its records get."""

    linear = False  # whether the op is linear in its inputs (as `linear` explains)
    wanted: list | None = None  # what `look_ups` makes
    elementwise = False  # whether kernel and rules can be computed in blocks (`kernels.elementwise`)

    def __init__(
        self, name: str, kernel: Callable, inputs: tuple[str, ...], statics: tuple[str, ...], rules: dict[str, Any], vjp: Callable | None,
        outputs: tuple[str, ...] = ("y",), view: bool = False, jvp: Callable | None = None, node: str | None = None, variadic: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.kernel, self.inputs, self.statics = name, kernel, inputs, statics
        self.rules, self.combined, self.outputs, self.view, self.jvp, self.variadic = rules, vjp, outputs, view, jvp, variadic
        self.arity = len(inputs)
        self.carriers = {*inputs, *outputs}
        self.differentiable = bool(rules) or vjp is not None
        self.quick: Callable = self.first_call
        used = [argument_names(r) for r in (*rules.values(), vjp) if callable(r)]
        swapped = self.elementwise and self.arity == 2  # PyTorch saves the second operand first, as saved-tensor hooks see
        described = [f"{n}_{what}" for n in (*inputs, *outputs) for what in ("shape", "dtype")]
        known = [*(inputs[::-1] if swapped else inputs), *outputs, *statics, *described]
        unknown = {n for names in used for n in names} - {*known, "g", "needs"}
        if unknown:
            raise TypeError(f"{name}: a rule asks for {sorted(unknown)}; it can have g, needs, {', '.join(known)}")
        self.saves = tuple([n for n in known if any(n in names for names in used)])
        self.readers = {n: [i for i, r in rules.items() if callable(r) and n in argument_names(r)] for n in self.saves}
        base = MultiNode if len(outputs) > 1 or variadic == "outputs" else RecordedNode
        namespace = {"__slots__": (), "primitive": self, "saves": self.saves, "__module__": "builtins"}
        namespace["frees"] = bool(self.carriers.intersection(self.saves))
        if rules and variadic is not True and len(rules) < self.arity:
            namespace["visible"] = tuple([i for i, n in enumerate(inputs) if n in rules])
        if self.differentiable:
            namespace["vjp"] = self.compile_vjp(conj=False)
        self.node: Any = type(node or node_name(name), (base,), namespace)

    def compile_vjp(self, conj: bool) -> Any:
        """The node's `vjp(g, saved)` with its rules written out, one expression an input."""
        scope = {"restore": restore, "conjugate": conjugate, "ndarray": ndarray, "MANY": MANY, "COMPILED": COMPILED}
        scope |= {"blockwise": blockwise, "in_one_pass": in_one_pass}
        return postponed("vjp", f"of {self.name}", "node, g, saved", "node, g, saved", lambda: self.vjp_lines(conj, scope), scope)

    def vjp_lines(self, conj: bool, scope: dict[str, Any]) -> list[str]:
        lines = ["def vjp(node, g, saved):"]
        if self.saves:
            lines.append(f"    {', '.join(self.saves)}, = saved")
        needs = "needs = tuple([e is not None for e in node.edges])"
        if self.combined is not None:
            scope["rule"] = self.combined
            if "needs" in argument_names(self.combined):
                lines.append(f"    {needs}")
            lines.append(f"    return rule({', '.join(argument_names(self.combined))})")
        else:
            if self.elementwise and any([callable(r) for r in self.rules.values()]):
                lines.append("    few = g.__class__ is not ndarray or g.size < MANY")
            lines.append(f"    {''.join(f'e_{n}, ' for n in self.inputs)}= node.edges")
            for n in self.inputs:
                rule = self.rules.get(n)
                scope[f"d_{n}"] = rule
                expression = self.cotangent(n, rule, conj)
                lines.append(f"    g_{n} = " + ("None" if rule is None else f"{expression} if e_{n} is not None else None"))
            every = ", ".join(f"g_{n}" for n in self.inputs)
            lines.append(f"    return ({every},) if node.fix is None else restore(node.fix, ({every},))")
        return lines

    def cotangent(self, name: str, rule: Any, conj: bool) -> str:
        """The expression of the rule for an input, which the elementwise ops compute in blocks if there is much to do."""
        if not callable(rule):
            return "g"
        names = argument_names(rule)
        given = ", ".join(names)
        return self.in_blocks(f"d_{name}({given})", names, rule) if self.elementwise else f"d_{name}({given})"

    @staticmethod
    def in_blocks(expression: str, names: Sequence[str], rule: Callable) -> str:
        given = ", ".join(names)
        if getattr(rule, "whole", False):
            return expression
        one_pass = getattr(rule, "one_pass", None)
        if one_pass is None:
            return f"({expression} if few else blockwise(lambda {given}: {expression}, {given}))"
        fewest = "g.__class__ is not ndarray or g.size < COMPILED"
        return f"({expression} if {fewest} else in_one_pass({one_pass!r}, lambda {given}: {expression}, {given}))"

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.inputs)})>"

    def __call__(self, *args: Any) -> Any:
        return self.quick(*args)

    def first_call(self, *args: Any) -> Any:
        """Have the eager path written out, if there can be one, and take it from now on."""
        if self.variadic:
            self.quick = self.general
        else:
            from chainrule.ops.eager import eager

            self.quick = eager(self)
        return self.quick(*args)

    def general(self, *args: Any) -> Any:
        """The op on any carriers, in any mode."""
        profile = modes.local.profile
        if profile is not None and profile.passing is not self:
            return profile.primitive(self, args)
        inputs = args[0] if self.variadic is True else args[: self.arity]
        for t in inputs:
            if isinstance(t, Tensor):
                break
        else:
            return self.compute(*args)
        if modes.local.dual_level == 0:
            from chainrule.autograd.duals import quick_primitive

            out = quick_primitive(self, args)
            if out is not None:
                return out
        arrays = tuple([t._data if isinstance(t, Tensor) else t for t in inputs])
        statics = args[1:] if self.variadic is True else args[self.arity :]
        if modes.local.watch is not None:
            return modes.local.watch(self, inputs, arrays, statics)
        result = self.compute(arrays, *statics) if self.variadic is True else self.compute(*arrays, *statics)
        return self.record(inputs, arrays, statics, result)

    def compute(self, *args: Any) -> Any:
        """The kernel, on arrays, batched ones too."""
        if state.levels:
            from chainrule.func.calls import computed

            return computed(self, args)
        return self.kernel(*args)

    def record(self, inputs: Sequence, arrays: tuple, statics: tuple, result: Any) -> Any:
        """Wrap the kernel's result and, if an input is tracked, leave a node that knows how to go back."""
        several = isinstance(result, (tuple, list))
        outs = [adopt(Tensor, r if r.__class__ is ndarray else as_array(r)) for r in (result if several else (result,))]
        local = modes.local
        watched = state.busy
        if state.levels and self.differentiable:
            from chainrule.func.levels import lifted

            inputs, arrays = lifted(self, inputs, arrays, outs)
        edges = node = None
        if self.differentiable and (not watched or (local.grad and not local.inference)):
            edges = [edge_of(t) if isinstance(t, Tensor) else None for t in inputs]
            if all([e is None for e in edges]):
                edges = None
        if self.view:
            for t in outs:
                mark_view(t, inputs[0], several, not watched or local.grad)
        if edges is not None:
            node = self.make_node(edges, inputs, arrays, statics, outs, several)
            if watched:
                observe(node, self, inputs, outs)
        if watched and local.dual_level >= 0:
            from chainrule.autograd.pushforward import push_forward

            push_forward(self, inputs, statics, outs, node)
        return tuple(outs) if several else outs[0]

    def make_node(self, edges: list, inputs: Sequence, arrays: tuple, statics: tuple, outs: list, several: bool) -> Node:
        node = _new(self.node)
        node.edges, node.fix, node.extra = tuple(edges), None, None
        saved: list = []
        guards: list = []
        for name, readers in self.wanted or self.look_ups():
            read = readers is None
            for i in readers or ():
                if edges[i] is not None:
                    read = True
                    break
            saved.append(self.look_up(name, inputs, arrays, statics, outs, guards) if read else None)
        node.saved, node.guards = tuple(saved), tuple(guards)
        node.sequence = next_sequence()
        if several or self.variadic == "outputs":
            node.width, node.outputs = len(outs), [(t._data.shape, t._data.dtype) for t in outs]
            for i, t in enumerate(outs):
                if t._data.dtype in INEXACT:
                    t._edge, t._tracked = Output(node, i), True
        elif outs[0]._data.dtype in INEXACT:
            outs[0]._edge, outs[0]._tracked, node.made = node, True, outs[0]._data.shape
        return node

    def look_ups(self) -> list:
        """For each name that a node saves, the inputs that it is saved for; None: for all."""
        self.wanted = [(n, None if self.combined else [self.inputs.index(r) for r in self.readers[n]]) for n in self.saves]
        return self.wanted

    def look_up(self, name: str, inputs: Sequence, arrays: tuple, statics: tuple, outs: list, guards: list) -> Any:
        """What a rule asks for by `name`; saved tensors add their version to `guards`."""
        if name in self.statics:
            k = self.statics.index(name)
            return statics[k] if k < len(statics) else self.kernel.__defaults__[k - len(self.statics)]  # type: ignore[attr-defined]
        if name in self.outputs:
            t = outs[self.outputs.index(name)]
            guards += t._versions, t._versions[0]
            return t._data
        if name in self.inputs:
            if self.variadic is True:
                for t in inputs:
                    if isinstance(t, Tensor):
                        guards += t._versions, t._versions[0]
                return arrays
            i = self.inputs.index(name)
            if isinstance(inputs[i], Tensor):
                guards += inputs[i]._versions, inputs[i]._versions[0]
            return arrays[i]
        source, _, what = name.rpartition("_")
        if self.variadic is True and source in self.inputs:
            return tuple([getattr(a, what) for a in arrays])
        array = outs[self.outputs.index(source)]._data if source in self.outputs else arrays[self.inputs.index(source)]
        return getattr(array, what, () if what == "shape" else None)


def argument_names(rule: Any) -> tuple[str, ...]:
    return rule.__code__.co_varnames[: rule.__code__.co_argcount] if callable(rule) else ()


def node_name(name: str) -> str:
    return "".join([part[:1].upper() + part[1:] for part in name.strip("_").split("_")]) + "Backward0"


def compile_lines(title: str, lines: list[str], scope: dict) -> dict:
    """Run generated source; tracebacks and debuggers show its lines."""
    source = "\n".join(lines) + "\n"
    file = f"<chainrule {title}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), scope)
    return scope


@cache
def stub(parameters: str, arguments: str) -> CodeType:
    return compile(f"def stub({parameters}): return _write()({arguments})\n", "<chainrule stub>", "exec")


def postponed(name: str, what: str, parameters: str, arguments: str, lines: Callable[[], list[str]], scope: dict) -> Callable:
    """A function whose source is written when it is first called: most of a library's never are, and an import need not pay for them.

    `lines` makes the source of `def name(parameters)`, and `arguments` hands a call on. Whoever has the function keeps it.
    """

    def write() -> Callable:
        function.__code__ = compile_lines(f"{name} {what}".strip(), lines(), scope)[name].__code__
        return function

    scope["_write"] = write
    exec(stub(parameters, arguments), scope)
    function = scope.pop("stub")
    function.__name__ = function.__qualname__ = name
    return function


def edge_of(t: Tensor) -> Any:
    """Where t came from, as an edge; None if it needs no gradient."""
    if t._base is not None:
        sync(t)
    return (t._edge or t) if t._tracked else None


def mark_view(t: Tensor, source: Any, several: bool, recording: bool) -> None:
    """Make t a view of source: one memory, one version counter, one history of in-place changes."""
    if not isinstance(source, Tensor):
        return
    t._base = source if source._base is None else source._base
    t._versions = source._versions
    t._epoch = source._versions[1]
    if several:
        t._restriction = "multiple"
    elif not recording:
        t._restriction = "no_grad"
    elif source._restriction is not None:
        t._restriction = source._restriction
    if source._inference is not t._inference:
        t._inference = source._inference


def observe(node: Node, primitive: Primitive, inputs: Sequence, outs: list) -> None:
    """What modes do to a fresh node: pack what it saved, note the traceback."""
    local = modes.local
    if local.saved_hooks and node.saved:
        from chainrule.autograd.saved import pack_saved

        pack_saved(node, primitive, inputs)
    if local.anomaly:
        note_forward(node)


def note_forward(node: Node) -> None:
    """Anomaly mode: remember the call that made a node, without our own frames, and by the backward of which node."""
    frames = traceback.extract_stack()
    while frames and frames[-1].filename.startswith(OWN_FILES):
        frames.pop()
    node.metadata["traceback_"] = frames.format()
    if modes.local.modules:
        node.metadata["modules_"] = modes.local.modules
    if modes.local.running is not None:
        node.metadata["parent_"] = modes.local.running


def conjugate(d: Any) -> Any:
    return d.conj() if hasattr(d, "conj") else d.conjugate()


def restore(shapes: tuple, grads: tuple) -> tuple:
    """Sum cotangents over the dimensions that broadcasting made."""
    from chainrule.ops.reduce import sum_to

    return tuple([g if g is None or s is None else sum_to(g, s) for g, s in zip(grads, shapes, strict=True)])


_new = object.__new__


def linear(**options: Any) -> Callable[[Callable], Primitive]:
    """State an op that is linear in each input that has a rule: rule = its transpose, `lambda g, ...: cotangent`."""
    return _stated(options, linear=True)


def general(**options: Any) -> Callable[[Callable], Primitive]:
    """State an op by `vjp=lambda g, ...: (cotangents of all inputs)`, or by a rule `lambda g, ...` for each input.

    Forward mode transposes the vjp unless there is a `jvp=lambda t, a, y, ...: tangent(s)`; the tangents of several inputs are
    `t_a`, `t_b`, ..., zeros where there is none.
    """
    return _stated(options)


def _stated(options: dict, linear: bool = False) -> Callable[[Callable], Primitive]:
    """Options: view, outputs (names), variadic (True: the first parameter is a sequence of arrays; "outputs": any number of results),
    inputs (names; those with rules if left out), node (class name), name, elementwise (every element of inputs, results and
    cotangents by itself)."""
    elementwise = options.pop("elementwise", False)
    settings = {k: options.pop(k) for k in ("view", "outputs", "variadic", "vjp", "jvp", "node", "name", "inputs") if k in options}

    def define(kernel: Callable) -> Primitive:
        parameters = argument_names(kernel)
        inputs = settings.pop("inputs", None) or tuple(options) or parameters[:1]
        assert parameters[: len(inputs)] == tuple(inputs), f"{kernel.__name__}{parameters}: the inputs {inputs} come first"
        vjp = settings.pop("vjp", None)
        name = settings.pop("name", None) or kernel.__name__
        op = Primitive(name, kernel, tuple(inputs), parameters[len(inputs) :], options, vjp, **settings)
        op.linear, op.elementwise = linear, elementwise
        return op

    return define


@linear(a=lambda g: g)
def alias(a: Any) -> Any:
    """The same array as another tensor."""
    return a
