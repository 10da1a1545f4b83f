"""How a kernel is stated in Numba, and the few things that Numba lacks: counters that threads share, and BLAS with strides.

Only the rooms `kernels/*_numba.py` import this one; see `kernels/compiled.py` for the threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import scipy.linalg.cython_blas  # noqa: F401  the library that the products below are looked up in
from llvmlite import ir
from numba import njit, types
from numba.core import event
from numba.extending import intrinsic

from chainrule.kernels.compiled import LINE

STATED: list[tuple[Any, tuple[str, ...]]] = []  # every kernel with the types that are worth compiling ahead
FAST = {"contract", "reassoc", "nsz", "arcp"}  # sums may be taken in another order; NaN and infinities stay what they are


def kernel(*signatures: str, fast: Any = FAST) -> Callable[[Callable], Any]:
    """Compile a function, without the GIL and kept on disk, at its first call; `signatures` are what the warm-up compiles.

    Where no folder can be written to, it is compiled in each process.
    """

    def state(function: Callable) -> Any:
        options = {"nogil": True, "error_model": "numpy", "fastmath": fast}
        try:
            compiled = njit(cache=True, **options)(function)
        except RuntimeError:  # "cannot cache function": neither beside the source nor in the user's folder
            compiled = njit(**options)(function)
        STATED.append((compiled, signatures))
        return compiled

    return state


inner = njit(inline="never", error_model="numpy", fastmath=FAST)  # a part of kernels
inlined = njit(inline="always", error_model="numpy", fastmath=FAST)  # a small part, of loops that become vector instructions


class Notice(event.Listener):
    """Says, once, why the first call takes long."""

    said = False

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if not Notice.said and module.startswith("chainrule.") and "chainrule.warmup" not in sys.modules:
            Notice.said = True
            print("chainrule: compiling kernels, once (`python -m chainrule.warmup` compiles all)", file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", Notice())


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
        from numba.core import cgutils

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

_gemm = types.ExternalFunction(
    "numba_xxgemm",
    types.int32(
        types.char, types.char, types.char, types.intp, types.intp, types.intp, types.voidptr, types.voidptr, types.intp, types.voidptr,
        types.intp, types.voidptr, types.voidptr, types.intp,
    ),
)  # fmt: skip
