"""A profile as a file in Chrome's trace format, for Perfetto (ui.perfetto.dev) and `chrome://tracing`."""

from __future__ import annotations

import gzip
import json
import os
import socket
from typing import Any

from chainrule.profiler.recorder import NAMED, NODE, Recorder, Span


def export(recorder: Recorder, path: str, metadata: dict[str, Any]) -> None:
    """Write the trace; compressed if the name ends in ".gz"."""
    text = json.dumps(
        {
            "schemaVersion": 1, "deviceProperties": [], "host_name": socket.gethostname(), "with_stack": int(recorder.with_stack),
            "profile_memory": int(recorder.with_memory), "record_shapes": int(recorder.with_shapes),
            "with_flops": int(recorder.with_flops), **metadata, "displayTimeUnit": "ms", "baseTimeNanoseconds": recorder.epoch,
            "traceEvents": events(recorder), "traceName": path,
        }
    )  # fmt: skip
    data = text.encode()
    with open(path, "wb") as file:
        file.write(gzip.compress(data) if path.endswith(".gz") else data)


def events(recorder: Recorder) -> list[dict[str, Any]]:
    """One record for each span, arrows from ops to the nodes that they left, and marks where memory came and went."""
    process = os.getpid()
    place = {"pid": process, "tid": process}

    def at(ns: int) -> float:
        return (ns - recorder.began) / 1e3

    records: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", **place, "ts": 0, "args": {"name": "python"}},
        {"ph": "M", "name": "thread_name", **place, "ts": 0, "args": {"name": f"thread {process} (python)"}},
    ]
    forward: dict[int, Span] = {}
    for number, span in enumerate(recorder.spans):
        if span.name == "[memory]":
            continue
        arguments: dict[str, Any] = {"External id": number + 1, "Record function id": 0, "Ev Idx": number}
        if span.sequence >= 0:
            arguments |= {"Sequence number": span.sequence, "Fwd thread id": span.thread if span.kind == NODE else 0}
        if span.shapes:
            arguments["Input Dims"] = span.shapes
        if span.stack:
            arguments["Call stack"] = ";".join(span.stack)
        category = "user_annotation" if span.kind == NAMED else "cpu_op"
        duration = (span.end - span.start) / 1e3
        records.append({"ph": "X", "cat": category, "name": span.name, **place, "ts": at(span.start), "dur": duration, "args": arguments})
        if span.sequence < 0:
            continue
        if span.kind != NODE:
            forward.setdefault(span.sequence, span)
        elif span.sequence in forward and forward[span.sequence].start < span.start:
            arrow = {"id": span.sequence, **place, "cat": "fwdbwd", "name": "fwdbwd"}
            records.append({"ph": "s", **arrow, "ts": at(forward[span.sequence].start)})
            records.append({"ph": "f", **arrow, "ts": at(span.start), "bp": "e"})
    total = 0
    for when, count in recorder.memory_log:
        total += count
        arguments = {"Total Allocated": total, "Bytes": count, "Device Type": 0, "Device Id": -1}
        mark = {"ph": "i", "cat": "cpu_instant_event", "s": "t", "name": "[memory]", **place}
        records.append({**mark, "ts": at(when), "args": arguments})
    whole = at(recorder.ended)
    records.append({"ph": "X", "cat": "Trace", "name": "PyTorch Profiler (0)", "pid": "Spans", "tid": "PyTorch Profiler", "ts": 0,
                    "dur": whole, "args": {"Op count": 0}})  # fmt: skip
    return records
