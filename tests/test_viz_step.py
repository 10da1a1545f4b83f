"""Backward one node at a time: it leaves what backward leaves, and shows what each node receives and sends."""

import numpy as np
import pytest
import torch
from test_viz import build

import chainrule
from chainrule import viz
from chainrule._core import modes
from chainrule.viz import graph


def test_steps_leave_what_backward_leaves():
    loss, params = build(chainrule)
    for p in params.values():
        p.grad = chainrule.ones_like(p)
    steps = list(viz.step(loss, params=params))
    again, same = build(chainrule)
    for p in same.values():
        p.grad = chainrule.ones_like(p)
    again.backward()
    for name in params:
        assert params[name].grad.tolist() == same[name].grad.tolist()
    theirs, original = build(torch)
    theirs.backward()
    for name in params:
        np.testing.assert_allclose(params[name].grad.numpy() - 1, original[name].grad.numpy(), rtol=1e-5, atol=1e-6)
    assert [s.number for s in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == sum(node.kind == "op" for node in graph(loss).nodes)
    with pytest.raises(RuntimeError, match="second time"):
        list(viz.step(loss))


def test_each_step_runs_one_node():
    w = chainrule.tensor([3.0, 4.0], requires_grad=True)
    bias = chainrule.zeros(2, requires_grad=True)
    loss = ((w * 2).exp() + bias).sum()
    steps = viz.step(loss, params={"w": w, "bias": bias}, retain_graph=True)
    assert repr(next(steps)) == "step 1: SumBackward0\n  receives  one value  norm 1\n  sends     2          norm 1.414  to AddBackward0"
    assert w.grad is None and bias.grad is None
    second = next(steps)
    assert bias.grad.tolist() == [1, 1] and w.grad is None
    assert [(sent.to, sent.gradient.tolist()) for sent in second.sends] == [("ExpBackward0", [1, 1]), ("bias", [1, 1])]
    assert "<td>to bias</td>" in second._repr_html_()
    *_, last = steps
    assert last.node.name() == "MulBackward0" and [g.tolist() for g in last.receives] == [pytest.approx(np.exp([6, 8]))]
    loss.backward()  # the graph was kept
    assert bias.grad.tolist() == [2, 2]


def test_steps_run_hooks_and_keep_gradients():
    def run(walk):
        w = chainrule.tensor([1.0, 2.0], requires_grad=True)
        w.register_hook(lambda g: g * 10)
        log = []
        h = w * w
        h.register_hook(lambda g: g + 1)
        h.retain_grad()
        y = h * 3 + w
        y.grad_fn.register_prehook(lambda gs: tuple([g * 2 for g in gs]))
        y.grad_fn.register_hook(lambda given, got: log.append((len(given), got[0].tolist())))
        w.register_post_accumulate_grad_hook(lambda p: log.append(p.grad.tolist()))
        walk(y.sum())
        return w.grad.tolist(), h.grad.tolist(), log

    assert run(lambda loss: list(viz.step(loss))) == run(lambda loss: loss.backward())


def test_steps_with_a_gradient_and_settings():
    w = chainrule.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        viz.step(w * 2)
    with pytest.raises(RuntimeError, match="does not require grad"):
        viz.step(chainrule.ones(1))
    steps = viz.step((w * 2).neg(), chainrule.tensor([1.0, 2.0, 3.0]))
    busy = modes.state.busy
    next(steps)
    assert modes.state.busy == busy and chainrule.is_grad_enabled()  # between steps all is as ever
    list(steps)
    assert w.grad.tolist() == [-2, -4, -6]
    v = (w * 1.0).exp()
    loss = v.sum()
    v.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        list(viz.step(loss))
    assert modes.state.busy == busy
