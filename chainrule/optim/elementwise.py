"""Optimizers that change each parameter, most of them each element, by itself: the loops that they share.

An elementwise optimizer states its formula once, as `rule(...)`: a function of the parameter, its gradient and its buffers that writes
into them with operators. It gets arrays, or Tensors when `differentiable` asks for a step that autograd follows. Long arrays are
fed to it in blocks that fit the cache, so that its temporary results never travel to memory. Some have a compiled twin besides, which
steps all parameters in one pass: they name it and its numbers in `compiled`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.kernels import optimizer as kernels
from chainrule.kernels.threads import in_blocks
from chainrule.ops.shape import view_as_real
from chainrule.optim.optimizer import FUSED_DEVICES, Optimizer, number, scalar
from chainrule.tensor import Tensor, wrap

BLOCK = 65536  # elements: as measured; the arrays of a block stay in the cache, and Python is called seldom
CAPTURABLE_DEVICES = ["cuda", "xpu", "hpu", "privateuseone", "xla"]  # as PyTorch's message lists them

Pairs = list[tuple[Tensor, Tensor]]  # parameters and their gradients
Rule = Callable[..., None]
Twin = tuple[str, tuple[float, ...]] | None  # a kernel and its numbers
Twins = dict[tuple[float, bool], Twin]


class Separate(Optimizer):
    """An optimizer that takes one parameter after the other; a subclass says how, in `advance`."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient. `closure`, if given, computes the loss anew first; its value is returned."""
        loss = None
        if closure is not None:
            loss = with_grad(closure)
        before = modes.set_grad(bool(self.defaults.get("differentiable")))
        try:
            self.advance_all([(group, [(p, p._grad) for p in group["params"] if p._grad is not None]) for group in self.param_groups])
        finally:
            modes.set_grad(before)
        return loss

    def advance_all(self, groups: list[tuple[dict, Pairs]]) -> None:
        """The step of each group's parameters, which come with their gradients."""
        for group, pairs in groups:
            options = settled(group)
            for p, g in pairs:
                self.advance(options, p, g)

    def advance(self, group: dict, p: Tensor, g: Tensor) -> None:
        """One parameter's step; `group` holds plain numbers where the user's holds tensors, unless the step is differentiable."""
        raise NotImplementedError


class Elementwise(Separate):
    """A step that treats every element alike; a subclass says what it remembers (`buffers`) and what it does (`rule`)."""

    counts = True  # whether state["step"] counts the steps

    def buffers(self, group: dict) -> tuple[str, ...]:
        """The names of the state tensors that have the parameter's shape, in the order that the rule takes them."""
        raise NotImplementedError

    def begin(self, group: dict, p: Tensor) -> dict[str, Any]:
        """A parameter's state before its first step; buffers that are left out start as zeros."""
        return {"step": scalar(0.0, group.get("fused"))} if self.counts else {}

    def rule(self, group: dict, state: dict, step: float) -> Rule:
        """The change at this `step` (1, 2, ...), as `update(p, g, *buffers)`. A buffer that is yet to be made is not in `state`."""
        raise NotImplementedError

    def compiled(self, group: dict, step: float, fresh: bool) -> Twin:
        """The kernel in `kernels.optimizer_numba` for the same change, and its numbers; None if there is none.

        It depends on nothing else of the parameter than how many steps it took, and whether its buffers are `fresh`.
        """
        return None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        for held in self.state.values():
            if isinstance(held, dict) and "step" in held and not isinstance(held["step"], Tensor):
                held["step"] = scalar(float(held["step"]))  # written by an old PyTorch

    def advance_all(self, groups: list[tuple[dict, Pairs]]) -> None:
        if sum([p._data.size for _, pairs in groups for p, _ in pairs]) < kernels.WORTH:
            super().advance_all(groups)
            return
        jobs: list[kernels.Job] = []
        for group, pairs in groups:
            options = settled(group)
            twins: Twins = {}
            for p, g in pairs:
                if (job := self.begun(options, p, g, twins)) is not None:
                    jobs.append(job)
        kernels.run(jobs)

    def advance(self, group: dict, p: Tensor, g: Tensor) -> None:
        self.begun(group, p, g, None)

    def begun(self, group: dict, p: Tensor, g: Tensor, twins: Twins | None) -> kernels.Job | None:
        """One parameter's step, or what a compiled kernel has to do for it, with all others in the end.

        `twins` has what `compiled` gave for this group, for each of its arguments; without it no kernel is asked for.
        """
        names = self.buffers(group)
        state = self.state[p] if names or self.counts else {}
        if not state and (names or self.counts):
            if group.get("fused") and p._data.dtype.kind == "c":
                raise RuntimeError(
                    f"`fused=True` requires all the params to be floating point Tensors of supported devices: {FUSED_DEVICES} but "
                    f"{p.dtype} and {p.device.type}"
                )
            state.update(self.begin(group, p))
        if group.get("capturable"):
            raise AssertionError(f"If capturable=True, params and state_steps must be on supported devices: {CAPTURABLE_DEVICES}.")
        step = counted(state["step"]) if self.counts else 0.0
        missing = [name for name in names if state.get(name) is None]
        twin: Twin = None
        update: Any = None
        if twins is not None and not group.get("differentiable"):
            case = step, bool(missing)
            twin = twins[case] if case in twins else twins.setdefault(case, self.compiled(group, *case))
        if twin is None or missing:  # the rule looks for buffers that are yet to be made
            update = adjusted(group, self.rule(group, state, step))
        for name in missing:
            state[name] = wrap(np.zeros_like(p._data))
        if group.get("differentiable"):
            for name in names:
                state[name] = state[name].clone()  # what this step's graph saves, the next step will not touch
            update(*as_real(p, g, *[state[name] for name in names]))
            return None
        buffers = [state[name] for name in names]
        for t in (p, *buffers):
            t._versions[0] += 1
        arrays = as_real(p._data, g._data, *[b._data for b in buffers])
        if twin is not None and kernels.alike(arrays):
            return kernels.Job(*twin, arrays)
        blockwise(update or adjusted(group, self.rule(group, state, step)), arrays)
        return None


def sign_and_decay(group: dict) -> tuple[float, float]:
    """The first numbers of every kernel: what g is multiplied by, and how much of p is added to it."""
    return -1.0 if group["maximize"] else 1.0, 0.0 if group.get("decoupled_weight_decay") else group["weight_decay"]


def counted(count: Tensor) -> float:
    """The number of this step, which the count then holds."""
    if count._tracked:
        raise RuntimeError("`requires_grad` is not supported for `step` in differentiable mode")
    count._data += 1
    count._versions[0] += 1
    return count._data.item()


def adjusted(group: dict, update: Rule) -> Rule:
    """The rule with `maximize` and weight decay, which all optimizers do the same way."""
    maximize, decay = group["maximize"], group.get("weight_decay", 0)
    if not maximize and not isinstance(decay, Tensor) and decay == 0:
        return update
    decoupled, differentiable, lr = group.get("decoupled_weight_decay"), group.get("differentiable"), group["lr"]

    def whole(p: Any, g: Any, *buffers: Any) -> None:
        if maximize:
            g = -g
        if isinstance(decay, Tensor) or decay != 0:
            if decoupled:
                p *= 1 - lr * decay
            else:
                g = g + decay * (p.clone() if differentiable else p)
        update(p, g, *buffers)

    return whole


def blockwise(update: Rule, arrays: list[np.ndarray]) -> None:
    """Run the rule on the arrays, in blocks if they are long and lie in memory alike."""
    size = arrays[0].size
    straight = all([a.flags.c_contiguous for a in arrays])
    if size <= 2 * BLOCK or not (straight or all([a.flags.f_contiguous for a in arrays])):
        update(*arrays)
        return
    flat = [(a if straight else a.T).reshape(-1) for a in arrays]
    in_blocks(lambda place: update(*[a[place] for a in flat]), size, 1, BLOCK)


def as_real(*carriers: Any) -> list:
    """Complex arrays or Tensors as real ones with one dimension more; others as they are."""
    first = carriers[0]
    is_complex = first.dtype.is_complex if isinstance(first, Tensor) else first.dtype.kind == "c"
    return [view_as_real(c) for c in carriers] if is_complex else list(carriers)


def with_grad(closure: Callable[[], Any]) -> Any:
    """Call the closure with gradient recording on."""
    before = modes.set_grad(True)
    try:
        return closure()
    finally:
        modes.set_grad(before)


def settled(group: dict) -> dict:
    """A group's options with plain numbers for tensors, unless the step is differentiable."""
    return group if group.get("differentiable") else {name: plain(value) for name, value in group.items()}


def plain(value: Any) -> Any:
    """An option with numbers in place of tensors of one element."""
    if isinstance(value, tuple):
        return tuple([number(v) for v in value])
    return number(value)
