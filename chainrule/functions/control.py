"""Control flow as functions: `cond` and `while_loop`. Here they are Python's own, and history is recorded through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chainrule.tensor import Tensor


def cond(pred: Any, true_fn: Callable, false_fn: Callable, operands: Any = ()) -> Any:
    """`true_fn(*operands)` if `pred`, a bool or a tensor of one element, else `false_fn(*operands)`.

    Example: `cond(tensor(True), lambda x: x + 1, lambda x: x, (ones(1),))` is `tensor([2.])`.
    """
    if isinstance(pred, (bool, int, float)):
        return (true_fn if pred else false_fn)(*operands)
    if not isinstance(pred, Tensor):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if pred._data.size != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    if not callable(true_fn) or not callable(false_fn):
        raise RuntimeError("Expect both branches to be callable.")
    if not isinstance(operands, (tuple, list)) or not all([isinstance(v, Tensor) for v in leaves(operands)]):
        raise RuntimeError(
            "Expect operands to be a tuple of possibly nested dict/list/tuple that only consists of tensor leaves, but got "
            f"{operands}."
        )
    return (true_fn if pred else false_fn)(*operands)


def leaves(values: Any) -> Iterator[Any]:
    """What nested lists, tuples and dicts hold."""
    for v in values.values() if isinstance(values, dict) else values:
        if isinstance(v, (list, tuple, dict)):
            yield from leaves(v)
        else:
            yield v


def while_loop(cond_fn: Callable, body_fn: Callable, carried_inputs: tuple) -> tuple:
    """The values that are left when `cond_fn(*values)` is false, `values = body_fn(*values)` having been done until then.

    Example: `while_loop(lambda i: i < 3, lambda i: (i + 1,), (tensor(0),))` is `(tensor(3),)`.
    """
    if not callable(cond_fn) or not callable(body_fn):
        raise RuntimeError("Expect cond_fn and body_fn to be callable.")
    if not isinstance(carried_inputs, (tuple, list)):
        raise RuntimeError(f"Expect carried_inputs to be a tuple of tensors, ints or floats, but got {carried_inputs}.")
    values = tuple(carried_inputs)
    while cond_fn(*values):
        values = body_fn(*values)
        values = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    return values


__all__ = ["cond", "while_loop"]
