"""`SobolEngine`, bit for bit as PyTorch's."""

import numpy as np
import pytest
import torch as oracle
from both import agree

import chainrule


def drawn(torch, dimension, scramble, seed, dtype):
    torch.manual_seed(2)
    engine = torch.quasirandom.SobolEngine(dimension, scramble, seed)
    kind = getattr(torch, dtype)
    points = [engine.draw(dtype=kind), engine.draw(5, dtype=kind), engine.fast_forward(3).draw(4, dtype=kind)]
    points += [engine.draw(1000, dtype=kind), engine.reset().draw(7, dtype=kind), engine.reset().draw_base2(4, dtype=kind)]
    points += [engine.reset().fast_forward(5).draw(2, dtype=kind)]
    return [*points, torch.rand(2)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scramble, seed", [(False, None), (True, None), (True, 5)])
@pytest.mark.parametrize("dimension", [1, 3, 60])
def test_points_have_the_same_bits(dimension, scramble, seed, dtype):
    for mine, theirs in zip(*[drawn(lib, dimension, scramble, seed, dtype) for lib in (chainrule, oracle)], strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_the_rest_agrees():
    agree(lambda t: t.quasirandom.SobolEngine(0))
    agree(lambda t: t.quasirandom.SobolEngine(21202))
    agree(lambda t: repr(t.quasirandom.SobolEngine(2, True, 4)) + repr(t.quasirandom.SobolEngine(3)))
    agree(lambda t: t.quasirandom.SobolEngine(2).fast_forward(3).draw_base2(2))
    agree(lambda t: t.quasirandom.SobolEngine(2).draw(3, dtype=t.float16))
    agree(lambda t: t.quasirandom.SobolEngine(2).draw(3, out=t.empty(0)))
