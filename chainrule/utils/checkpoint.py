"""Checkpointing: what a part of a model saves for backward is forgotten, and computed again when backward asks for it.

Without reentrance (the way to prefer) saved-tensor hooks number what is saved in the forward call; the first that backward asks for
runs the function again and hands out what that saves, by number. With reentrance the function runs without a graph first, and
backward runs it again and backward through it.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from chainrule._core import modes
from chainrule._core.generator import default_generator
from chainrule.autograd.function import Function, Saved
from chainrule.autograd.grad_mode import enable_grad, no_grad
from chainrule.autograd.gradients import backward as run_backward
from chainrule.autograd.graph import saved_tensors_hooks
from chainrule.tensor import Tensor
from chainrule.utils.selective import CheckpointPolicy, SelectiveCheckpointContext, create_selective_checkpoint_contexts

__all__ = [
    "CheckpointError", "CheckpointFunction", "CheckpointPolicy", "DefaultDeviceType", "GraphExecGroup", "SAC_IGNORED_OPS",
    "SelectiveCheckpointContext", "check_backward_validity", "checkpoint", "checkpoint_sequential",
    "create_selective_checkpoint_contexts", "detach_variable", "get_device_states", "noop_context_fn", "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop", "set_device_states",
]  # fmt: skip

PASS_EXPLICITLY = (
    "the use_reentrant parameter should be passed explicitly. {} use_reentrant=False is recommended, but if you need to preserve the "
    "current default behavior, you can pass use_reentrant=True. Refer to docs for more details on the differences between the two variants."
)
STOPPED_EARLY: list[bool | None] = [None]  # what `set_checkpoint_early_stop` says
DEBUGGED: list[bool | None] = [None]  # what `set_checkpoint_debug_enabled` says
SAC_IGNORED_OPS: set = set()  # no op needs to be hidden from selective policies
TIP = """
Tip: To see a more detailed error message, either pass `debug=True` to
`torch.utils.checkpoint.checkpoint(...)` or wrap the code block
with `with torch.utils.checkpoint.set_checkpoint_debug_enabled(True):` to
enable checkpoint-debug mode globally.
"""


class CheckpointError(RuntimeError):
    """What a function that does something else the second time leads to."""


class _Stop(Exception):
    """All that was saved has been computed again."""


def noop_context_fn() -> tuple[AbstractContextManager, AbstractContextManager]:
    """Two contexts that do nothing."""
    return nullcontext(), nullcontext()


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Whether checkpoints made inside stop computing again once all that they need is there, whatever they were told."""
    before, STOPPED_EARLY[0] = STOPPED_EARLY[0], enable
    try:
        yield
    finally:
        STOPPED_EARLY[0] = before


@contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Whether checkpoints made inside tell all about a second run that differs, whatever they were told."""
    before, DEBUGGED[0] = DEBUGGED[0], enabled
    try:
        yield
    finally:
        DEBUGGED[0] = before


class DefaultDeviceType:
    """Which kind of device is asked for its random numbers; chainrule has but the CPU."""

    _default = "cpu"

    @staticmethod
    def set_device_type(device: str = "cpu") -> None:
        DefaultDeviceType._default = device

    @staticmethod
    def get_device_type() -> str:
        return DefaultDeviceType._default


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """The devices other than the CPU among tensors, and the states of their generators: there are none."""
    return [], []


def set_device_states(devices: Sequence[int], states: Sequence[Tensor], *, device_type: str | None = None) -> None:
    """Set the states that `get_device_states` gave."""


class GraphExecGroup:
    """Backward passes inside that share a checkpointed call have it computed again once, not once each."""

    current: GraphExecGroup | None = None

    def __enter__(self) -> GraphExecGroup:
        if GraphExecGroup.current is not None:
            raise RuntimeError("GraphExecGroup contexts cannot be nested.")
        GraphExecGroup.current = self
        return self

    def __exit__(self, *exc: object) -> None:
        GraphExecGroup.current = None

    @classmethod
    def _get_current_group(cls) -> GraphExecGroup | None:
        return GraphExecGroup.current


def autocast_now() -> Callable[[], AbstractContextManager]:
    """What makes a context with the autocast settings of now."""
    from chainrule.amp import autocast_mode as amp

    dtype, enabled = amp.get_autocast_dtype("cpu"), amp.is_autocast_enabled("cpu")
    return partial(amp.autocast, "cpu", dtype, enabled, amp.is_autocast_cache_enabled())


@contextmanager
def generator_at(state: Any) -> Iterator[None]:
    """Inside, random numbers go on from `state`, if there is one; after it from where they were."""
    if state is None:
        yield
        return
    before = default_generator.get_state()
    default_generator.set_state(state)
    try:
        yield
    finally:
        default_generator.set_state(before)


def metadata(t: Tensor) -> dict:
    return {"shape": t.shape, "dtype": t.dtype, "device": t.device}


class Frame:
    """One checkpointed call: what it was called with, what it saved, and what was computed again for the backward pass now running."""

    def __init__(
        self, function: Callable, args: tuple, kwargs: dict, context: Any, check: str, early_stop: bool, state: Any, logs: tuple | None
    ) -> None:  # fmt: skip
        self.function, self.context, self.check, self.early_stop, self.state = function, context, check, early_stop, state
        self.args = [Saved(a, None) if isinstance(a, Tensor) else a for a in args]
        self.kwargs = {k: Saved(a, None) if isinstance(a, Tensor) else a for k, a in kwargs.items()}
        self.autocast, self.logs = autocast_now(), logs
        self.saved: list[dict] = []
        self.found: list[Tensor] = []
        self.owner: Any = None

    def pack(self, t: Tensor) -> int:
        self.saved.append(metadata(t))
        return len(self.saved) - 1

    def unpack(self, index: int) -> Tensor:
        task = modes.local.task
        owner = GraphExecGroup.current or (None if task is None else (threading.get_ident(), task[0]))
        if owner is None or owner != self.owner:
            try:
                self.found = self.compute_again()
            except CheckpointError as error:
                if self.logs is None:
                    raise
                from chainrule.utils.checkpoint_log import explained

                raise CheckpointError(explained(*self.logs)) from error
            self.owner = owner
        return self.found[index]

    def compute_again(self) -> list[Tensor]:
        """What the function saves when it is called as before."""
        found: list[Tensor] = []

        def keep(t: Tensor) -> Tensor:
            if len(found) < len(self.saved) or not self.early_stop:
                found.append(t.detach())
            if self.early_stop and len(found) == len(self.saved):
                raise _Stop
            return t.detach()

        args = [a.unpack(None) if isinstance(a, Saved) else a for a in self.args]
        kwargs = {k: a.unpack(None) if isinstance(a, Saved) else a for k, a in self.kwargs.items()}
        try:
            with generator_at(self.state), self.autocast(), self.context, saved_tensors_hooks(keep, lambda t: t), enable_grad():
                self.function(*args, **kwargs)
        except _Stop:
            pass
        self.compare(found)
        return found

    def compare(self, found: list[Tensor]) -> None:
        """CheckpointError if what was saved now is not what was saved then."""
        if len(found) > len(self.saved):
            raise CheckpointError(
                f"torch.utils.checkpoint: trying to save more tensors during recomputation than during the original forward pass.\n{TIP}"
            )
        if len(found) != len(self.saved):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.saved)}\nNumber of tensors saved during recomputation: {len(found)}.\n"
                f"{TIP}"
            )
        if self.check == "none":
            return
        different = [(i, then, metadata(t)) for i, (then, t) in enumerate(zip(self.saved, found, strict=True)) if then != metadata(t)]
        if different:
            listed = "".join([f"tensor at position {i}:\nsaved metadata: {a}\nrecomputed metadata: {b}\n" for i, a, b in different])
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during the forward "
                f"pass.\n{listed}.\n{TIP}"
            )


def checkpoint(
    function: Callable, *args: Any, use_reentrant: bool | None = None, context_fn: Callable = noop_context_fn,
    determinism_check: str = "default", debug: bool = False, early_stop: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """`function(*args, **kwargs)`, which keeps its inputs only and runs again in backward for what it needs between.

    With `preserve_rng_state` (default True) it draws the same random numbers again. `context_fn` gives two contexts, for the first
    and for the second run. CheckpointError if the second run saves other tensors than the first (`determinism_check="none"`: only if
    it saves another number). `use_reentrant=True` is PyTorch's older way, for `.backward()` without `inputs` only.

    Example:
        >>> x = ones(2, requires_grad=True)
        >>> checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False).sum().backward(); x.grad
        tensor([-2.4784, -2.4784])
    """
    if use_reentrant is None:
        explained = PASS_EXPLICITLY.format("Starting in PyTorch 2.9, calling checkpoint without use_reentrant will raise an exception.")
        warnings.warn("torch.utils.checkpoint: " + explained, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'], but got {determinism_check}")
    logs = None
    if debug if DEBUGGED[0] is None else DEBUGGED[0]:
        from chainrule.utils.checkpoint_log import Log

        if context_fn is not noop_context_fn:
            raise ValueError("debug=True is incompatible with non-default context_fn")
        first, second = logs = Log(), Log()
    else:
        first, second = context_fn()
    if not modes.local.grad:
        with first:
            return function(*args, **kwargs)
    early_stop = early_stop if STOPPED_EARLY[0] is None else STOPPED_EARLY[0]
    state = default_generator.get_state() if preserve else None
    frame = Frame(function, args, kwargs, second, determinism_check, early_stop, state, logs)
    with saved_tensors_hooks(frame.pack, frame.unpack), first:
        return function(*args, **kwargs)


class CheckpointFunction(Function):
    """A call without a graph, whose backward makes the graph and goes back through it."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable, preserve_rng_state: bool, *args: Any) -> Any:  # type: ignore[override]
        check_backward_validity(args)
        ctx.run_function, ctx.autocast = run_function, autocast_now()
        ctx.state = default_generator.get_state() if preserve_rng_state else None
        ctx.inputs = [None if isinstance(a, Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:  # type: ignore[override]
        if modes.local.task is not None and modes.local.task[2] is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` parameter to "
                ".backward(). To resolve this error, you can either set use_reentrant=False, or call .backward() without passing the "
                "`inputs` argument."
            )
        inputs = list(ctx.inputs)
        for i, t in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[i] = t
        detached = detach_variable(tuple(inputs))
        with generator_at(ctx.state), ctx.autocast(), enable_grad():
            outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = [(t, g) for t, g in zip(outputs, grads, strict=True) if isinstance(t, Tensor) and t.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        run_backward([t for t, _ in pairs], [g for _, g in pairs])
        return (None, None, *[t.grad if isinstance(t, Tensor) else None for t in detached])


def check_backward_validity(inputs: Sequence) -> None:
    """Warn if no input requires grad."""
    if not any([t.requires_grad for t in inputs if isinstance(t, Tensor)]):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


def detach_variable(inputs: tuple) -> tuple:
    """The tensors among the inputs as leaves that require grad if they did."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}")
    return tuple([t.detach().requires_grad_(t.requires_grad) if isinstance(t, Tensor) else t for t in inputs])


def checkpoint_sequential(functions: Any, segments: int, input: Tensor, use_reentrant: bool | None = None, **kwargs: Any) -> Tensor:
    """Run modules (a Sequential, or a list) one after the other, in `segments` parts of which all but the last are checkpointed.

    Example:
        >>> x = ones(2, requires_grad=True)
        >>> checkpoint_sequential([torch.exp, torch.sin], 2, x, use_reentrant=False)
        tensor([0.4108, 0.4108], grad_fn=<SinBackward0>)
    """
    if use_reentrant is None:
        explained = PASS_EXPLICITLY.format("In version 2.9 we will raise an exception if use_reentrant is not passed.")
        warnings.warn("torch.utils.checkpoint.checkpoint_sequential: " + explained, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def part(start: int, end: int) -> Callable[[Tensor], Tensor]:
        def run(x: Tensor) -> Tensor:
            for step in steps[start:end]:
                x = step(x)
            return x

        return run

    size = len(steps) // segments
    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(part(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return part(end, len(steps))(input)
