"""`torch.cuda` where there is no GPU: programs that ask first go on without, what needs one raises as PyTorch's CPU build does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule._core.types import device as _device, require_cpu as _require_cpu
from chainrule.cuda import amp
from chainrule.functions.from_data import LEGACY_TYPES as _LEGACY_TYPES

has_half = True
has_magma = False
default_generators = ()


class OutOfMemoryError(RuntimeError):
    """Never raised: there is no GPU whose memory could be full."""


def is_available() -> bool:
    """False."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def get_arch_list() -> list[str]:
    """No architectures."""
    return []


def get_rng_state_all() -> list:
    """No streams."""
    return []


def _nothing(name: str) -> Callable:
    def call(*args: Any, **kwargs: Any) -> None:
        """Does nothing without a GPU."""

    call.__name__ = call.__qualname__ = name
    return call


def _zero(name: str) -> Callable:
    def call(*args: Any, **kwargs: Any) -> int:
        """0 bytes: there is no GPU."""
        return 0

    call.__name__ = call.__qualname__ = name
    return call


def _refused(name: str) -> Callable:
    def call(*args: Any, **kwargs: Any) -> Any:
        """Raises AssertionError: there is no GPU."""
        _require_cpu("cuda")

    call.__name__ = call.__qualname__ = name
    return call


for _make, _names in (
    (_nothing, "manual_seed manual_seed_all seed seed_all empty_cache ipc_collect set_rng_state_all reset_peak_memory_stats "
               "reset_max_memory_allocated reset_max_memory_cached reset_accumulated_memory_stats"),
    (_zero, "memory_allocated max_memory_allocated memory_reserved max_memory_reserved memory_cached max_memory_cached"),
    (_refused, "init current_device set_device synchronize get_device_name get_device_capability get_device_properties mem_get_info "
               "get_rng_state set_rng_state initial_seed current_stream default_stream can_device_access_peer"),
):  # fmt: skip
    globals().update({_name: _make(_name) for _name in _names.split()})


class _tensortype(type):
    """The type of `cuda.FloatTensor` and its like, which nothing is an instance of."""

    is_cuda = True

    def __instancecheck__(cls, value: Any) -> bool:
        return False

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled.")


_tensortype.__name__, _tensortype.__module__ = "tensortype", "torch"
for _name, _like in _LEGACY_TYPES.items():
    globals()[_name] = _tensortype(_name, (), {"__module__": "torch.cuda", "dtype": _like.dtype})


def memory_stats(device: Any = None) -> dict:
    """Empty: there is no GPU."""
    return {}


class device:
    """A context manager that picks a GPU; without one it does nothing."""

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None else device if isinstance(device, int) else _device(device).index

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None


class StreamContext(device):
    """A context manager that picks a stream; without a GPU it does nothing."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream


stream = StreamContext


class Event:
    """Raises RuntimeError: events are of a GPU."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("Tried to instantiate dummy base class Event")


class Stream:
    """Raises RuntimeError: streams are of a GPU."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.Stream requires CUDA support")
