"""Linear algebra: values, errors, and both orders of derivatives, as PyTorch's."""

import numpy as np
import pytest
import torch as oracle
from both import agree

import chainrule

LINES = """
t.linalg.inv(t.ones(3))
t.linalg.inv(t.ones(2, 3))
t.linalg.inv(t.ones(3, 3).long())
t.linalg.inv(t.ones(3, 3).half())
t.linalg.inv(t.ones(3, 3))
t.linalg.inv(t.ones(2, 3, 3))
t.linalg.inv_ex(t.ones(3, 3)).info
t.linalg.inv_ex(t.ones(3, 3), check_errors=True)
t.linalg.inv(t.eye(2) * 4)
t.linalg.det(t.eye(3, requires_grad=True) * 2)
t.linalg.slogdet(t.eye(3, requires_grad=True) * -2)
t.logdet(-t.eye(3))
t.slogdet(t.eye(3) * -2)
t.lu(t.eye(3), get_infos=True)
t.linalg.solve(t.ones(3, 3), t.ones(3))
t.linalg.solve(t.eye(3), t.ones(4))
t.linalg.solve(t.eye(3), t.ones(2, 4))
t.linalg.solve(t.eye(3), t.ones(3).double())
t.linalg.solve(t.eye(3), t.ones(3, 4), left=False)
t.linalg.solve_ex(t.ones(3, 3), t.ones(3)).info
t.linalg.cholesky(t.ones(3, 3))
t.linalg.cholesky(t.ones(2, 3, 3))
t.linalg.cholesky_ex(t.ones(3, 3))
t.linalg.cholesky(t.tensor([[4., 2.], [2., 2.]]))
t.linalg.qr(t.ones(3, 2), mode='foo')
t.linalg.qr(t.ones(3, 2, requires_grad=True), mode='r').R.sum().backward()
t.linalg.qr(t.ones(3, 2, requires_grad=True), mode='complete').R.sum().backward()
t.linalg.eigh(t.ones(3, 3), UPLO='x')
t.linalg.eig(t.tensor([[float('nan')]]))
t.linalg.svd(t.tensor([[float('nan')]]))
t.linalg.svd(t.diag(t.tensor([3., 2.]))).S
t.linalg.lu_factor(t.ones(3, 3))
t.linalg.lu_factor(t.ones(3, 3), pivot=False)
t.linalg.lu_factor_ex(t.ones(3, 3))
t.linalg.lu(t.tensor([[1., 2.], [4., 2.]]))
t.linalg.ldl_factor(t.tensor([[4., 2.], [2., 3.]]))
t.linalg.matrix_exp(t.zeros(2, 2, requires_grad=True))
t.linalg.matrix_rank(t.ones(3, 3))
t.linalg.lstsq(t.eye(3)[:, :2], t.ones(3, 2), driver='gelsd')
t.linalg.lstsq(t.eye(3)[:, :2], t.ones(3, 2), driver='gels')
t.linalg.lstsq(t.eye(3)[:, :2], t.ones(3, 2), driver='foo')
t.linalg.lstsq(t.ones(2, 4), t.ones(3, 2))
t.linalg.norm(t.ones(3), ord='fro')
t.linalg.norm(t.ones(3, 3, 3), ord=2)
t.linalg.norm(t.ones(3, 3).long())
t.linalg.norm(t.ones(3, 3), ord=2, dim=0)
t.linalg.vector_norm(t.ones(0), float('inf'))
t.linalg.vector_norm(t.ones(3), ord='fro')
t.linalg.matrix_norm(t.ones(3, 3), ord=3)
t.linalg.matrix_norm(t.ones(3, 3), ord='foo')
t.linalg.matrix_norm(t.ones(3), ord=1)
t.linalg.matrix_norm(t.ones(2, 3, 4), 1, (0, 2), True)
t.linalg.cond(t.ones(3, 2), p='fro')
t.linalg.cond(t.ones(3, 3), p=3)
t.linalg.multi_dot([t.ones(3, 3)])
t.linalg.multi_dot([t.ones(3), t.ones(3, 3), t.ones(3)])
t.linalg.multi_dot([t.ones(3), t.ones(2, 3)])
t.linalg.tensorinv(t.ones(2, 3, 6))
t.linalg.tensorinv(t.ones(2, 3, 6), ind=0)
t.linalg.householder_product(t.ones(2, 3), t.ones(2))
t.linalg.solve_triangular(t.ones(3, 3), t.ones(3), upper=True)
t.linalg.solve_triangular(t.zeros(2, 2), t.ones(2, 1), upper=True)
t.linalg.vander(t.ones(3), N=1)
t.linalg.vander(t.arange(3), N=4)
t.linalg.vecdot(t.ones(2, 3), t.ones(3))
t.linalg.matrix_power(t.ones(3, 3), -1)
t.linalg.matrix_power(t.ones(3, 3).long(), 3)
t.cholesky(t.eye(2))
t.qr(t.eye(2))
t.svd(t.eye(2))
t.lu(t.eye(2))
t.triangular_solve(t.ones(2, 1), t.eye(2))
t.lu_solve(t.ones(2, 1), t.eye(2), t.tensor([1, 2]).int())
t.nuclear_norm(t.ones(2, 2))
(t.eye(2) * 2).inverse()
t.linalg.cross(t.ones(2, 3), t.ones(3))
"""


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_lines_agree(line):
    agree(lambda t: repr(eval(line, {"t": t})))


INPUT = (
    "cholesky cholesky_ex cond eig eigh eigvals eigvalsh ldl_factor matrix_exp matrix_norm matrix_rank norm pinv tensorinv vector_norm svd "
    "qr det inv"
)


@pytest.mark.parametrize("word", ["input", "A", "x"])
@pytest.mark.parametrize("name", INPUT.split())
def test_the_first_argument_by_name(name, word):
    """PyTorch's documentation calls it A, its functions mostly input."""

    def accepted(t):
        try:
            getattr(t.linalg, name)(**{word: t.eye(3).reshape(3, 3, 1) if name == "tensorinv" else t.eye(3)})
        except (TypeError, RuntimeError) as error:
            return not isinstance(error, TypeError)
        return True

    assert accepted(chainrule) is accepted(oracle)


def matrix(t, shape, kind, seed):
    values = np.random.default_rng(seed).standard_normal((2, *shape))
    array = values[0] + 1j * values[1] if kind.startswith("complex") else values[0]
    return t.from_numpy(np.asarray(array)).to(getattr(t, kind)).requires_grad_()


def symmetric(a):
    return a + a.mH


def positive(t, a):
    return a @ a.mH + t.eye(a.shape[-1], dtype=a.dtype)


def scaled(t, x):
    """Columns by unequal weights, so that nothing cancels."""
    return x * t.arange(1, x.shape[-1] + 1)


# Functions of a square matrix whose results do not depend on free signs or phases.
SQUARE = {
    "inv": lambda t, a: t.linalg.inv(a),
    "det": lambda t, a: t.linalg.det(a),
    "slogdet": lambda t, a: t.linalg.slogdet(a)[1],
    "phase": lambda t, a: t.linalg.slogdet(a)[0] * t.linalg.slogdet(a)[1],
    "solve": lambda t, a: t.linalg.solve(a, scaled(t, a)),
    "solve vector": lambda t, a: t.linalg.solve(a, a[..., 0] * 2),
    "solve right": lambda t, a: t.linalg.solve(a, scaled(t, a), left=False),
    "triangular": lambda t, a: t.linalg.solve_triangular(a, scaled(t, a), upper=True),
    "triangular right": lambda t, a: t.linalg.solve_triangular(a, a, upper=False, left=False, unitriangular=True),
    "cholesky": lambda t, a: t.linalg.cholesky(positive(t, a)),
    "cholesky upper": lambda t, a: t.linalg.cholesky(positive(t, a), upper=True),
    "cholesky_solve": lambda t, a: t.cholesky_solve(a, t.linalg.cholesky(positive(t, a))),
    "cholesky_inverse": lambda t, a: t.cholesky_inverse(t.linalg.cholesky(positive(t, a))),
    "eigvalsh": lambda t, a: t.linalg.eigvalsh(symmetric(a)),
    "eigh": lambda t, a: scaled(t, t.linalg.eigh(symmetric(a))[1]).abs(),
    "eigvals": lambda t, a: scaled(t, t.linalg.eigvals(a)).abs().sum(-1) ** 2,
    "eig": lambda t, a: t.linalg.eig(a)[1].abs().sum((-2, -1)),
    "lu": lambda t, a: t.linalg.lu(a)[1] + t.linalg.lu(a)[2],
    "lu_solve": lambda t, a: t.linalg.lu_solve(*t.linalg.lu_factor(a), scaled(t, a)),
    "lu_solve adjoint": lambda t, a: t.linalg.lu_solve(*t.linalg.lu_factor(a), scaled(t, a), left=False, adjoint=True),
    "matrix_exp": lambda t, a: t.linalg.matrix_exp(a),
    "matrix_power": lambda t, a: t.linalg.matrix_power(a, 5) + t.linalg.matrix_power(a, -2),
    "cond": lambda t, a: t.linalg.cond(a) + t.linalg.cond(a, -2),
    "pinv hermitian": lambda t, a: t.linalg.pinv(symmetric(a), hermitian=True),
    "householder": lambda t, a: t.linalg.householder_product(a, a[..., 0] / 5),
}
# ... and of any matrix.
ANY = {
    "qr": lambda t, a: t.linalg.qr(a)[0] * 2 + scaled(t, t.linalg.qr(a)[0]),
    "qr r": lambda t, a: scaled(t, t.linalg.qr(a)[1]),
    "svdvals": lambda t, a: scaled(t, t.linalg.svdvals(a)),
    "svd": lambda t, a: scaled(t, t.linalg.svd(a, full_matrices=False)[0].abs() ** 2),
    "svd vh": lambda t, a: scaled(t, t.linalg.svd(a, full_matrices=False)[2].abs()),
    "pinv": lambda t, a: t.linalg.pinv(a),
    "lstsq": lambda t, a: t.linalg.lstsq(a, scaled(t, a)[..., :2])[0],
    "nuclear": lambda t, a: t.linalg.matrix_norm(a, "nuc") + t.linalg.matrix_norm(a, 2) - t.linalg.matrix_norm(a, -2),
    "norms": lambda t, a: t.linalg.matrix_norm(a, 1) + t.linalg.matrix_norm(a, float("-inf")) + t.linalg.norm(a, 3, 0).sum(),
    "lu_factor": lambda t, a: scaled(t, t.linalg.lu_factor(a)[0]),
    "multi_dot": lambda t, a: t.linalg.multi_dot([a, a.mT, a]) if a.ndim == 2 else a @ a.mT @ a,
    "vecdot": lambda t, a: t.linalg.vecdot(a, scaled(t, a)),
}


def derivatives(t, function, a):
    y = function(t, a)
    weights = t.arange(1, y.numel() + 1).reshape(y.shape) / 7.0
    (first,) = t.autograd.grad(y, a, weights.to(y.dtype), create_graph=True)
    total = (first * first.conj()).real.sum()
    second = t.autograd.grad(total, a, allow_unused=True)[0] if total.requires_grad else None
    return [y, first, t.zeros_like(a) if second is None else second]


def check(function, shape, kind):
    ours, theirs = (derivatives(t, function, matrix(t, shape, kind, 5)) for t in (chainrule, oracle))
    for name, a, b in zip(("value", "gradient", "second derivative"), ours, theirs, strict=True):
        assert tuple(a.shape) == tuple(b.shape) and str(a.dtype) == str(b.dtype), name
        expected = b.detach().resolve_conj().resolve_neg().numpy()
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(a.detach().numpy(), expected, rtol=1e-7, atol=1e-9 * scale, err_msg=name)


@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
@pytest.mark.parametrize("name", SQUARE)
def test_square(name, shape, kind):
    check(SQUARE[name], shape, kind)


@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4), (2, 2, 3)])
@pytest.mark.parametrize("name", ANY)
def test_any(name, shape, kind):
    check(ANY[name], shape, kind)


def test_determinants_of_singular_matrices_have_gradients():
    def gradient(t, a):
        a = t.tensor(a, dtype=t.float64, requires_grad=True)
        return t.autograd.grad(t.linalg.det(a), a)[0]

    rank_two = [[1.0, 2, 3], [4, 5, 6], [5, 7, 9]]
    np.testing.assert_allclose(gradient(chainrule, rank_two).numpy(), [[3, -6, 3], [3, -6, 3], [-3, 6, -3]], atol=1e-12)
    assert not gradient(chainrule, [[1.0, 1, 1]] * 3).numpy().round(12).any()


def test_equal_singular_values_do_no_harm_to_norms():
    a = chainrule.eye(3, dtype=chainrule.float64, requires_grad=True)
    (g,) = chainrule.autograd.grad(chainrule.linalg.matrix_norm(a, "nuc"), a)
    np.testing.assert_allclose(g.numpy(), np.eye(3))
    (g,) = chainrule.autograd.grad(chainrule.linalg.eigvalsh(a).sum(), a)
    np.testing.assert_allclose(g.numpy(), np.eye(3))


@pytest.mark.parametrize("kind", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(("batch", "n"), [((), 4), ((2,), 4), ((20,), 4), ((3, 5), 2)])
def test_one_by_one_and_all_at_once_agree(kind, batch, n):
    """Small batches go to LAPACK one matrix at a time, large ones through NumPy all at once."""
    a = matrix(chainrule, (*batch, n, n), kind, 1).detach()
    packed, pivots = chainrule.linalg.lu_factor(a)
    expected = oracle.linalg.lu_factor(oracle.from_numpy(a.numpy()))
    assert pivots.tolist() == expected[1].tolist()
    tolerance = 1e-4 if kind in ("float32", "complex64") else 1e-11
    np.testing.assert_allclose(packed.numpy(), expected[0].numpy(), rtol=tolerance, atol=tolerance)
    x = chainrule.linalg.solve_triangular(a, a.mT, upper=True)
    np.testing.assert_allclose((chainrule.triu(a) @ x).numpy(), a.mT.numpy(), rtol=tolerance, atol=100 * tolerance)


def test_results_are_named():
    a = chainrule.eye(2)
    assert chainrule.linalg.svd(a)._fields == ("U", "S", "Vh")
    assert chainrule.linalg.qr(a).R.shape == (2, 2)
    assert issubclass(chainrule.linalg.LinAlgError, RuntimeError)


def test_out():
    out = chainrule.empty(0)
    assert chainrule.linalg.inv(chainrule.eye(2) * 2, out=out) is out and out.tolist() == [[0.5, 0], [0, 0.5]]
    q, r = chainrule.empty(0), chainrule.empty(0)
    chainrule.linalg.qr(chainrule.eye(2), out=(q, r))
    assert (q @ r).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("name", ["svd_lowrank", "pca_lowrank"])
def test_low_rank_draws_the_same_start(name):
    def values(t):
        t.manual_seed(3)
        a = matrix(t, (6, 2), "float64", 0).detach() @ matrix(t, (2, 5), "float64", 1).detach()
        return getattr(t, name)(a, q=2)[1]

    np.testing.assert_allclose(values(chainrule).numpy(), values(oracle).numpy())
