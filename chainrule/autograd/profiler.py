"""Where the time of a program goes: `profile` times every op and every node of the backward pass, `record_function` names a stretch.

Nothing is timed, and nothing costs anything, while no profile is on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from chainrule._core import modes
from chainrule.autograd.profiler_util import EventList, FunctionEvent, FunctionEventAvg
from chainrule.profiler.recorder import NAMED, NODE, Recorder, Span

__all__ = ["EventList", "FunctionEvent", "kineto_available", "profile", "record_function"]

UNFINISHED = "<unfinished torch.autograd.profile>"


def kineto_available() -> bool:
    """Whether profiles can be had; PyTorch's name for what makes its own."""
    return True


class record_function:
    """Give a stretch of the program, or a function, a name in the profile; nothing happens if none is on.

    Example:
        >>> with autograd.profiler.profile() as prof:
        ...     with autograd.profiler.record_function("double"):
        ...         y = ones(3) * 2
        >>> [e.name for e in prof.function_events if e.is_user_annotation]
        ['double']
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self.span: Span | None = None

    def __enter__(self) -> record_function:
        self.recorder = modes.local.profile
        self.span = None if self.recorder is None else self.recorder.enter(self.name, NAMED)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.span is not None and self.span.end == 0:
            self.recorder.leave(self.span)

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def named(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return named


class profile:
    """Time every op of this thread while the context lasts.

    `record_shapes` notes the shapes of inputs, `profile_memory` the bytes that ops leave and that go again, `with_stack` who called, and
    `with_flops` counts floating-point operations. `enabled=False` makes the context do nothing; arguments that concern devices or the
    machinery of PyTorch's profiler are taken and change nothing.

    Raises RuntimeError if it is entered twice, or while another profile is on in this thread.

    Example:
        >>> x = ones(3, requires_grad=True)
        >>> with autograd.profiler.profile() as prof:
        ...     x.exp().sum().backward()
        >>> [e.name for e in prof.function_events if not e.name.startswith("autograd::engine")][:3]
        ['aten::exp', 'aten::sum', 'SumBackward0']
    """

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None, record_shapes: bool = False,
        with_flops: bool = False, profile_memory: bool = False, with_stack: bool = False, with_modules: bool = False,
        use_kineto: bool = False, use_cpu: bool = True, experimental_config: Any = None, acc_events: bool = False,
        custom_trace_id_callback: Callable[[], str] | None = None, post_processing_timeout_s: float | None = None,
        activity_filters: dict | None = None,
    ) -> None:  # fmt: skip
        self.enabled, self.entered, self.acc_events = enabled, False, acc_events
        self.record_shapes, self.with_flops = record_shapes or with_flops, with_flops
        self.profile_memory, self.with_stack, self.with_modules = profile_memory, with_stack, with_modules
        self.recorder: Recorder | None = None
        self.finished = False
        self._events: EventList | None = None
        self._earlier: list[FunctionEvent] = []

    def __enter__(self) -> profile | None:
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self.start()
        return self

    def start(self) -> None:
        self.entered = True
        recorder = Recorder(self.record_shapes, self.profile_memory, self.with_stack, self.with_flops)
        recorder.start()
        if self.acc_events and self.finished:
            self._earlier = list(self.function_events)
        self.recorder, self.finished, self._events = recorder, False, None

    def __exit__(self, *exc: object) -> None:
        if self.enabled and self.recorder is not None:
            self.recorder.stop()
            self.finished = True

    def __repr__(self) -> str:
        return repr(self.function_events) if self.finished else UNFINISHED

    def __str__(self) -> str:
        return str(self.function_events) if self.finished else UNFINISHED

    @property
    def function_events(self) -> EventList:
        """All events, each with its parent and children; they are made when they are first asked for."""
        if not self.finished:
            raise AssertionError("Expected profiling results")
        if self._events is None:
            assert self.recorder is not None
            found = [*self._earlier, *events_of(self.recorder)]
            self._events = EventList(found, profile_memory=self.profile_memory, with_flops=self.with_flops)
        return self._events

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int | None = 75,
        max_name_column_width: int | None = 55, max_shapes_column_width: int | None = 80, header: str | None = None,
        top_level_events_only: bool = False,
    ) -> str:  # fmt: skip
        """Every event as a row, as `EventList.table` explains."""
        return self.function_events.table(
            sort_by, row_limit, max_src_column_width, max_name_column_width, max_shapes_column_width, header, top_level_events_only
        )

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:  # fmt: skip
        """The events of one name summed up, as `EventList.key_averages` explains."""
        return self.function_events.key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def total_average(self) -> FunctionEventAvg:
        """All events as one."""
        return self.function_events.total_average()

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds in all events, none counted twice."""
        return self.function_events.self_cpu_time_total

    def export_chrome_trace(self, path: str, metadata: dict | None = None, use_python_export: bool = False) -> None:
        """Write a trace for Perfetto or `chrome://tracing`; compressed if the name ends in ".gz"."""
        from chainrule.profiler.trace import export

        if not self.finished or self.recorder is None:
            raise AssertionError("Expected profiling results")
        export(self.recorder, str(path), metadata or {})

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write stacks and times for a flame graph."""
        if not self.with_stack:
            raise AssertionError("export_stacks() requires with_stack=True")
        self.function_events.export_stacks(path, metric)


def events_of(recorder: Recorder) -> list[FunctionEvent]:
    """What a recorder noted, as events that know their parents and children; a node has the stack of the op that left it."""
    events: dict[Span, FunctionEvent] = {}
    stacks: dict[int, list] = {}
    for number, span in enumerate(recorder.spans):
        parent = events.get(span.parent) if span.parent is not None else None
        backward = span.kind == NODE or (parent is not None and parent.fwd_thread is not None)
        stack = span.stack
        if span.sequence >= 0 and span.kind != NODE and not backward:
            stack = stacks.setdefault(span.sequence, stack)
        elif backward and span.sequence >= 0:
            stack = stacks.get(span.sequence, [])
        name = "ProfilerStep*" if span.name.startswith("ProfilerStep#") else span.name
        event = events[span] = FunctionEvent(
            number, name, span.thread, (span.start - recorder.began) / 1e3, (span.end - recorder.began) / 1e3,
            fwd_thread=span.thread if backward else None, input_shapes=span.shapes, stack=stack, scope=span.kind,
            self_cpu_memory_usage=span.memory, sequence_nr=span.sequence, flops=span.flops, trace_name=span.name,
            is_user_annotation=span.kind == NAMED,
        )  # fmt: skip
        if parent is not None:
            event.cpu_parent = parent
            parent.cpu_children.append(event)
    for event in reversed(events.values()):
        if event.cpu_parent is not None:
            event.cpu_parent.cpu_memory_usage += event.cpu_memory_usage
    return list(events.values())
