"""Random numbers, bit for bit those of PyTorch on the CPU: arrays drawn from a generator's words.

Every function takes the shape and the NumPy dtype wanted and a generator (None: the default one), and returns a new C-contiguous
array. How many words an element takes, which of their bits, and every rounding on the way are PyTorch's; `random_exact` has
the arithmetic.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np

from chainrule._core.dtypes import BY_NUMPY, LEGACY, bfloat16
from chainrule._core.generator import Generator, default_generator
from chainrule.kernels.drawing import drawing
from chainrule.kernels.random_exact import blocks, box_muller32, box_muller64, compiled, fma, libm

Shape = tuple[int, ...]
U64, I64, F32 = np.uint64, np.int64, np.float32
FEW = 512  # up to here the shortest way is the best
LOW_24, SCALE_24 = U64(2**24 - 1), F32(2.0**-24)  # made once: a tiny draw takes hardly longer than making them
BOOL, FLOAT, DOUBLE, HALF, BRAIN = np.dtype("?"), np.dtype("f4"), np.dtype("f8"), np.dtype("f2"), bfloat16.numpy
DIGITS = {HALF: 11, BRAIN: 8, FLOAT: 24, DOUBLE: 53}  # of the significand; also the floating-point types there are
LARGEST = {HALF: 65504.0, BRAIN: 255 * 2.0**120, FLOAT: (2 - 2.0**-23) * 2.0**127, DOUBLE: np.finfo("f8").max.item()}
LIMITS: dict[np.dtype, tuple] = {dtype: (-largest, largest) for dtype, largest in LARGEST.items()} | {BOOL: (0, 1)}
LIMITS |= {np.dtype(f"u{size}"): (0, 2 ** (8 * size) - 1) for size in (1, 2, 4, 8)}
LIMITS |= {np.dtype(f"i{size}"): (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1) for size in (1, 2, 4, 8)}
REAL = {np.dtype("c8"): FLOAT, np.dtype("c16"): DOUBLE}
UNSIGNED = {np.dtype("u2"), np.dtype("u4"), np.dtype("u8")}  # the late types, which few of PyTorch's kernels take
CPP = {
    "bool": "bool", "uint8": "unsigned char", "uint16": "short unsigned int", "uint32": "unsigned int", "uint64": "long unsigned int",
    "int8": "signed char", "int16": "short int", "int32": "int", "int64": "long int", "bfloat16": "c10::BFloat16",
    "float16": "c10::Half", "float32": "float", "float64": "double",
    "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


# ---- words and uniform numbers


def words64(generator: Generator, n: int) -> np.ndarray:
    """n numbers of 64 bits (uint64), two words each, the first the high half."""
    out = np.empty(n, U64)
    if fast := compiled(4 * n):
        fast.words64(generator.mt, out)
        return out
    for part in blocks(n):
        words = generator.raw(2 * (part.stop - part.start))
        out[part] = words[0::2] << U64(32) | words[1::2]
    return out


def unit24(generator: Generator, n: int) -> np.ndarray:
    """n numbers (float32) in [0, 1), each the low 24 bits of a word."""
    if n <= FEW:
        words = generator.raw(n)
        words &= LOW_24
        out = words.view(I64).astype(F32)
        out *= SCALE_24
        return out
    out = np.empty(n, F32)
    if fast := compiled(2 * n + 500):
        fast.unit24(generator.mt, out)
        return out
    for part in blocks(n):
        words = generator.raw(part.stop - part.start)
        words &= LOW_24
        values = out[part]
        values[...] = words.view(I64)
        values *= SCALE_24
    return out


def unit53(generator: Generator, n: int) -> np.ndarray:
    """n numbers (float64) in [0, 1), each the low 53 bits of two words."""
    out = np.empty(n, np.float64)
    if fast := compiled(6 * n + 500):
        fast.unit53(generator.mt, out)
        return out
    for part in blocks(n):
        words = generator.raw(2 * (part.stop - part.start))
        values = words[0::2] & 0x1FFFFF
        values <<= 32
        values |= words[1::2]
        np.multiply(values.view(I64), 2.0**-53, out=out[part])
    return out


@drawing
def uniform(shape: Shape, dtype: np.dtype, generator: Generator | None = None, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Uniform numbers in [low, high), of a floating-point or complex (each part) dtype: `Tensor.uniform_`.

    Example: `uniform((3,), np.dtype("float32"), Generator().manual_seed(0))` is `torch.rand(3)` after `torch.manual_seed(0)`.
    """
    if dtype not in DIGITS:
        if dtype not in REAL:
            raise not_implemented("check_uniform_bounds", dtype)
        if math.prod(shape) == 0:
            return np.empty(shape, dtype)
        return uniform((*shape, 2), REAL[dtype], generator, low, high).view(dtype).reshape(shape)
    unit = low == 0 and high == 1
    if not unit:
        _check_uniform(dtype, low, high)
    generator = generator or default_generator
    with generator.lock:
        values = (unit53 if dtype == DOUBLE else unit24)(generator, math.prod(shape))
    if not unit:
        values = _stretched(values, low, high)
    if dtype.itemsize == 2:
        values = values.astype(dtype)
        values[values == dtype.type(high)] = dtype.type(low)  # where rounding reached the end
    return values.reshape(shape)


def _stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """values * (high - low) + low, rounded once, in the numbers' own type; may use `values` up."""
    start, stop = values.dtype.type(low), values.dtype.type(high)
    if start == 0:
        values *= stop
    elif start == -stop:  # then 2 * values - 1 is exact, and one rounding is left
        values += values
        values -= 1
        values *= stop
    else:
        values = fma(values, stop - start, start)
        values[values == stop] = start
    return values


def _check_uniform(dtype: np.dtype, low: float, high: float) -> None:
    largest = LIMITS[dtype][1]
    for name, value in (("from", low), ("to", high)):
        if not -largest <= value <= largest:
            raise RuntimeError(f"{name} is out of bounds for {CPP[dtype.name]}")
    if not low <= high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    if high - low > largest:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{_legacy(dtype)}>::max(), but found to={high:g} and from={low:g}"
            " which result in to-from to exceed the limit"
        )


# ---- normals


@drawing
def normal(
    shape: Shape, dtype: np.dtype, generator: Generator | None = None, mean: float = 0.0, std: float = 1.0, blocks: bool = True
) -> np.ndarray:
    """Normal numbers, of a floating-point dtype or a complex one (`std` of the whole, half of the variance each): `Tensor.normal_`.

    Sixteen numbers or more come in blocks of 16, made from 8 radii and 8 angles; fewer come in pairs, one by one, the
    second of a last pair kept for the next call. So do any number without `blocks`, which is how memory with gaps is filled.

    Example: `normal((3,), np.dtype("float32"), Generator().manual_seed(0))` is `torch.randn(3)` after `torch.manual_seed(0)`.
    """
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if dtype in REAL:
        return normal((*shape, 2), REAL[dtype], generator, mean, std / math.sqrt(2), blocks).view(dtype).reshape(shape)
    n = math.prod(shape)
    if n == 0:
        return np.empty(shape, dtype)
    if dtype not in DIGITS:
        raise not_implemented("normal_kernel_cpu", dtype)
    generator = generator or default_generator
    with generator.lock:
        values = _normal_blocks(generator, n, dtype, mean, std) if n >= 16 and blocks else _normal_pairs(generator, n, mean, std)
    return cast(values, dtype, bounded=abs(mean) + 9 * std < LARGEST[HALF]).reshape(shape)  # 53 bits go no farther than 8.6


def _normal_pairs(generator: Generator, n: int, mean: float, std: float) -> np.ndarray:
    """n >= 1 normals (float64), in pairs of one radius; what is left of the last pair is kept."""
    kept = generator.next_normal
    have = kept is not None
    pairs = (n - have + 1) // 2
    line = np.empty(have + 2 * pairs)
    if have:
        line[0] = kept
    if fast := compiled(400 * n + 1000):
        fast.normals(generator.mt, line[have:])
    else:
        words = iter(generator.raw(4 * pairs).tolist())
        for i, (a, b, c, d) in enumerate(zip(words, words, words, words)):
            angle = 2 * math.pi * (((a & 0x1FFFFF) << 32 | b) * 2.0**-53)
            radius = math.sqrt(-2 * math.log1p(((c & 0x1FFFFF) << 32 | d) * -(2.0**-53)))
            line[have + 2 * i], line[have + 2 * i + 1] = radius * math.cos(angle), radius * math.sin(angle)
    generator.next_normal = float(line[n]) if line.size > n else None
    return line[:n] if mean == 0 and std == 1 else fma(line[:n], std, mean)


def _normal_blocks(generator: Generator, n: int, dtype: np.dtype, mean: float, std: float) -> np.ndarray:
    """n >= 16 normals (float64 for float64, else float32); the last 16 are drawn anew unless n is a multiple of 16."""
    draw, transform = (unit53, box_muller64) if dtype == DOUBLE else (unit24, box_muller32)
    whole, rest = n - n % 16, n % 16
    if not rest:
        transform(values := draw(generator, n), mean, std)
        return values
    # The 2-byte types are drawn block by block; the others are all drawn first, and `rest` of them for nothing.
    skipped = 0 if dtype.itemsize == 2 else rest
    values = draw(generator, whole + skipped + 16)
    values[whole : whole + 16] = values[whole + skipped :]
    transform(values[: whole + 16], mean, std)
    values[n - 16 : n] = values[whole : whole + 16]
    values.resize(n, refcheck=False)
    return values


# ---- the other continuous distributions, and the geometric one

CONTINUOUS = "distribution is a continuous probability distribution. dtype must be a floating point but you specified"


@drawing
def exponential(shape: Shape, dtype: np.dtype, generator: Generator | None = None, rate: float = 1.0) -> np.ndarray:
    """Exponential numbers of the given rate (> 0): `Tensor.exponential_`.

    Example: `exponential((2, 3), np.dtype("float32"))`.
    """
    check(rate > 0, f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    if dtype not in DIGITS and math.prod(shape):
        raise RuntimeError(f"Exponential {CONTINUOUS} {_legacy(dtype)}")
    return cast(-1.0 / rate * libm("log1p", -_unit(shape, generator)), dtype).reshape(shape)


@drawing
def geometric(shape: Shape, dtype: np.dtype, generator: Generator | None = None, p: float = 0.5) -> np.ndarray:
    """The number of trials up to the first success of probability p in (0, 1), as integers or floats: `Tensor.geometric_`.

    Example: `geometric((4,), np.dtype("int64"), p=0.3)`.
    """
    check(0 < p < 1, f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    _check_kernel(shape, dtype, "geometric_cpu", dtype in REAL or dtype in UNSIGNED or dtype == BOOL)
    return cast(np.ceil(libm("log", _unit(shape, generator)) / math.log1p(-p)), dtype).reshape(shape)


@drawing
def cauchy(shape: Shape, dtype: np.dtype, generator: Generator | None = None, median: float = 0.0, sigma: float = 1.0) -> np.ndarray:
    """Numbers of the Cauchy distribution: `Tensor.cauchy_`.

    Example: `cauchy((2,), np.dtype("float64"), median=1.0, sigma=0.5)`.
    """
    check(sigma > 0, f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    check(dtype in DIGITS, f"Cauchy {CONTINUOUS} {CPP[dtype.name]}")
    return cast(fma(libm("tan", math.pi * (_unit(shape, generator) - 0.5)), sigma, median), dtype).reshape(shape)


@drawing
def log_normal(shape: Shape, dtype: np.dtype, generator: Generator | None = None, mean: float = 1.0, std: float = 2.0) -> np.ndarray:
    """Numbers whose logarithms are normal: `Tensor.log_normal_`.

    Example: `log_normal((2,), np.dtype("float32"), mean=0.0, std=1.0)`.
    """
    check(std > 0, f"log_normal_ expects std > 0.0, but found std={std:g}")
    _check_kernel(shape, dtype, "log_normal_cpu", dtype not in DIGITS)
    generator, n = generator or default_generator, math.prod(shape)
    if n == 0:
        return np.empty(shape, dtype)
    with generator.lock:
        values = _normal_pairs(generator, n, mean, std)
    return cast(libm("exp", values), dtype).reshape(shape)


def _unit(shape: Shape, generator: Generator | None) -> np.ndarray:
    """Uniform numbers (float64) enough for a shape, in one line."""
    generator = generator or default_generator
    with generator.lock:
        return unit53(generator, math.prod(shape))


def cast(values: np.ndarray, dtype: np.dtype, bounded: bool = False) -> np.ndarray:
    """From float64 (or float32) to any type as PyTorch goes: to the 2-byte floats by way of float32, to integers by int64."""
    if values.dtype == dtype:
        return values
    between = dtype if dtype in (FLOAT, DOUBLE) else FLOAT if dtype in DIGITS else I64
    if bounded:
        return values.astype(between, copy=False).astype(dtype, copy=False)
    with np.errstate(over="ignore"):
        return values.astype(between, copy=False).astype(dtype, copy=False)


# ---- Bernoulli


@drawing
def bernoulli(shape: Shape, dtype: np.dtype, generator: Generator | None = None, p: float | np.ndarray = 0.5) -> np.ndarray:
    """Ones with probability p, else zeros; p is a number or an array that broadcasts to `shape`: `Tensor.bernoulli_`.

    A number takes two words an element, as a float64 array does; the smaller floats take one.

    Example: `bernoulli((2, 3), np.dtype("float32"), p=0.9)` is the mask that dropout of 0.1 draws.
    """
    number = not isinstance(p, np.ndarray)
    if number:
        check(0 <= p <= 1, f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    kernel = "bernoulli_scalar_cpu_" if number else "bernoulli_tensor_cpu_self_"
    _check_kernel(shape, dtype, kernel, dtype in REAL or dtype in UNSIGNED)
    generator, n = generator or default_generator, math.prod(shape)
    if n == 0:
        return np.empty(shape, dtype)
    if not number:
        return _bernoulli_each(shape, dtype, generator, p)
    bound = U64(math.ceil(p * 2.0**53))
    with generator.lock:
        if dtype == FLOAT and (fast := compiled(10 * n + 500)):
            out = np.empty(n, FLOAT)
            fast.bernoulli(generator.mt, out, bound)
            return out.reshape(shape)
        words = words64(generator, n)
    words &= U64(2**53 - 1)
    return (words < bound).astype(dtype, copy=False).reshape(shape)


def _bernoulli_each(shape: Shape, dtype: np.dtype, generator: Generator, p: np.ndarray) -> np.ndarray:
    if p.dtype not in DIGITS:
        raise not_implemented("bernoulli_tensor_cpu_p_", p.dtype)
    wide = DOUBLE if p.dtype == DOUBLE else FLOAT
    p = np.broadcast_to(p.astype(wide, copy=False), shape).reshape(-1)
    check(
        np.all((p >= 0) & (p <= 1)),
        "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  "
        "(Could this error message be improved?  If so, please report an enhancement request to PyTorch.)",
    )
    with generator.lock:
        values = (unit53 if wide == DOUBLE else unit24)(generator, p.size)
    return (values < p).astype(dtype, copy=False).reshape(shape)


# ---- integers


@drawing
def randint(shape: Shape, dtype: np.dtype, generator: Generator | None, low: int, high: int | None) -> np.ndarray:
    """Integers in [low, high), or from `low` up if `high` is None, in any real dtype: `Tensor.random_(low, high)`, `torch.randint`.

    Example: `randint((3,), np.dtype("int64"), None, 0, 10)`.
    """
    if high is not None and not low < high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if high is None and low == -(2**63):
        return _randint_full(shape, dtype, generator)
    low, last = _closed_range(dtype, low, high)
    if dtype in DIGITS:
        _caution(dtype, low, last)
    generator = generator or default_generator
    with generator.lock:
        values = _below(generator, math.prod(shape), last - low + 1, low)
    return _held(values, dtype).reshape(shape)


def _below(generator: Generator, n: int, count: int, base: int) -> np.ndarray:
    """n integers (int64) in [base, base + count): from one word each when there are few to choose from, else from two."""
    if count >= 2**28:
        values = _remainder(words64(generator, n), count)
        values += U64(base % 2**64)
        return values.view(I64)
    out = np.empty(n, I64)
    if fast := compiled(12 * n + 500):
        fast.below(generator.mt, out, count, base)
        return out
    for part in blocks(n):
        np.add(_remainder(generator.raw(part.stop - part.start), count).view(I64), base, out=out[part])
    return out


def _remainder(words: np.ndarray, count: int) -> np.ndarray:
    """words % count, in place. Division by one number is vectorised, the remainder itself is not."""
    if count & count - 1 == 0:
        words &= U64(count - 1)
    else:
        quotient = words // U64(count)
        quotient *= U64(count)
        words -= quotient
    return words


@drawing
def random(shape: Shape, dtype: np.dtype, generator: Generator | None = None) -> np.ndarray:
    """Integers over all of the type's non-negative range, up to 2**digits for floats: `Tensor.random_()`.

    Example: `random((3,), np.dtype("uint8"))`.
    """
    _check_kernel(shape, dtype, "random_kernel_cpu", dtype in REAL or dtype in UNSIGNED)
    generator, n = generator or default_generator, math.prod(shape)
    if n == 0:
        return np.empty(shape, dtype)
    count = (2 ** DIGITS[dtype] if dtype in DIGITS else LIMITS[dtype][1]) + 1
    with generator.lock:
        words = words64(generator, n) if dtype.itemsize == 8 else generator.raw(n)
    return _held(_remainder(words, count).view(I64), dtype).reshape(shape)


def _randint_full(shape: Shape, dtype: np.dtype, generator: Generator | None) -> np.ndarray:
    kernel = "random_full_64_bits_range_kernel_cpu"
    if math.prod(shape) == 0:
        return np.empty(shape, dtype)
    _check_kernel(shape, dtype, kernel, dtype in REAL or dtype in UNSIGNED or dtype in (BOOL, HALF))
    check(dtype in (I64, DOUBLE, FLOAT, BRAIN), f"{kernel} handles only int64, double, float and bfloat16")
    generator = generator or default_generator
    with generator.lock:
        values = words64(generator, math.prod(shape)).view(I64)
    return _held(values, dtype).reshape(shape)


@functools.lru_cache(256)
def _closed_range(dtype: np.dtype, low: int, high: int | None) -> tuple[int, int]:
    """The first and the last integer to draw; for floats both are moved inwards to what the type can hold."""
    check(dtype not in REAL, "check_random_bounds handles only integral, floating-point and boolean types")
    if dtype in DIGITS:
        low, last = _inwards(dtype, low, high)
    else:
        last = LIMITS[dtype][1] if high is None else high - 1
    least, most = LIMITS[dtype]
    for name, value in (("from", low), ("to - 1", last)):
        check(least <= value <= min(most, 2**63 - 1), f"{name} is out of bounds for {CPP[dtype.name]}")
    return low, last


def _inwards(dtype: np.dtype, low: int, high: int | None) -> tuple[int, int]:
    digits, expects = DIGITS[dtype], "random_ expects 'from' casted to dtype to be less than"
    if (held := _rounded(dtype, low + 1)) < low:
        low = held + (1 << abs(low + 1).bit_length() - digits)
    if high is None:
        check(low < 2**digits, f"{expects} or equal to 'to_inc' casted to dtype, but got from={low} > to_inc={2**digits}")
        return low, 2**digits
    if (held := _rounded(dtype, high - 1)) >= high:
        high = held - (1 << abs(high - 1).bit_length() - digits)
    check(low < high, f"{expects} 'to' casted to dtype, but got from={low} >= to={high}")
    return low, high - 1


def _rounded(dtype: np.dtype, value: int) -> int:
    with np.errstate(over="ignore"):
        held = float(_held(np.array(value), dtype))
    return int(held) if abs(held) < 2**63 else -(2**63)  # what a C cast out of range gives


def _caution(dtype: np.dtype, low: int, last: int) -> None:
    """Warn of integers that a floating-point dtype cannot all hold."""
    digits = DIGITS[dtype]
    for name, value in (("from", low), ("to - 1", last)):
        if abs(value) > 2**digits:
            warnings.warn(
                f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {CPP[dtype.name]} can support "
                "discrete uniform distribution only within this range. This warning will become an error in version 1.7 release, "
                "please fix the code in advance",
                stacklevel=3,
            )


def _held(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """int64 to any real type as PyTorch goes, to the 2-byte floats by way of float32."""
    between = F32 if dtype in (HALF, BRAIN) else dtype
    return values != 0 if dtype == BOOL else values.astype(between, copy=False).astype(dtype, copy=False)


# ---- permutations and choices


@drawing
def randperm(n: int, dtype: np.dtype, generator: Generator | None = None) -> np.ndarray:
    """The integers below n in random order, shape (n,): `torch.randperm`.

    Example: `sorted(randperm(4, np.dtype("int64")).tolist()) == [0, 1, 2, 3]`.
    """
    check(n >= 0, f"Trying to create tensor with negative dimension {n}: [{n}]")
    _check_permutation(n, dtype)
    generator = generator or default_generator
    with generator.lock:
        if n >= (2**32 - 1) // 20:  # too many for one word to choose from evenly, and for any but the compiled twin
            compiled(math.inf).shuffle_inside_out(generator.mt, order := np.empty(n, I64))
        elif fast := compiled(200 * n):
            fast.shuffle(generator.mt, order := np.arange(n))
        else:
            order = _shuffled(n, generator)
    return _held(order, dtype)


def _shuffled(n: int, generator: Generator) -> np.ndarray:
    """range(n) shuffled from the front: element i changes places with one of those from i on."""
    if n < 2:
        return np.arange(n)
    others = generator.raw(n - 1)
    others %= np.arange(n, 1, -1, U64)
    others += np.arange(n - 1, dtype=U64)
    order = list(range(n))
    for i, j in enumerate(others.tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order)


def _check_permutation(n: int, dtype: np.dtype) -> None:
    if dtype in REAL or dtype in UNSIGNED or dtype == BOOL:
        raise not_implemented("randperm", dtype)
    named = {HALF: "2049", FLOAT: "2^24+1", DOUBLE: "2^53+1"}
    if dtype in named:
        check(n <= 2 ** DIGITS[dtype] + 1, f"n cannot be greater than {named[dtype]} for {_legacy(dtype)} type.")
    elif dtype != BRAIN:
        name = {"int32": "int", "int64": "int64_t"}.get(dtype.name, f"{dtype.name}_t")
        check(n - 1 <= LIMITS[dtype][1], f"value cannot be converted to type {name} without overflow")


@drawing
def multinomial(p: np.ndarray, n: int, replacement: bool = False, generator: Generator | None = None) -> np.ndarray:
    """n indices (int64) into p's last axis, drawn in proportion to p, of shape (categories,) or (rows, categories).

    Without replacement the order among equal scores, which only ties in p or a 2-byte dtype bring about, is not PyTorch's.

    Example: `multinomial(np.array([0.0, 3.0]), 2, replacement=True)` is `[1, 1]`.
    """
    check(p.ndim in (1, 2), "prob_dist must be 1 or 2 dim")
    check(p.dtype in DIGITS, f"multinomial only supports floating-point dtypes for input, got: {_legacy(p.dtype)}")
    check(n > 0, "cannot sample n_sample <= 0 samples")
    check(replacement or n <= p.shape[-1], "cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    check(p.shape[-1] <= 2**24, "number of categories cannot exceed 2^24")
    if p.size == 0:
        return np.empty((*p.shape[:-1], n), I64)
    if replacement and n > 1:
        return _choose_again(p, n, generator)
    check(np.all((p >= 0) & (p < np.inf)), "probability tensor contains either `inf`, `nan` or element < 0")
    check(np.all(p.sum(-1) != 0), "invalid multinomial distribution (sum of probabilities <= 0)")
    with np.errstate(divide="ignore", over="ignore"):
        scores = p / exponential(p.shape, p.dtype, generator)
    if n == 1:
        return scores.argmax(-1)[..., None]
    scores = -scores.astype(DOUBLE if p.dtype == DOUBLE else FLOAT, copy=False)
    best = np.sort(np.argpartition(scores, n - 1, -1)[..., :n], -1)
    return np.take_along_axis(best, np.argsort(np.take_along_axis(scores, best, -1), -1, "stable"), -1)


def _choose_again(p: np.ndarray, n: int, generator: Generator | None) -> np.ndarray:
    check(np.all(p >= 0), "invalid multinomial distribution (encountering probability entry < 0)")
    check(np.all(p < np.inf), "invalid multinomial distribution (encountering probability entry = infinity or NaN)")
    summed = np.add.accumulate(p.astype(DOUBLE if p.dtype == DOUBLE else FLOAT, copy=False), -1)
    check(np.all(summed[..., -1] > 0), "invalid multinomial distribution (sum of probabilities <= 0)")
    summed /= summed[..., -1:].copy()
    summed[..., -1] = 1
    shape = (*p.shape[:-1], n)
    lines = zip(summed.reshape(-1, p.shape[-1]).astype(np.float64), _unit(shape, generator).reshape(-1, n))
    return np.stack([np.searchsorted(line, at) for line, at in lines]).reshape(shape)


# ---- errors


def _legacy(dtype: np.dtype) -> str:
    return LEGACY[BY_NUMPY[dtype]]


def not_implemented(kernel: str, dtype: np.dtype) -> NotImplementedError:
    return NotImplementedError(f"\"{kernel}\" not implemented for '{_legacy(dtype)}'")


def check(holds: Any, message: str) -> None:
    if not holds:
        raise RuntimeError(message)


def _check_kernel(shape: Shape, dtype: np.dtype, kernel: str, refused: bool) -> None:
    """PyTorch looks at the type only when there is something to draw."""
    if refused and math.prod(shape):
        raise not_implemented(kernel, dtype)
