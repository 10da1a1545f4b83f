"""Averages of a model's weights over training: equal (SWA) or exponential (EMA), and the schedule that goes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

from chainrule._core import dtypes
from chainrule.autograd.grad_mode import no_grad
from chainrule.nn import Module
from chainrule.optim.lr_scheduler.base import LRScheduler, for_each_group
from chainrule.optim.lr_scheduler.cyclic import ANNEALS
from chainrule.optim.optimizer import Optimizer

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn"]

Average = Callable[[Any, Any, Any], Any]
AverageAll = Callable[[list, list, Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential average of one tensor: `average(ema, current, count)`."""
    check_decay(decay)

    @no_grad()
    def average(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return decay * ema_param + (1 - decay) * current_param

    return average


def get_swa_avg_fn() -> Average:
    """The equal average of one tensor: `average(averaged, current, count)`."""

    @no_grad()
    def average(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageAll:
    """The exponential average of a list of tensors, in place."""
    check_decay(decay)
    return in_place(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> AverageAll:
    """The equal average of a list of tensors, in place."""
    return in_place(get_swa_avg_fn())


def in_place(average: Average) -> AverageAll:
    """An average of one tensor, as one that writes into each tensor of a list."""

    @no_grad()
    def average_all(averaged: list, current: list, num_averaged: Any) -> None:
        for old, new in zip(averaged, current, strict=True):
            old.copy_(average(old, new, num_averaged))

    return average_all


def check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


class AveragedModel(Module):
    """A copy of a model whose weights are the average of those seen by `update_parameters`; equal unless an averaging function is given.

    Example:
        >>> average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
        >>> average.update_parameters(model)  # after each optimizer step
    """

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Average | None = None, multi_avg_fn: AverageAll | None = None,
        use_buffers: bool = False
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        from chainrule.functions.from_data import tensor

        self.module = deepcopy(model)
        self.register_buffer("n_averaged", tensor(0, dtype=dtypes.int64))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's present weights into the average; the first call copies them."""
        buffers: tuple = (self.module.buffers(), model.buffers()) if self.use_buffers else ((), ())
        averaged = [p.detach() for p in chain(self.module.parameters(), buffers[0])]
        current = [p.detach() for p in chain(model.parameters(), buffers[1])]
        if self.n_averaged == 0:
            for old, new in zip(averaged, current):
                old.copy_(new)
        elif self.avg_fn is not None:
            in_place(self.avg_fn)(averaged, current, self.n_averaged)
        else:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(averaged, current, self.n_averaged)
        if not self.use_buffers:
            for old, new in zip(self.module.buffers(), model.buffers(), strict=True):
                old.detach().copy_(new.detach())
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of all batch-norm layers anew from the batches of a loader; of tuples the first item is the input."""
    from chainrule.nn.modules.batchnorm import _BatchNorm

    momenta = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.reset_running_stats()
        module.momentum = None  # the mean over all batches
    for batch in loader:
        model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present rate to the constant `swa_lr` in `anneal_epochs`, by a cosine or linearly.

    Example:
        >>> scheduler = SWALR(optimizer, swa_lr=0.05)
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1
    ) -> None:  # fmt: skip
        for group, lr in zip(optimizer.param_groups, for_each_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        if anneal_strategy not in ANNEALS:
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        self._warn_outside_step()
        step = max(1, self._step_count - 1) if self.anneal_epochs == 0 else self._step_count - 1
        before, now = (ANNEALS[self._anneal_strategy](0.0, 1.0, self._part(s)) for s in (step - 1, step))
        rates = []
        for group in self.optimizer.param_groups:
            lr, final = group["lr"], group["swa_lr"]
            start = final if before == 1 else (lr - before * final) / (1 - before)
            rates.append(final * now + start * (1 - now))
        return rates

    def _part(self, step: int) -> float:
        return max(0, min(1, step / max(1, self.anneal_epochs)))
