"""The random functions: PyTorch's numbers bit for bit, the generator left in PyTorch's state, gradients of draws, errors."""

import numpy as np
import pytest
import torch as oracle
from both import agree

import chainrule

DRAWS = """
t.rand(3, 4)
t.rand(3, 4, dtype=t.float64)
t.rand(3, 4, dtype=t.cfloat)
t.rand(3, out=t.empty(3, dtype=t.float64))
t.rand(3, generator=t.Generator().manual_seed(3))
t.randn(3, 4)
t.randn(5, 7)
t.randn(5, 7, dtype=t.cdouble)
t.randint(10, (4,))
t.randint(2, 10, (4,), dtype=t.float)
t.randint(high=5, size=(2, 3))
t.randint(low=1, high=5, size=(2, 3))
t.randperm(10)
t.randperm(10, dtype=t.int)
t.rand_like(t.ones(3, 4).T)
t.randn_like(t.ones(3, 4).T)
t.randn_like(t.ones(30, 4).T)
t.randn_like(t.ones(2, 3, 4, 5).permute(0, 2, 3, 1))
t.randint_like(t.ones(3, 4).T, 10)
t.randint_like(t.ones(3, 4), 2, 10, dtype=t.long)
t.normal(0., 2., (3, 4))
t.normal(t.ones(3, 4), 2.)
t.normal(t.ones(3, 4) * 3, t.ones(4) * .3)
t.normal(2, t.ones(3, 14) * .3)
t.bernoulli(t.full((3, 4), .3))
t.bernoulli(t.full((3, 4), .3), .7)
t.bernoulli(t.linspace(0, 1, 4).expand(5, 2, 4))
t.bernoulli(t.linspace(0, 1, 12).view(4, 3).T)
t.multinomial(t.arange(1., 10.), 4)
t.multinomial(t.arange(1., 10.), 40, True)
t.multinomial(t.ones(3, 5), 2)
t.poisson(t.full((20,), 3.5))
t.binomial(t.full((20,), 10.), t.full((20,), .3))
t.empty(3, 4).uniform_(-1, 1)
t.empty(3, 4).T.uniform_(-1, 1)
t.empty(3, 4).uniform_(**{"from": 2, "to": 3})
t.empty(30, 4).T.normal_(1, 2)
t.empty(3, 40)[:, ::2].normal_(1, 2)
t.empty(3, 40)[:, ::2].random_()
t.empty(3, 4).random_(10)
t.empty(3, 4).random_(10, 20)
t.empty(3, 4).long().random_()
t.empty(3, 4).exponential_()
t.empty(3, 4).geometric_(.3)
t.empty(3, 4).cauchy_()
t.empty(3, 4).log_normal_()
t.empty(3, 4).bernoulli_(.3)
t.empty(3, 4).bernoulli_(t.full((4,), .3))
t.empty(3, 4).T.bernoulli_(t.linspace(0, 1, 12).reshape(4, 3))
t.get_rng_state()
"""
LINES = """
t.rand(2, dtype=t.long)
t.rand('a')
t.rand(-1)
t.rand(2, out=t.ones(2, dtype=t.double), dtype=t.float)
t.randint(5, 2, (2,))
t.randint(1.5, (2,))
t.randint(5, (2,), requires_grad=True)
t.randperm(-1)
t.normal(t.ones(2), -1.)
t.normal(t.ones(2), t.ones(2) * -1)
t.normal(t.ones(2, requires_grad=True), t.zeros(2))
t.normal(0, t.zeros(2, requires_grad=True))
t.bernoulli(t.ones(2, requires_grad=True))
t.bernoulli(t.ones(2).long())
t.bernoulli(t.ones(2) * 2)
t.poisson(t.zeros(3, requires_grad=True))
t.poisson(-t.ones(3))
t.ones(3).expand(2, 3).uniform_()
t.ones(3).uniform_(1, 0)
t.ones(3).uniform_(generator=3)
t.ones(3).random_(5, 2)
t.ones(3).normal_(0, -1)
t.ones(3).bernoulli_(1.5)
t.ones(3, requires_grad=True).uniform_()
(t.ones(3, requires_grad=True) * 1).uniform_(2, 2)
(t.ones(3, requires_grad=True) * 1).normal_(2, 0)
(t.ones(3, requires_grad=True) * 1).bernoulli_(1.)
(t.ones(3, requires_grad=True) * 1).random_(1)
(t.ones(3, requires_grad=True) * 1).random_(1, 2)
t.set_rng_state(t.ones(3))
t.multinomial(t.ones(1, 2), 2, out=t.ones(1, 2))
"""


@pytest.mark.parametrize("line", DRAWS.strip().splitlines())
def test_draws_have_the_same_bits(line):
    outcomes = []
    for t in (chainrule, oracle):
        t.manual_seed(5)
        y = eval(line, {"t": t})
        outcomes.append((tuple(y.shape), str(y.dtype), y.stride(), y.numpy().tobytes(), t.rand(1).item()))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_lines_agree(line):
    agree(lambda t: repr(eval(line, {"t": t})))


def test_gradients_of_draws_are_zero():
    for draw in (chainrule.bernoulli, chainrule.poisson, lambda x: chainrule.normal(x, 1.0), lambda x: (x * 1).uniform_()):
        x = chainrule.full((3,), 0.5, requires_grad=True)
        (g,) = chainrule.autograd.grad(draw(x).sum(), x)
        assert g.tolist() == [0, 0, 0]


def test_states_go_between_the_libraries():
    oracle.manual_seed(9)
    oracle.randn(5)
    chainrule.set_rng_state(chainrule.from_numpy(oracle.get_rng_state().numpy()))
    np.testing.assert_array_equal(chainrule.randn(20).numpy(), oracle.randn(20).numpy())


def test_fork_rng():
    chainrule.manual_seed(1)
    with chainrule.random.fork_rng():
        inside = chainrule.rand(2)
    assert chainrule.rand(2).tolist() == inside.tolist()
    assert chainrule.random.initial_seed() == 1 == chainrule.initial_seed()


def test_a_draw_into_a_tensor_counts_as_a_change():
    x = chainrule.ones(3)
    before = x._version
    x.normal_()
    assert x._version == before + 1


def test_the_generator_of_worker_threads():
    agree(lambda t: t.thread_safe_generator())
