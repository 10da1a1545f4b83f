"""`autocast`: within it matrix products and convolutions get their arguments in bfloat16 or float16, losses theirs in float32.

It is a mode on the stack of `__torch_function__`: it sees every public call, and looks its name up in the two lists below.
"""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule._core.dtypes import bfloat16, dtype as Dtype, float16, float32, float64
from chainrule._core.types import device
from chainrule.tensor import Tensor

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

# PyTorch's lists for the CPU (docs: "Automatic Mixed Precision package") and what is made of their functions; others take what they get.
LOWER = frozenset("""
    addbmm addmm baddbmm bmm chain_matmul conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d einsum linear
    matmul mm multi_dot prelu recurrent scaled_dot_product_attention tensordot vecdot
""".split())  # noqa: SIM905
FULL = frozenset("""
    adaptive_avg_pool3d avg_pool3d binary_cross_entropy binary_cross_entropy_with_logits cdist cholesky cholesky_inverse cholesky_solve
    cosine_embedding_loss cross_entropy ctc_loss grid_sample hinge_embedding_loss huber_loss inverse kl_div l1_loss margin_ranking_loss
    max_pool3d max_unpool2d max_unpool3d mse_loss multi_margin_loss multilabel_margin_loss nanquantile nll_loss
    orgqr ormqr pinverse poisson_nll_loss polar prod quantile smooth_l1_loss soft_margin_loss stft trace triplet_margin_loss view_as_complex
""".split())  # noqa: SIM905
DEVICES = ("cpu", "cuda", "xpu", "hpu", "mps", "mtia", "xla")


class _Settings(threading.local):
    def __init__(self) -> None:
        self.enabled: dict[str, bool] = {}
        self.dtypes: dict[str, Dtype] = {"cpu": bfloat16}
        self.cache = True


_settings = _Settings()


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast(device_type)` is a thing one can write; on devices other than the CPU it does nothing."""
    return device(device_type).type in DEVICES


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether the code that asks runs within `autocast(device_type)`."""
    return _settings.enabled.get(device_type, False)


def get_autocast_dtype(device_type: str) -> Dtype:
    """The type that `autocast(device_type)` casts to unless told otherwise: bfloat16 on the CPU."""
    return _settings.dtypes.get(device_type, float16)


def is_autocast_cache_enabled() -> bool:
    """What `set_autocast_cache_enabled` or an autocast block last said; nothing is cached here."""
    return _settings.cache


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Switch casting on or off until further notice, as entering `autocast` does for a block."""
    kind = device(device_type).type
    _settings.enabled[kind] = enabled
    if kind == "cpu":
        installed(Casting(get_autocast_dtype(kind)) if enabled else None).__enter__()


def set_autocast_dtype(device_type: str, dtype: Dtype) -> None:
    """The type that later `autocast(device_type)` blocks cast to unless told otherwise."""
    _settings.dtypes[device(device_type).type] = dtype


def set_autocast_cache_enabled(enabled: bool) -> None:
    """What `is_autocast_cache_enabled` says."""
    _settings.cache = enabled


def clear_autocast_cache() -> None:
    """Does nothing, for nothing is cached."""


def older(name: str, function: Callable, device_type: str) -> Callable:
    """An older name for what a function says of one device."""

    def ask() -> Any:
        new = f"torch.{function.__name__}('{device_type}')"
        warnings.warn(f"torch.{name}() is deprecated. Please use {new} instead.", DeprecationWarning, stacklevel=2)
        return function(device_type)

    ask.__name__ = ask.__qualname__ = name
    return ask


is_autocast_cpu_enabled = older("is_autocast_cpu_enabled", is_autocast_enabled, "cpu")
get_autocast_cpu_dtype = older("get_autocast_cpu_dtype", get_autocast_dtype, "cpu")
get_autocast_gpu_dtype = older("get_autocast_gpu_dtype", get_autocast_dtype, "cuda")


def cast(value: Any, dtype: Dtype) -> Any:
    """The float tensors (other than float64 ones) in a value and in the containers in it, in another type."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() and value.dtype is not float64 else value
    if isinstance(value, (str, bytes, np.ndarray)):
        return value
    if isinstance(value, Mapping):
        return {k: cast(v, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)([cast(v, dtype) for v in value])
    return value


class Casting:
    """The mode: casts the arguments of the functions on the lists, and stays in force within all others."""

    def __init__(self, dtype: Dtype) -> None:
        self.dtype = dtype

    def __torch_function__(self, function: Callable, types: Iterable, args: tuple, kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = function.__name__
        target = self.dtype if name in LOWER else float32 if name in FULL else None
        if name == "recurrent" and args[0] != "LSTM":  # of the others only the linear maps are lowered
            target = None
        if target is not None:
            return function(*cast(args, target), **cast(kwargs, target))
        inner = inspect.unwrap(function)
        if inner is function or types:
            return function(*args, **kwargs)
        with installed(self):
            return inner(*args, **kwargs)


class installed:
    """Within, a mode (or none) takes the place of the one that casts."""

    def __init__(self, mode: Casting | None) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self.before = modes.local.function_modes
        others = tuple([m for m in self.before if type(m) is not Casting])
        modes.local.function_modes = others if self.mode is None else (*others, self.mode)
        modes.occupy(self.change())

    def __exit__(self, *exc: object) -> None:
        change = self.change()
        modes.local.function_modes = self.before
        modes.occupy(-change)

    def change(self) -> int:
        return len(modes.local.function_modes) - len(self.before)


class autocast:
    """A context manager and decorator: functions that gain by it compute in `dtype`, those that lose in float32.

    On "cpu" `dtype` is bfloat16 (float16 is the other choice); other device types do nothing here, "cuda" with a warning. Parameters
    stay float32, and so do their gradients.

    Example:
        >>> with autocast("cpu"):
        ...     (ones(2, 2) @ ones(2, 2)).dtype
        torch.bfloat16
    """

    def __init__(self, device_type: str, dtype: Dtype | None = None, enabled: bool = True, cache_enabled: bool | None = None) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = _settings.cache if cache_enabled is None else cache_enabled
        if enabled and device_type == "cuda":
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            enabled = False
        elif enabled and self.fast_dtype not in (bfloat16, float16):
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{name} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._entered: list = []

    def __enter__(self) -> autocast:
        mode = installed(Casting(self.fast_dtype) if self._enabled else None) if self.device == "cpu" else None
        self._entered.append((mode, dict(_settings.enabled), dict(_settings.dtypes), _settings.cache))
        _settings.enabled[self.device], _settings.dtypes[self.device], _settings.cache = self._enabled, self.fast_dtype, self._cache_enabled
        if mode is not None:
            mode.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        mode, _settings.enabled, _settings.dtypes, _settings.cache = self._entered.pop()
        if mode is not None:
            mode.__exit__(*exc)

    def __call__(self, func: Callable) -> Callable:
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you mean to use autocast as a context manager? "
                "For example:\n    with torch.autocast(device_type=...):\n        output = model(input)"
            )

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return call


def custom_fwd(fwd: Callable | None = None, *, device_type: str, cast_inputs: Dtype | None = None) -> Any:
    """A decorator for `forward` of an autograd.Function: within autocast, cast its inputs to `cast_inputs` and compute it without autocast.

    Without `cast_inputs` only notes whether autocast was on, for `custom_bwd`.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def call(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        on = is_autocast_enabled(device_type)
        ctx._dtype, ctx._fwd_used_autocast = get_autocast_dtype(device_type), on and cast_inputs is None
        if not on or cast_inputs is None:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(ctx, *cast(args, cast_inputs), **cast(kwargs, cast_inputs))

    return call


def custom_bwd(bwd: Callable | None = None, *, device_type: str) -> Any:
    """A decorator for `backward` of an autograd.Function: it runs with autocast as `forward` had it."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def call(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, ctx._dtype, ctx._fwd_used_autocast):
            return bwd(ctx, *args, **kwargs)

    return call
