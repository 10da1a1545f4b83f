"""The same program under chainrule and under PyTorch: what it gives, raises and warns of, in a form that can be compared."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch as oracle

import chainrule

TENSORS = (chainrule.Tensor, oracle.Tensor)
INTERNAL = re.compile("`torch.jit.script` is deprecated|Attempted to insert a get_attr Node")  # what PyTorch says to itself


def plain(value: Any) -> Any:
    """A result without the library that it came from; numbers to four digits."""
    if isinstance(value, TENSORS):
        return str(value.dtype), plain(value.detach().tolist())
    if isinstance(value, complex):
        return plain(value.real), plain(value.imag)
    if isinstance(value, float):
        return f"{value + 0.0:.4g}"
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value if isinstance(value, (int, type(None))) else text(value)


def text(value: Any) -> str:
    """A message without what only one library can say: its name, C++ files, the place of an object."""
    said = re.sub(r" ?\(Triggered internally at [^)]*\)", "", str(value)).replace("chainrule", "torch")
    said = re.sub(r'\n  File "[^"]*torch/autograd/function.py", line \d+, in apply\n    return super.*', "", said)
    return re.sub(r" at 0x[0-9a-f]+", "", said).strip()


def outcome(program: Callable, torch: Any) -> list:
    """What a program of one library returns, or the error that it ends with; and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = ["returned", plain(program(torch))]
        except Exception as error:
            result = ["raised", type(error).__name__, text(error)]
    return [*result, [[w.category.__name__, text(w.message)] for w in caught if not INTERNAL.match(str(w.message))]]


def agree(program: Callable) -> None:
    """Assert that a program ends the same under both libraries."""
    found, expected = [outcome(program, torch) for torch in (chainrule, oracle)]  # in one line, for tracebacks show it
    assert found == expected, f"\nchainrule: {found}\nPyTorch:   {expected}"


def cases(programs: dict[str, Callable] | Iterable[Callable]) -> Any:
    """Parametrize a test by programs: `@cases(PROGRAMS)`, `def test(program)`."""
    named = programs if isinstance(programs, dict) else {p.__name__: p for p in programs}
    return pytest.mark.parametrize("program", list(named.values()), ids=list(named))


def leaf(torch: Any, *shape: int, **options: Any) -> Any:
    """Ones that require grad."""
    return torch.ones(*shape, requires_grad=True, **options)
