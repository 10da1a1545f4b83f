"""What `checkpoint(..., debug=True)` adds to an error: the ops of the first run and of the second, each with where it was called."""

from __future__ import annotations

import traceback
from typing import Any

from chainrule.ops.primitive import OWN_FILES, Primitive
from chainrule.tensor import Tensor
from chainrule.utils.selective import Watching, aten

LINE = "+" + "~" * 78 + "+"
MESSAGE = """ \
An error happened while unpacking tensors; dumping logs of latest computation
because you passed `debug=True` to `torch.utils.checkpoint.checkpoint()`.
Scroll all the way down for guidance on how to navigate these logs.

{line}
|        1. Stack traces of the operators that ran in the original forward     |
{line}

{first}
{line}
|        2. Stack traces of the operators that ran during recomputation        |
{line}

{second}
{line}
|       3. Log of operators in the original forward and recomputation          |
{line}

Operations executed during the original forward:

{first_ops}

Operations executed during recomputation:

{second_ops}

{line}
 ERROR: Detected non-determinism while running activation checkpointing

 You are seeing this error because you passed `debug=True` to checkpoint and
 the tensors saved in the original forward differ from those saved during
 recomputation: the function did not do the same again. Compare the two lists
 above to see where it began to do something else; the stack traces say where
 in your code each operator was called.
"""


class Log(Watching):
    """Notes each op that runs inside, and from where it was called."""

    def __init__(self) -> None:
        super().__init__({})
        self.ops: list[str] = []
        self.traces: list[list[str]] = []

    def watch(self, op: Primitive, inputs: Any, arrays: tuple, statics: tuple) -> Any:
        result = op.compute(arrays, *statics) if op.variadic is True else op.compute(*arrays, *statics)
        out = op.record(inputs, arrays, statics, result)
        outs = out if isinstance(out, tuple) else (out,)
        given = [described(t) for t in inputs if isinstance(t, Tensor)]
        self.ops.append(f"{', '.join([described(t) for t in outs])} = {aten(op)}({', '.join(given)})")
        frames = [f for f in traceback.extract_stack() if not f.filename.startswith(OWN_FILES)]
        self.traces.append([f"{f.filename}:{f.lineno}:{f.name}" for f in reversed(frames)])
        return out

    def story(self, label: str) -> str:
        """All ops with their stack traces."""
        n = len(self.ops)
        parts = [f"{op}   ({i} of {n} in {label})\n\n" + "\n".join(t) for i, (op, t) in enumerate(zip(self.ops, self.traces), 1)]
        return "\n\n\n".join(parts) + "\n"


def described(t: Tensor) -> str:
    return f"{str(t.dtype).removeprefix('torch.')}{list(t.shape)}"


def explained(first: Log, second: Log) -> str:
    """The message of the error."""
    ops = {"first_ops": "\n".join(first.ops), "second_ops": "\n".join(second.ops)}
    return MESSAGE.format(line=LINE, first=first.story("original"), second=second.story("recompute"), **ops)
