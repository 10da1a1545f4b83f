"""How a running kernel takes a helper in without the interpreter: to wake a thread takes longer than to add 65,536 numbers.

A helper that has nothing more to do waits at the desk (`desk.Desk`): for a moment it looks there all the time, then it sleeps.
`invite(turns)`, a kernel's first line, leaves at the desk what the kernel was called with; a helper that finds that calls the same
kernel, whose pieces the two share as they would have otherwise. A helper may come when all is done and the arrays are gone: a kernel
that invites must not look at elements before its first claim.
"""

from __future__ import annotations

import os
import platform
import re

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.compile_numba import STATED, _fetch_add as fetch_add, _pause as let_others_run, inlined, kernel
from chainrule.kernels.desk import ASLEEP, CALLED, COUNTERS, GIVEN, JOB, LINE, POSTED, READY, SEMAPHORE, STATE, TAKEN, WORKING

LONG, SHORT, BYTES = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
CALL = ir.FunctionType(ir.VoidType(), [BYTES])  # what a helper calls, with the address of the arguments
FILLING = -1  # the state while a kernel leaves its arguments
OWNERS = re.compile(r"arg\.\w+\.[01]")  # what counts the references of an array argument: a helper gets its elements alone
PAUSES = {"x86_64": ("llvm.x86.sse2.pause", ()), "AMD64": ("llvm.x86.sse2.pause", ()), "aarch64": ("llvm.aarch64.hint", (SHORT(1),))}


def _word(context, builder, signature, args, place):  # type: ignore[no-untyped-def]
    return builder.gep(context.make_array(signature.args[0])(context, builder, args[0]).data, [LONG(place)])


def _swap(builder, word, old, new):  # type: ignore[no-untyped-def]
    return builder.extract_value(builder.cmpxchg(word, LONG(old), LONG(new), "seq_cst", "seq_cst"), 1)


def _repeat(builder, held):  # type: ignore[no-untyped-def]
    """A function that makes the call being compiled again, with arguments that lie at an address."""
    function = builder.function
    again = ir.Function(builder.module, CALL, function.name + ".again")
    again.linkage = "internal"
    inside = ir.IRBuilder(again.append_basic_block())
    given = inside.load(inside.bitcast(again.args[0], held.as_pointer()))
    results = [inside.alloca(a.type.pointee) for a in function.args[:2]]  # the value and the exception, which nobody looks at
    inside.call(function, [*results, *[inside.extract_value(given, i) for i in range(len(held.elements))]], attrs=("noinline",))
    inside.ret_void()
    return again


@intrinsic
def invite(context, turns):  # type: ignore[no-untyped-def]
    """Leave this call at the desk, if these are its turns and a helper looks there; whether it is the helper who calls."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        given = builder.function.args[2:]
        held = ir.LiteralStructType([a.type for a in given])
        assert GIVEN + context.get_abi_sizeof(held) // 8 < 2 * COUNTERS
        again = _repeat(builder, held)
        at_desk = builder.icmp_signed(">", context.make_array(signature.args[0])(context, builder, args[0]).nitems, LONG(COUNTERS))
        helping = cgutils.alloca_once_value(builder, ir.IntType(1)(0))
        with builder.if_then(at_desk):
            state = _word(context, builder, signature, args, STATE)
            seen = builder.cmpxchg(state, LONG(READY), LONG(FILLING), "seq_cst", "seq_cst")
            builder.store(builder.icmp_signed("==", builder.extract_value(seen, 0), LONG(WORKING)), helping)
            with builder.if_then(builder.extract_value(seen, 1)):
                builder.store(builder.ptrtoint(again, LONG), _word(context, builder, signature, args, JOB))
                block = builder.bitcast(_word(context, builder, signature, args, GIVEN), held.as_pointer())
                for i, a in enumerate(given):
                    value = a.type(None) if OWNERS.fullmatch(a.name) else a
                    builder.store(value, builder.gep(block, [SHORT(0), SHORT(i)]))
                _swap(builder, state, FILLING, POSTED)  # unless the helper was called away in the meantime
        return builder.load(helping)

    return types.boolean(turns), build


@inlined
def take(turns, helping, pieces):
    """The next of so many pieces of work, `pieces` if there is none: the first that are left, a helper the last.

    So each finds in its own core's cache what it had there in the call before.
    """
    if fetch_add(turns, 0, 1) >= pieces:
        return pieces
    return pieces - 1 - fetch_add(turns, 3 * LINE, 1) if helping else fetch_add(turns, 2 * LINE, 1)


@intrinsic
def _take(context, turns):  # type: ignore[no-untyped-def]
    """Make the call that lies at the desk, if one does; whether it did."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        state = _word(context, builder, signature, args, STATE)
        taken = _swap(builder, state, POSTED, WORKING)
        with builder.if_then(taken):
            job = builder.inttoptr(builder.load(_word(context, builder, signature, args, JOB)), CALL.as_pointer())
            builder.call(job, [builder.bitcast(_word(context, builder, signature, args, GIVEN), BYTES)])
            _swap(builder, state, WORKING, READY)
        return taken

    return types.boolean(turns), build


@intrinsic
def _state(context, turns):  # type: ignore[no-untyped-def]
    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.load_atomic(_word(context, builder, signature, args, STATE), "seq_cst", 8)

    return types.int64(turns), build


@intrinsic
def _change(context, turns, old, new):  # type: ignore[no-untyped-def]
    """Change the state, if it is `old`; whether it was."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        word = _word(context, builder, signature, args, STATE)
        return builder.extract_value(builder.cmpxchg(word, args[1], args[2], "seq_cst", "seq_cst"), 1)

    return types.boolean(turns, types.int64, types.int64), build


@intrinsic
def _exchange(context, turns, new):  # type: ignore[no-untyped-def]
    """Change the state, whatever it was; what it was."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.atomic_rmw("xchg", _word(context, builder, signature, args, STATE), args[1], "seq_cst")

    return types.int64(turns, types.int64), build


@intrinsic
def _rest(context):  # type: ignore[no-untyped-def]
    """A moment's rest, for the other half of the core."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        name, given = PAUSES.get(platform.machine(), (None, ()))
        if name:
            function = ir.FunctionType(ir.VoidType(), [a.type for a in given])
            builder.call(cgutils.get_or_insert_function(builder.module, function, name), given)
        return context.get_dummy_value()

    return types.void(), build


def _of_semaphore(name, *settings):  # type: ignore[no-untyped-def]
    """The C library's function of the desk's semaphore; not 0 if it failed, or where there is none."""

    @intrinsic
    def call(context, turns):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
            if os.name == "nt":
                return SHORT(1)
            function = ir.FunctionType(SHORT, [BYTES] + [SHORT] * len(settings))
            symbol = cgutils.get_or_insert_function(builder.module, function, name)
            semaphore = builder.bitcast(_word(context, builder, signature, args, SEMAPHORE), BYTES)
            return builder.call(symbol, [semaphore, *map(SHORT, settings)])

        return types.int32(turns), build

    return call


_prepare, _sleep, _signal = _of_semaphore("sem_init", 0, 0), _of_semaphore("sem_wait"), _of_semaphore("sem_post")


@kernel("(i8[::1], i8)")
def attend(turns, looks):
    """Take calls from the desk until wanted elsewhere; sleep after every so many looks that found none (False: there is no way to)."""
    left = looks
    while True:
        state = _state(turns)
        if state == POSTED:
            if _take(turns):
                turns[TAKEN] += 1
                left = looks
        elif state == CALLED:
            return True
        elif left > 0:
            left -= 1
            _rest()
            if left % 256 == 0:
                let_others_run()
        elif _change(turns, READY, ASLEEP):
            if _sleep(turns):
                return False
            left = looks


@kernel("(i8[::1],)")
def prepare(turns):
    """Whether helpers can sleep at the desk."""
    return _prepare(turns) == 0


@kernel("(i8[::1],)")
def wake(turns):
    """Have the helper look again, if it sleeps."""
    if _change(turns, ASLEEP, READY):
        _signal(turns)


@kernel("(i8[::1],)")
def call_away(turns):
    """Have the helper leave the desk."""
    if _exchange(turns, CALLED) == ASLEEP:
        _signal(turns)


def load() -> None:
    """Compile, or find, what this room has for Python: not in the helper's thread, which the end of the process would stop."""
    for function, signatures in STATED:
        if function in (attend, prepare, wake, call_away):
            function.compile(signatures[0])
