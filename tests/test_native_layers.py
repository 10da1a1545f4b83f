"""Layers as `torch` itself names them, against PyTorch."""

import numpy as np
import pytest
from both import agree

import chainrule


def array(torch, *shape, seed=0):
    made = np.random.RandomState(seed).randn(*shape)
    return torch.tensor(made.tolist(), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name, gates", [("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)])
def test_recurrent(name, gates, bias, both, packed):
    def program(torch):
        directions, params = 1 + both, []
        for layer in range(2):
            for _ in range(directions):
                width = 3 if layer == 0 else 2 * directions
                shapes = [(2 * gates, width), (2 * gates, 2)] + [(2 * gates,)] * 2 * bias
                params += [array(torch, *shape, seed=len(params) + i) for i, shape in enumerate(shapes)]
        states = tuple([array(torch, 2 * directions, 2, 2, seed=50 + i) for i in range(1 + (name == "lstm"))])
        hx = states if name == "lstm" else states[0]
        settings = params, bias, 2, 0.0, False, both
        if packed:
            x = array(torch, 5, 3)
            results = getattr(torch, name)(x, torch.tensor([2, 2, 1]), hx, *settings)
        else:
            x = array(torch, 2, 4, 3)
            results = getattr(torch, name)(x, hx, *settings, True)
        return results, torch.autograd.grad(sum(r.square().sum() for r in results), [x, *states, *params])

    agree(program)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolution(dims, transposed):
    def program(torch):
        x, w, b = array(torch, 2, 4, *[5] * dims), array(torch, 4, 2, *[2] * dims), array(torch, 4)
        y = torch.convolution(x, w, b, [2] * dims, [1] * dims, [1] * dims, transposed, [int(transposed)] * dims, 2)
        return y, torch.autograd.grad(y.square().sum(), [x, w, b])

    agree(program)


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("train", [False, True])
def test_feature_dropout(train, p):
    def program(torch):
        torch.manual_seed(3)
        x = array(torch, 3, 20, 2)
        y = torch.feature_dropout(x, p, train)
        z = x.detach().clone()
        assert torch.feature_dropout_(z, p, train) is z
        return y, z, torch.autograd.grad(y.sum(), x), torch.rand(1)

    agree(program)


def test_others():
    agree(lambda torch: torch.max_pool1d_with_indices(array(torch, 2, 3, 7), 2))
    agree(lambda torch: torch.rrelu_(array(torch, 7).detach()))
    agree(lambda torch: torch.embedding_renorm_(array(torch, 7, 3).detach(), torch.tensor([1, 4]), 0.5, 2.0))
    agree(lambda torch: torch.feature_dropout(torch.ones(3), 0.5, True))
    with pytest.raises(TypeError):
        chainrule.gru(chainrule.ones(1), chainrule.ones(1), chainrule.ones(1))
