"""What every learning-rate scheduler has: it counts, and writes the rates of its optimizer's groups."""

from __future__ import annotations

import warnings
import weakref
from functools import wraps
from types import FunctionType
from typing import Any

from chainrule.optim.optimizer import Optimizer, number
from chainrule.tensor import Tensor

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use `scheduler.step()` to "
    "step the scheduler. During the deprecation, if epoch is different from None, the closed form is used instead of the new chainable "
    "form, where available. Please open an issue if you are unable to replicate your use case: "
    "https://github.com/pytorch/pytorch/issues/new/choose."
)
HOW_TO = "See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make sure to call "
    f"`optimizer.step()` before `lr_scheduler.step()`. {HOW_TO}"
)
TOO_EARLY = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in the opposite "
    "order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in PyTorch skipping the first value of the "
    f"learning rate schedule. {HOW_TO}"
)
NO_INITIAL_LR = (
    "param 'initial_lr' is not specified in param_groups[{}] when resuming scheduler with last_epoch >= 0.\n"
    "This typically happens when:\n"
    "1. You're trying to resume training from a checkpoint but haven't properly loaded the optimizer state\n"
    "2. You're using last_epoch >= 0 for a fresh training run (not recommended)"
)


class LRScheduler:
    """The base of all schedulers; one of your own overrides `get_lr`, which returns the next rate of each group.

    Args:
        optimizer: whose rates to change; construction already sets those of the first epoch
        last_epoch: the epoch to go on from; -1 starts anew

    Example:
        >>> class Halving(LRScheduler):
        ...     def get_lr(self):
        ...         return [base * 0.5 ** self.last_epoch for base in self.base_lrs]
        >>> optimizer = SGD([zeros(1, requires_grad=True)], lr=0.8)
        >>> scheduler = Halving(optimizer)
        >>> optimizer.step(); scheduler.step(); scheduler.get_last_lr()
        [0.4]
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(NO_INITIAL_LR.format(i))
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        notice_steps(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list:
        """The rates that the last step set, one for each group."""
        return self._last_lr

    def get_lr(self) -> list:
        """The rates of `last_epoch`, one for each group."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch, or to `epoch`."""
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
                warnings.warn(OVERRIDDEN, UserWarning, stacklevel=2)
            elif not getattr(self.optimizer, "_opt_called", False):
                warnings.warn(TOO_EARLY, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
        self._write(closed() if closed else self._rates())

    def _rates(self) -> list:
        self._get_lr_called_within_step = True
        try:
            return self.get_lr()
        finally:
            self._get_lr_called_within_step = False

    def _write(self, rates: list) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            put(group, "lr", lr)
        self._last_lr = values_of(self.optimizer, "lr")

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn("To get the last learning rate computed by the scheduler, please use `get_last_lr()`.", UserWarning, stacklevel=3)


class Chained(LRScheduler):
    """A scheduler that says how a group's rate follows from the one before, so that several can act on one optimizer."""

    def get_lr(self) -> list:
        self._warn_outside_step()
        return [self.following(copied(group["lr"]), base) for group, base in zip(self.optimizer.param_groups, self.base_lrs)]

    def following(self, lr: Any, base: Any) -> Any:
        """The rate of `last_epoch`, from that of the epoch before."""
        raise NotImplementedError


class Closed(Chained):
    """A scheduler that can also say a rate at once, for `step(epoch)`."""

    def _get_closed_form_lr(self) -> list:
        return [self.closed(base) for base in self.base_lrs]

    def closed(self, base: Any) -> Any:
        """The rate of `last_epoch`, from the initial one."""
        raise NotImplementedError


def check_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def notice_steps(optimizer: Any) -> None:
    """Let the optimizer remember that it has stepped."""
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    function, reference = optimizer.step.__func__, weakref.ref(optimizer)

    @wraps(function)
    def step(*args: Any, **kwargs: Any) -> Any:
        owner: Any = reference()
        owner._opt_called = True
        return function(owner, *args, **kwargs)

    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    optimizer.step = step


def copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def values_of(optimizer: Optimizer, key: str) -> list:
    """An option of each group."""
    return [copied(group[key]) for group in optimizer.param_groups]


def put(group: dict, key: str, value: Any) -> None:
    """Set an option; a tensor keeps its identity and takes the value."""
    held = group[key]
    if isinstance(held, Tensor):
        held._data[...] = number(value)
        held._versions[0] += 1
    else:
        group[key] = value


def for_each_group(name: str, optimizer: Optimizer, value: Any) -> list:
    """One value for each group, given as a list or as one for all."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [copied(value) for _ in range(count)]
    if len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, param_groups has {count}."
        )
    return [copied(v) for v in value]


def state_of(function: Any) -> dict | None:
    """What a callable object remembers; functions are not saved."""
    return None if function is None or isinstance(function, FunctionType) else function.__dict__.copy()
