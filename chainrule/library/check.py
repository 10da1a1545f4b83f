"""`opcheck`: whether what was registered to an op is true of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.library.custom import CustomOpDef, tensors_in
from chainrule.library.registry import found
from chainrule.tensor import Tensor

TESTS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


class OpCheckError(Exception):
    """An op is not what was said of it."""


def opcheck(
    op: Any, args: tuple, kwargs: dict | None = None, *, test_utils: str | tuple[str, ...] | list[str] = TESTS,
    raise_exception: bool = True, atol: float | None = None, rtol: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Check an op on sample arguments; {test: "SUCCESS" or the error}, or the first error raised as OpCheckError.

    - test_schema: it changes in place just what its schema says, and its results share no memory with its arguments;
    - test_autograd_registration: where an argument requires grad, results do, if there is a formula;
    - test_faketensor: what `register_fake` says of shapes and types is so;
    - test_aot_dispatch_dynamic: a second call on the same arguments gives the same results and gradients.

    Example:
        >>> @custom_op("mine::double", mutates_args=())
        ... def double(x: Tensor) -> Tensor:
        ...     return x * 2
        >>> _ = double.register_fake(lambda x: torch.empty_like(x))
        >>> opcheck(double, (ones(2),))["test_faketensor"]
        'SUCCESS'
    """
    target = found(op)
    names = (test_utils,) if isinstance(test_utils, str) else tuple(test_utils)
    unknown = set(names) - set(TESTS)
    if unknown:
        raise ValueError(f"opcheck(op, ...): unknown test utils {sorted(unknown)}; there are {list(TESTS)}")
    results: dict[str, Any] = {}
    for name in names:
        try:
            CHECKS[name](target, args, kwargs or {}, {"rtol": rtol, "atol": atol})
        except Exception as error:
            if raise_exception:
                raise OpCheckError(f"opcheck(op, ...): {name} failed with {error} (scroll up for stack trace)") from error
            results[name] = error
        else:
            results[name] = "SUCCESS"
    return results


def copied(value: Any) -> Any:
    """Arguments with Tensors of their own."""
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)  # type: ignore[attr-defined]
    if isinstance(value, (list, tuple)):
        return type(value)([copied(v) for v in value])
    return {k: copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def check_schema(op: CustomOpDef, args: tuple, kwargs: dict, tolerance: dict) -> None:
    args, kwargs = copied(args), copied(kwargs)
    bound = op.signature.bind(*args, **kwargs)
    before = {name: [t._data.copy() for t in tensors_in(v)] for name, v in bound.arguments.items()}
    op(*args, **kwargs)
    for name, value in bound.arguments.items():
        same = all([np.array_equal(t._data, b, equal_nan=b.dtype.kind in "fc") for t, b in zip(tensors_in(value), before[name])])
        if not same and name not in op.schema.written:
            raise RuntimeError(f"Argument {name} is not defined as mutable but was mutated")


def check_autograd(op: CustomOpDef, args: tuple, kwargs: dict, tolerance: dict) -> None:
    args, kwargs = copied(args), copied(kwargs)
    if op.backward is None or not any([t.requires_grad for t in tensors_in([*args, *kwargs.values()])]):
        return
    outputs = [t for t in tensors_in(op(*args, **kwargs)) if t.is_floating_point() or t.is_complex()]  # type: ignore[attr-defined]
    if outputs and not any([t.requires_grad for t in outputs]):
        raise AssertionError("No result requires grad, although an argument does and a formula is registered")


def check_fake(op: CustomOpDef, args: tuple, kwargs: dict, tolerance: dict) -> None:
    real = tensors_in(op(*copied(args), **copied(kwargs)))
    if op.fake is None:
        if not real:
            return
        raise RuntimeError(
            f"There was no fake impl registered for {op!r}. This is necessary for torch.compile/export/fx tracing to work. Please use "
            f"`{op.fn.__name__ if op.fn else op._name}.register_fake` to add an fake impl."
        )
    fake = tensors_in(op.fake(*copied(args), **copied(kwargs)))
    if len(fake) != len(real):
        raise AssertionError(f"The fake function gives {len(fake)} Tensors, the op {len(real)}")
    for i, (a, b) in enumerate(zip(fake, real, strict=True)):
        if a.shape != b.shape or a.dtype is not b.dtype:
            raise AssertionError(f"Result {i}: the fake function says {a.dtype} {list(a.shape)}, the op gives {b.dtype} {list(b.shape)}")


def check_again(op: CustomOpDef, args: tuple, kwargs: dict, tolerance: dict) -> None:
    from chainrule.testing import assert_close

    first, second = [with_gradients(op, copied(args), copied(kwargs)) for _ in range(2)]
    for a, b in zip(first, second, strict=True):
        assert_close(a, b, equal_nan=True, **tolerance)


def with_gradients(op: CustomOpDef, args: tuple, kwargs: dict) -> list[Tensor]:
    """The results of an op, and their gradients."""
    from chainrule.autograd.gradients import grad

    results = tensors_in(op(*args, **kwargs))
    tracked = [t for t in tensors_in([*args, *kwargs.values()]) if t.requires_grad]
    roots = [t.sum() for t in results if t.requires_grad]  # type: ignore[attr-defined]
    found = grad(roots, tracked, allow_unused=True) if roots and tracked and op.backward is not None else ()
    return [t.detach() for t in results] + [g for g in found if g is not None]  # type: ignore[attr-defined]


CHECKS = dict(zip(TESTS, (check_schema, check_autograd, check_fake, check_again), strict=True))
