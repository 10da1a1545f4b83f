"""The events that a profile recorded, and lists of them: sums by name, tables, files.

Times are in microseconds since the profile began, memory is in bytes. An event's children are the events inside it; its `self_`
figures are its own less theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

from chainrule.profiler.table import build_table, format_time

__all__ = ["DeviceType", "EventList", "FunctionEvent", "FunctionEventAvg", "Interval"]

STACK_METRICS = ["self_cpu_time_total", "self_cuda_time_total", "self_xpu_time_total", "self_privateuse1_time_total"]


class DeviceType(Enum):
    """Where an event ran: here always the CPU."""

    CPU = 0


class Interval:
    """From `start` to `end`, in microseconds."""

    __slots__ = ("start", "end")

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def elapsed_us(self) -> float:
        return self.end - self.start


class Timed:
    """What one event and the sum of several share: their times as text, and the figures of devices that are not here."""

    count: int
    cpu_time_total: Any
    self_cpu_time_total: Any
    use_device: str | None = None
    device_type = DeviceType.CPU
    device_time_total = self_device_time_total = device_memory_usage = self_device_memory_usage = 0
    node_id = -1
    is_legacy = is_async = is_remote = False
    overload_name = ""

    @property
    def cpu_time(self) -> float:
        """Microseconds a call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self) -> float:
        return 0.0

    @property
    def cpu_time_str(self) -> str:
        return format_time(self.cpu_time)

    @property
    def cpu_time_total_str(self) -> str:
        return format_time(self.cpu_time_total)

    @property
    def self_cpu_time_total_str(self) -> str:
        return format_time(self.self_cpu_time_total)


class FunctionEvent(Timed):
    """One op, one node of the backward pass, or one stretch that the user named.

    `scope` is 0 for an op, 1 for a node, 7 for a named stretch; `sequence_nr` is the number of the node that an op left, the same for
    the node when it runs; `stack` has the callers, the nearest first, if the profile was asked for them.
    """

    count = 1

    def __init__(
        self, id: int, name: str, thread: int, start_us: float, end_us: float, *, fwd_thread: int | None = None,
        input_shapes: list | None = None, stack: list | None = None, scope: int = 0, self_cpu_memory_usage: int = 0,
        sequence_nr: int = -1, flops: int = 0, trace_name: str | None = None, is_user_annotation: bool = False,
    ) -> None:  # fmt: skip
        self.id, self.name, self.thread, self.fwd_thread = id, name, thread, fwd_thread
        self.time_range = Interval(start_us, end_us)
        self.input_shapes, self.stack, self.scope = input_shapes or [], stack or [], scope
        self.self_cpu_memory_usage, self.sequence_nr, self.flops = self_cpu_memory_usage, sequence_nr, flops
        self.trace_name, self.is_user_annotation = trace_name or name, is_user_annotation
        self.cpu_children: list[FunctionEvent] = []
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_memory_usage = self_cpu_memory_usage  # and that of the children, once they are known

    @property
    def key(self) -> str:
        return self.name

    @property
    def cpu_time_total(self) -> float:
        return self.time_range.elapsed_us()

    @property
    def self_cpu_time_total(self) -> float:
        return self.cpu_time_total - sum([c.cpu_time_total for c in self.cpu_children])

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent id={self.id} name={self.name} overload_name={self.overload_name} device_type={self.device_type} "
            f"node_id={self.node_id} cpu_time={self.cpu_time_str} start_us={self.time_range.start} end_us={self.time_range.end} "
            f"cpu_children={[c.id for c in self.cpu_children]} thread={self.thread} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage} is_async={self.is_async} is_remote={self.is_remote} "
            f"seq_nr={self.sequence_nr} is_legacy={self.is_legacy}>"
        )


class FunctionEventAvg(Timed):
    """Several events of one name, summed up; `cpu_time` is their mean."""

    def __init__(self) -> None:
        self.key: str | None = None
        self.count = self.cpu_memory_usage = self.self_cpu_memory_usage = self.flops = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.input_shapes: Any = None
        self.stack: list = []
        self.scope: int | None = None
        self.is_user_annotation = False
        self.cpu_children: list | None = None
        self.cpu_parent: FunctionEvent | None = None

    def add(self, other: FunctionEvent | FunctionEventAvg) -> FunctionEventAvg:
        """Count another event in; the first one gives the name, the shapes and the stack."""
        if self.key is None:
            for field in ("key", "input_shapes", "stack", "scope", "is_user_annotation", "cpu_children", "cpu_parent"):
                setattr(self, field, getattr(other, field))
        if other.key != self.key:
            raise AssertionError(f"Expected keys to match, but got {other.key} vs {self.key}")
        for field in ("cpu_time_total", "self_cpu_time_total", "cpu_memory_usage", "self_cpu_memory_usage", "count", "flops"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        return self

    __iadd__ = add

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} cpu_time={self.cpu_time_str} "
            f" self_cuda_time=0.000us cuda_time=0.000us input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage} "
            "cuda_memory_usage=0>"
        )


class EventList(list):
    """Events, with ways to sum them up and to show them.

    Example:
        >>> with autograd.profiler.profile() as prof:
        ...     y = ones(3).exp()
        >>> [e.name for e in prof.function_events if e.name == "aten::exp"]
        ['aten::exp']
    """

    def __init__(self, events: Iterable[Any] = (), *, profile_memory: bool = False, with_flops: bool = False) -> None:
        super().__init__(events)
        self._profile_memory, self._with_flops = profile_memory, with_flops

    def __str__(self) -> str:
        return self.table()

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds in all events, none counted twice."""
        return sum([e.self_cpu_time_total for e in self])

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int | None = 75,
        max_name_column_width: int | None = 55, max_shapes_column_width: int | None = 80, header: str | None = None,
        top_level_events_only: bool = False, time_unit: str | None = None,
    ) -> str:  # fmt: skip
        """The events as a table.

        `sort_by` names the attribute to sort by, downwards: "cpu_time_total", "self_cpu_time_total", "cpu_time", "cpu_memory_usage",
        "self_cpu_memory_usage", "count", ...; `row_limit=-1` shows all rows; `time_unit` is "s", "ms" or "us".
        AttributeError for a `sort_by` that events do not have.
        """
        return build_table(
            self, sort_by, row_limit, max_name_column_width, max_shapes_column_width, max_src_column_width, header,
            self._profile_memory, self._with_flops, top_level_events_only, time_unit,
        )  # fmt: skip

    def key_averages(
        self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:  # fmt: skip
        """The events of one name summed up; of one name and one kind of input shapes, or one beginning of the stack, if asked for."""
        sums: dict[tuple, FunctionEventAvg] = {}
        for e in self:
            key = (
                e.key, e.is_user_annotation, str(e.input_shapes) if group_by_input_shapes else "", tuple(e.stack[:group_by_stack_n]),
            )  # fmt: skip
            sums.setdefault(key, FunctionEventAvg()).add(e)
        for average in sums.values():
            average.stack = average.stack[:group_by_stack_n]
            average.input_shapes = average.input_shapes if group_by_input_shapes else ""
        return EventList(sums.values(), profile_memory=self._profile_memory, with_flops=self._with_flops)

    def total_average(self) -> FunctionEventAvg:
        """All events as one, named "Total"."""
        total = FunctionEventAvg()
        for e in self:
            total.key = e.key if total.count else None
            total.add(e)
        total.key = "Total"
        return total

    def supported_export_stacks_metrics(self) -> list[str]:
        return list(STACK_METRICS)

    def export_stacks(self, path: str, metric: str) -> None:
        """Write each event's stack and microseconds as a line that flame graph tools read; ValueError for an unknown metric."""
        if metric not in STACK_METRICS:
            raise ValueError(f"metric should be one of: {STACK_METRICS}")
        blanks = str.maketrans(" ;\t\n", "____")
        attribute = "self_cpu_time_total" if metric == "self_cpu_time_total" else "self_device_time_total"
        with open(path, "w") as file:
            for e in self:
                value = int(getattr(e, attribute))
                if e.stack and value > 0:
                    file.write(";".join([entry.translate(blanks) for entry in reversed(e.stack)]) + f" {value}\n")

    def export_chrome_trace(self, path: str) -> None:
        """Write the events alone as a trace that `chrome://tracing` and Perfetto open; a profile's own export says more."""
        import json

        records = [
            {
                "name": e.trace_name, "ph": "X", "ts": e.time_range.start, "dur": e.time_range.elapsed_us(), "tid": e.thread,
                "pid": "CPU functions", "args": {},
            }
            for e in self
        ]  # fmt: skip
        with open(path, "w") as file:
            json.dump(records, file)
