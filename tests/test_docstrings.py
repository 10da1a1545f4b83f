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

ELSEWHERE = ("https://", "download=True", 'weights="DEFAULT"')  # what comes out of the network: tests/test_hub.py has a server
FILES = {"chainrule.hub.load", "chainrule.vision.datasets.folder.ImageFolder"}  # examples about files that only a user has
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
    scope |= {"torch": chainrule, "nn": chainrule.nn, "F": chainrule.nn.functional, "np": np}
    return scope | vars(module) | {"__name__": "__main__"}


def kept(test: doctest.DocTest) -> list[doctest.Example]:
    """The statements of an example that can run here."""
    if test.name in FILES:
        return []
    if any(["(num_classes=10)" in example.source for example in test.examples]) and not test.name.endswith("resnet18"):
        return []  # one text for all models, and some are large
    for i, example in enumerate(test.examples):
        if any([word in example.source for word in ELSEWHERE]):
            return test.examples[:i]
    return test.examples


@pytest.mark.parametrize("name", ["chainrule", *NAMES])
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.setattr(chainrule.hub, "_hub_dir", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    scope = names(module)
    said: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name, globs={}):
        test.examples = kept(test)
        if test.examples:
            chainrule.manual_seed(0)
            test.globs = dict(scope)
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert not said, "".join(said)
