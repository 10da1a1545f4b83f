"""Linear algebra: inverses, determinants, factorizations, each with its derivative.

The rules are matrix formulas in operators and other primitives, so they differentiate again. `T(x)` is the conjugate transpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.kernels import linalg as kernels
from chainrule.ops.joining import cat, diag_embed
from chainrule.ops.matmul import COMPLEX, adjoint as T, conj, matmul
from chainrule.ops.placing import tril, triu
from chainrule.ops.pointwise import real_part
from chainrule.ops.primitive import general
from chainrule.ops.reduce import products_of_others, sum_to
from chainrule.ops.shape import diagonal, reshape, slice_backward, slice_dim

# Parts of matrices, for any carrier


def row(s: Any) -> Any:
    """(..., n) as (..., 1, n), which scales columns."""
    return reshape(s, (*s.shape[:-1], 1, s.shape[-1]))


def column(s: Any) -> Any:
    """(..., n) as (..., n, 1), which scales rows."""
    return reshape(s, (*s.shape, 1))


def diagonal_of(a: Any) -> Any:
    return diagonal(a, 0, a.ndim - 2, a.ndim - 1)


def diagonal_matrix(s: Any) -> Any:
    return diag_embed(s, 0, s.ndim - 1, s.ndim)


def columns(a: Any, start: int, stop: int) -> Any:
    return slice_dim(a, a.ndim - 1, start, stop, 1)


def rows(a: Any, start: int, stop: int) -> Any:
    return slice_dim(a, a.ndim - 2, start, stop, 1)


def skew(a: Any) -> Any:
    return a - T(a)


def is_complex(a: Any) -> bool:
    return a.dtype in COMPLEX


def element(a: Any) -> np.dtype:
    """The NumPy type of a carrier's elements."""
    return getattr(a.dtype, "numpy", a.dtype)


def eye(a: Any) -> np.ndarray:
    """The identity of a's size and type."""
    return np.eye(a.shape[-1], dtype=element(a))


def mirrored(a: Any) -> Any:
    """A triangle and its conjugate transpose, which share the (real) diagonal."""
    return (a + T(a)) * (1 - 0.5 * eye(a)).astype(element(a))


def gaps(s: Any) -> Any:
    """s[j] - s[i] at (i, j), 1 on the diagonal."""
    return row(s) - column(s) + np.eye(s.shape[-1], dtype=element(s))


# Inverses and solutions


@general(vjp=lambda g, y: (-(T(y) @ g[0] @ T(y)),), inputs=("a",), outputs=("y", "info"), node="LinalgInvExBackward0")
def inv_ex(a: Any) -> Any:
    """(inverse, info)."""
    return kernels.inverse(a)


def solve_vjp(g: Any, a: Any, b_shape: tuple, x: Any) -> tuple:
    gb = solve_ex(T(a), g[0])[0]
    return sum_to(-(gb @ T(x)), a.shape), sum_to(gb, b_shape)


@general(vjp=solve_vjp, inputs=("a", "b"), outputs=("x", "info"), node="LinalgSolveExBackward0")
def solve_ex(a: Any, b: Any) -> Any:
    """(x, info) with a @ x = b, both matrices."""
    return kernels.solve(a, b)


def triangle(a: Any, upper: bool, unit: bool) -> Any:
    return triu(a, int(unit)) if upper else tril(a, -int(unit))


def solve_triangular_vjp(g: Any, a: Any, b_shape: tuple, y: Any, upper: bool, unit: bool) -> tuple:
    gb = solve_triangular(T(a), g, not upper, unit)
    return sum_to(triangle(-(gb @ T(y)), upper, unit), a.shape), sum_to(gb, b_shape)


@general(vjp=solve_triangular_vjp, inputs=("a", "b"), node="LinalgSolveTriangularBackward0")
def solve_triangular(a: Any, b: Any, upper: bool, unit: bool) -> Any:
    """x with a @ x = b, of a only one triangle being read."""
    return kernels.solve_triangular(a, b, upper, unit)


def over_triangular(a: Any, b: Any, upper: bool) -> Any:
    """a @ inverse(b) for a triangular b."""
    return T(solve_triangular(T(b), T(a), not upper, False))


def pinv_vjp(g: Any, a: Any, y: Any) -> tuple:
    """Three terms: as of an inverse, and what moves the left and the right null space."""
    h, gh = T(y), T(g)
    return (-(h @ g @ h) + (gh - a @ (y @ gh)) @ (y @ h) + (h @ y) @ (gh - (gh @ y) @ a),)


@general(vjp=pinv_vjp, inputs=("a",), node="LinalgPinvBackward0")
def pinv(a: Any, cut: Any, hermitian: bool) -> Any:
    """The pseudoinverse; singular values up to cut(largest) count as 0."""
    if hermitian:
        w, v = np.linalg.eigh(a)
        size = np.abs(w)
        small = size <= cut(size.max(-1, keepdims=True))
        return (v * np.where(small, 0, 1 / np.where(small, 1, w)).astype(w.dtype)[..., None, :]) @ v.mT.conj()
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    small = s <= cut(s[..., :1])
    return (vh.mT.conj() * np.where(small, 0, 1 / np.where(small, 1, s)).astype(s.dtype)[..., None, :]) @ u.mT.conj()


def lstsq_vjp(g: Any, a: Any, b: Any, cut: Any) -> tuple:
    inverse = pinv(a, cut, False)
    return sum_to(pinv_vjp(g[0] @ T(b), a, inverse)[0], a.shape), sum_to(T(inverse) @ g[0], b.shape)


@general(vjp=lstsq_vjp, inputs=("a", "b"), outputs=("x", "s"), node="LinalgLstsqBackward0")
def lstsq(a: Any, b: Any, cut: Any, relative: Any = None) -> Any:
    """(pinv(a) @ b, the singular values of a), those up to cut(largest) counting as 0; with `relative` (x, rank) of `least_squares`."""
    if relative is not None:
        return kernels.least_squares(a, b, relative)
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    small = s <= cut(s[..., :1])
    return vh.mT.conj() @ (np.where(small, 0, 1 / np.where(small, 1, s)).astype(s.dtype)[..., None] * (u.mT.conj() @ b)), s


# Determinants


def cofactors(a: Any, y: Any) -> Any:
    """The derivative of the determinant y: y times the transposed inverse, by singular values where there is no inverse."""
    if np.all(getattr(y, "_data", y) != 0):
        return reshape(y, (*y.shape, 1, 1)) * inv_ex(a)[0].mT
    u, s, vh = svd(a, False)
    phase = det(u) * det(vh)
    others = products_of_others(s, s.ndim - 1)
    return conj((u * row(others * reshape(conj(phase), (*phase.shape, 1)))) @ vh)


@general(a=lambda g, a, y: reshape(g, (*g.shape, 1, 1)) * conj(cofactors(a, y)), node="LinalgDetBackward0")
def det(a: Any) -> Any:
    """The determinant."""
    return np.linalg.det(a)


def slogdet_vjp(g: Any, a: Any, sign: Any) -> tuple:
    scale = g[1]
    if is_complex(sign):
        turn = g[0] * conj(sign)
        scale = scale + (turn - conj(turn)) * 0.5
    return (reshape(scale, (*scale.shape, 1, 1)) * T(inv_ex(a)[0]),)


@general(vjp=slogdet_vjp, inputs=("a",), outputs=("sign", "y"), node="LinalgSlogdetBackward0")
def slogdet(a: Any) -> Any:
    """(the determinant's sign or phase, the logarithm of its modulus)."""
    sign, size = np.linalg.slogdet(a)
    return sign, size


# Factorizations


def cholesky_vjp(g: Any, y: Any, upper: bool) -> tuple:
    factor, gl = (T(y), T(g[0])) if upper else (y, g[0])
    inner = mirrored(tril(T(factor) @ gl, 0))
    left = solve_triangular(T(factor), inner, True, False)
    return (over_triangular(left, factor, False) * 0.5,)


@general(vjp=cholesky_vjp, inputs=("a",), outputs=("y", "info"), node="LinalgCholeskyExBackward0")
def cholesky_ex(a: Any, upper: bool) -> Any:
    """(factor, info): L with L @ T(L) = a, or T(L) if `upper`."""
    return kernels.cholesky(a, upper)


def qr_vjp(g: Any, q: Any, r: Any, mode: str) -> tuple:
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, mode='reduced') if you "
            "are going to differentiate through linalg.qr."
        )
    m, n = q.shape[-2], r.shape[-1]
    if m > n and mode == "complete":
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    gq, gr = g
    if m >= n:
        return (qr_cotangent(gq, gr, q, r),)
    gr2 = columns(gr, m, n)  # the columns further right are q @ r2
    first = qr_cotangent(gq + q @ columns(r, m, n) @ T(gr2), columns(gr, 0, m), q, columns(r, 0, m))
    return (cat([first, q @ gr2], first.ndim - 1),)


def qr_cotangent(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    """For a matrix at least as high as wide."""
    inner = mirrored(triu(gr @ T(r) - T(q) @ gq, 0))
    return over_triangular(q @ inner + gq, T(r), False)


@general(vjp=qr_vjp, inputs=("a",), outputs=("q", "r"), node="LinalgQrBackward0")
def qr(a: Any, mode: str) -> Any:
    """(Q, R)."""
    return kernels.qr(a, mode)


def svd_vjp(g: Any, u: Any, s: Any, vh: Any) -> tuple:
    """PyTorch's formula; cotangents that nobody sent are left out, so that equal singular values do no harm to a norm."""
    gu, gs, gvh = g
    if gu is None and gs is None and gvh is None:
        return (None,)
    k, m, n = s.shape[-1], u.shape[-2], vh.shape[-1]
    u, vh = columns(u, 0, k), rows(vh, 0, k)
    if gu is None and gvh is None:
        return ((u * row(gs)) @ vh,)
    gu = None if gu is None else columns(gu, 0, k)
    gvh = None if gvh is None else rows(gvh, 0, k)
    squares = gaps(s * s)
    inner = None if gs is None else diagonal_matrix(gs)
    if gu is not None:
        # Of a complex matrix the phases of U and V go together; U answers for both.
        part = skew(T(u) @ gu) / (squares - eye(squares) + diagonal_matrix(2 * s * s) if is_complex(u) else squares) * row(s)
        inner = part if inner is None else inner + part
    if gvh is not None:
        part = column(s) * (skew(vh @ T(gvh)) / squares) * (1 - eye(squares))
        inner = part if inner is None else inner + part
    ga = (u @ inner) @ vh
    if gu is not None and m > k:
        ga = ga + ((gu - u @ (T(u) @ gu)) / row(s)) @ vh
    if gvh is not None and n > k:
        ga = ga + (u / row(s)) @ (gvh - (gvh @ T(vh)) @ vh)
    return (ga,)


@general(vjp=svd_vjp, inputs=("a",), outputs=("u", "s", "vh"), node="LinalgSvdBackward0")
def svd(a: Any, full: bool) -> Any:
    """(U, S, Vh); square U and Vh if `full`."""
    return kernels.svd(a, full)


def eigh_vjp(g: Any, w: Any, v: Any) -> tuple:
    gw, gv = g
    if gv is None:
        return (None,) if gw is None else ((v * row(gw)) @ T(v),)
    inner = skew(T(v) @ gv) * 0.5 / gaps(w)
    inner = inner * (1 - eye(w))
    return (v @ (inner if gw is None else inner + diagonal_matrix(gw)) @ T(v),)


@general(vjp=eigh_vjp, inputs=("a",), outputs=("w", "v"), node="LinalgEighBackward0")
def eigh(a: Any, uplo: str) -> Any:
    """(eigenvalues, eigenvectors) of a symmetric or Hermitian matrix, of which one triangle is read."""
    w, v = np.linalg.eigh(a, uplo)
    return w, v


def eig_vjp(g: Any, w: Any, v: Any, a_dtype: Any) -> tuple:
    gw, gv = g
    if gw is None and gv is None:
        return (None,)
    inner = None if gw is None else diagonal_matrix(gw)
    if gv is not None:
        vhgv = T(v) @ gv
        change = vhgv - T(v) @ (v * row(real_part(diagonal_of(vhgv))))
        change = change / conj(gaps(w)) * (1 - eye(real_part(w)))
        inner = change if inner is None else inner + change
    ga = solve_ex(T(v), inner @ T(v))[0]
    return (ga if a_dtype.kind == "c" else real_part(ga),)


@general(vjp=eig_vjp, inputs=("a",), outputs=("w", "v"), node="LinalgEigBackward0")
def eig(a: Any) -> Any:
    """(eigenvalues, eigenvectors), complex."""
    return kernels.eig(a)


svd.node.optional_cotangents = eigh.node.optional_cotangents = eig.node.optional_cotangents = True


def lu_cotangent(gl: Any, gu: Any, lower: Any, upper: Any, pivots: Any) -> Any:
    """Of the cotangents of L's and U's free elements."""
    (m, k), n = lower.shape[-2:], upper.shape[-1]
    l1, u1 = rows(lower, 0, k), columns(upper, 0, k)
    left, right = T(l1) @ rows(gl, 0, k), columns(gu, 0, k) @ T(u1)
    if m < n:
        left = left - columns(gu, k, n) @ T(columns(upper, k, n))
    elif m > n:
        right = right - T(rows(lower, k, m)) @ rows(gl, k, m)
    inner = solve_triangular(T(l1), tril(left, -1) + triu(right, 0), True, True)
    ga = over_triangular(inner, T(u1), False)
    if m < n:
        ga = cat([ga, solve_triangular(T(l1), columns(gu, k, n), True, True)], ga.ndim - 1)
    elif m > n:
        ga = cat([ga, over_triangular(rows(gl, k, m), T(upper), False)], ga.ndim - 2)
    return matmul(kernels.permutation_matrix(getattr(pivots, "_data", pivots), m, element(upper)), ga)


def lu_vjp(g: Any, y: Any, pivots: Any) -> tuple:
    k = min(y.shape[-2:])
    gl, gu = tril(columns(g[0], 0, k), -1), triu(rows(g[0], 0, k), 0)
    return (lu_cotangent(gl, gu, unit_lower(y), upper_of(y), pivots),)


@general(vjp=lu_vjp, inputs=("a",), outputs=("y", "pivots", "info"), node="LinalgLuFactorExBackward0")
def lu_factor_ex(a: Any) -> Any:
    """(L and U in one matrix, pivots, info)."""
    return kernels.lu(a)


def unit_lower(y: Any) -> Any:
    """L of the L and U in one matrix."""
    k = min(y.shape[-2:])
    return tril(columns(y, 0, k), -1) + np.eye(y.shape[-2], k, dtype=element(y))


def upper_of(y: Any) -> Any:
    """U of the L and U in one matrix."""
    return triu(rows(y, 0, min(y.shape[-2:])), 0)


@general(
    vjp=lambda g, low, up, pivots: (lu_cotangent(tril(g[0], -1), triu(g[1], 0), low, up, pivots),),
    inputs=("a",), outputs=("low", "up", "pivots"), node="LinalgLuBackward0",
)  # fmt: skip
def lu(a: Any) -> Any:
    """(L, U, pivots)."""
    packed, pivots, _ = kernels.lu(a)
    return unit_lower(packed), upper_of(packed), pivots


def lu_unpack_vjp(g: Any, y_shape: tuple) -> tuple:
    k, last = min(y_shape[-2:]), len(y_shape) - 1
    return (slice_backward(tril(g[0], -1), y_shape, last, 0, k, 1) + slice_backward(triu(g[1], 0), y_shape, last - 1, 0, k, 1),)


@general(vjp=lu_unpack_vjp, inputs=("y",), outputs=("low", "up"))
def lu_unpack(y: Any) -> Any:
    """(L, U) of the L and U in one matrix."""
    return unit_lower(y), upper_of(y)


# Exponentials


def matrix_exp_vjp(g: Any, a: Any) -> tuple:
    """The upper right block of the exponential of [[T(a), g], [0, T(a)]] is the derivative along g."""
    n, h = a.shape[-1], T(a)
    upper, lower = cat([h, g], h.ndim - 1), cat([h * 0, h], h.ndim - 1)
    return (columns(rows(matrix_exp(cat([upper, lower], h.ndim - 2)), 0, n), n, 2 * n),)


@general(vjp=matrix_exp_vjp, inputs=("a",), node="LinalgMatrixExpBackward0")
def matrix_exp(a: Any) -> Any:
    """The sum of a**k / k!."""
    return kernels.matrix_exp(a)
