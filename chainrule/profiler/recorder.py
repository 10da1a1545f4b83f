"""What a profile has while it is on: it times ops, nodes of the backward pass and stretches that the user names.

A thread that is profiled has its recorder in `modes.local.profile` and counts as busy (`_core.modes`), so ops take the general way,
where three places ask for a recorder: public functions (`ops.overrides.dispatch`), primitives (`Primitive.general`) and nodes
(`autograd.engine.run`); `factories` sees to the functions that ask for no mode. An op is timed by calling it again from inside, which
must then let it pass.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter_ns, time_ns
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.node import Node, Output
from chainrule.ops.primitive import OWN_FILES, Primitive
from chainrule.profiler import factories
from chainrule.profiler.names import UNSEEN, WHOLE, of_function, of_primitive
from chainrule.tensor import Tensor

local = modes.local
OP, NODE, NAMED = 0, 1, 7  # PyTorch's numbers of what a span can be


class Span:
    """One stretch of time: what ran, from when to when, inside of what."""

    __slots__ = ("name", "kind", "parent", "start", "end", "shapes", "stack", "sequence", "flops", "memory", "thread")

    def __init__(self, name: str, kind: int, parent: Span | None, thread: int) -> None:
        self.name, self.kind, self.parent, self.thread = name, kind, parent, thread
        self.end = self.flops = self.memory = 0
        self.shapes: list = []
        self.stack: list = []
        self.sequence = -1
        self.start = perf_counter_ns()


class Recorder:
    """The spans of one thread; with `shapes`, `memory`, `stack`, `flops` they say more, and take longer."""

    def __init__(self, shapes: bool, memory: bool, stack: bool, flops: bool) -> None:
        self.with_shapes, self.with_memory, self.with_stack, self.with_flops = shapes, memory, stack, flops
        self.spans: list[Span] = []
        self.open: Span | None = None
        self.passing: Any = None  # the function or primitive that is being timed: called again from inside, it may pass
        self.held: dict[int, weakref.ref] = {}  # arrays that the profiled program made, and those that it was given
        self.memory_log: list[tuple[int, int]] = []  # when how many bytes came or went
        self.thread = 1
        self.began, self.epoch = perf_counter_ns(), time_ns()
        self.ended = self.began

    def start(self) -> None:
        """Record what this thread does from now on."""
        if local.profile is not None:
            raise RuntimeError("Profiler is already enabled on this thread")
        local.profile = self
        modes.occupy(1)
        factories.count(1)
        self.began, self.epoch = perf_counter_ns(), time_ns()

    def stop(self) -> None:
        """Record no more; spans that are open end now."""
        self.ended = perf_counter_ns()
        local.profile = None
        modes.occupy(-1)
        factories.count(-1)
        while self.open is not None:
            self.leave(self.open)
        self.held.clear()

    # Spans

    def enter(self, name: str, kind: int) -> Span:
        self.open = span = Span(name, kind, self.open, self.thread)
        self.spans.append(span)
        return span

    def leave(self, span: Span) -> None:
        span.end = perf_counter_ns()
        self.open = span.parent

    def function(self, function: Callable, args: tuple, kwargs: dict) -> Any:
        """A public function, timed with what it calls."""
        name = function.__name__.removesuffix("_any")
        before, self.passing = self.passing, function
        try:
            if name in UNSEEN:
                return function(*args, **kwargs)
            return self.timed(of_function(name), args, kwargs, function, name in WHOLE)
        finally:
            self.passing = before

    def primitive(self, op: Primitive, args: tuple) -> Any:
        """A primitive, unless it is all that a function of its name does."""
        name = of_primitive(op.name)
        before, self.passing = self.passing, op
        try:
            if self.open is not None and self.open.name in (name, f"{name}_"):
                return op.general(*args)
            given = (*args[0], *args[1:]) if op.variadic is True else args
            return self.timed(name, given, {}, lambda *_: op.general(*args), False)
        finally:
            self.passing = before

    def timed(self, name: str, args: tuple, kwargs: dict, call: Callable, whole: bool) -> Any:
        given = (*args, *kwargs.values())
        if self.with_memory:
            self.know(given)
        span = self.enter(name, OP)
        try:
            result = unwatched(call, args, kwargs) if whole else call(*args, **kwargs)
        finally:
            self.leave(span)
        self.describe(span, given, result)
        return result

    def node(self, node: Node, g: Any, run: Callable, plain: bool) -> Any:
        """A node of the backward pass: the time in the engine, and that in its formula."""
        name = node.name()
        outer = self.enter(f"autograd::engine::evaluate_function: {name}", OP)
        inner = self.enter(name, NODE)
        outer.sequence = inner.sequence = node.sequence
        try:
            result = unwatched(run, (), {}) if plain else run()
        finally:
            self.leave(inner)
            self.leave(outer)
        if self.with_shapes:
            inner.shapes = [list(v.shape) if hasattr(v, "shape") else [] for v in (g if isinstance(g, (list, tuple)) else (g,))]
        if self.with_memory:
            for value in result if isinstance(result, tuple) else (result,):
                self.account(value, inner)
        return result

    def accumulated(self, start: int) -> None:
        """A leaf has received its gradient, since `start`."""
        for name, kind in (("autograd::engine::evaluate_function: torch::autograd::AccumulateGrad", OP),
                           ("torch::autograd::AccumulateGrad", NODE)):  # fmt: skip
            self.enter(name, kind).start = start
        for _ in range(2):
            assert self.open is not None
            self.leave(self.open)

    def deliveries(self, edges: Iterable, grads: Iterable) -> Iterator[tuple]:
        """`zip(edges, grads)` for the engine; what it does with a leaf and its gradient is timed."""
        accumulating = local.task is not None and local.task[2] is None
        for pair in zip(edges, grads):
            began = perf_counter_ns()
            yield pair
            if accumulating and pair[1] is not None and isinstance(pair[0], Tensor):
                self.accumulated(began)

    def named(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
        """A call under a name of its own."""
        span = self.enter(name, NAMED)
        try:
            return function(*args, **kwargs)
        finally:
            self.leave(span)

    # What a span says besides its time

    def describe(self, span: Span, given: tuple, result: Any) -> None:
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        if isinstance(first, Tensor) and first._tracked and first._edge is not None:
            edge = first._edge
            span.sequence = (edge.node if type(edge) is Output else edge).sequence
        if self.with_shapes:
            span.shapes = [list(v.shape) if isinstance(v, (Tensor, np.ndarray)) else [] for v in given]
        if self.with_flops:
            from chainrule.profiler.flops import flops

            span.flops = flops(span.name, given, first)
        if self.with_memory:
            for value in result if isinstance(result, (tuple, list)) else (result,):
                self.account(value, span)
        if self.with_stack and (span.parent is None or span.parent.kind != OP or not span.parent.stack):
            span.stack = list(callers(sys._getframe(1)))
        elif self.with_stack and span.parent is not None:
            span.stack = span.parent.stack

    def know(self, values: tuple) -> None:
        """Arrays that came from outside: their end is no news."""
        for v in values:
            array = owner(v)
            if array is not None and id(array) not in self.held:
                self.held[id(array)] = weakref.ref(array, self.forget(id(array), 0))

    def account(self, value: Any, span: Span) -> None:
        """Count the array of a result, if it is a new one, until it goes."""
        array = owner(value)
        if array is None or id(array) in self.held:
            return
        self.held[id(array)] = weakref.ref(array, self.forget(id(array), array.nbytes))
        span.memory += array.nbytes
        self.memory_log.append((perf_counter_ns(), array.nbytes))

    def forget(self, key: int, size: int) -> Callable:
        recorder = weakref.ref(self)

        def gone(_: Any) -> None:
            self = recorder()
            if self is None or self.held.pop(key, None) is None or not size:
                return
            now = perf_counter_ns()
            self.memory_log.append((now, -size))
            if self.open is not None:
                self.open.memory -= size
            else:
                span = self.enter("[memory]", OP)
                span.memory = -size
                self.leave(span)

        return gone


def owner(value: Any) -> np.ndarray | None:
    """The array that has the memory of a tensor or array."""
    array = value._data if isinstance(value, Tensor) else value
    if not isinstance(array, np.ndarray):
        return None
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def unwatched(call: Callable, args: tuple, kwargs: dict) -> Any:
    """Call a function as if no profile were on."""
    recorder, local.profile = local.profile, None
    modes.occupy(-1)
    try:
        return call(*args, **kwargs)
    finally:
        local.profile = recorder
        modes.occupy(1)


def callers(frame: Any) -> Iterator[str]:
    """The frames that led here, the nearest first, without our own."""
    here = str(Path.cwd()) + "/"
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(OWN_FILES):
            yield f"{file.removeprefix(here)}({frame.f_lineno}): {frame.f_code.co_name}"
        frame = frame.f_back
