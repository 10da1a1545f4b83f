"""Measuring how long statements take, and tables of the results: `torch.utils.benchmark`.

    results = [Timer("x @ x", globals={"x": rand(n, n)}, label="matmul", sub_label=str(n)).blocked_autorange() for n in (8, 64)]
    Compare(results).print()
"""

from __future__ import annotations

import enum
import timeit
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from math import ceil, floor, log10, sqrt
from textwrap import dedent, indent
from time import perf_counter
from typing import Any

import numpy as np

__all__ = [
    "Colorize", "Compare", "Language", "Measurement", "TaskSpec", "Timer", "select_unit", "set_torch_threads", "timer", "trim_sigfig",
]  # fmt: skip

timer = perf_counter
SUSPECT, GROSS = 0.1, 0.25  # spreads, as parts of the median, that a measurement warns of
PRECISION = 25e-9  # seconds; no timer here is better
DIGITS = 4  # no result has more that mean something
UNITS = {"ns": (1e-9, "nanosecond"), "us": (1e-6, "microsecond"), "ms": (1e-3, "millisecond"), "s": (1.0, "second")}
BEST, GOOD, BAD, VERY_BAD, BOLD, PLAIN = "\033[92m", "\033[34m", "\033[2m\033[91m", "\033[31m", "\033[1m", "\033[0m"


class Language(enum.Enum):
    """What a statement is written in."""

    PYTHON = 0
    CPP = 1


class Colorize(enum.Enum):
    """Whether `Compare` colours its cells, and what each is compared with."""

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


@dataclass(frozen=True)
class TaskSpec:
    """What was measured: the statement and how it is to be named."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label, or else the statement, and the second label if there is one."""
        if self.label is None and "\n" in self.stmt:
            return f"stmt:{f' ({self.sub_label})' if self.sub_label else ''}\n{indent(self.stmt, '  ')}"
        name = self.stmt if self.label is None else self.label
        return f"{name}: {self.sub_label}" if self.sub_label else name

    def setup_str(self) -> str:
        if self.setup in ("", "pass"):
            return ""
        return f"setup:\n{indent(self.setup, '  ')}" if "\n" in self.setup else f"setup: {self.setup}"

    def summarize(self) -> str:
        parts = [part for part in (self.title, self.description or "", self.setup_str()) if part]
        return "\n".join([f"{part}\n" if "\n" in part else part for part in parts])


SPECIFIED = frozenset(field.name for field in fields(TaskSpec))


@dataclass(repr=False)
class Measurement:
    """The times, in seconds, of several blocks of `number_per_run` runs.

    Example:
        >>> m = Measurement(10, [1e-5, 2e-5, 3e-5], TaskSpec("x + x", "pass"))
        >>> round(m.median * 1e6, 3)
        2.0
    """

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict | None = None

    def __getattr__(self, name: str) -> Any:
        if name in SPECIFIED:
            return getattr(self.task_spec, name)
        raise AttributeError(f"'Measurement' object has no attribute {name!r}")

    @property
    def times(self) -> list[float]:
        """Seconds a run, for each block."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        return float(np.median(self.times))

    @property
    def mean(self) -> float:
        return float(np.mean(self.times))

    @property
    def quartiles(self) -> tuple[float, float]:
        low, high = np.quantile(self.times, (0.25, 0.75))
        return float(low), float(high)

    @property
    def iqr(self) -> float:
        """The distance between the quartiles."""
        low, high = self.quartiles
        return high - low

    @property
    def significant_figures(self) -> int:
        """How many digits of the median mean something: those above the error of the mean of the middle half."""
        times = sorted(self.times)
        middle = times[len(times) // 4 : ceil(3 * len(times) / 4)]
        error = max(1.645 * float(np.std(middle)) / sqrt(len(middle)), PRECISION)
        return min(max(floor(log10(self.median / error)), 1), DIGITS)

    def meets_confidence(self, threshold: float = SUSPECT) -> bool:
        """Whether the spread is less than this part of the median."""
        return self.iqr / self.median < threshold

    @property
    def has_warnings(self) -> bool:
        return not self.meets_confidence()

    @property
    def title(self) -> str:
        return self.task_spec.title

    @property
    def as_row_name(self) -> str:
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __repr__(self) -> str:
        count, threads = len(self.raw_times), self.task_spec.num_threads
        unit, scale = select_unit(self.median)
        lines = [object.__repr__(self), self.task_spec.summarize()]
        lines.append(f"  {'Median: ' if count > 1 else ''}{self.median / scale:.2f} {unit}")
        if count >= 4:
            low, high = self.quartiles
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})")
        runs = f"{self.number_per_run} runs {'per measurement,' if count > 1 else ','}"
        lines.append(f"  {count} measurement{'s' * (count > 1)}, {runs} {threads} thread{'s' * (threads > 1)}")
        if self.has_warnings:
            lines.append(f"  WARNING: Interquartile range is {self.iqr / self.median * 100:.1f}% of the median measurement.")
            gross = not self.meets_confidence(GROSS)
            reason = "This suggests significant environmental influence." if gross else "This could indicate system fluctuation."
            lines.append(f"           {reason}")
        return "\n".join(lines)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Measurements of the same task as one."""
        times: dict[TaskSpec, list[float]] = defaultdict(list)
        for m in measurements:
            times[m.task_spec] += m.times
        return [Measurement(1, found, task) for task, found in times.items()]


class Timer:
    """Times a statement, as `timeit.Timer` does, with `num_threads` threads and after a warm-up.

    `label`, `sub_label`, `description` and `env` say where `Compare` puts the result: its table, row, column and a group of rows.
    ValueError for a language other than Python.

    Example:
        >>> t = Timer("x + x", globals={"x": ones(8)}, label="add")
        >>> t.timeit(100).number_per_run
        100
    """

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "", timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None, label: str | None = None, sub_label: str | None = None, description: str | None = None,
        env: str | None = None, num_threads: int = 1, language: Language | str = Language.PYTHON,
    ) -> None:  # fmt: skip
        if language not in (Language.PYTHON, "py", "python"):
            raise ValueError(f"Invalid language `{language}`.")
        if global_setup:
            raise ValueError(
                f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply be moved to `setup`."
            )  # fmt: skip
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        import chainrule

        stmt, setup = (dedent(code).removeprefix("\n").rstrip() for code in (stmt, setup))
        self._task_spec = TaskSpec(stmt, setup, "", label, sub_label, description, env, num_threads)
        self._timer = timeit.Timer(stmt, setup, timer, {"torch": chainrule, **(globals or {})})

    def _timeit(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)

    def timeit(self, number: int = 1000000) -> Measurement:
        """One block of `number` runs."""
        with set_torch_threads(self._task_spec.num_threads):
            self._timeit(max(number // 100, 2))
            return Measurement(number, [self._timeit(number)], self._task_spec)

    def blocked_autorange(self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2) -> Measurement:
        """Blocks of so many runs that the clock does not matter, until `min_run_time` seconds are spent."""
        return self._measure(self._block_size(min_run_time), min_run_time, None, lambda m: True, callback)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:  # fmt: skip
        """Blocks until their spread is below `threshold` of the median, or `max_run_time` seconds are spent."""

        def steady(m: Measurement) -> bool:
            return len(m.raw_times) > 3 and m.meets_confidence(threshold)

        return self._measure(self._block_size(0.05), min_run_time, max_run_time, steady, callback)

    def _measure(
        self, number: int, least: float, most: float | None, done: Callable[[Measurement], bool], callback: Callable | None
    ) -> Measurement:  # fmt: skip
        result = Measurement(number, [], self._task_spec)
        total = 0.0
        with set_torch_threads(self._task_spec.num_threads):
            while total < least or not done(result):
                spent = self._timeit(number)
                result.raw_times.append(spent)
                total += spent
                if callback is not None:
                    callback(number, spent)
                if most is not None and total > most:
                    break
        return result

    def _block_size(self, min_run_time: float) -> int:
        with set_torch_threads(self._task_spec.num_threads):
            overhead = float(np.median([self._timeit(0) for _ in range(5)]))
            number = 1
            while True:
                spent = self._timeit(number)
                if spent > min_run_time or (overhead <= 1e-4 * spent and spent >= min_run_time / 1000):
                    return number
                number *= 10


class Compare:
    """Measurements as tables, one for each label: a row for each statement or `sub_label`, a column for each description.

    ValueError for anything that is no Measurement.

    Example:
        >>> result = Measurement(1, [2e-6], TaskSpec("x + x", "pass", label="ops", description="add"))
        >>> print(str(Compare([result])).rstrip())
        [------ ops ------]
                   |  add
        1 threads: --------
              x + x  |  2.0
        <BLANKLINE>
        Times are in microseconds (us).
    """

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._trim, self._warn, self._colors = False, False, Colorize.NONE

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add more."""
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(result)} instead.")
            self._results.append(result)

    def trim_significant_figures(self) -> None:
        """Show no more digits than mean something."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Colour each cell by how it compares with the best of its column, or of its row."""
        self._colors = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self) -> None:
        """Mark the results that vary much."""
        self._warn = True

    def print(self) -> None:
        """Print the tables."""
        print(str(self))

    def __str__(self) -> str:
        groups: dict[str | None, list[Measurement]] = defaultdict(list)
        for result in Measurement.merge(self._results):
            groups[result.label].append(result)
        return "\n".join([self._table(label, group) for label, group in groups.items()])

    def _table(self, label: str | None, results: list[Measurement]) -> str:
        unit, scale = select_unit(min([r.median for r in results]))
        rows = sorted(dict.fromkeys([(r.num_threads, r.env, r.as_row_name) for r in results]), key=lambda key: (key[0], key[1] or ""))
        columns = list(dict.fromkeys([r.description for r in results]))
        found = {((r.num_threads, r.env, r.as_row_name), r.description): r for r in results}
        environments = len({r.env for r in results}) > 1
        margin = max([len(str(r.env)) for r in results]) if environments else 0
        formats = [self._format([found.get((row, c)) for row in rows], scale) for c in columns]

        def name(i: int) -> str:
            threads, env, title = rows[i]
            first = environments and (i == 0 or rows[i - 1][:2] != (threads, env))
            return "  " + (f"({env})" if first else "").ljust(margin + 4) + title

        texts = [["", *[c or "" for c in columns]]]
        texts += [[name(i), *[write(found.get((row, c))) for c, write in zip(columns, formats)]] for i, row in enumerate(rows)]
        widths = [max([len(line[j]) for line in texts]) for j in range(len(columns) + 1)]
        lines = ["  |  ".join([text.center(width) for text, width in zip(texts[0], widths)])]
        whole = len(lines[0])
        for i, (row, line) in enumerate(zip(rows, texts[1:])):
            if i == 0 or rows[i - 1][0] != row[0]:
                lines.append(f"{row[0]} threads: ".ljust(whole, "-"))
            cells = [line[0].ljust(widths[0])]
            for c, text, width in zip(columns, line[1:], widths[1:]):
                rivals = [found.get((r, c)) for r in rows if r[0] == row[0]]
                if self._colors is Colorize.ROWWISE:
                    rivals = [found.get((row, other)) for other in columns]
                cells.append(self._painted(text.center(width), found.get((row, c)), rivals))
            lines.append("  |  ".join(cells))
        note = "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n"
        warned = self._warn and any([r.has_warnings for r in results])
        head = "[" + f" {label or ''} ".center(whole - 2, "-") + "]"
        return "\n".join([head, *lines, "", f"Times are in {UNITS[unit][1]}s ({unit}).", note if warned else ""])

    def _format(self, column: list[Measurement | None], scale: float) -> Callable[[Measurement | None], str]:
        """What writes the cells of a column, all with as many digits."""
        given = [r for r in column if r is not None]
        leading = [ceil(log10(r.median / scale)) for r in given]
        decimals = min([max(r.significant_figures - d, 0) for r, d in zip(given, leading)]) if self._trim else 1
        length = max(leading) + decimals + (decimals > 0)
        room = 7 if self._warn and any([r.has_warnings for r in given]) else 0

        def write(r: Measurement | None) -> str:
            if r is None:
                return " " * max(length + room, len(f"{1:.{decimals}f}") + room)
            value = r.median / scale
            value = trim_sigfig(value, r.significant_figures) if self._trim else value
            warning = f" (! {r.iqr / r.median * 100:.0f}%)" if room and r.has_warnings else ""
            return f"{value:>{length}.{decimals}f}{warning:>{room}}"

        return write

    def _painted(self, text: str, result: Measurement | None, rivals: list[Measurement | None]) -> str:
        if self._colors is Colorize.NONE or result is None:
            return text
        best, value = min([r.median for r in rivals if r is not None]), result.median
        if value <= max(best * 1.01, best + 100e-9):
            return BEST + BOLD + text + PLAIN * 2
        if value <= best * 1.1:
            return GOOD + BOLD + text + PLAIN * 2
        if value >= best * 5:
            return VERY_BAD + BOLD + text + PLAIN * 2
        return BAD + text + PLAIN * 2 if value >= best * 2 else text


def select_unit(t: float) -> tuple[str, float]:
    """The unit in which seconds are easy to read, and how long it is.

    Example:
        >>> select_unit(2e-5)
        ('us', 1e-06)
    """
    unit = {-3: "ns", -2: "us", -1: "ms"}.get(int(log10(t) // 3), "s")
    return unit, UNITS[unit][0]


def trim_sigfig(x: float, n: int) -> float:
    """x with only n digits that are not zero.

    Example:
        >>> trim_sigfig(3.14159, 2)
        3.1
    """
    scale = 10.0 ** (ceil(log10(abs(x))) - n)
    return round(x / scale) * scale


@contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """Compute with n threads while the context lasts."""
    from chainrule.settings import get_num_threads, set_num_threads

    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)
