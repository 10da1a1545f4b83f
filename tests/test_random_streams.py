"""The random streams are PyTorch's, bit for bit, by NumPy and by the compiled twins alike; so are the states and the errors."""

import copy
import math
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from chainrule._core import dtypes, generator as G
from chainrule.kernels import random as R, random_exact as exact, random_rejection as J

SEEDS = (0, 1, 42, 2**31, 2**63 - 1, -5)
SIZES = (0, 1, 2, 5, 15, 16, 17, 31, 32, 100, 1000)
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
NUMPY = {getattr(torch, d.name): d.numpy for d in dtypes.ALL}


def on(carrier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.kernels import random_numba

    monkeypatch.setattr(exact, "LOADING", math.inf)
    monkeypatch.setattr(exact, "_twins", random_numba if carrier == "compiled" else None)


@pytest.fixture(params=["numpy", "compiled"])
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    on(request.param, monkeypatch)
    return request.param


class Pair:
    """One stream in PyTorch and one here, which must stay the same."""

    def __init__(self, seed: int) -> None:
        self.theirs, self.ours = torch.Generator().manual_seed(seed), G.Generator().manual_seed(seed)

    def same(self, theirs: torch.Tensor, ours: np.ndarray, label: object) -> None:
        assert tuple(theirs.shape) == ours.shape and NUMPY[theirs.dtype] == ours.dtype, label
        assert ours.flags.c_contiguous and ours.flags.writeable, label
        expected = theirs.contiguous().reshape(-1).view(torch.uint8).numpy() if theirs.numel() else np.empty(0, np.uint8)
        np.testing.assert_array_equal(ours.reshape(-1).view(np.uint8), expected, err_msg=str(label))
        np.testing.assert_array_equal(self.ours.get_state(), self.theirs.get_state().numpy(), err_msg=str(label))

    def draw(self, name: str, dtype: torch.dtype, shape: tuple[int, ...], *args: Any) -> None:
        """Fill a tensor by the method `name_` and draw the same here."""
        ours, method = METHODS[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = getattr(torch.empty(shape, dtype=dtype), method)(*args, generator=self.theirs)
            self.same(theirs, ours(shape, NUMPY[dtype], self.ours, *args), (name, dtype, shape, args))


METHODS: dict[str, tuple[Callable, str]] = {
    "uniform": (R.uniform, "uniform_"),
    "normal": (R.normal, "normal_"),
    "exponential": (R.exponential, "exponential_"),
    "cauchy": (R.cauchy, "cauchy_"),
    "log_normal": (R.log_normal, "log_normal_"),
    "geometric": (R.geometric, "geometric_"),
    "bernoulli": (R.bernoulli, "bernoulli_"),
    "randint": (R.randint, "random_"),
    "random": (R.random, "random_"),
}
COMPLEX = (torch.complex64, torch.complex128)
DRAWS: list[tuple[str, tuple, tuple]] = [
    ("uniform", (*FLOATS, *COMPLEX), ((), (-0.3, 0.3), (0.0, 5.7), (-1.2, 7.7), (100.0, 101.0), (1000.0, 1000.25), (3.0, 3.0), (-7, 0))),
    ("normal", (*FLOATS, *COMPLEX), ((), (0.0, 0.02), (1.0, 1.0), (1.3, 2.7), (5.0, 0.0), (1e3, 1e-3), (0, 1e30))),
    ("exponential", FLOATS, ((), (0.37,), (3,), (math.inf,), (1e-320,))),
    ("cauchy", FLOATS, ((), (1.3, 2.7))),
    ("log_normal", FLOATS, ((), (0.0, 1.0), (0.3, 0.25), (1000.0, 1.0))),
    ("geometric", (*FLOATS, *INTEGERS), ((0.5,), (0.03,), (1e-4,))),
    ("bernoulli", (*FLOATS, *INTEGERS, torch.bool), ((), (0.03,), (0,), (1,), (0.9,))),
    ("random", (*FLOATS, *INTEGERS, torch.bool), ((),)),
    ("randint", (*FLOATS, *INTEGERS, torch.bool, torch.uint16, torch.uint32, torch.uint64), ((0, 2),)),
    ("randint", (*FLOATS, *INTEGERS[:3]), ((-5, 17), (-3000, -1000), (0, 5000), (-3000, -2049), (3, 4))),
    ("randint", (*FLOATS[:2], torch.bfloat16, torch.int64), ((0, 2**28), (0, 2**28 - 1), (-7, 2**40))),
    ("randint", (*FLOATS[:2], torch.bfloat16, torch.int64), ((-(2**63), 2**63 - 1), (-(2**63), None))),
    ("randint", (*FLOATS, *INTEGERS, torch.bool), ((0, None), (1, None))),
    ("randint", FLOATS, ((2**15, 2**15 + 300), (-(2**15) - 300, -(2**15) + 300))),
    ("randint", FLOATS[:3], ((5000, 5001), (4097, 5000))),
    ("randint", FLOATS[:2], ((2**24 + 1, 2**24 + 2), (-(2**62), -5))),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name, kinds, arguments", DRAWS, ids=[f"{name}{i}" for i, (name, *_) in enumerate(DRAWS)])
def test_draws(carrier: str, name: str, kinds: tuple, arguments: tuple, seed: int) -> None:
    pair = Pair(seed)
    for size in SIZES:
        for dtype in kinds:
            for args in arguments:
                pair.draw(name, dtype, (size,), *args)


def test_long_draws(carrier: str) -> None:
    pair = Pair(3)
    for shape in ((10001,), (3, 41, 127), (40000,)):
        for name, kinds, arguments in DRAWS:
            for args in arguments[:4]:
                pair.draw(name, kinds[0], shape, *args)
        pair.draw("normal", torch.float64, shape, 1.3, 2.7)
        pair.draw("normal", torch.bfloat16, shape)


def test_shapes(carrier: str) -> None:
    pair = Pair(3)
    for shape in ((), (1, 1), (2, 0, 3), (4, 5), (2, 3, 7)):
        for name in ("uniform", "normal", "exponential", "log_normal", "bernoulli", "random"):
            pair.draw(name, torch.float32, shape)
        pair.draw("normal", torch.complex64, shape)
        pair.draw("randint", torch.int64, shape, 0, 10)


@pytest.mark.parametrize("seed", SEEDS)
def test_interleaved(carrier: str, seed: int) -> None:
    """The kept normal lives through everything but a new seed, and blocks do not touch it."""
    pair = Pair(seed)
    plan = [("normal", 5), ("normal", 3), ("uniform", 2), ("normal", 20), ("normal", 1), ("log_normal", 2), ("normal", 7), ("normal", 16)]
    for dtype in (torch.float32, torch.float64, torch.float16):
        for name, size in plan:
            pair.draw(name, dtype, (size,))
        pair.same(torch.randperm(11, generator=pair.theirs), R.randperm(11, NUMPY[torch.int64], pair.ours), "randperm")
    pair.draw("normal", torch.float32, (1,))
    pair.theirs.manual_seed(7)
    pair.ours.manual_seed(7)
    pair.draw("normal", torch.float32, (3,))


@pytest.mark.parametrize("seed", SEEDS)
def test_randperm(carrier: str, seed: int) -> None:
    pair = Pair(seed)
    for n in (0, 1, 2, 3, 17, 100, 127, 625, 1000, 5000):
        for dtype in (torch.int64, torch.int32, torch.int16, torch.float32, torch.float64, torch.bfloat16):
            pair.same(torch.randperm(n, dtype=dtype, generator=pair.theirs), R.randperm(n, NUMPY[dtype], pair.ours), (n, dtype))


def test_huge_permutations_are_made_inside_out() -> None:
    """PyTorch goes this way from 214748364 on; the twin is checked against the loop as it is told."""
    from chainrule.kernels import random_numba

    for n in (0, 1, 2, 700, 2000):
        words = R.words64(G.Generator().manual_seed(1), n).tolist()
        order = [0] * n
        for i, word in enumerate(words):
            j = word % (i + 1)
            order[i] = order[j]
            order[j] = i
        random_numba.shuffle_inside_out(G.Generator().manual_seed(1).mt, out := np.empty(n, np.int64))
        assert out.tolist() == order


@pytest.mark.parametrize("seed", SEEDS)
def test_bernoulli_of_an_array(carrier: str, seed: int) -> None:
    pair = Pair(seed)
    for size in SIZES:
        for p_kind in FLOATS:
            p = torch.rand(size, generator=pair.theirs).to(p_kind)
            own = R.uniform((size,), NUMPY[torch.float32], pair.ours).astype(NUMPY[p_kind])
            for dtype in (p_kind, torch.bool, torch.int64):
                theirs = torch.empty(size, dtype=dtype).bernoulli_(p, generator=pair.theirs)
                pair.same(theirs, R.bernoulli((size,), NUMPY[dtype], pair.ours, own), (size, p_kind, dtype))
    p = torch.tensor([[0.2], [0.9]])
    theirs = torch.empty(2, 3).bernoulli_(p, generator=pair.theirs)
    pair.same(theirs, R.bernoulli((2, 3), p.numpy().dtype, pair.ours, p.numpy()), "broadcast")


@pytest.mark.parametrize("seed", SEEDS)
def test_multinomial(carrier: str, seed: int) -> None:
    pair = Pair(seed)
    for size in (1, 2, 17, 300):
        for dtype in (torch.float32, torch.float64):
            p = torch.rand(3, size, dtype=dtype, generator=pair.theirs)
            own = R.uniform((3, size), NUMPY[dtype], pair.ours)
            for n, again in ((1, False), (min(size, 5), False), (size, False), (1, True), (2, True), (700, True)):
                for a, b in ((p, own), (p[1], own[1])):
                    theirs = torch.multinomial(a, n, again, generator=pair.theirs)
                    pair.same(theirs, R.multinomial(b, n, again, pair.ours), (size, dtype, n))
    half = torch.rand(40, generator=pair.theirs).half()
    R.uniform((40,), NUMPY[torch.float32], pair.ours)
    for n, again in ((1, False), (9, True)):
        pair.same(torch.multinomial(half, n, again, generator=pair.theirs), R.multinomial(half.numpy(), n, again, pair.ours), "half")
    none = torch.tensor([0.0, 3.0, 0.0, 1.0, 0.0])
    pair.same(torch.multinomial(none, 50, True, generator=pair.theirs), R.multinomial(none.numpy(), 50, True, pair.ours), "zeros")
    assert R.multinomial(np.empty((0, 3)), 2).shape == (0, 2)


@pytest.mark.parametrize("scale", [1, 8, 30, 400])
@pytest.mark.parametrize("seed", SEEDS)
def test_rejection(carrier: str, seed: int, scale: int) -> None:
    pair = Pair(seed)
    for size in (0, 1, 3, 18, 300):
        for dtype in FLOATS:
            rate = torch.rand(size, generator=pair.theirs).to(dtype) * scale
            R.uniform((size,), NUMPY[torch.float32], pair.ours)
            pair.same(torch.poisson(rate, generator=pair.theirs), J.poisson(to_numpy(rate), pair.ours), ("poisson", size, dtype))
        for dtype in FLOATS[:2]:
            rate, p = torch.rand(2, size, dtype=dtype, generator=pair.theirs) * torch.tensor([[scale], [1.2]], dtype=dtype)
            R.uniform((2, size), NUMPY[dtype], pair.ours)
            for alpha in (rate, rate / 10):  # an odd number of normals may be kept on the way
                theirs = torch._standard_gamma(alpha, generator=pair.theirs)
                pair.same(theirs, J.standard_gamma(alpha.numpy(), pair.ours), ("gamma", size, dtype))
                pair.draw("normal", dtype, (1,))
            count, p = (4 * rate).round(), p - 0.1
            theirs = torch.binomial(count, p, generator=pair.theirs)
            pair.same(theirs, J.binomial(count.numpy(), p.numpy(), pair.ours), ("binomial", size, dtype))
            if size % 3 == 0 and size:
                alpha = rate.reshape(-1, 3)
                theirs = torch._sample_dirichlet(alpha, generator=pair.theirs)
                pair.same(theirs, J.dirichlet(alpha.numpy(), pair.ours), ("dirichlet", size, dtype))


def test_rejection_at_the_edges(carrier: str) -> None:
    pair = Pair(2)
    for alpha in (torch.tensor([0.0, 1.0, -1.0, 1e-3, 1e6]), torch.tensor([math.nan, 2.0]), torch.full((), 3.0)):
        pair.same(torch._standard_gamma(alpha, generator=pair.theirs), J.standard_gamma(alpha.numpy(), pair.ours), alpha)
    count, p = torch.tensor([0.0, 5.0, 5.0, 5.0, -2.0, 1e5, 3.5]), torch.tensor([0.5, 0.0, 1.0, math.nan, 0.5, 0.99, 0.7])
    pair.same(torch.binomial(count, p, generator=pair.theirs), J.binomial(count.numpy(), p.numpy(), pair.ours), "binomial")
    rate = torch.tensor([0.0, 1e-9, 9.999, 10.0, 1e9])
    pair.same(torch.poisson(rate, generator=pair.theirs), J.poisson(rate.numpy(), pair.ours), "poisson")


def test_more_rejections_than_numbers_drawn_at_once(carrier: str) -> None:
    pair, rate = Pair(4), torch.full((9000,), 9.5)
    pair.same(torch.poisson(rate, generator=pair.theirs), J.poisson(rate.numpy(), pair.ours), "poisson")
    pair.draw("uniform", torch.float32, (5,))


def to_numpy(t: torch.Tensor) -> np.ndarray:
    return t.float().numpy().astype(NUMPY[t.dtype])


# ---- the arithmetic


def test_both_carriers_make_the_same_normals_of_every_radius_and_angle(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 2**24 uniform numbers as radii, and all as angles: this is what lets float32 be fused by way of float64."""
    for start in range(0, 2**24, 2**21):
        every = (np.arange(start, start + 2**21) * 2.0**-24).astype(np.float32).reshape(-1, 1, 8)
        made = []
        for kind in ("numpy", "compiled"):
            on(kind, monkeypatch)
            exact.box_muller32(values := np.concatenate((every, every), 1).reshape(-1), 0.0, 1.0)
            made.append(values.view(np.int32))
        np.testing.assert_array_equal(*made)


numbers = st.floats(-1e6, 1e6).map(lambda x: x * 2.0 ** -(int(x * 1e6) % 60))


@given(st.lists(numbers, min_size=1, max_size=8), numbers, numbers)
def test_fused_sums_round_once(xs: list[float], a: float, b: float) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for kind in ("numpy", "compiled"):
            on(kind, monkeypatch)
            wide = exact.fma(np.array(xs), a, b)
            assert wide.tolist() == [float(Fraction(x) * Fraction(a) + Fraction(b)) for x in xs]
            narrow = np.array(xs, np.float32)
            held = exact.fma(narrow, np.float32(a), np.float32(b))
            for x, y in zip(narrow, held):
                assert y == nearest32(Fraction(float(x)) * Fraction(float(np.float32(a))) + Fraction(float(np.float32(b))))


def nearest32(x: Fraction) -> np.float32:
    about = np.float32(float(x))
    near = (np.nextafter(about, np.float32(-np.inf)), about, np.nextafter(about, np.float32(np.inf)))
    return min(near, key=lambda y: (abs(Fraction(float(y)) - x), int(y.view(np.int32)) & 1))


def test_a_sum_that_rounding_twice_gets_wrong(carrier: str) -> None:
    """x * a + b lies just below the middle of two float32; float64 puts it in the middle, and the even neighbour is the wrong one."""
    x, a, b = 1 + 2.0**-20, 2.0**-24 * (1 - 2.0**-20), 1 + 2.0**-23
    for sign in (1, -1):
        narrow = np.array([sign * x, 0.0], np.float32)
        assert exact.fma(narrow, np.float32(a), np.float32(sign * b)).tolist() == [sign * b, sign * b]
        assert np.float32(sign * x * a + sign * b) != sign * b


def test_the_c_library_functions_keep_their_infinities(carrier: str) -> None:
    assert exact.libm("exp", np.array([1000.0, -1000.0])).tolist() == [math.inf, 0.0]
    assert exact.libm("log", np.array([0.0, 1.0])).tolist() == [-math.inf, 0.0]


def test_the_twins_are_loaded_once_they_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_twins", None)
    monkeypatch.setattr(exact, "_missed", 0.0)
    monkeypatch.setattr(exact, "LOADING", 1000.0 if "chainrule.kernels.compile_numba" in sys.modules else 100.0)
    assert exact.compiled(60) is None
    twins = exact.compiled(60)
    assert twins is not None and exact.compiled(0) is twins


# ---- generators and their states


@pytest.fixture
def default_kept() -> Iterator[None]:
    state = G.default_generator.get_state()
    yield
    G.default_generator.set_state(state)


@pytest.mark.parametrize("seed", [*SEEDS, -(2**63), 2**64 - 1, 2**32 + 7])
def test_states_are_interchangeable(seed: int) -> None:
    for drawn in (0, 1, 5, 623, 624, 625, 2000):
        pair = Pair(seed)
        assert pair.ours.initial_seed() == pair.theirs.initial_seed()
        torch.rand(drawn, generator=pair.theirs)
        pair.ours.raw(drawn)
        if drawn % 2:
            pair.draw("normal", torch.float32, (3,))
        state = pair.theirs.get_state()
        np.testing.assert_array_equal(pair.ours.get_state(), state.numpy())
        there, here = torch.Generator(), G.Generator()
        there.set_state(torch.from_numpy(pair.ours.get_state()))
        here.set_state(state.numpy())
        again = Pair(0)
        again.theirs, again.ours = there, here
        for _ in range(2):
            again.draw("normal", torch.float64, (3,))
            again.draw("uniform", torch.float32, (700,))
        assert here.initial_seed() == there.initial_seed()


def test_copies_continue_alone() -> None:
    mine = G.Generator().manual_seed(5)
    R.normal((3,), NUMPY[torch.float32], mine)
    others = [mine.clone_state(), copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))]
    expected = R.normal((3,), NUMPY[torch.float32], mine)
    for other in others:
        assert other is not mine and other.device == mine.device and other.initial_seed() == 5
        np.testing.assert_array_equal(R.normal((3,), NUMPY[torch.float32], other), expected)


def test_the_default_generator(default_kept: None) -> None:
    assert G.manual_seed(42) is G.default_generator and G.initial_seed() == 42
    assert (R.uniform((3,), NUMPY[torch.float32]) == torch.rand(3, generator=torch.Generator().manual_seed(42)).numpy()).all()
    for seed in (True, 1.9, np.int64(3), "12", torch.tensor(4)):
        G.manual_seed(seed)
        assert G.initial_seed() == int(seed)
    assert G.seed() == G.initial_seed() and G.seed() != G.seed()
    assert G.Generator().initial_seed() == torch.Generator().initial_seed()
    assert str(G.Generator().device) == "cpu" == str(G.Generator("cpu").device)


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 1.5, "a", None, True, np.int64(3)])
def test_seeds_that_are_refused(seed: Any) -> None:
    same_error((torch.Generator().manual_seed, seed), (G.Generator().manual_seed, seed))


@pytest.mark.parametrize("size, kind", [(5056, np.uint8), (5048, np.uint8), (0, np.uint8), (5056, np.float32)])
def test_states_that_are_refused(size: int, kind: type) -> None:
    state = np.zeros(size, kind)
    same_error((torch.Generator().set_state, torch.from_numpy(state)), (G.Generator().set_state, state))


def test_what_a_cpu_generator_has_not() -> None:
    theirs, ours = torch.Generator(), G.Generator()
    for name, *args in (("set_state", 3), ("get_offset",), ("set_offset", 1), ("graphsafe_get_state",)):
        same_error((getattr(theirs, name), *args), (getattr(ours, name), *args))
    with pytest.raises(RuntimeError, match="device type 'cuda'"):
        G.Generator("cuda")
    with pytest.raises(AttributeError, match="has no attribute 'sead'"):
        ours.sead  # noqa: B018


def test_threads_share_a_stream_without_tearing_it() -> None:
    mine, drawn = G.Generator().manual_seed(1), []

    def draw() -> None:
        drawn.extend(R.uniform((64,), NUMPY[torch.float64], mine) for _ in range(50))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = R.uniform((200, 64), NUMPY[torch.float64], G.Generator().manual_seed(1))
    assert {row.tobytes() for row in drawn} == {row.tobytes() for row in whole}


# ---- errors and warnings


def same_error(theirs: tuple, ours: tuple) -> None:
    """Two calls, each a function and its arguments, raise the same type with the same text."""
    raised = []
    for call, *args in (theirs, ours):
        with pytest.raises(Exception) as error:
            call(*args)
        raised.append((error.type, str(error.value)))
    assert raised[0] == raised[1]


f32, f16, bf16, c64 = torch.float32, torch.float16, torch.bfloat16, torch.complex64
flag, i8, i16, i32, i64 = torch.bool, torch.int8, torch.int16, torch.int32, torch.int64
u8, u16, u64 = torch.uint8, torch.uint16, torch.uint64
REFUSED: dict[str, tuple] = {
    "uniform": (
        (f32, 2, 1), (f32, math.nan, 1), (f32, 0, 1e39), (f32, 0, math.inf), (f32, -3e38, 3e38), (f16, 0, 1e5), (f16, -4e4, 4e4),
        (bf16, 0, 1e39), (i32, 0, 1), (flag,), (c64, 2, 1),
    ),
    "normal": ((f32, 0, -1), (f32, 0, math.nan), (i32,), (flag,), (c64, 0, -1)),
    "exponential": ((f32, 0), (f32, -1), (f32, math.nan), (i32,), (c64,)),
    "geometric": ((f32, 0), (f32, 1), (flag, 0.5), (u16, 0.5), (c64, 0.5)),
    "log_normal": ((f32, 0, 0), (i32,), (c64,)),
    "cauchy": ((f32, 0, 0), (i32,), (c64,), (u16,)),
    "bernoulli": ((f32, 2), (f32, math.nan), (f32, -0.1), (c64,), (u16,)),
    "random": ((u16,), (torch.uint32,), (u64,), (c64,)),
    "randint": (
        (i64, 0, 0), (i64, 5, 3), (i64, 7, 7), (u8, 0, 300), (u8, -1, 3), (i8, 0, 129), (i8, -129, 0), (i32, 0, 2**40), (i16, 0, 40000),
        (u16, 0, 70000), (u64, -4, 5), (u64, 0, None), (flag, 0, 3), (c64, 0, 2), (f32, 2**25, None), (f16, 0, 70000), (f16, -70000, 3),
        (bf16, 5000, 5001), (f16, 4097, 4099),
        *((kind, -(2**63), None) for kind in (i32, flag, f16, u16, c64)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name, dtype, args", [(name, dtype, args) for name, rows in REFUSED.items() for dtype, *args in rows])
def test_errors(name: str, dtype: torch.dtype, args: list) -> None:
    ours, method = METHODS[name]
    for size in (3, 0):  # some are found out only when there is something to draw
        calls = (getattr(torch.empty(size, dtype=dtype), method), *args), (ours, (size,), NUMPY[dtype], None, *args)
        try:
            calls[0][0](*args)
        except Exception:
            same_error(*calls)
        else:
            assert size == 0
            assert calls[1][0](*calls[1][1:]).shape == (0,)


def test_errors_of_choices() -> None:
    for p, n, again in (
        ([1.0, 2.0], 3, False), ([1.0, -2.0], 1, False), ([1.0, -2.0], 3, True), ([0.0, 0.0], 1, False), ([0.0, 0.0], 3, True),
        ([1, 2], 1, False), ([1.0], 0, False), ([1.0, math.nan], 3, True), ([1.0, math.inf], 3, True), ([1.0, math.inf], 1, False),
        ([1.0, math.nan], 1, True), (1.0, 1, False), ([[[1.0]]], 1, False), ([], 1, False),
    ):  # fmt: skip
        same_error((torch.multinomial, torch.tensor(p), n, again), (R.multinomial, np.array(p), n, again))
    same_error((torch.multinomial, torch.ones(2**24 + 1), 1), (R.multinomial, np.ones(2**24 + 1, np.float32), 1))
    for p in ([0.5, 2.0], [0.5, math.nan], [1, 0], [True]):
        same_error((torch.bernoulli, torch.tensor(p)), (R.bernoulli, (len(p),), np.array(p).dtype, None, np.array(p)))
    for rate in ([-1.0], [math.nan], [1], [1j]):
        same_error((torch.poisson, torch.tensor(rate)), (J.poisson, np.array(rate, NUMPY[torch.tensor(rate).dtype])))
    for kind in (torch.int64, torch.float16):
        ones = torch.ones(1, dtype=kind)
        same_error((torch._standard_gamma, ones), (J.standard_gamma, ones.numpy()))
        same_error((torch._sample_dirichlet, ones), (J.dirichlet, ones.numpy()))


PERMUTATIONS = (
    (-1, torch.int64), (300, torch.uint8), (257, torch.uint8), (130, torch.int8), (40000, torch.int16), (2050, torch.float16),
    (2**24 + 2, torch.float32), (3, torch.bool), (0, torch.bool), (3, torch.complex64), (3, torch.uint16), (2**31 + 5, torch.int32),
)  # fmt: skip


@pytest.mark.parametrize("n, kind", PERMUTATIONS)
def test_errors_of_permutations(n: int, kind: torch.dtype) -> None:
    same_error((lambda: torch.randperm(n, dtype=kind),), (R.randperm, n, NUMPY[kind]))


@pytest.mark.parametrize("n, kind", [(256, torch.uint8), (128, torch.int8), (2049, torch.float16), (32768, torch.int16)])
def test_the_longest_permutations(carrier: str, n: int, kind: torch.dtype) -> None:
    pair = Pair(0)
    pair.same(torch.randperm(n, dtype=kind, generator=pair.theirs), R.randperm(n, NUMPY[kind], pair.ours), kind)


CAUTIONED = [(f32, 0, 2**26), (f16, 0, 5000), (f16, -3000, -2049), (torch.float64, -(2**54), 2**60), (bf16, 0, 1000)]


@pytest.mark.parametrize("dtype, low, high", CAUTIONED)
def test_warnings_of_integers_that_floats_cannot_hold(dtype: torch.dtype, low: int, high: int) -> None:
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        torch.empty(3, dtype=dtype).random_(low, high)
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        R.randint((3,), NUMPY[dtype], None, low, high)
        R.randint((3,), NUMPY[dtype], None, low, high)
    texts = [(w.category, str(w.message).split(" (Triggered internally")[0]) for w in theirs]
    assert [(w.category, str(w.message)) for w in ours] == texts * 2
