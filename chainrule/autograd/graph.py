"""Looking at the graph (`Node`, `GradientEdge`), and taking part in what it saves (`saved_tensors_hooks`) and computes (hooks)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

from chainrule._core import modes
from chainrule.autograd.node import AccumulateGrad, Node, Output, RemovableHandle
from chainrule.tensor import Tensor, wrap

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks", "get_gradient_edge", "increment_version",
    "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class GradientEdge(NamedTuple):
    """A place in the graph where a gradient arrives: output `output_nr` of `node`. `backward` and `grad` take it for a tensor."""

    node: Any
    output_nr: int
    ownership_token: Any = None  # the shape and dtype of the gradient, if known


class Metadata(NamedTuple):
    shape: Any
    dtype: Any


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of `tensor` arrives; keeps the graph alive, not the tensor's values.

    Example:
        >>> x = ones(2, requires_grad=True)
        >>> y = x * 2
        >>> grad(y.sum(), get_gradient_edge(y))
        (tensor([1., 1.]),)
    """
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(node_of(tensor), tensor.output_nr, Metadata(tensor.shape, tensor.dtype))


def node_of(t: Tensor | GradientEdge) -> Node:
    """The node whose run computes t's gradient: its grad_fn, or a leaf's AccumulateGrad."""
    if isinstance(t, GradientEdge):
        return t.node
    node = t.grad_fn or (t._accumulate_node() if t.requires_grad else None)
    if node is None:
        raise AssertionError("Expected gradient function to be set")
    return node


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Tell autograd that the memory of `tensor` (or of each of several) was changed behind its back."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        if not t._inference:
            t._versions[0] += 1


class saved_tensors_hooks:
    """Inside, each tensor saved for backward is replaced by `pack_hook(tensor)`; `unpack_hook` must give the tensor back.

    Of nested contexts the innermost counts.

    Example:
        >>> x = tensor([1., 2.], requires_grad=True)
        >>> with saved_tensors_hooks(lambda t: t.numpy(force=True), from_numpy):
        ...     y = x * x
        >>> y.sum().backward(); x.grad
        tensor([2., 4.])
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        local = modes.local
        if not callable(self.pack_hook) or not callable(self.unpack_hook):
            raise TypeError(f"saved_tensors_hooks(): the hooks must be callable, but got {self.pack_hook!r} and {self.unpack_hook!r}")
        if local.saved_hooks_disabled is not None:
            raise RuntimeError(local.saved_hooks_disabled)
        local.saved_hooks = (*local.saved_hooks, (self.pack_hook, self.unpack_hook))
        modes.occupy(1)

    def __exit__(self, *args: object) -> None:
        modes.local.saved_hooks = modes.local.saved_hooks[:-1]
        modes.occupy(-1)


class save_on_cpu(saved_tensors_hooks):
    """Inside, tensors saved for backward are kept on the CPU, where chainrule's tensors are anyway."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda t: (t.device, t), lambda packed: packed[1])


def set_warn_on_accumulate_grad_stream_mismatch(enabled: bool) -> None:
    """Accepted for scripts that set it; there are no streams."""


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, `saved_tensors_hooks` raises RuntimeError(error_message)."""
    local = modes.local
    if local.saved_hooks:
        raise RuntimeError(error_message)
    before, local.saved_hooks_disabled = local.saved_hooks_disabled, error_message
    try:
        yield
    finally:
        local.saved_hooks_disabled = before


_mutation = threading.local()


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """Inside, tensors saved for backward may be changed in place: what is saved is a copy. Run backward inside, too.

    Example:
        >>> with allow_mutation_on_saved_tensors():
        ...     x = ones(2, requires_grad=True)
        ...     y = x.clone()
        ...     z = (y ** 2).sum()
        ...     _ = y.sin_()
        ...     z.backward()
        >>> x.grad
        tensor([2., 2.])
    """
    if getattr(_mutation, "allowed", False):
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    own = object()

    def unpack(packed: tuple) -> Tensor:
        if getattr(_mutation, "allowed", None) is not packed[0]:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' contextin which the graph was originally recorded."
            )
        return packed[1]

    _mutation.allowed = own
    try:
        with saved_tensors_hooks(lambda t: (own, wrap(t._data.copy(order="K"))), unpack):
            yield
    finally:
        _mutation.allowed = False


class MultiHandle(RemovableHandle):
    """Removes several hooks at once."""

    def __init__(self, handles: tuple) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all") -> RemovableHandle:
    """Call `fn(grads)` once a backward pass has computed the gradients of all of `tensors` that it computes (None for the others).

    With mode "any", call `fn(grad)` with the first gradient of a pass.

    Example:
        >>> a, b = ones(2, requires_grad=True), ones(2, requires_grad=True)
        >>> handle = register_multi_grad_hook((a, b), lambda grads: print([g is not None for g in grads]))
        >>> a.sum().backward()
        [True, False]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    passes: dict[int, Any] = {}  # by thread, the number of the pass being watched, its gradients, how many are to come

    if mode == "any":

        @wraps(fn)
        def first(grad: Tensor) -> None:
            thread, number = threading.get_ident(), modes.local.task[0]
            if passes.get(thread) != number:
                passes[thread] = number
                fn(grad)

        return MultiHandle(tuple([t.register_hook(first) for t in tensors if t.requires_grad]))

    nodes = [node_of(t) for t in tensors]

    def gather(index: int) -> Callable[[Tensor], None]:
        def hook(grad: Tensor) -> None:
            thread, number = threading.get_ident(), modes.local.task[0]
            entry = passes.get(thread)
            if entry is None or entry[0] != number:
                entry = passes[thread] = [number, [None] * len(nodes), expected_runs(nodes)]
            entry[1][index] = grad
            entry[2] -= 1
            if entry[2] == 0:
                del passes[thread]
                fn(entry[1])

        return hook

    return MultiHandle(tuple([t.register_hook(gather(i)) for i, t in enumerate(tensors)]))


def expected_runs(nodes: list[Node]) -> int:
    """How many of `nodes` the backward pass now running runs."""
    assert modes.local.task is not None, "expected this hook to be called inside a backward call"
    _, roots, needed, wanted, captures, *_ = modes.local.task
    if captures and any([isinstance(n, AccumulateGrad) for n in nodes]):
        raise RuntimeError(
            "A leaf node was passed to _will_engine_execute_node but we are currently running autograd.grad(). This is currently "
            "not supported."
        )
    keys = [n.variable if isinstance(n, AccumulateGrad) else n for n in nodes]
    if needed is not None:
        return sum([key in needed or key in wanted for key in keys])
    seen: set = set()
    stack = list(roots)
    while stack:
        edge = stack.pop()
        key = edge.node if type(edge) is Output else edge
        if key is not None and key not in seen:
            seen.add(key)
            if isinstance(key, Node):
                stack.extend(key.edges)
    return sum([key in seen for key in keys])
