"""`torch._foreach_add_` and its kin: one op on every tensor of a list, as optimizers of one's own write it.

They call the tensors' methods one by one; on the CPU that is what PyTorch's do. Those that end in `_` work in place and return the list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.functions.arguments import require_tensor
from chainrule.tensor import Tensor

UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal round rsqrt sigmoid sign "
    "sin sinh sqrt tan tanh trunc"
)
BINARY = {  # name -> the method; the second operand is a number, one for each, a tensor without dimensions, or a tensor for each
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "pow": "pow", "clamp_max": "clamp_max", "clamp_min": "clamp_min",
    "maximum": "clamp_min", "minimum": "clamp_max",
}  # fmt: skip
COUNTS = "Tensor lists must have the same number of tensors, got {} and {}"


def check(name: str, tensors: Any, *others: Any) -> int:
    """How many tensors there are, in each of the lists."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"_foreach_{name}(): argument 'self' (position 1) must be tuple of Tensors, not {type(tensors).__name__}")
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    for other in others:
        if len(other) != len(tensors):
            raise RuntimeError(COUNTS.format(len(tensors), len(other)))
    return len(tensors)


def operands(name: str, other: Any, count: int) -> Sequence[Any]:
    """A second operand for each tensor."""
    if isinstance(other, (list, tuple)):
        if len(other) != count:
            of_tensors = bool(other) and isinstance(other[0], Tensor)
            raise RuntimeError(
                COUNTS.format(count, len(other)) if of_tensors else "Tensor list must have same number of elements as scalar list."
            )
        return other
    if isinstance(other, Tensor) and other.dim():
        raise RuntimeError(f"scalar tensor expected to be 0 dim but it has {other.dim()} dimensions and {other.numel()} elements.")
    if not isinstance(other, (Tensor, bool, int, float, complex)):
        raise TypeError(f"_foreach_{name}(): argument 'scalar' (position 2) must be Number, not {type(other).__name__}")
    return [other] * count


def ended(results: list, in_place: bool, tensors: Any) -> Any:
    return tensors if in_place else tuple(results)


def unary(name: str, in_place: bool) -> Callable:
    method = getattr(Tensor, name + "_" * in_place)

    def foreach(self: Sequence[Tensor]) -> Any:
        check(name, self)
        return ended([method(t) for t in self], in_place, self)

    return foreach


def binary(name: str, in_place: bool) -> Callable:
    method = getattr(Tensor, BINARY[name] + "_" * in_place)

    def foreach(self: Any, other: Any, *, alpha: Any = None) -> Any:
        if name == "pow" and isinstance(self, (int, float, complex)):
            return tuple([self**t for t in other])
        each = operands(name, other, check(name, self))
        if alpha is None:
            return ended([method(t, o) for t, o in zip(self, each)], in_place, self)
        if name not in ("add", "sub") or isinstance(alpha, (list, tuple)):
            raise TypeError(f"_foreach_{name}() received an invalid combination of arguments - alpha={alpha!r}")
        return ended([method(t, o, alpha=alpha) for t, o in zip(self, each)], in_place, self)

    return foreach


def ternary(name: str, in_place: bool) -> Callable:
    method = getattr(Tensor, name + "_" * in_place)

    def foreach(self: Sequence[Tensor], tensor1: Sequence[Tensor], tensor2: Sequence[Tensor], value: Any = 1) -> Any:
        count = check(name, self, tensor1, tensor2)
        values = value.tolist() if isinstance(value, Tensor) else value
        each = operands(name, values, count)
        return ended([method(t, a, b, value=v) for t, a, b, v in zip(self, tensor1, tensor2, each)], in_place, self)

    return foreach


def lerp(in_place: bool) -> Callable:
    method = Tensor.lerp_ if in_place else Tensor.lerp

    def foreach(self: Sequence[Tensor], tensors1: Sequence[Tensor], weight: Any) -> Any:
        count = check("lerp", self, tensors1)
        return ended([method(t, o, w) for t, o, w in zip(self, tensors1, operands("lerp", weight, count))], in_place, self)

    return foreach


def _foreach_norm(self: Sequence[Tensor], ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The vector norm of each tensor, without dimensions."""
    from chainrule.linalg import vector_norm

    check("norm", self)
    return tuple([vector_norm(t, ord, dtype=dtype) for t in self])


def _foreach_powsum(self: Sequence[Tensor], ord: Any, dtype: Any = None) -> tuple[Tensor, ...]:
    """The sum of the absolute values of each tensor to the power `ord`."""
    check("powsum", self)
    return tuple([t.abs().pow(ord).sum(dtype=dtype) for t in self])


def _foreach_max(self: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The largest element of each tensor."""
    check("max", self)
    if not all([t.numel() for t in self]):
        raise RuntimeError("_foreach_max cannot compute the maximum of an empty tensor; max over zero elements is undefined.")
    return tuple([t.max() for t in self])


def _foreach_mm(self: Sequence[Tensor], mat2: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The matrix product of each pair."""
    check("mm", self, mat2)
    return tuple([a.mm(b) for a, b in zip(self, mat2)])


def _foreach_clone(self: Sequence[Tensor], *, memory_format: Any = None) -> tuple[Tensor, ...]:
    """A copy of each tensor."""
    check("clone", self)
    return tuple([t.clone() if memory_format is None else t.clone(memory_format=memory_format) for t in self])


def _foreach_zero_(self: Sequence[Tensor]) -> Any:
    """All tensors filled with zeros."""
    check("zero_", self)
    return ended([t.zero_() for t in self], True, self)


def _foreach_copy_(self: Sequence[Tensor], src: Sequence[Tensor], non_blocking: bool = False) -> Any:
    """Each tensor filled with the values of its partner."""
    check("copy_", self, src)
    for t, s in zip(self, src):
        require_tensor("_foreach_copy_", s, "src")
        t.copy_(s)
    return self


def defined() -> dict[str, Callable]:
    """The functions of the tables, in both forms."""
    made: dict[str, Callable] = {}
    for in_place, end in ((False, ""), (True, "_")):
        made |= {f"_foreach_{name}{end}": unary(name, in_place) for name in UNARY.split()}
        made |= {f"_foreach_{name}{end}": binary(name, in_place) for name in BINARY}
        made |= {f"_foreach_{name}{end}": ternary(name, in_place) for name in ("addcdiv", "addcmul")}
        made[f"_foreach_lerp{end}"] = lerp(in_place)
    for name, function in made.items():
        function.__name__ = function.__qualname__ = name
    return made


globals().update(defined())
