"""`profiler.profile`: a profile that knows steps, records those that its schedule chooses, and hands them to a handler."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from chainrule.autograd import profiler as autograd_profiler
from chainrule.autograd.profiler_util import EventList

SCHEDULE = (
    "Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} (need >= 0), active={active} (need > 0), "
    "repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
)


class ProfilerActivity(Enum):
    """What PyTorch can profile; here there is only the CPU."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(Enum):
    """What to do in a step; RECORD_AND_SAVE is the last one of a cycle."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


RECORDING = ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE


def supported_activities() -> set[ProfilerActivity]:
    """The CPU alone.

    Example:
        >>> supported_activities()
        {<ProfilerActivity.CPU: 0>}
    """
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """Which steps to record: after `skip_first` steps, cycles of `wait` idle, `warmup` unrecorded and `active` recorded ones.

    `repeat` cycles, or for ever if it is 0; the first cycle does not wait if `skip_first_wait` is not 0. AssertionError for numbers that
    make no schedule.

    Example:
        >>> chosen = schedule(wait=1, warmup=1, active=2)
        >>> [chosen(step).name for step in range(5)]
        ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError(SCHEDULE.format(wait=wait, warmup=warmup, active=active, repeat=repeat, skip_first=skip_first))
    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)
    cycle = wait + warmup + active

    def chosen(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step += (wait if skip_first_wait else 0) - skip_first
        place = step % cycle
        if (repeat and step >= repeat * cycle) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return chosen


def always(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False, use_python_export: bool = False
) -> Callable[[Any], None]:
    """A handler for `on_trace_ready` that writes each cycle's trace into a folder, under a name that TensorBoard knows.

    RuntimeError if the folder cannot be made.
    """
    import socket
    import time

    def handler(prof: Any) -> None:
        try:
            os.makedirs(dir_name, exist_ok=True)
        except Exception as error:
            raise RuntimeError("Can't create directory: " + dir_name) from error
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json{'.gz' if use_gzip else ''}"
        prof.export_chrome_trace(os.path.join(dir_name, name), use_python_export=use_python_export)

    return handler


def check_activities(activities: Iterable) -> None:
    chosen: set[ProfilerActivity] = set()
    for item in activities:
        for activity in item if isinstance(item, dict) else (item,):
            if not isinstance(activity, ProfilerActivity):
                raise TypeError(f"Expected ProfilerActivity or dict, got {type(item)}")
            if activity in chosen:
                raise ValueError(f"Activity {activity} specified more than once")
            chosen.add(activity)
    if not chosen:
        raise AssertionError("No valid profiler activities found")
    for activity in sorted(chosen - supported_activities(), key=lambda a: a.value):
        warnings.warn(f"{activity.name} is not available, disabling {activity.name} profiling", stacklevel=4)


class profile:
    """Profile this thread, all the time or in the steps that `schedule` chooses; call `step()` after each.

    `on_trace_ready(prof)` is called whenever a cycle of the schedule is over, and at the end. `record_shapes`, `profile_memory`,
    `with_stack` and `with_flops` say more of each op and take longer. Each cycle starts with no events, unless `acc_events`.

    Raises AssertionError if events are asked for before there are any, RuntimeError if another profile is on in this thread.

    Example:
        >>> w = ones(3, requires_grad=True)
        >>> with profile() as prof:
        ...     (w * w).sum().backward()
        >>> averages = prof.key_averages()
        >>> [(e.key, e.count) for e in averages if e.key.startswith("aten")]
        [('aten::mul', 1), ('aten::sum', 1)]
        >>> print(averages.table(sort_by="self_cpu_time_total", row_limit=3).splitlines()[1].split()[:3])
        ['Name', 'Self', 'CPU']
    """

    def __init__(
        self, *, activities: Iterable | None = None, schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[..., Any] | None = None, record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, with_modules: bool = False, experimental_config: Any = None,
        execution_trace_observer: Any = None, acc_events: bool = False, use_cuda: bool | None = None,
        custom_trace_id_callback: Callable[[], str] | None = None, post_processing_timeout_s: float | None = None,
    ) -> None:  # fmt: skip
        if activities is not None:
            check_activities(activities)
        self.schedule, self.record_steps = schedule or always, schedule is not None
        self.on_trace_ready = on_trace_ready
        self.options: dict[str, Any] = {
            "record_shapes": record_shapes, "profile_memory": profile_memory, "with_stack": with_stack, "with_flops": with_flops,
            "with_modules": with_modules, "acc_events": acc_events,
        }  # fmt: skip
        self.metadata: dict[str, Any] = {}
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.profiler: autograd_profiler.profile | None = None
        self._named_step: autograd_profiler.record_function | None = None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin with what the schedule says for the present step."""
        self._transit(ProfilerAction.NONE, self.current_action)
        self._name_step()

    def stop(self) -> None:
        """End; what was being recorded is handed to `on_trace_ready`."""
        self._end_step()
        if self.current_action in RECORDING:
            self._save()
        self.current_action = ProfilerAction.NONE

    def step(self) -> None:
        """Say that the next step begins."""
        self._end_step()
        before, self.current_action = self.current_action, self.schedule(self.step_num + 1)
        self.step_num += 1
        self._transit(before, self.current_action)
        self._name_step()

    def _transit(self, before: ProfilerAction, now: ProfilerAction) -> None:
        if before is ProfilerAction.RECORD and now not in RECORDING:
            warnings.warn(f"Incorrect schedule: RECORD followed by {now.name}", stacklevel=3)
        if before is ProfilerAction.RECORD_AND_SAVE or (before in RECORDING and now not in RECORDING):
            self._save()
            before = ProfilerAction.NONE
        if now in RECORDING and before not in RECORDING:
            if self.profiler is None or not self.options["acc_events"]:
                self.profiler = autograd_profiler.profile(**self.options)
            self.profiler.start()

    def _save(self) -> None:
        assert self.profiler is not None
        self.profiler.__exit__()
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def _name_step(self) -> None:
        if self.record_steps:
            self._named_step = autograd_profiler.record_function(f"ProfilerStep#{self.step_num}")
            self._named_step.__enter__()

    def _end_step(self) -> None:
        if self._named_step is not None:
            self._named_step.__exit__()
            self._named_step = None

    def _finished(self, what: str) -> autograd_profiler.profile:
        if self.profiler is None:
            raise AssertionError(f"Profiler must be initialized before {what}")
        return self.profiler

    def events(self) -> EventList:
        """Every event of the last cycle, with its parent and children."""
        return self._finished("accessing events").function_events

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:  # fmt: skip
        """The events of one name summed up; by input shapes too (with `record_shapes`), or by the first frames of the stack."""
        return self._finished("getting key averages").key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def export_chrome_trace(self, path: str, use_python_export: bool = False) -> None:
        """Write a trace for Perfetto or `chrome://tracing`; compressed if the name ends in ".gz"."""
        self._finished("exporting chrome trace").export_chrome_trace(path, self.metadata)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write stacks and times for a flame graph (with `with_stack`)."""
        self._finished("exporting stacks").export_stacks(path, metric)

    def add_metadata(self, key: str, value: str) -> None:
        """Have the trace say something more."""
        self.metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """As `add_metadata`, with a value written in JSON."""
        import json

        self.metadata[key] = json.loads(value)
