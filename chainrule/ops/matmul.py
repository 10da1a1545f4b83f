"""Products of vectors, matrices and batches of them, each linear in both factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.kernels import contraction, products, reductions
from chainrule.kernels.elementwise import blockwise
from chainrule.ops import pointwise
from chainrule.ops.primitive import Primitive, general, linear
from chainrule.ops.reduce import sum, sum_to
from chainrule.ops.shape import expand, reshape

COMPLEX = frozenset(k for d in dtypes.ALL if d.is_complex for k in (d, d.numpy))
NARROW = frozenset((dtypes.float16.numpy, dtypes.bfloat16.numpy))


def conj(a: Any) -> Any:
    """The conjugate; a real carrier as it is (NumPy would copy it)."""
    return a.conj() if a.dtype in COMPLEX else a


def adjoint(a: Any) -> Any:
    """The conjugate transpose of the last two dimensions."""
    return conj(a.mT)


def flat(a: Any) -> Any:
    """All dimensions but the last made one."""
    return a if a.ndim == 2 else reshape(a, (-1, a.shape[-1]) if a.shape[-1] else (prod(a.shape[:-1]), 0))


def prod(shape: tuple) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


def scale(a: Any, k: Any) -> Any:
    """a times the conjugate of a number."""
    return a if k == 1 else a * k.conjugate()


def product(a: np.ndarray, b: np.ndarray, bias: Any = None) -> Any:
    """NumPy's matmul, plus a bias; 2-byte floats are multiplied as float32, which has BLAS and keeps the sums exact enough."""
    if a.itemsize == 2 and a.dtype in NARROW:
        y = np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    elif a.__class__ is b.__class__ is np.ndarray and a.size >= products.SMALL <= b.size and a.ndim == b.ndim >= 2:
        return products.product(a, b, bias) if a.ndim == 2 else products.products(a, b)
    elif a.__class__ is b.__class__ is np.ndarray and a.ndim <= 2 and b.ndim <= 2:  # less ado for small ones
        y = np.dot(a, b)
    else:
        y = np.matmul(a, b)
    if bias is not None:
        y += bias
    return y


@linear(a=lambda g, b: mm(g, adjoint(b)), b=lambda g, a: mm(adjoint(a), g))
def mm(a: Any, b: Any) -> Any:
    """(n, k) @ (k, m)."""
    return product(a, b)


@linear(a=lambda g, b: bmm(g, adjoint(b)), b=lambda g, a: bmm(adjoint(a), g))
def bmm(a: Any, b: Any) -> Any:
    """(batch, n, k) @ (batch, k, m)."""
    return product(a, b)


@linear(
    a=lambda g, b, a_shape: sum_to(matmul(g, adjoint(b)), a_shape), b=lambda g, a, b_shape: sum_to(matmul(adjoint(a), g), b_shape),
    node="UnsafeViewBackward0",
)  # fmt: skip
def matmul(a: Any, b: Any) -> Any:
    """(..., n, k) @ (..., k, m), batches broadcast."""
    return product(a, b)


@linear(a=lambda g, b, a_shape: sum_to(matmul(g, adjoint(b)), a_shape), b=lambda g, a: matmul(adjoint(a), g), node="CloneBackward0")
def spread_mm(a: Any, b: Any) -> Any:
    """(n, k) @ (..., k, m)."""
    return product(a, b)


@linear(a=lambda g, b: fold_mm(g, adjoint(b)), b=lambda g, a: mm(adjoint(flat(a)), flat(g)), node="UnsafeViewBackward0")
def fold_mm(a: Any, b: Any) -> Any:
    """(..., n, k) @ (k, m), as one product."""
    return product(flat(a), b).reshape(*a.shape[:-1], b.shape[1])


@linear(
    a=lambda g, b: reshape(g, (*g.shape, 1)) * conj(b), b=lambda g, a: mv(adjoint(flat(a)), reshape(g, (-1,))), node="UnsafeViewBackward0"
)
def fold_mv(a: Any, b: Any) -> Any:
    """(..., n, k) @ (k,)."""
    return product(flat(a), b).reshape(a.shape[:-1])


@linear(a=lambda g, b: outer(g, conj(b)), b=lambda g, a: mv(adjoint(a), g))
def mv(a: Any, b: Any) -> Any:
    """(n, k) @ (k,)."""
    return product(a, b)


@linear(a=lambda g, b: mv(conj(b), g), b=lambda g, a: outer(conj(a), g), node="SqueezeBackward4")
def vecmat(a: Any, b: Any) -> Any:
    """(k,) @ (k, m)."""
    return product(a, b)


@linear(a=lambda g, b: mv(g, conj(b)), b=lambda g, a: vecmat(conj(a), g), node="MulBackward0")
def outer(a: Any, b: Any) -> Any:
    """(n,) and (m,) to (n, m)."""
    if a.__class__ is not np.ndarray or b.__class__ is not np.ndarray or a.size * b.size < reductions.WORTH:
        return np.multiply(a[:, None], b)
    y = reductions.outer(a, b)
    return blockwise(np.multiply, a[:, None], b) if y is None else y


@linear(a=lambda g, b: g * conj(b), b=lambda g, a: g * conj(a))
def dot(a: Any, b: Any) -> Any:
    """(k,) @ (k,)."""
    return product(a, b)


@linear(a=lambda g, b: conj(g) * b, b=lambda g, a: g * a)
def vdot(a: Any, b: Any) -> Any:
    """(k,) @ (k,), the first conjugated."""
    return product(conj(a), b)


@linear(a=lambda g, b: matmul(g, adjoint(b)), b=lambda g, a: matmul(adjoint(a), g))
def sum_bmm(a: Any, b: Any) -> Any:
    """The sum of (batch, n, k) @ (batch, k, m) over the batch."""
    return product(a, b).sum(0, dtype=a.dtype)


def plus(multiply: Primitive, name: str) -> Primitive:
    """The primitive beta * c + alpha * multiply(a, b), c broadcast."""
    kernel, rules = multiply.kernel, multiply.rules

    @linear(
        c=lambda g, c_shape, beta: sum_to(scale(g, beta), c_shape),
        a=lambda g, b, alpha: scale(rules["a"](g, b), alpha),
        b=lambda g, a, alpha: scale(rules["b"](g, a), alpha),
        name=name,
    )
    def added(c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
        y = np.asarray(kernel(a, b))
        if alpha != 1:
            y *= y.dtype.type(alpha)
        if beta != 0:
            y += c if beta == 1 else c * c.dtype.type(beta)
        return y

    return added


addmm, addmv, addr = plus(mm, "addmm"), plus(mv, "addmv"), plus(outer, "addr")
addbmm, baddbmm = plus(sum_bmm, "addbmm"), plus(bmm, "baddbmm")


@linear(c=lambda g: sum(g, (0,), False), a=lambda g, w: mm(g, conj(w)), w=lambda g, a: mm(g.mT, conj(a)), node="AddmmBackward0")
def affine(c: Any, a: Any, w: Any) -> Any:
    """a @ w.mT + c for a of shape (n, k), w of (m, k) and c of (m,)."""
    return product(a, w.T, c)


@linear(
    c=lambda g: sum(flat(g), (0,), False),
    a=lambda g, w: fold_mm(g, conj(w)),
    w=lambda g, a: mm(flat(g).mT, conj(flat(a))),
    node="ViewBackward0",
)
def fold_affine(c: Any, a: Any, w: Any) -> Any:
    """a @ w.mT + c for a of shape (..., k)."""
    return product(flat(a), w.T, c).reshape(*a.shape[:-1], w.shape[0])


@linear(a=lambda g, w: mm(g, conj(w)), w=lambda g, a: mm(g.mT, conj(a)), node="MmBackward0")
def times_transposed(a: Any, w: Any) -> Any:
    """a @ w.mT for a of shape (n, k)."""
    return product(a, w.T)


@linear(a=lambda g, w: fold_mm(g, conj(w)), w=lambda g, a: mm(flat(g).mT, conj(flat(a))), node="UnsafeViewBackward0")
def fold_times_transposed(a: Any, w: Any) -> Any:
    """a @ w.mT for a of shape (..., k)."""
    return product(flat(a), w.T).reshape(*a.shape[:-1], w.shape[0])


@linear(a=lambda g, b, dim: cross(conj(b), g, dim), b=lambda g, a, dim: cross(g, conj(a), dim), node="LinalgCrossBackward0")
def cross(a: Any, b: Any, dim: int) -> Any:
    """The vector product along `dim`, of length 3."""
    return np.cross(a, b, axis=dim)


@linear(a=lambda g, a_shape, a_dtype: g * np.eye(*a_shape, dtype=a_dtype))
def trace(a: Any) -> Any:
    """The sum of a matrix's diagonal."""
    return np.trace(a, dtype=a.dtype)


def einsum_vjp(g: Any, operands: tuple, inputs: tuple, output: tuple, needs: tuple) -> tuple:
    """The cotangent of each operand: the same contraction with `g` in its place, spread over what it alone was summed over."""
    grads = []
    for i, wanted in enumerate(needs):
        if not wanted:
            grads.append(None)
            continue
        others = [k for k in range(len(operands)) if k != i]
        have = {*output, *(s for k in others for s in inputs[k])}
        kept = tuple(dict.fromkeys([s for s in inputs[i] if s in have]))
        value = einsum([g, *(conj(operands[k]) for k in others)], (output, *(inputs[k] for k in others)), kept)
        grads.append(unsummed(value, kept, inputs[i], operands[i].shape))
    return tuple(grads)


def unsummed(g: Any, kept: tuple, labels: tuple, shape: tuple) -> Any:
    """g, whose dimensions are `kept`, in the shape of an operand: broadcast ones sum, others expand, repeated ones fill a diagonal."""
    size = dict(zip(labels, shape, strict=True))
    distinct = tuple(dict.fromkeys(labels))
    g = sum_to(g, tuple([1 if size[s] == 1 else n for s, n in zip(kept, g.shape, strict=True)]))
    g = expand(reshape(g, tuple([g.shape[kept.index(s)] if s in kept else 1 for s in distinct])), tuple([size[s] for s in distinct]))
    for p, s in enumerate(labels):
        first = labels.index(s)
        if first < p:
            g = reshape(g, (*g.shape[:p], 1, *g.shape[p:]))
            g = g * np.eye(size[s], dtype=bool).reshape([size[s] if q in (first, p) else 1 for q in range(g.ndim)])
    return g


@general(vjp=einsum_vjp, variadic=True, inputs=("operands",), node="ViewBackward0")
def einsum(operands: Any, inputs: tuple, output: tuple) -> Any:
    """Products of operands whose dimensions bear the labels `inputs`, summed over labels that `output` lacks."""
    return contraction.einsum(operands, inputs, output)


def distance_vjp(g: Any, a: Any, b: Any, y: Any, p: float) -> tuple:
    """Each distance pulls on both points, along their difference to the power p - 1; where it is 0 there is no direction."""
    apart = y != 0
    if p == 2:
        w = g / (y + (y == 0)) * apart
        last = w.ndim - 1
        return sum(w, (last,), True) * a - matmul(w, b), sum(w, (last - 1,), True).mT * b - matmul(w.mT, a)
    difference = reshape(a, (*a.shape[:-1], 1, a.shape[-1])) - reshape(b, (*b.shape[:-2], 1, *b.shape[-2:]))
    pull = pointwise.sign(difference)
    if p == 0:
        pull = pull * 0
    elif p == float("inf"):
        pull = pull * (abs(difference) == reshape(y, (*y.shape, 1)))
    elif p != 1:
        nonzero = difference != 0
        size = abs(difference) + (difference == 0)
        pull = pull * (size ** (p - 1)) * nonzero / reshape((y + (y == 0)) ** (p - 1), (*y.shape, 1))
    pull = pull * reshape(g * apart, (*g.shape, 1))
    return sum(pull, (pull.ndim - 2,), False), -sum(pull, (pull.ndim - 3,), False)


@general(vjp=distance_vjp, inputs=("a", "b"))
def cdist(a: Any, b: Any, p: float, by_product: bool = False) -> Any:
    """The p-norm distances between the rows of a (..., n, k) and those of b (..., m, k)."""
    if by_product:
        squares = np.square(a).sum(-1, keepdims=True) + np.square(b).sum(-1)[..., None, :]
        squares -= 2 * product(a, b.mT)
        return np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
    difference = np.abs(a[..., :, None, :] - b[..., None, :, :])
    if p == 0:
        return (difference != 0).sum(-1).astype(a.dtype)
    if p == 1 or not difference.size:
        return difference.sum(-1, dtype=a.dtype)
    if p == 2:
        return np.sqrt(np.square(difference).sum(-1))
    if p == float("inf"):
        return difference.max(-1)
    return (difference**p).sum(-1) ** (1 / p)
