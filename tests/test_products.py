"""Products of large matrices by the threads of compiled kernels, and what they leave to NumPy."""

import os

import numpy as np
import pytest

import chainrule
from chainrule.kernels import products, rows
from chainrule.kernels.desk import Desk


@pytest.fixture(autouse=True)
def two_threads():
    before = chainrule.get_num_threads()
    chainrule.set_num_threads(2)
    rows.softmax(np.zeros((300, 300), np.float32))  # from the first kernel on
    assert Desk.room is not None
    yield
    chainrule.set_num_threads(before)


def drawn(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def laid(kind, *shape, dtype=np.float32):
    """Matrices that lie straight, transposed, or with gaps."""
    if kind == "transposed":
        return drawn(*shape[:-2], shape[-1], shape[-2], dtype=dtype).mT
    return drawn(*shape[:-1], 2 * shape[-1], dtype=dtype)[..., : shape[-1]] if kind == "gaps" else drawn(*shape, dtype=dtype)


def close(got, want):
    assert got.dtype == want.dtype and got.shape == want.shape and got.flags.c_contiguous
    np.testing.assert_allclose(got, want, rtol=1e-4 if got.dtype == np.float32 else 1e-11, atol=2e-4 if got.dtype == np.float32 else 1e-11)


KINDS = ["straight", "transposed", "gaps"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize(("m", "k", "n"), [(1100, 70, 83), (61, 300, 515), (130, 1030, 129)])
def test_products_and_biases(m, k, n, first, second, dtype):
    a, b, bias = laid(first, m, k, dtype=dtype), laid(second, k, n, dtype=dtype), drawn(n, dtype=dtype)
    assert products.shareable(a, b) is not None
    close(products.product(a, b), np.dot(a, b))
    close(products.product(a, b, bias), np.dot(a, b) + bias)


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize(("m", "k", "n"), [(70, 33, 65), (130, 260, 20), (2, 900, 500)])
def test_products_of_batches(m, k, n, first, second):
    a, b = laid(first, 4, 7, m, k), laid(second, 4, 7, k, n)
    assert products.shareable(a, b) is not None
    close(products.products(a, b), np.matmul(a, b))
    heads, others = laid(first, 7, 4, m, k).swapaxes(0, 1)[:, ::-1], np.broadcast_to(b[:, :1], (4, 7, k, n))
    close(products.products(heads, others), np.matmul(heads, others))


def test_what_is_left_to_numpy():
    a, b = drawn(400, 300), drawn(300, 200)
    for other in (b.astype(np.float64), b[::-1], b[:, ::-1], drawn(300, 600)[:, ::3], drawn(300, 1)):
        assert products.shareable(a, other) is None
        np.testing.assert_allclose(products.product(a, other), a @ other, rtol=1e-4, atol=1e-4)
    many, one = drawn(9, 60, 300), drawn(1, 300, 200)
    close(products.products(many, one), many @ one)
    chainrule.set_num_threads(1)
    assert products.shareable(a, b) is None


def test_what_is_not_a_number_stays_where_it_was():
    a, b = drawn(600, 128), drawn(128, 256)
    a[5, 3], b[7, 9] = np.nan, np.inf
    got = products.product(a, b)
    assert np.isnan(got[5]).all() and not np.isfinite(got[:, 9]).any() and np.isfinite(np.delete(np.delete(got, 5, 0), 9, 1)).all()


def test_products_repeat_to_the_bit():
    a, b = drawn(600, 500), drawn(500, 400)
    first = products.product(a, b)
    assert all((products.product(a, b) == first).all() for _ in range(5))


def test_threads_of_blas_rest_when_kernels_have_their_own():
    products.product(drawn(600, 500), drawn(500, 400))
    assert os.environ["OPENBLAS_THREAD_TIMEOUT"]
