"""What the graph keeps alive, and for how long; deep graphs."""

import gc
import sys
import weakref

import numpy as np
import pytest

import chainrule as torch


@pytest.fixture(autouse=True)
def no_collector():
    """References alone must free everything."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_graph_goes_with_its_last_tensor():
    x = torch.ones(3, requires_grad=True)
    h = x * 2
    y = (h.exp() * h).sum()
    refs = [weakref.ref(y.grad_fn), weakref.ref(h), weakref.ref(h.grad_fn)]
    del h
    y.backward()
    del y
    assert all(r() is None for r in refs)


def test_create_graph_leaves_no_cycle_in_grad():
    x = torch.ones(3, requires_grad=True)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    ref = weakref.ref(g)
    del g
    assert ref() is None


def test_backward_frees_what_was_saved():
    x = torch.ones(1000, requires_grad=True)
    h = x.exp()
    array = weakref.ref(h._data)
    y = h.sum()
    del h
    assert array() is not None
    y.backward()
    assert array() is None


def test_mul_saves_only_what_it_needs():
    x, w = torch.ones(3), torch.ones(3, requires_grad=True)
    before = sys.getrefcount(w._data), sys.getrefcount(x._data)
    y = w * 2 * x
    after = sys.getrefcount(w._data), sys.getrefcount(x._data)
    assert y.requires_grad and after == (before[0], before[1] + 1)  # w's values are not needed, x's are


def test_a_large_reshaped_gradient_is_lent_until_it_grows():
    x, g = torch.ones(200, 100, requires_grad=True), torch.full((20000,), 2.0)
    x.reshape(-1).backward(g)
    assert x.grad.data_ptr() == g.data_ptr()  # as in PyTorch
    grad = x.grad
    x.reshape(-1).backward(g)
    assert x.grad is grad and grad.data_ptr() != g.data_ptr()
    assert (grad == 4).all() and (g == 2).all()
    x.reshape(-1).backward(g)
    assert (grad == 6).all() and (g == 2).all()


def test_parts_of_a_large_gradient_are_lent():
    x, y, g = torch.ones(20000, requires_grad=True), torch.ones(20000, requires_grad=True), torch.full((2, 20000), 2.0)
    for n in (1, 2, 3):
        torch.stack([x, y]).backward(g)
        assert (x.grad.data_ptr() == g.data_ptr()) is (n == 1)
        assert (x.grad == 2 * n).all() and (y.grad == 2 * n).all() and (g == 2).all()


def test_a_small_part_keeps_no_large_gradient_alive():
    x, y = torch.ones(20000, requires_grad=True), torch.ones(200000, requires_grad=True)
    g = torch.ones(220000)
    array = weakref.ref(g._data)
    torch.cat([x, y]).backward(g)
    y.grad = None
    del g
    assert array() is None


def test_two_leaves_grow_from_one_lent_gradient():
    x, y, g = torch.ones(200, 100, requires_grad=True), torch.ones(20000, requires_grad=True), torch.full((20000,), 2.0)
    for n in (1, 2):
        (x.reshape(-1) + y.reshape(20000) + x.view(20000) * 3).backward(g)
        assert (x.grad == 8 * n).all() and (y.grad == 2 * n).all() and (g == 2).all()


def test_leaf_gradient_is_not_shared():
    a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    (a + b).backward(torch.ones(3))
    a.grad.add_(1)
    assert b.grad.tolist() == [1, 1, 1]


def test_given_gradient_is_not_taken():
    x, g = torch.ones(3, requires_grad=True), torch.ones(3)
    (x + 0).backward(g)
    x.grad.zero_()
    assert g.tolist() == [1, 1, 1]


@pytest.mark.parametrize("n", [10**5, 10**6])
def test_deep_graph(n):
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(n):
        y = y + 1
    y.backward(torch.ones(1))
    assert x.grad.item() == 1
    ref = weakref.ref(y.grad_fn)
    del y
    assert ref() is None


def test_accumulation_is_in_place():
    x = torch.ones(3, requires_grad=True)
    x.sum().backward()
    g = x.grad
    (x * 2).sum().backward()
    assert x.grad is g and np.array_equal(g.numpy(), [3, 3, 3])
