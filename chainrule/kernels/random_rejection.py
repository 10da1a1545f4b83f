"""Random numbers drawn by rejection: Poisson, binomial, gamma, Dirichlet; bit for bit those of PyTorch on the CPU.

How many numbers an element takes is known only once it is drawn, so these are loops. Each loop is written once and runs two
ways: as it stands, and compiled by `random_numba`. A sampler takes the index to start at, uniform numbers of 53 bits, the
output, the normal kept from before (nan: none) and its parameters; when the numbers run short it returns what is done, how many
numbers that took, and the normal now kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core.generator import Generator, default_generator
from chainrule.kernels.random import DIGITS, DOUBLE, FLOAT, cast, check, not_implemented, unit53
from chainrule.kernels.random_exact import compiled

Progress = tuple[int, int, float]
TAIL = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def poisson(rate: np.ndarray, generator: Generator | None = None) -> np.ndarray:
    """Poisson numbers of the rates given (>= 0, floating-point), of their shape and dtype: `torch.poisson`.

    Example: `poisson(np.array([0.0, 4.0]))[0] == 0`.
    """
    if rate.dtype not in DIGITS:
        raise not_implemented("poisson_cpu", rate.dtype)
    check(np.all(rate >= 0), "invalid Poisson rate, expected rate to be non-negative")
    return cast(_draw(sample_poisson, generator, rate.astype(np.float64).reshape(-1)), rate.dtype).reshape(rate.shape)


def binomial(count: np.ndarray, prob: np.ndarray, generator: Generator | None = None) -> np.ndarray:
    """How many of `count` trials succeed with probability `prob`, both float32 or both float64: `torch.binomial`.

    Example: `binomial(np.array([7.0]), np.array([1.0]))` is `[7.0]`.
    """
    for each in (count, prob):
        if each.dtype not in (FLOAT, DOUBLE):
            raise not_implemented("binomial_cpu", each.dtype)
    shape = np.broadcast_shapes(count.shape, prob.shape)
    count, prob = np.broadcast_to(count, shape).reshape(-1), np.broadcast_to(prob, shape).reshape(-1)
    with np.errstate(all="ignore"):
        turned = prob > 0.5
        p = np.where(turned, 1 - prob, prob)
        mean, rest = count * p, 1 - p
        columns = [mean, np.sqrt(mean * rest), p / rest, np.floor((count + 1) * p), np.log1p(-p.astype(np.float64)).astype(p.dtype), p]
    columns = [count, np.where(np.isnan(prob), prob, turned), *columns]
    return cast(_draw(sample_binomial, generator, *(c.astype(np.float64) for c in columns)), count.dtype).reshape(shape)


def standard_gamma(alpha: np.ndarray, generator: Generator | None = None) -> np.ndarray:
    """Gamma numbers of shape parameter `alpha` (float32 or float64) and scale 1: `torch._standard_gamma`.

    Example: `standard_gamma(np.full(3, 2.5)).shape == (3,)`.
    """
    if alpha.dtype not in (FLOAT, DOUBLE):
        raise not_implemented("gamma_cpu", alpha.dtype)
    shape, alpha = alpha.shape, alpha.reshape(-1)
    with np.errstate(all="ignore"):
        small = alpha < 1
        boost = np.where(small, 1 / alpha, 0)
        d = (np.where(small, alpha + 1, alpha) - alpha.dtype.type(np.float32(1) / np.float32(3))).astype(np.float64)
        values = cast(_draw(sample_gamma, generator, boost.astype(np.float64), d, 1 / np.sqrt(9 * d)), alpha.dtype)
    return np.fmax(values, np.finfo(alpha.dtype).tiny).reshape(shape)


def dirichlet(alpha: np.ndarray, generator: Generator | None = None) -> np.ndarray:
    """Points of the simplex, drawn with concentrations `alpha` (float32 or float64) along the last axis: `torch._sample_dirichlet`.

    Example: `dirichlet(np.ones((2, 3))).sum(-1)` is `[1, 1]`.
    """
    if alpha.dtype not in (FLOAT, DOUBLE):
        raise not_implemented("dirichlet", alpha.dtype)
    gamma = standard_gamma(alpha.astype(np.float64), generator)
    share = (gamma / gamma.sum(-1, keepdims=True)).astype(alpha.dtype)
    one = alpha.dtype.type(1)
    return np.clip(share, np.finfo(alpha.dtype).tiny, np.nextafter(one, 0 * one))


def _draw(sampler: Callable[..., Progress], generator: Generator | None, *columns: np.ndarray) -> np.ndarray:
    """Run a sampler over lines of parameters (float64) to a line of numbers (float64)."""
    generator, out = generator or default_generator, np.empty(columns[0].size)
    fast = compiled(1500 * out.size)
    run: Callable[..., Progress] = fast.SAMPLERS[sampler.__name__] if fast else sampler
    parameters: Any = columns if fast else [c.tolist() for c in columns]
    uniform, done = np.empty(0), 0
    with generator.lock:
        kept = math.nan if generator.next_normal is None else generator.next_normal
        # The stream's state at some earlier point, and how many of the numbers drawn since then were used.
        state, since = generator.mt.copy(), 0
        while done < out.size:
            here, carried = generator.mt.copy(), uniform.size
            uniform = np.concatenate((uniform, unit53(generator, min(64 + 6 * (out.size - done), 16384))))
            done, used, kept = run(done, uniform if fast else uniform.tolist(), out, kept, *parameters)
            state, since = (here, used - carried) if used >= carried else (state, since + used)
            uniform = uniform[used:]
        generator.mt[:] = state
        generator.raw(2 * since, False)  # so that the stream goes on behind the last number used
        generator.next_normal = None if math.isnan(kept) else kept
    return out


# ---- the samplers: plain Python that Numba also takes


def sample_poisson(start: int, u: Any, out: Any, kept: float, rate: Any) -> Progress:
    used = 0
    for i in range(start, len(out)):
        before, mean, k = used, rate[i], 0
        if mean >= 10:  # transformed rejection (Hörmann, 1993)
            root, log_mean = math.sqrt(mean), math.log(mean)
            b = 0.931 + 2.53 * root
            a = -0.059 + 0.02483 * b
            inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
            v_r = 0.9277 - 3.6224 / (b - 2)
            while True:
                if used + 2 > len(u):
                    return i, before, kept
                x, v = u[used] - 0.5, u[used + 1]
                used += 2
                us = 0.5 - abs(x)
                if us == 0:
                    continue
                k = math.floor((2 * a / us + b) * x + mean + 0.43)
                if us >= 0.07 and v <= v_r:
                    break
                if k < 0 or (us < 0.013 and v > us):
                    continue
                bound = -mean + k * log_mean - math.lgamma(k + 1.0)
                if v == 0 or math.log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b) <= bound:
                    break
        elif mean > 0:
            least, product = math.exp(-mean), 1.0
            while True:
                if used + 1 > len(u):
                    return i, before, kept
                product *= u[used]
                used += 1
                if product <= least:
                    break
                k += 1
        out[i] = k
    return len(out), used, kept


def sample_binomial(
    start: int, u: Any, out: Any, kept: float, count: Any, turned: Any, mean: Any, std: Any, odds: Any, mode: Any, log_rest: Any, prob: Any
) -> Progress:
    used = 0
    for i in range(start, len(out)):
        before, n, p, k = used, count[i], prob[i], 0.0
        if math.isnan(turned[i]) or math.isnan(n):
            k = math.nan
        elif n <= 0 or (p <= 0 and not turned[i]):
            n = 0.0
        elif p <= 0:
            pass
        elif mean[i] >= 10:  # transformed rejection (Hörmann, 1993)
            s, r, m = std[i], odds[i], mode[i]
            b = 1.15 + 2.53 * s
            a = -0.0873 + 0.0248 * b + 0.01 * p
            v_r = 0.92 - 4.2 / b
            alpha = (2.83 + 5.1 / b) * s
            while True:
                if used + 2 > len(u):
                    return i, before, kept
                x, v = u[used] - 0.5, u[used + 1]
                used += 2
                us = 0.5 - abs(x)
                if us == 0:
                    continue
                k = float(math.floor((2 * a / us + b) * x + (mean[i] + 0.5)))
                if k < 0 or k > n:
                    continue
                if (us >= 0.07 and v <= v_r) or v == 0:
                    break
                bound = (
                    (m + 0.5) * math.log((m + 1) / (r * (n - m + 1)))
                    + (n + 1) * math.log((n - m + 1) / (n - k + 1))
                    + (k + 0.5) * math.log(r * (n - k + 1) / (k + 1))
                )
                for sign, x in ((1.0, m), (1.0, n - m), (-1.0, k), (-1.0, n - k)):  # the tail of Stirling's formula
                    square = (x + 1) * (x + 1)
                    tail = TAIL[int(x)] if x < 10 else (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (x + 1)
                    bound += sign * tail
                if math.log(v * alpha / (a / (us * us) + b)) <= bound:
                    break
        else:  # the geometric gaps between successes
            total = 0.0
            while True:
                if used + 1 > len(u):
                    return i, before, kept
                x = u[used]
                used += 1
                if x == 0:
                    break
                total += float(math.ceil(math.log(x) / log_rest[i]))
                if total > n:
                    break
                k += 1
        out[i] = n - k if turned[i] else k
    return len(out), used, kept


def sample_gamma(start: int, u: Any, out: Any, kept: float, boost: Any, d: Any, c: Any) -> Progress:
    used = 0
    for i in range(start, len(out)):
        before, kept_before, scale = used, kept, 1.0
        if boost[i] == math.inf:
            out[i] = 0.0
            continue
        if boost[i] != 0:
            if used + 1 > len(u):
                return i, before, kept_before
            scale = math.pow(1 - u[used], boost[i])
            used += 1
        while True:  # Marsaglia and Tsang, 2000
            if used + 3 > len(u):
                return i, before, kept_before
            if math.isnan(kept):
                radius, angle = math.sqrt(-2 * math.log1p(-u[used + 1])), 2 * math.pi * u[used]
                used += 2
                x, kept = radius * math.cos(angle), radius * math.sin(angle)
            else:
                x, kept = kept, math.nan
            y = 1 + c[i] * x
            if y <= 0:
                continue
            v = y * y * y
            rest = 1 - u[used]
            used += 1
            square = x * x
            if rest < 1 - THIRD_POWER * square * square or math.log(rest) < 0.5 * square + d[i] * (1 - v + math.log(v)):
                break
        out[i] = scale * d[i] * v
    return len(out), used, kept


THIRD_POWER = float(np.float32(0.0331))
