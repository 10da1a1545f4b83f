"""The pointwise form: an elementwise kernel and its partial derivatives; promotion, broadcasting and the fast path follow.

    atan2 = pointwise("atan2", np.arctan2, a=lambda a, b: b / (a * a + b * b), b=lambda a, b: -a / (a * a + b * b))

`op.function` is the public function `atan2(input, other, *, out=None)`. For float32 and float64 tensors it is generated, with
nothing in it that the op does not need: this is the eager path, counted in tenths of a microsecond. Everything else (other
types, scalars first, modes, `out=`) takes `Pointwise.slow`. `op.operator` is the same for `a + b`: it answers NotImplemented to
operands that it does not know.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule._core.silence import restore, silence
from chainrule.autograd.node import next_sequence
from chainrule.kernels.elementwise import way_of_many
from chainrule.ops import overrides
from chainrule.ops.primitive import Primitive, argument_names, conjugate, postponed
from chainrule.tensor import Tensor, adopt, sync

_NEVER = [0, 0]  # the version counter of a Python number
IDENTITY = lambda b: b  # a rule that reads so, as a product's does, is not called
BFLOAT16 = dtypes.bfloat16.numpy
KINDS = {"b": dtypes.BOOL, "u": dtypes.INTEGRAL, "i": dtypes.INTEGRAL, "f": dtypes.FLOATING, "c": dtypes.COMPLEX}
KERNELS = {  # what PyTorch's errors call a kernel that is not `name_cpu`
    "bitwise_left_shift": "lshift_cpu", "bitwise_right_shift": "rshift_cpu", "digamma": "digamma", "floor_divide": "div_floor_cpu",
    "pow": "pow", **{name: f"{name}_vml_cpu" for name in ("ceil", "erf", "erfc", "erfinv", "floor", "i0", "lgamma", "round", "trunc")},
}  # fmt: skip
RESULTS = {
    "same": "The result has the type that the operands promote to.",
    "number": "The result has the type of the input, int64 for bools.",
    "float": "Integers and bools give the default float type.",
    "bool": "The result is a bool tensor.",
    "any": "",
}


class Pointwise(Primitive):
    """A primitive whose inputs broadcast and promote; `pointwise` says what its options are."""

    elementwise = True
    shown: Callable | None = None  # the public function, where that is not `function` itself

    def __init__(
        self, name: str, kernel: Callable, doc: str, rules: dict, result: str, node: str | None, arity: int | None,
        kinds: str, scalars: str | None, noisy: bool, names: tuple, scalar_nodes: tuple, check: Callable | None,
    ) -> None:  # fmt: skip
        self.quick_scalars = scalars in (None, "fast", "second") and isinstance(kernel, np.ufunc) or scalars == "fast"
        self.scalars = scalars
        if result == "float" or noisy:
            kernel = quiet(kernel)
        count = arity or getattr(kernel, "nin", None) or len(argument_names(kernel))
        self.result, self.categories, self.public, self.check = result, {KINDS[k] for k in kinds}, names[:count], check
        super().__init__(name, kernel, ("a", "b", "c", "d")[:count], (), rules, None, node=node)
        self.scalar_nodes: Any = (None, None)
        if self.differentiable:
            self.add_twins(self.node)
            subnodes = [n and self.subnode(self.node, n, visible=(1 - i,)) for i, n in enumerate(scalar_nodes)]  # a number has no edge
            self.scalar_nodes = tuple([n and self.add_twins(n) for n in subnodes])
        if count < 3 and result != "any":
            self.function: Any = self.compile_function(operator=False)
            self.operator: Any = self.compile_function(operator=True)
            self.function.__doc__ = f"{doc[:1].upper()}{doc[1:]}, element by element. {RESULTS[result]}"

    def subnode(self, base: type, name: str, **namespace: Any) -> Any:
        return type(name, (base,), {"__slots__": (), "__module__": base.__module__, **namespace})

    def add_twins(self, node: Any) -> Any:
        """Complex inputs: the same node, but cotangents meet the conjugate of the partial derivative. bfloat16: cotangents that
        meet a Python number come out as float32 and are cast back."""
        node.complex_twin = self.subnode(node, node.__name__, vjp=self.compile_vjp(conj=True))
        node.bfloat16_twin = self.subnode(node, node.__name__, vjp=narrowed(node.vjp))
        return node

    def cotangent(self, name: str, rule: Any, conj: bool) -> str:
        """g times the local partial derivative; a rule may be a plain 1 or -1, or name g to be the whole product."""
        if not callable(rule):
            return "g" if rule == 1 else "-g"
        names = argument_names(rule)
        product = names[0] if rule.__code__.co_code == IDENTITY.__code__.co_code else f"d_{name}({', '.join(names)})"
        if "g" not in names:
            names = ("g", *names)
            product = f"g * conjugate({product})" if conj else f"g * {product}"
        return self.in_blocks(product, names, rule)

    def compile_function(self, operator: bool) -> Callable:
        """Write out the eager path for this op's number of inputs and what its rules save."""
        scope: dict[str, Any] = {
            "kernel": self.kernel, "slow": self.slow, "slow_operator": self.slow_operator, "node_class": getattr(self, "node", None),
            "state": modes.state, "Tensor": Tensor, "sync": sync, "ndarray": np.ndarray, "asarray": np.asarray, "new": object.__new__,
            "F32": np.dtype(np.float32), "F64": np.dtype(np.float64), "next_sequence": next_sequence, "NEVER": _NEVER,
            "broadcast_error": broadcast_error, "scalar_class": self.scalar_nodes[1] or getattr(self, "node", None),
        }  # fmt: skip
        scope["MANY"], scope["blockwise"] = way_of_many(self.kernel)
        given = ", ".join(self.public)
        return postponed(self.name, "function", f"{given}, *, out=None", f"{given}, out=out", lambda: self.eager_lines(operator), scope)

    def eager_lines(self, operator: bool) -> list[str]:
        names, public = self.inputs, self.public
        first, second = (*public, None)[:2]
        args = ", ".join(public) + ("," if len(public) == 1 else "")
        slow = f"return {'slow_operator' if operator else 'slow'}(({args}), out)"
        head = f"def {self.name}({', '.join(public)}, *, out=None):"
        if dtypes.FLOATING not in self.categories:
            return [head, f"    {slow}"]
        lines = [
            head,
            f"    if state.busy or out is not None or not isinstance({first}, Tensor): {slow}",
            f"    a = {first}._data",
            "    dtype = a.dtype",
            f"    if dtype is not F32 and dtype is not F64: {slow}",
            f"    if {first}._base is not None: sync({first})",
            f"    ta = {first}._tracked",
        ]
        if len(names) == 2:
            lines += [
                f"    if isinstance({second}, Tensor):",
                f"        b = {second}._data",
                f"        if b.dtype is not dtype: {slow}",
                f"        if {second}._base is not None: sync({second})",
                f"        tb = {second}._tracked",
            ]
            if self.quick_scalars:
                lines += [f"    elif {second}.__class__ is float or {second}.__class__ is int:", f"        b = {second}; tb = False"]
            lines += [
                f"    else: {slow}",
                "    try: y = kernel(a, b) if a.size < MANY else blockwise(kernel, a, b)",
                "    except ValueError: raise broadcast_error(a, b) from None",
                f"    except OverflowError: {slow}",
            ]
        else:
            lines += ["    y = kernel(a) if a.size < MANY else blockwise(kernel, a)"]
        lines += [
            "    if y.__class__ is not ndarray: y = asarray(y)",
            "    t = new(Tensor); t._data = y; t._base = t._grad = None; t._versions = version = [0, 0]",
        ]
        if self.differentiable:
            lines += self.recording()
        return [*lines, "    t._tracked = False; t._edge = None", "    return t"]

    def recording(self) -> list[str]:
        """The part of the eager path that leaves a node, for each combination of tracked inputs."""
        head = "node.extra = None; node.sequence = next_sequence()"
        tail = ["        t._tracked = True; t._edge = node", "        return t"]
        first, second = (*self.public, None)[:2]
        if len(self.inputs) == 1:
            saved, guards = self.saving({"a"})
            edges = f"node.edges = ({first}._edge or {first},); node.fix = None"
            return ["    if ta:", f"        node = new(node_class); {head}", f"        {edges}", f"        {saved}; {guards}", *tail]
        made = "new(node_class)" if self.scalar_nodes[1] is None else "new(node_class if b.__class__ is ndarray else scalar_class)"
        lines = ["    if ta or tb:", f"        node = {made}; {head}"]
        for word, test, tracked in (("if", "ta and tb", {"a", "b"}), ("elif", "ta", {"a"}), ("else", "", {"b"})):
            edges = ", ".join([f"{p}._edge or {p}" if n in tracked else "None" for n, p in (("a", first), ("b", second))])
            saved, guards = self.saving(tracked)
            lines += [f"        {word} {test}:".replace(" :", ":"), f"            node.edges = ({edges}); {saved}"]
            if f"{second}._versions" in guards and "b" not in tracked and self.quick_scalars:
                others = self.saving(tracked, scalar=True)[1]
                lines += [f"            if b.__class__ is ndarray: {guards}", f"            else: {others}"]
            else:
                lines += [f"            {guards}"]
        lines += [
            "        node.made = shape = y.shape",
            "        if a.shape == shape and (b.__class__ is not ndarray or b.shape == shape): node.fix = None",
            "        else:",
            "            same = b.__class__ is not ndarray or b.shape == shape",
            "            node.fix = (None if a.shape == shape else a.shape, None if same else b.shape)",
        ]
        return lines + tail

    def saving(self, tracked: set, scalar: bool = False) -> tuple[str, str]:
        """The assignments of what the rules of the tracked inputs read, and of its versions."""
        kept = [n.replace("_", ".") if any(r in tracked for r in self.readers[n]) else "None" for n in self.saves]
        second = "NEVER" if scalar else f"{self.public[1:] and self.public[1]}._versions"
        counters = {"a": f"{self.public[0]}._versions", "b": second, "y": "version"}
        guards = [f"{counters[n]}, {counters[n]}[0]" for n in kept if n in counters]
        return f"node.saved = ({', '.join(kept)}{',' if kept else ''})", f"node.guards = ({', '.join(guards)}{',' if guards else ''})"

    # Everything but the eager path

    def slow_operator(self, args: tuple, out: Any) -> Any:
        """As `slow`, for `a + b`: an operand that is no tensor or number gets its own chance (`__radd__`)."""
        if not all([isinstance(v, (Tensor, numbers.Number, np.bool_)) or overrides.claims(v) for v in args]):
            if all([isinstance(v, (Tensor, numbers.Number, np.ndarray)) for v in args]):  # tensor + ndarray
                return self.slow(tuple([adopt(Tensor, v) if isinstance(v, np.ndarray) else v for v in args]), out)
            return NotImplemented
        return self.slow(args, out)

    def slow(self, args: tuple, out: Any = None) -> Any:
        """Any dtypes, scalars, modes and `out=`."""
        if modes.local.dual_level == 0 and out is None:
            from chainrule.autograd.duals import quick_pointwise

            result = quick_pointwise(self, args)
            if result is not None:
                return result
        if modes.state.busy or any([overrides.claims(v) for v in args if not isinstance(v, Tensor)]):
            done, value = overrides.dispatch(self.shown or self.function, args, {} if out is None else {"out": out})
            if done:
                return value
        self.check_operands(args)
        if self.check is not None:
            self.check(args)
        compute = self.compute_dtype(args)
        result = self(*[operand(v, compute) for v in args])
        if out is not None:
            from chainrule.ops.inplace import write_out

            return write_out(self.name, out, result)
        return result

    def check_operands(self, args: tuple) -> None:
        seen = False
        for i, v in enumerate(args):
            if isinstance(v, Tensor):
                seen = True
                continue
            allowed = len(args) > 1 and self.scalars != "no" and (self.scalars != "second" or i > 0)
            if not allowed or not isinstance(v, (numbers.Number, np.bool_)):
                raise TypeError(f"{self.name}(): argument '{self.public[i]}' (position {i + 1}) must be Tensor, not {type(v).__name__}")
        if not seen:
            raise TypeError(f"{self.name}(): argument '{self.public[0]}' (position 1) must be Tensor, not {type(args[0]).__name__}")

    def compute_dtype(self, args: Sequence) -> dtypes.dtype:
        """The type that the kernel works in."""
        compute = result_type(args)
        if self.result == "float" and compute.category < dtypes.FLOATING:
            compute = dtypes.get_default_dtype()
        elif self.result == "number" and compute is dtypes.bool_:
            compute = dtypes.int64
        if compute.category not in self.categories:
            kernel = KERNELS.get(self.name, f"{self.name}_cpu")
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtypes.LEGACY[compute]}'")
        return compute

    def record(self, inputs: Sequence, arrays: tuple, statics: tuple, result: Any) -> Any:
        t = Primitive.record(self, inputs, arrays, statics, result)
        node = t._edge
        if node is not None:
            shape = t._data.shape
            shapes = [None if e is None or np.shape(a) == shape else np.shape(a) for e, a in zip(node.edges, arrays, strict=True)]
            if any([s is not None for s in shapes]):
                node.fix = tuple(shapes)
            for v, scalar_node in zip(inputs, self.scalar_nodes, strict=False):
                if scalar_node is not None and not isinstance(v, Tensor):
                    node.__class__ = scalar_node
            if t._data.dtype.kind == "c":
                node.__class__ = node.complex_twin
            elif t._data.dtype is BFLOAT16:
                node.__class__ = node.bfloat16_twin
        return t

    def __call__(self, *args: Any) -> Any:
        try:
            return self.quick(*args)
        except ValueError:
            shapes = [np.shape(t._data if isinstance(t, Tensor) else t) for t in args]
            try:
                np.broadcast_shapes(*shapes)
            except ValueError:
                pass
            else:
                raise  # a hook's, say
            arrays = [t._data if isinstance(t, Tensor) else t for t in args]
            raise broadcast_error(*arrays[:2]) from None


def pointwise(
    name: str, kernel: Callable, doc: str = "", *, result: str = "same", node: str | None = None, arity: int | None = None,
    kinds: str = "buifc", scalars: str | None = None, noisy: bool = False, names: tuple = ("input", "other", "c", "d"),
    scalar_a: str | None = None, scalar_b: str | None = None, check: Callable | None = None, **rules: Any,
) -> Pointwise:  # fmt: skip
    """State a pointwise op: `a=`, `b=`, ... are its partial derivatives (see the module's docstring).

    `result` says what type comes out: "same" as the promoted inputs, "float" (integers become the default float first), "bool";
    "any" promotes as same but leaves the kernel's own type alone. `kinds` are the kinds of types that it works on (bool, unsigned,
    integer, float, complex). `scalars` says when it is not just any operand that may be a Python number: "second" or "no"; "fast"
    says that the kernel takes them as they are, as ufuncs do. `noisy` kernels would give floating-point warnings. `scalar_a` and
    `scalar_b` name the node if that input is a number. `check` raises if it does not like the operands (not called on the eager
    path, whose operands are floating-point tensors and numbers).
    """
    return Pointwise(name, kernel, doc, rules, result, node, arity, kinds, scalars, noisy, names, (scalar_a, scalar_b), check)


def narrowed(vjp: Callable) -> Callable:
    """A vjp whose cotangents are bfloat16 again."""

    def narrow(node: Any, g: Any, saved: Any) -> tuple:
        return tuple([v.astype(BFLOAT16) if isinstance(v, (np.ndarray, np.generic)) else v for v in vjp(node, g, saved)])

    return narrow


def quiet(kernel: Callable) -> Callable:
    """The kernel without NumPy's floating-point warnings, which PyTorch does not give."""
    if getattr(kernel, "quiet", False):
        return kernel
    count = getattr(kernel, "nin", None) or len(argument_names(kernel))
    names = ", ".join("abcd"[:count])
    lines = ["def silent({}):", "    token = silence()", "    try: return kernel({})", "    finally: restore(token)"]
    scope = {"silence": silence, "restore": restore, "kernel": kernel}
    made: Any = postponed("silent", "kernel", names, names, lambda: [line.format(names) for line in lines], scope)
    made.quiet, made.whole = True, getattr(kernel, "whole", False)
    made.ufunc = kernel if kernel.__class__ is np.ufunc else getattr(kernel, "ufunc", None)
    return made


def result_type(args: Sequence) -> dtypes.dtype:
    """The type that operands promote to: tensors with dimensions count most, then 0-dim tensors, then Python numbers."""
    ranks: list[dtypes.dtype | None] = [None, None, None]
    for v in args:
        if isinstance(v, Tensor):
            rank, d = (0 if v._data.ndim else 1), dtypes.BY_NUMPY[v._data.dtype]
        elif isinstance(v, np.generic) and v.dtype in dtypes.BY_NUMPY and not isinstance(v, (int, float, complex)):
            rank, d = 2, dtypes.of_scalar(v.item())
        else:
            rank, d = 2, dtypes.of_scalar(v)
        held = ranks[rank]
        ranks[rank] = d if held is None else dtypes.promote_types(held, d)
    return dtypes.combine(*ranks)


def operand(v: Any, compute: dtypes.dtype) -> Any:
    """An operand in the type that the kernel works in; a tracked tensor is cast by a recorded op."""
    target = compute.numpy
    if isinstance(v, Tensor):
        if v._data.dtype == target:
            return v
        if v.requires_grad or v._tangents is not None:
            from chainrule.ops.shape import cast

            return cast(v, compute)
        return adopt(Tensor, cast_array(v._data, target))
    return cast_array(np.asarray(v), target)


def cast_array(array: np.ndarray, target: np.dtype) -> np.ndarray:
    """astype without warnings; complex to real takes the real part, floats wrap into integers as C does."""
    if array.dtype == target:
        return array
    with np.errstate(all="ignore"):
        if array.dtype.kind == "c" and target.kind != "c":
            array = array != 0 if target.kind == "b" else array.real
        if array.dtype.kind == "f" and target.kind == "u":
            array = array.astype(np.int64)
        return array.astype(target)


def broadcast_error(a: Any, b: Any) -> RuntimeError:
    """The error for shapes that do not broadcast, naming the first dimension that disagrees."""
    one, two = np.shape(a), np.shape(b)
    longest = max(len(one), len(two))
    padded = [(1,) * (longest - len(s)) + tuple(s) for s in (one, two)]
    for d in range(longest - 1, -1, -1):
        p, q = padded[0][d], padded[1][d]
        if p != q and 1 not in (p, q):
            return RuntimeError(
                f"The size of tensor a ({p}) must match the size of tensor b ({q}) at non-singleton dimension {d}: "
                f"shapes {list(one)} and {list(two)}"
            )
    return RuntimeError(f"shapes {list(one)} and {list(two)} cannot be broadcast together")


__all__ = ["Pointwise", "broadcast_error", "cast_array", "conjugate", "operand", "pointwise", "quiet", "result_type"]
