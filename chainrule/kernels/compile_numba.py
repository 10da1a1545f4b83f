"""How a kernel is stated in Numba, and the few things that Numba lacks: counters that threads share, and BLAS with strides.

Only the rooms `kernels/*_numba.py` import this one; see `kernels/compiled.py` for the threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path
from typing import Any

import scipy.linalg.cython_blas  # noqa: F401  the library that the products below are looked up in
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils, event
from numba.extending import intrinsic
from numba.misc.appdirs import AppDirs

from chainrule.kernels.desk import LINE

STATED: list[tuple[Any, tuple[str, ...]]] = []  # every kernel with the types that are worth compiling ahead
# What kernels in other files are made of
SHARED = ("compile_numba.py", "compile_vectors_numba.py", "conv_planes_numba.py", "handover_numba.py", "desk.py")


def cache() -> str:
    """The folder for compiled code, in the user's cache or NUMBA_CACHE_DIR; another one when what kernels share has changed."""
    stamps = [(p.stat().st_mtime, p.stat().st_size) for p in map(Path(__file__).with_name, SHARED)]
    root = config.CACHE_DIR or AppDirs("chainrule", appauthor=False).user_cache_dir
    return str(Path(root) / f"kernels-{sha1(repr(stamps).encode()).hexdigest()[:12]}")


CACHE = cache()
FAST = {"contract", "reassoc", "nsz", "arcp"}  # sums may be taken in another order; NaN and infinities stay what they are


def kernel(*signatures: str, fast: Any = FAST) -> Callable[[Callable], Any]:
    """Compile a function, without the GIL and kept on disk, at its first call; `signatures` are what the warm-up compiles."""

    def state(function: Callable) -> Any:
        options = {"nogil": True, "error_model": "numpy", "fastmath": fast, "no_cfunc_wrapper": True}
        before, config.CACHE_DIR = config.CACHE_DIR, CACHE
        try:
            compiled = njit(cache=True, **options)(function)
        except RuntimeError:  # "cannot cache function": there is nowhere to write
            compiled = njit(**options)(function)
        finally:
            config.CACHE_DIR = before
        STATED.append((compiled, signatures))
        return compiled

    return state


_part = {"error_model": "numpy", "fastmath": FAST, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(inline="never", **_part)  # a part of kernels, which Python does not call
inlined = njit(forceinline=True, **_part)  # a small part


class Notice(event.Listener):
    """Says, once, why the first call takes long."""

    said = False

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if not Notice.said and module.startswith("chainrule."):
            Notice.said = True
            print("chainrule: compiling kernels, once (`python -m chainrule.warmup` compiles all)", file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", Notice())


# ---- elements by their flat place, without the check for negative indices that keeps loops from becoming vector instructions


@intrinsic
def peek(context, array, place):  # type: ignore[no-untyped-def]
    """array.flat[place], for a contiguous array."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), build


@intrinsic
def poke(context, array, place, value):  # type: ignore[no-untyped-def]
    """array.flat[place] = value, for a contiguous array."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), build


# ---- counters


@intrinsic
def _fetch_add(context, turns, place, value):  # type: ignore[no-untyped-def]
    """turns[place] += value, for all threads at once; what was there before."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.gep(array.data, [args[1]])
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")

    return types.int64(turns, types.int64, types.int64), build


@intrinsic
def _pause(context):  # type: ignore[no-untyped-def]
    """Let others run for a moment."""
    name = "SwitchToThread" if os.name == "nt" else "sched_yield"

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        function = ir.FunctionType(ir.IntType(32), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, name), [])

    return types.int32(), build


@njit(inline="always")
def claim(turns, phase):  # type: ignore[no-untyped-def]
    """The next piece of work of a phase, counted from 0, that no other thread has."""
    return _fetch_add(turns, 2 * LINE * phase, 1)


@njit(inline="always")
def finish(turns, phase):  # type: ignore[no-untyped-def]
    """Say that a claimed piece is done."""
    _fetch_add(turns, 2 * LINE * phase + LINE, 1)


@njit
def wait(turns, phase, count):  # type: ignore[no-untyped-def]
    """Until all `count` pieces of a phase are done."""
    tries = 0
    while _fetch_add(turns, 2 * LINE * phase + LINE, 0) < count:
        tries += 1
        if tries > 64:
            _pause()


# ---- products


@intrinsic
def gemm(context, flip_a, flip_b, m, n, k, a, at_a, step_a, b, at_b, step_b, add, c, at_c, step_c):  # type: ignore[no-untyped-def]
    """c (m, n) = a (m, k) @ b (k, n), or c += if `add`.

    Matrices are given by any array, the flat place of the first element, and the step from one row to the next; with `flip_a` it is
    a's transpose (k, m) that lies there, with `flip_b` b's.
    """
    whole, boolean = types.intp, types.boolean
    kind = {types.float32: "s", types.float64: "d"}[a.dtype]

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        flip_a, flip_b, m, n, k, a, at_a, step_a, b, at_b, step_b, add, c, at_c, step_c = args
        number, byte, size = context.get_value_type(signature.args[5].dtype), ir.IntType(8), context.get_value_type(whole)

        def place(at, array, offset):  # type: ignore[no-untyped-def]
            return builder.gep(context.make_array(signature.args[at])(context, builder, array).data, [offset])

        def scalar(value):  # type: ignore[no-untyped-def]
            return cgutils.alloca_once_value(builder, value)

        def letter(flip):  # type: ignore[no-untyped-def]
            return builder.select(cgutils.is_true(builder, flip), byte(ord("t")), byte(ord("n")))

        one, zero = number(1.0), number(0.0)
        beta = builder.select(cgutils.is_true(builder, add), one, zero)
        pointer = number.as_pointer()
        function = ir.FunctionType(
            ir.IntType(32), [byte, byte, byte, size, size, size, pointer, pointer, size, pointer, size, pointer, pointer, size]
        )
        call = cgutils.get_or_insert_function(builder.module, function, "numba_xxgemm")
        # BLAS goes by columns, so it is asked for the transpose: b's first.
        builder.call(call, [
            byte(ord(kind)), letter(flip_b), letter(flip_a), n, m, k, scalar(one), place(8, b, at_b), step_b, place(5, a, at_a), step_a,
            scalar(beta), place(12, c, at_c), step_c,
        ])  # fmt: skip
        return context.get_dummy_value()

    return types.void(boolean, boolean, whole, whole, whole, a, whole, whole, b, whole, whole, boolean, c, whole, whole), build


SMALL = 1_000_000  # OpenBLAS multiplies without copying its arguments first, up to so many multiplications


@inner
def product(flip_a, m, n, k, a, at_a, step_a, b, at_b, step_b, add, c, at_c, step_c):  # type: ignore[no-untyped-def]
    """`gemm`, b as it lies, in pieces that are small enough for that."""
    deep, tall = min(k, 640), min(m, 64)
    wide = min(n, max(16, SMALL // (deep * tall) // 16 * 16))
    for h in range(0, k, deep):
        for i in range(0, m, tall):
            for j in range(0, n, wide):
                gemm(
                    flip_a, False, min(tall, m - i), min(wide, n - j), min(deep, k - h), a,
                    at_a + (h * step_a + i if flip_a else i * step_a + h), step_a, b, at_b + h * step_b + j, step_b, add or h > 0, c,
                    at_c + i * step_c + j, step_c,
                )  # fmt: skip
