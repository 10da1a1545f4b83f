"""The random generator: PyTorch's CPU stream of mt19937 words, its seed, and its saved state.

NumPy's MT19937 is the engine PyTorch uses, so it makes the words; this room seeds it as PyTorch does and reads and writes
PyTorch's 5056-byte state, so that a state saved by either continues in the other. What is drawn from the words, uniform
numbers, normals, permutations, is in `kernels/random.py`.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from chainrule._core.types import device as Device

N = 624  # the words in mt19937's state
DEFAULT_SEED = 67280421310721  # of a new Generator
# PyTorch's state: the engine (one word in each 64-bit place), then the second normals that are kept for the next call.
STATE = np.dtype([
    ("seed", "<u8"), ("left", "<i4"), ("seeded", "<i4"), ("next", "<u8"), ("words", "<u8", N),
    ("unused_x", "<f8"), ("double_normal", "<f8"), ("unused_rho", "<f8"), ("double_valid", "<i4"), ("pad1", "V4"),
    ("float_normal", "<f4"), ("float_valid", "?"), ("pad2", "V3"),
])  # fmt: skip


class Generator:
    """A stream of random numbers, the same for the same seed as PyTorch's on the CPU.

    Example: `uniform((3,), np.dtype("float32"), Generator().manual_seed(0))` is what `torch.rand(3)` gives after
    `torch.manual_seed(0)`.

    `raw(n)` gives the next n words as uint64 (one 32-bit word each). `mt` is the live state: 624 words, then the position of the
    next one; who writes to it moves the stream. Hold `lock` around draws that belong together.
    """

    __slots__ = ("lock", "device", "next_normal", "next_float_normal", "raw", "mt", "_engine", "_seed", "__weakref__")

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device if isinstance(device, Device) else Device(device)
        if self.device.type != "cpu":
            raise RuntimeError(f"chainrule computes on the CPU: there is no generator for device type '{self.device.type}'")
        self.lock = threading.RLock()
        self._reset(DEFAULT_SEED)

    def _reset(self, seed: int) -> None:
        self._seed = seed
        self.next_normal: float | None = None  # the second of a pair of normals, kept for the next call
        self.next_float_normal: float | None = None  # never drawn on the CPU, carried for a state that has it
        if hasattr(self, "_engine"):
            self._engine.seed(seed & 0xFFFFFFFF)

    def __getattr__(self, name: str) -> Any:
        # The engine is built at its first use: importing NumPy's generators takes longer than all the rest of this room.
        if name not in ("raw", "mt"):
            raise AttributeError(f"'Generator' object has no attribute '{name}'")
        from ctypes import c_uint32

        bits = np.random.MT19937()
        self._engine = np.random.RandomState(bits)
        self._engine.seed(self._seed & 0xFFFFFFFF)
        self.raw = bits.random_raw
        self.mt = np.frombuffer((c_uint32 * (N + 1)).from_address(bits.ctypes.state_address), np.uint32)
        return getattr(self, name)

    def manual_seed(self, seed: int, /) -> Generator:
        """Start the stream of `seed`, an int in [-2**63, 2**64); a negative one counts from 2**64. Returns the generator."""
        if isinstance(seed, np.integer):
            raise TypeError("an integer is required")
        if type(seed) is not int:
            raise RuntimeError(f"manual_seed expected a long, but got {_typename(seed)}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        with self.lock:
            self._reset(seed % 2**64)
        return self

    def seed(self) -> int:
        """Start a stream from a number that the operating system gives, and return that number."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed that the stream was started with."""
        return self._seed

    def get_state(self) -> np.ndarray:
        """The state as PyTorch writes it: uint8, shape (5056,)."""
        state = np.zeros((), STATE)
        with self.lock:
            position = int(self.mt[N])
            first, second = self.mt[:2].tolist()
            # A fresh seed and a used-up block are the same to NumPy; PyTorch writes position 0 for the first. The first words tell.
            seeded = self._seed & 0xFFFFFFFF, (1812433253 * (first ^ first >> 30) + 1) & 0xFFFFFFFF
            fresh = position == N and (first, second) == seeded
            state["seed"], state["seeded"], state["words"] = self._seed, 1, self.mt[:N]
            state["left"], state["next"] = (1, 0) if fresh else (N + 1 - position, position)
            for kind, value in (("double", self.next_normal), ("float", self.next_float_normal)):
                if value is not None:
                    state[f"{kind}_normal"], state[f"{kind}_valid"] = value, True
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def set_state(self, state: np.ndarray) -> None:
        """Continue from a state that `get_state` gave, here or in PyTorch."""
        if not isinstance(state, np.ndarray):
            raise TypeError(f"expected a torch.ByteTensor, but got {_typename(state)}")
        if state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if state.size != STATE.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE.itemsize} but found the input RNG state size to be {state.size}"
            )
        new = np.frombuffer(state.tobytes(), STATE)[0]
        if not (new["seeded"] and 0 < new["left"] <= N and new["next"] <= N):
            raise RuntimeError("Invalid mt19937 state")
        with self.lock:
            self.mt[:N] = new["words"]
            self.mt[N] = N if new["left"] == 1 else new["next"]
            self._seed = int(new["seed"])
            self.next_normal = float(new["double_normal"]) if new["double_valid"] else None
            self.next_float_normal = float(new["float_normal"]) if new["float_valid"] else None

    def clone_state(self) -> Generator:
        """A new generator that continues as this one would."""
        other = Generator(self.device)
        other.set_state(self.get_state())
        return other

    def get_offset(self) -> int:
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int, /) -> None:
        raise RuntimeError("CPU Generator does not use offset")

    def graphsafe_get_state(self) -> Generator:
        raise NotImplementedError("graphsafe_get_state is not supported in this Generator")

    def graphsafe_set_state(self, state: Generator, /) -> None:
        raise NotImplementedError("graphsafe_set_state is not supported in this Generator")

    def __reduce__(self) -> tuple:
        return type(self), (self.device,), (self._seed, None, self.get_state())

    def __setstate__(self, state: tuple) -> None:
        self.set_state(state[2])


def _typename(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ in ("builtins", "chainrule", "chainrule.tensor") else f"{kind.__module__}.{kind.__name__}"


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: Any) -> Generator:
    """Seed the default generator; takes whatever `int` takes. Returns the generator.

    Example: `manual_seed(0).initial_seed() == 0`.
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default generator from the operating system; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()
