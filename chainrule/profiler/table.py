"""Events of a profile as a table: what `key_averages().table()` gives."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import Any

WIDTH = 12  # of a column of numbers
GAP = "  "
UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0}
FLOPS = ("FLOPs", "KFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs")


def format_time(us: float, unit: str | None = None) -> str:
    """Microseconds as text, in the unit that suits them if none is given.

    Example:
        >>> format_time(1234.5)
        '1.234ms'
    """
    if unit not in UNITS:
        unit = "s" if us >= 1e6 else "ms" if us >= 1e3 else "us"
    return f"{us / UNITS[unit]:.3f}{unit}"


def format_share(us: float, total: float) -> str:
    """A part of a total as a percentage."""
    return f"{us * 100 / total:.2f}%" if total else "NaN"


def format_memory(count: int) -> str:
    """Bytes as text.

    Example:
        >>> format_memory(-2048)
        '-2.00 KB'
    """
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if abs(count) >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} B"


def shortened(text: str, width: int | None) -> str:
    return text[: width - 3] + "..." if width is not None and len(text) >= width - 3 else text


def tail(text: str, width: int) -> str:
    """The end of a path, which says most."""
    return text if len(text) <= width else "..." + text[len(text) - width + 3 :]


def column_width(texts: Sequence[str], most: int | None) -> int:
    width = max(map(len, texts)) + 4
    return width if most is None else min(width, most)


def build_table(
    events: Sequence[Any], sort_by: str | None, row_limit: int, name_width: int | None, shapes_width: int | None, source_width: int | None,
    header: str | None, memory: bool, flops: bool, top_level: bool, unit: str | None,
) -> str:  # fmt: skip
    """The rows of `events` in columns, `row_limit` at most (-1: all), sorted downwards by an attribute if `sort_by` names one."""
    if not events:
        return ""
    if sort_by is not None:
        key = sort_by.replace("cuda", "device").replace("xpu", "device").replace("privateuse1", "device")
        events = sorted(events, key=lambda e: getattr(e, key), reverse=True)
    total = sum([e.self_cpu_time_total for e in events])
    titles = ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"]
    titles += ["CPU Mem", "Self CPU Mem"] if memory else []
    titles += ["# of Calls"]
    first = column_width([e.key for e in events], name_width)
    widths = [first] + [WIDTH] * (len(titles) - 1)
    shapes = any([e.input_shapes for e in events])
    if shapes:
        titles.append("Input Shapes")
        widths.append(column_width([str(e.input_shapes) for e in events], shapes_width))
        shapes_width = widths[-1]
    stacks = [e.stack for e in events if e.stack]
    if stacks:
        titles.append("Source Location")
        widths.append(source := column_width([line for stack in stacks for line in stack], source_width))
    counted = [e.flops for e in events if e.flops] if flops else []
    if counted:
        power = min(int(log10(min(counted)) / 3), len(FLOPS) - 1)
        titles.append(f"Total {FLOPS[power]}")
        widths.append(WIDTH)
    left = titles.index("Source Location") if stacks else -1
    rule = "".join(["-" * w + GAP for w in widths])

    def line(cells: Sequence[Any]) -> str:
        return "".join([f"{c!s:<{w}}{GAP}" if i == left else f"{c!s:>{w}}{GAP}" for i, (c, w) in enumerate(zip(cells, widths))])

    def cells(e: Any) -> list:
        row = [
            shortened(e.key, name_width), format_share(e.self_cpu_time_total, total), format_time(e.self_cpu_time_total, unit),
            format_share(e.cpu_time_total, total), format_time(e.cpu_time_total, unit), format_time(e.cpu_time, unit),
        ]  # fmt: skip
        row += [format_memory(e.cpu_memory_usage), format_memory(e.self_cpu_memory_usage)] if memory else []
        row += [e.count]
        row += [str(e.input_shapes)[:shapes_width]] if shapes else []
        row += [tail(e.stack[0], source) if e.stack else ""] if stacks else []
        row += [f"{e.flops * 10.0 ** (-3 * floor(power)):8.3f}" if e.flops else "--"] if counted else []
        return row

    lines = []
    bar = "=" * (len(rule) - len(GAP))
    if header is not None:
        lines += [bar, header]
    if top_level:
        lines += [bar, "This report only display top-level ops statistics"]
    lines += [rule, line(titles), rule]
    shown = [e for e in events if not (top_level and e.cpu_parent is not None)]
    for e in shown if row_limit < 0 else shown[:row_limit]:
        lines.append(line(cells(e)))
        if stacks:
            lines += [line([""] * left + [tail(entry, source)] + [""] * (len(widths) - left - 1)) for entry in (e.stack or ())[1:]]
            lines.append(line([""] * len(widths)))
    lines += [rule, f"Self CPU time total: {format_time(total, unit)}"]
    return "\n".join(lines) + "\n"
