"""Kernels that take a helper in without the interpreter: results, whoever helps, in any number of threads, after a fork."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from chainrule.kernels import compiled, desk, elementwise, handover_numba, reductions, rows

UFUNCS = {f.__name__: f for f in (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum)}


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(compiled.pool, "threads", 2)
    monkeypatch.setattr(compiled.pool.desk, "patience", 0)
    return compiled.pool.desk


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def helped(place, call, seconds=30):
    """Call until a helper has taken a call from the desk."""
    before, end = place.words[desk.TAKEN], time.monotonic() + seconds
    while place.words[desk.TAKEN] == before and time.monotonic() < end:
        call()
    return place.words[desk.TAKEN] > before


CALLS = {
    "formula of one": lambda a, b: elementwise.compiled("sigmoid", a),
    "formula of two": lambda a, b: elementwise.combined("lerp", a, b, 0.3),
    "softmax": lambda a, b: rows.softmax(a),
    "logsumexp": lambda a, b: rows.logsumexp(a),
    "largest": lambda a, b: reductions.extremum(a, (1,), False, 1),
    "product": lambda a, b: reductions.product(a, (1,), False),
    "running sum": lambda a, b: reductions.scan(a, 1),
    "sum": lambda a, b: reductions.sums(a, None, False),
    "reversed": lambda a, b: reductions.reversed_rows(a),
    "joined": lambda a, b: reductions.concatenate([a, b, a], 1),
    "rows": lambda a, b: reductions.rows_at(a, np.arange(280)[::-1].copy()),
    "ufunc": lambda a, b: elementwise.spread("multiply", np.multiply, a, b),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_helper_changes_no_result(call, two_threads, monkeypatch):
    a, b = drawn(300, 171), drawn(300, 171, seed=1)
    monkeypatch.setattr(compiled.pool, "threads", 1)
    expected = call(a, b)
    monkeypatch.setattr(compiled.pool, "threads", 2)
    wrong = []
    assert helped(two_threads, lambda: wrong.extend([1] * (not np.array_equal(call(a, b), expected))))
    assert not wrong


@pytest.mark.parametrize("name", UFUNCS)
def test_ufuncs_as_numpy_has_them(name, two_threads):
    a, b = drawn(1 << 16), drawn(1 << 16, seed=1)
    a[:6], b[:6] = [np.nan, 1, np.inf, -np.inf, 0, 3], [1, np.nan, np.inf, 2, 0, 3]
    with np.errstate(all="ignore"):
        assert np.array_equal(elementwise.spread(name, UFUNCS[name], a, b), UFUNCS[name](a, b), equal_nan=True)


def test_a_late_helper_leaves_the_arrays_alone():
    place = desk.Desk()
    formulas = elementwise.room()
    x, y = drawn(1 << 16), np.zeros(1 << 16, np.float32)
    place.words[desk.STATE] = desk.READY  # nobody looks, though
    formulas.apply(formulas.FORMULAS["relu"], x, y, 0.0, 0.0, place.turns)
    assert place.words[desk.STATE] == desk.POSTED
    assert np.array_equal(y, np.maximum(x, 0))
    y[:] = 7
    assert handover_numba.prepare(place.turns)
    helper = threading.Thread(target=handover_numba.attend, args=(place.turns, 10))
    helper.start()
    while place.words[desk.STATE] in (desk.POSTED, desk.WORKING):
        time.sleep(0.001)
    handover_numba.call_away(place.turns)
    helper.join()
    assert place.words[desk.TAKEN] == 1
    assert (y == 7).all()


def test_a_helper_sleeps_and_wakes():
    place = desk.Desk()
    assert handover_numba.prepare(place.turns)
    place.words[desk.STATE] = desk.READY
    helper = threading.Thread(target=handover_numba.attend, args=(place.turns, 10))
    helper.start()
    for _ in range(3):
        while place.words[desk.STATE] != desk.ASLEEP:
            time.sleep(0.001)
        handover_numba.wake(place.turns)
    handover_numba.call_away(place.turns)
    helper.join()


def test_many_python_threads_at_once(two_threads):
    arrays = [drawn(256, 256, seed=i) for i in range(4)]
    expected = [np.exp(a.astype(np.float64)) / np.exp(a.astype(np.float64)).sum(1, keepdims=True) for a in arrays]
    wrong = []

    def work(i):
        for _ in range(200):
            if not np.allclose(rows.softmax(arrays[i]), expected[i], rtol=1e-4, atol=1e-7):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(arrays))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_helpers_are_sent_elsewhere_and_come_back(two_threads):
    a = drawn(256, 256)
    assert helped(two_threads, lambda: rows.softmax(a))
    done = []
    compiled.pool.call(done.append, 1, helpers=1)
    end = time.monotonic() + 30
    while not done and time.monotonic() < end:
        time.sleep(0.001)
    assert done
    assert helped(two_threads, lambda: rows.softmax(a))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_after_a_fork():
    program = """
import os, numpy as np
from chainrule.kernels import compiled, desk, rows
compiled.pool.threads = 2
x = np.ones((256, 256), "f")
for _ in range(100):
    rows.softmax(x)
child = os.fork()
if not child:
    assert compiled.pool.desk.words[desk.STATE] == desk.CALLED
    for _ in range(100):
        y = rows.softmax(x)
    os._exit(0 if abs(y - 1 / 256).max() < 1e-6 else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_rooms_are_loaded_by_several_threads_at_once():
    program = """
import threading, chainrule as torch
x = torch.ones(300, 300)
wrong = []
def first(f):
    try:
        f()
    except BaseException as error:
        wrong.append(error)
        raise
calls = [lambda: x.softmax(1), lambda: x.sigmoid(), lambda: torch.cumsum(x, 1), lambda: torch.nn.functional.layer_norm(x, (300,))]
threads = [threading.Thread(target=first, args=(f,)) for f in calls]
for t in threads:
    t.start()
for t in threads:
    t.join()
raise SystemExit(len(wrong))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0
