"""Selective checkpointing: which results of ops a checkpoint keeps, so that computing again need not compute those.

A context runs while the function runs the first time and asks a policy about each result; another, when it runs again, hands out
what was kept. Both sit where an op has its arrays and has not been recorded yet, so the graph of the second run is as ever.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.ops.primitive import Primitive
from chainrule.tensor import Tensor, wrap

# What primitives are called by PyTorch's dispatcher, if not by their own names
ATEN = {
    "affine": "addmm", "times_transposed": "mm", "fold_mm": "mm", "fold_times_transposed": "mm", "fold_affine": "addmm", "matmul": "bmm",
    "conv": "convolution", "softmax": "_softmax", "log_softmax": "_log_softmax", "norm": "native_layer_norm",
}  # fmt: skip
MISMATCH = (
    "This can happen if the operations in the checkpointed region are nondeterministic or depend on global state that changed between "
    "forward and backward."
)
COMPUTE_AGAIN, USED = object(), object()


class CheckpointPolicy(enum.Enum):
    """What to do with the result of an op: keep it (on the CPU, where it is anyway) or compute it again."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


KEPT = (CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_SAVE, CheckpointPolicy.MUST_CPU_OFFLOAD, CheckpointPolicy.PREFER_CPU_OFFLOAD)


class SelectiveCheckpointContext:
    """What a policy is told besides the op and its arguments: the result."""

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute, self.op_output = is_recompute, op_output


class Watching:
    """A context in which `watch(op, inputs, arrays, statics)` makes the results of primitives."""

    def __init__(self, storage: dict) -> None:
        self.storage = storage
        self.counts: dict = defaultdict(int)

    def __enter__(self) -> None:
        self.counts.clear()
        self.before, modes.local.watch = modes.local.watch, self.watch
        modes.occupy(1)

    def __exit__(self, *exc: object) -> None:
        modes.local.watch = self.before
        modes.occupy(-1)

    def place(self, op: Primitive) -> tuple:
        """The op, and how often it was called."""
        number = self.counts[op]
        self.counts[op] += 1
        return op, number

    def watch(self, op: Primitive, inputs: Any, arrays: tuple, statics: tuple) -> Any:
        raise NotImplementedError


class Keeping(Watching):
    """The first run."""

    def __init__(self, policy: Callable, storage: dict) -> None:
        super().__init__(storage)
        self.policy = policy

    def watch(self, op: Primitive, inputs: Any, arrays: tuple, statics: tuple) -> Any:
        place = self.place(op)
        result = op.compute(arrays, *statics) if op.variadic is True else op.compute(*arrays, *statics)
        out = op.record(inputs, arrays, statics, result)
        context = SelectiveCheckpointContext(is_recompute=False, op_output=out)
        wish = self.policy(context, aten(op), *[wrap(a) if isinstance(a, np.ndarray) else a for a in arrays], *statics)
        if wish in KEPT or wish is True:
            outs = out if isinstance(out, tuple) else (out,)
            self.storage[place] = result, [(t._versions, t._versions[0]) for t in outs]
        else:
            self.storage[place] = COMPUTE_AGAIN
        return out


class Giving(Watching):
    """The second run."""

    def __init__(self, storage: dict, mutation: bool) -> None:
        super().__init__(storage)
        self.mutation = mutation

    def watch(self, op: Primitive, inputs: Any, arrays: tuple, statics: tuple) -> Any:
        place = self.place(op)
        if place not in self.storage:
            if not any([o is op for o, _ in self.storage]):
                raise RuntimeError(f"{op.name} encountered during backward but not found in storage. {MISMATCH}")
            raise RuntimeError(f"{op.name} invocation index {place[1]} encountered during backward but not found in storage. {MISMATCH}")
        entry = self.storage[place]
        if entry is USED:
            raise RuntimeError(
                "Trying to backward an extra time. You are only allowed to backward once on any region computed under selective activation "
                "checkpoint."
            )
        if entry is COMPUTE_AGAIN:
            result = op.compute(arrays, *statics) if op.variadic is True else op.compute(*arrays, *statics)
        else:
            result, versions = entry
            if not self.mutation and any([counter[0] != version for counter, version in versions]):
                raise RuntimeError("Tensor cached during selective activation checkpoint has been mutated")
            self.storage[place] = USED
        return op.record(inputs, arrays, statics, result)


def aten(op: Primitive) -> Any:
    """The function that `torch.ops.aten` has for a primitive; the primitive if there is none."""
    from chainrule.ops import aten as functions

    try:
        return getattr(functions, ATEN.get(op.name, op.name)).default
    except AttributeError:
        return op


def create_selective_checkpoint_contexts(policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False) -> tuple[Watching, Watching]:
    """The two contexts for `checkpoint(..., context_fn=partial(create_selective_checkpoint_contexts, policy))`.

    A policy is a function of a SelectiveCheckpointContext, the op (as `torch.ops.aten` has it) and its arguments, that gives a
    CheckpointPolicy; or the list of the ops whose results to keep. RuntimeError in backward for a kept result that was changed in
    place, unless `allow_cache_entry_mutation`.

    Example:
        >>> from functools import partial
        >>> from chainrule.utils.checkpoint import checkpoint
        >>> contexts = partial(create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
        >>> x = ones(2, 2, requires_grad=True)
        >>> checkpoint(lambda x: (x @ x).sin(), x, use_reentrant=False, context_fn=contexts).sum().backward()
    """
    if isinstance(policy_fn_or_list, list):
        chosen = policy_fn_or_list
        for op in chosen:
            if not callable(op) or isinstance(op, Tensor) or hasattr(op, "default"):
                hint = (
                    "Please update the OpOverloadPacket to a specific OpOverload.For example, if you have `torch.ops.aten.mm`, change it "
                    "to `torch.ops.aten.mm.default`."
                    if hasattr(op, "default")
                    else ""
                )
                raise ValueError(f"Expected op in `op_list` to be an OpOverload but got: {op} of type {type(op)}. {hint}")

        def policy(context: SelectiveCheckpointContext, op: Any, *args: Any) -> CheckpointPolicy:
            return CheckpointPolicy.MUST_SAVE if op in chosen else CheckpointPolicy.PREFER_RECOMPUTE

    elif callable(policy_fn_or_list):
        policy = policy_fn_or_list
    else:
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    storage: dict = {}
    return Keeping(policy, storage), Giving(storage, allow_cache_entry_mutation)
