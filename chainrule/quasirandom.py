"""`torch.quasirandom`: points that fill the unit cube more evenly than random ones, PyTorch's to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.arguments import as_dtype
from chainrule.functions.random import Generator, default_generator
from chainrule.kernels.random import randint
from chainrule.tensor import Tensor, wrap

INT64 = np.dtype(np.int64)


class SobolEngine:
    """The Sobol sequence of points in `dimension` dimensions; `scramble` moves it about at random, by `seed` if there is one.

    Example:
        >>> SobolEngine(2).draw(3)
        tensor([[0.0000, 0.0000],
                [0.5000, 0.5000],
                [0.7500, 0.2500]])
    """

    MAXBIT, MAXDIM = 30, 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        from scipy.stats import qmc

        self.dimension, self.scramble, self.seed, self.num_generated = dimension, scramble, seed, 0
        # SciPy has Joe and Kuo's direction numbers, the ones that PyTorch takes, in no public place.
        self._directions = qmc.Sobol(dimension, scramble=False, bits=self.MAXBIT)._sv.astype(np.int64)
        self._first = self._scrambled() if scramble else np.zeros(dimension, np.int64)
        self._last, self._precision = self._first, dtypes.get_default_dtype().numpy

    def _scrambled(self) -> np.ndarray:
        """Multiply the direction numbers by random lower triangular matrices of bits; returns a random first point."""
        generator = default_generator if self.seed is None else Generator().manual_seed(self.seed)
        n, bits = self.dimension, self.MAXBIT
        first = randint((n, bits), INT64, generator, 0, 2) @ (1 << np.arange(bits))
        matrices = np.tril(randint((n, bits, bits), INT64, generator, 0, 2), -1) + np.eye(bits, dtype=np.int64)
        rows = matrices @ (1 << np.arange(bits)[::-1])
        parity = np.bitwise_count(rows[:, None, :] & self._directions[:, :, None]) & 1
        self._directions = parity.astype(np.int64) @ (1 << np.arange(bits)[::-1])
        return first

    def _advance(self, n: int) -> np.ndarray:
        """The next n points (n, dimension), times 2**30; each differs from the one before it by one direction number."""
        start, self.num_generated = self.num_generated, self.num_generated + n
        steps = np.arange(max(start, 1) - 1, start + n - 1)
        which = np.bitwise_count((steps + 1 & -(steps + 1)) - 1)  # the lowest bit of a step's number that is 0
        points = np.bitwise_xor.accumulate(np.concatenate([self._last[None], self._directions.T[which]]), 0)
        if n:
            self._last = points[-1]
        return points if start == 0 and n else points[1:]

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next `n` points, shape (n, dimension), of the default float type or `dtype`."""
        wanted = as_dtype(dtype) or dtypes.get_default_dtype()
        if wanted not in (dtypes.float32, dtypes.float64):
            raise NotImplementedError(f"\"_sobol_engine_draw\" not implemented for '{dtypes.LEGACY[wanted]}'")
        kind, start = wanted.numpy, self.num_generated
        points = (self._advance(n) * kind.type(2.0**-self.MAXBIT)).astype(kind)
        if start == 0 and n:
            points[0] = points[0].astype(self._precision)  # PyTorch keeps this one
        result = wrap(points)
        if out is None:
            return result
        return out.resize_as_(result).copy_(result)  # type: ignore[attr-defined]

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next 2**m points; ValueError unless a power of 2 have been drawn in all then, without which they lose their balance."""
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                f"The balance properties of Sobol' points require n to be a power of 2. {self.num_generated} points have been previously "
                f"generated, then: n={self.num_generated}+2**{m}={total}. If you still want to do this, please use 'SobolEngine.draw()' "
                "instead."
            )
        return self.draw(n, out, dtype)

    def reset(self) -> SobolEngine:
        """Start again; returns the engine."""
        self._last, self.num_generated = self._first, 0
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Leave out `n` points; returns the engine."""
        self._advance(n)
        return self

    def __repr__(self) -> str:
        said = [f"dimension={self.dimension}", *["scramble=True"] * self.scramble]
        said += [f"seed={self.seed}"] if self.seed is not None else []
        return f"{type(self).__name__}({', '.join(said)})"


__all__ = ["SobolEngine"]
