"""The examples in chainrule's own docstrings run, and say what they say they do."""

from __future__ import annotations

import builtins
import doctest
import importlib
import pkgutil
import warnings
from types import ModuleType

import numpy as np
import pytest

import chainrule

# Numba's own modules have no examples, and what starts a program must not be imported
NAMES = sorted(
    m.name for m in pkgutil.walk_packages(chainrule.__path__, "chainrule.") if not m.name.endswith(("_numba", "__main__", ".warmup"))
)


def public(module: ModuleType) -> dict:
    """What `from module import *` would give, but for what Python has of that name."""
    return {n: getattr(module, n) for n in dir(module) if not n.startswith("_") and n not in vars(builtins)}


def names(module: ModuleType) -> dict:
    """What an example may use: chainrule's functions, what its own room and the rooms around it have, and a model in training."""
    parts = module.__name__.split(".")
    rooms = [importlib.import_module(".".join(parts[:i])) for i in range(1, len(parts))]
    scope = public(chainrule.nn.functional)
    for room in (chainrule, *rooms):
        scope |= public(room)
    chainrule.manual_seed(0)
    model, x = chainrule.nn.Linear(2, 1), chainrule.ones(3, 2)
    optimizer = chainrule.optim.SGD(model.parameters(), lr=0.1)
    loss = model(x).square().mean()
    scope |= {"model": model, "x": x, "input": x, "loss": loss, "optimizer": optimizer}
    return scope | {"torch": chainrule, "nn": chainrule.nn, "F": chainrule.nn.functional, "np": np} | vars(module) | {"__name__": "__main__"}


@pytest.mark.parametrize("name", ["chainrule", *NAMES])
def test_examples_run(name, tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    scope = names(module)
    said: list[str] = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name, globs={}):
        if example.examples:
            chainrule.manual_seed(0)
            example.globs = dict(scope)
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(example, out=said.append)
    assert not said, "".join(said)
