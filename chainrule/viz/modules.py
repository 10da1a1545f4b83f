"""Which module made a node: told by `watch`, or guessed from the names of the parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from chainrule._core import modes
from chainrule.viz.facts import notes

Call = tuple[str, str, int]  # a module's dotted name, its class, and the number of the call
next_call = count(1).__next__


class watch:
    """Note, for each node made inside, the line of source and the modules that made it, for `viz.graph` to show.

    The ops inside are slower, as in anomaly mode, which takes the same notes; outside nothing is.

    Args:
        models: the modules whose submodules' calls are to be told by name; any other module is told by its class

    Example:
        >>> import chainrule as torch
        >>> from chainrule import nn, viz
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        >>> with viz.watch(model):
        ...     loss = model(torch.ones(1, 2)).sum()
        >>> picture = viz.graph(loss)
        >>> [group.title() for group in picture.groups]
        ['0: Linear', '2: Linear']
        >>> picture.nodes[0].source.code
        'loss = model(torch.ones(1, 2)).sum()'
    """

    def __init__(self, *models: Any) -> None:
        for model in models:
            if not hasattr(model, "named_modules"):
                raise TypeError(f"watch() takes modules, not {type(model).__name__}: with viz.watch(model): loss = ...")
        self.names = {id(module): name for model in models for name, module in model.named_modules()}
        if len(models) == 1:
            self.names[id(models[0])] = ""  # the one model that there is needs no frame of its own
        else:
            self.names |= {id(model): type(model).__name__ for model in models}
        self.models = models  # alive, so that identities stay theirs

    def __enter__(self) -> watch:
        from chainrule.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

        self.before = modes.local.anomaly, modes.local.check_nan, modes.local.modules
        modes.set_anomaly(True, modes.local.check_nan if modes.local.anomaly else False)
        self.handles = register_module_forward_pre_hook(self.enter), register_module_forward_hook(self.leave, always_call=True)
        return self

    def __exit__(self, *exc: object) -> None:
        for handle in self.handles:
            handle.remove()
        anomaly, check_nan, modes.local.modules = self.before
        modes.set_anomaly(anomaly, check_nan)

    def enter(self, module: Any, args: Any) -> None:
        name = self.names.get(id(module), type(module).__name__)
        modes.local.modules = (*modes.local.modules, (name, type(module).__name__, next_call()))

    def leave(self, module: Any, args: Any, output: Any) -> None:
        modes.local.modules = modes.local.modules[:-1]


@dataclass(frozen=True, slots=True)
class Group:
    """A frame of the picture: one call of a module."""

    label: str
    parent: int | None  # the position of the frame around it
    kind: str = ""  # the module's class, if it is known

    def title(self) -> str:
        """ "layer1: Sequential", or the name alone."""
        return f"{self.label}: {self.kind}" if self.kind else self.label


def paths(ops: Sequence[Any], inputs: dict[int, list], names: dict[int, str]) -> list[tuple[Call, ...]]:
    """For each op, earliest first, the calls of modules that it belongs to, outermost first.

    `inputs` are an op's inputs (ops, or leaf tensors) by its identity, `names` the parameters' names by theirs.
    """
    told = [notes(op).get("modules_") for op in ops]
    if any(told):
        return [tuple([call for call in path or () if call[0]]) for path in told]
    blocks: dict[int, str] = {}  # op -> the name of the module that an op after it, without parameters, is taken to be in
    found = []
    for op in ops:
        own = [names[id(source)].rpartition(".")[0] for source in inputs[id(op)] if id(source) in names]
        if own:
            path = own[-1]
            blocks[id(op)] = path.rpartition(".")[0]
        else:
            nearest = [blocks[id(source)] for source in inputs[id(op)] if id(source) in blocks]
            latest = max((source for source in inputs[id(op)] if id(source) in blocks), key=lambda n: n._sequence_nr(), default=None)
            path = blocks[id(latest)] if latest is not None else ""
            path = min([block for block in nearest if block and f"{path}.".startswith(f"{block}.")], key=len, default=path)
            blocks[id(op)] = path
        parts = path.split(".") if path else []
        found.append(tuple([(".".join(parts[: i + 1]), "", 0) for i in range(len(parts))]))
    return found


def grouped(paths: Sequence[tuple[Call, ...]]) -> tuple[list[Group], list[int | None]]:
    """The frames, and for each op the innermost that it is in.

    A frame holds ops that follow each other, so that no way through the graph leaves it and comes back: folded, it is one node
    of an acyclic graph.
    """
    groups: list[Group] = []
    members: list[int | None] = []
    around: list[tuple[Call, int]] = []
    seen: Counter[str] = Counter()
    for path in paths:
        depth = 0
        while depth < min(len(around), len(path)) and around[depth][0] == path[depth]:
            depth += 1
        del around[depth:]
        for call in path[depth:]:
            name, kind, _ = call
            parent, outer = (around[-1][1], around[-1][0][0] + ".") if around else (None, ".")
            seen[name] += 1
            again = f" ({seen[name]})" if seen[name] > 1 else ""
            groups.append(Group(name.removeprefix(outer) + again, parent, kind))
            around.append((call, len(groups) - 1))
        members.append(around[-1][1] if around else None)
    return groups, members


def worthwhile(groups: list[Group], members: list[int | None]) -> tuple[list[Group], list[int | None]]:
    """The frames with more than one thing in them, and the members again: a frame around a single node would say nothing."""
    contents = Counter([*members, *[group.parent for group in groups]])
    kept = {old: new for new, old in enumerate([i for i in range(len(groups)) if contents[i] > 1])}

    def nearest(group: int | None) -> int | None:
        while group is not None and group not in kept:
            group = groups[group].parent
        return None if group is None else kept[group]

    return [replace(groups[i], parent=nearest(groups[i].parent)) for i in kept], [nearest(group) for group in members]
