"""What a matrix is in one number or function: determinants, norms, condition, powers, exponentials; and products of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import return_types as named
from chainrule._core import dtypes
from chainrule.functions.arguments import as_dtype, require_tensor, tensors_of, wrap_dim, wrap_dims
from chainrule.functions.contractions import cross_along
from chainrule.functions.factorizations import svdvals
from chainrule.functions.matrix_checks import finish, require_float, require_matrix, require_square
from chainrule.functions.solvers import inv, inv_ex
from chainrule.ops import linalg as ops
from chainrule.ops.overrides import public
from chainrule.ops.reduce import amax, amin, sum as total, vector_norm as norm_over
from chainrule.ops.shape import cast, permute, reshape
from chainrule.tensor import Tensor, wrap

INF = float("inf")

# Determinants


def square_float(function: str, A: Any) -> None:
    require_square(function, A)
    require_float(function, A)


@public
def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant of square matrices. Example: `det(eye(2) * 3)` is `tensor(9.)`."""
    square_float("linalg.det", A)
    return finish("linalg_det", ops.det(A), out)


@public
def slogdet(A: Tensor, *, out: Any = None) -> Any:
    """(sign, logabsdet): the determinant's sign (of a complex one, its direction) and the logarithm of its modulus."""
    square_float("linalg.slogdet", A)
    return finish("linalg_slogdet", named.linalg_slogdet(*ops.slogdet(A)), out)


# Norms


def norm_dtype(function: str, t: Tensor, dtype: Any) -> Tensor:
    """t, or t in the `dtype` that the norm is to be computed in."""
    wanted = as_dtype(dtype)
    if wanted is None:
        return t
    if wanted.category < dtypes.FLOATING:
        raise RuntimeError(f"{function}: dtype should be floating point or complex. Got {dtypes.LEGACY[wanted]}")
    if t.dtype.is_complex != wanted.is_complex:
        kinds = ("complex", "complex") if t.dtype.is_complex else ("real", "real")
        raise RuntimeError(f"{function}: dtype should be {kinds[0]} for {kinds[1]} inputs, but got {dtypes.LEGACY[wanted]}")
    if dtypes.promote_types(t.dtype, wanted) is not wanted:
        raise RuntimeError(
            f"{function}: the dtype of the input ({dtypes.LEGACY[t.dtype]}) should be convertible without narrowing to the specified dtype "
            f"({dtypes.LEGACY[wanted]})"
        )
    return t if t.dtype is wanted else cast(t, wanted)


@public
def vector_norm(
    input: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """(sum |x| ** ord) ** (1 / ord) of all elements, or over `dim`; ord may be 0 (how many are not 0) and infinite.

    Example: `vector_norm(tensor([3., 4.]))` is `tensor(5.)`.
    """
    require_tensor("linalg_vector_norm", input)
    if isinstance(ord, str) or not isinstance(ord, (int, float)):
        raise TypeError(f"linalg_vector_norm(): argument 'ord' must be Number, not {type(ord).__name__}")
    require_float("linalg.vector_norm", input, low_ok=True)
    input = norm_dtype("linalg.vector_norm", input, dtype)
    over = wrap_dims(dim, input._data.ndim)
    if (ord < 0 or ord == INF) and not input._data.size:
        if over is None or not all([input._data.shape[d] for d in over]):
            what = "tensor" if over is None else f"dimension {next(d for d in over if not input._data.shape[d])}"
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {ord:g} norm on an empty {what} because the operation does not have an identity"
            )
    return finish("linalg_vector_norm", norm_over(input, float(ord), over, keepdim), out)


def two_dims(function: str, A: Tensor, dim: Any) -> tuple[int, int]:
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(f"{function}: dim must be a 2-tuple. Got {dim}")
    first, second = [wrap_dim(d, A._data.ndim) for d in dim]
    if first == second:
        raise RuntimeError(f"{function}: dims must be different. Got ({dim[0]}, {dim[1]})")
    return first, second


@public
def matrix_norm(
    input: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """A norm of matrices: "fro" (Frobenius), "nuc" (nuclear), 1 and inf (largest sum of a column, of a row), 2 (largest singular value).

    -1, -inf and -2 are the smallest ones. `dim` are the two dimensions of the matrices.

    Example: `matrix_norm(ones(2, 2))` is `tensor(2.)`.
    """
    name = "linalg.matrix_norm"
    require_matrix(name, input)
    require_float(name, input, low_ok=True)
    if ord not in ("fro", "nuc") if isinstance(ord, str) else abs(ord) not in (1, 2, INF):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    first, second = two_dims(name, input, dim)
    input = norm_dtype(name, input, dtype)
    if ord == "fro":
        return finish("linalg_matrix_norm", norm_over(input, 2.0, (first, second), keepdim), out)
    if ord == "nuc" or abs(ord) == 2:
        require_float("linalg.svd", input)
        order = [d for d in range(input._data.ndim) if d not in (first, second)]
        values = svdvals(permute(input, (*order, first, second)))
        last = (values._data.ndim - 1,)
        result = total(values, last, False) if ord == "nuc" else extreme(values, last, ord, False)
        if keepdim:
            result = reshape(result, tuple([1 if d in (first, second) else n for d, n in enumerate(input._data.shape)]))
        return finish("linalg_matrix_norm", result, out)
    if abs(ord) == INF:
        first, second = second, first
    sums = norm_over(input, 1.0, (first,), True)
    result = extreme(sums, (second,), ord, True)
    return finish("linalg_matrix_norm", result if keepdim else reduced(result, first, second, input._data.shape), out)


def extreme(values: Tensor, dim: tuple, ord: float, keepdim: bool) -> Tensor:
    """The largest over `dim`, the smallest for a negative order."""
    if not values._data.shape[dim[0]]:
        if ord > 0:
            return total(values, dim, keepdim)
        raise IndexError(f"amin(): Expected reduction dim {dim[0]} to have non-zero size.")
    return (amax if ord > 0 else amin)(values, dim, keepdim)


def reduced(t: Tensor, first: int, second: int, shape: tuple) -> Tensor:
    return reshape(t, tuple([n for d, n in enumerate(shape) if d not in (first, second)]))


@public
def norm(input: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None, dtype: Any = None) -> Tensor:
    """`matrix_norm` if `ord` is a string, `dim` a pair, or `ord` is given for a matrix; else `vector_norm`.

    Example: `norm(tensor([3., 4.]))` is `tensor(5.)`.
    """
    require_tensor("linalg_norm", input)
    if dim is not None:
        dim = (dim,) if not isinstance(dim, (tuple, list)) else tuple(dim)
        if len(dim) not in (1, 2):
            raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}")
    elif ord is not None and input._data.ndim not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input._data.ndim}D.")
    if isinstance(ord, str) or (ord is not None and (len(dim) == 2 if dim is not None else input._data.ndim == 2)):
        return matrix_norm(input, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype, out=out)
    return vector_norm(input, 2 if ord is None else ord, dim, keepdim, dtype=dtype, out=out)


@public
def cond(input: Tensor, p: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The condition number norm(input) * norm(inv(input)); for p of None, 2 and -2 the ratio of the extreme singular values.

    Example: `cond(diag(tensor([4., 2.])))` is `tensor(2.)`.
    """
    require_matrix("linalg.cond", input)
    if p is None or (not isinstance(p, str) and abs(p) == 2):
        require_float("linalg.cond", input)
        if not input._data.size:
            return finish("linalg_cond", wrap(np.zeros(input._data.shape[:-2], np.abs(input._data).dtype)), out)
        values = svdvals(input)
        k = values._data.shape[-1]
        largest, smallest = ops.columns(values, 0, 1), ops.columns(values, k - 1, k)
        result = largest / smallest if p != -2 else smallest / largest  # type: ignore[operator]
        return finish("linalg_cond", reshape(result, result._data.shape[:-1]), out)
    if p not in ("fro", "nuc") if isinstance(p, str) else abs(p) not in (1, INF):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    require_square(f"linalg.cond(ord={p})", input)
    if not input._data.size:
        return finish("linalg_cond", wrap(np.zeros(input._data.shape[:-2], np.abs(input._data).dtype)), out)
    inverse, info = inv_ex(input)
    product = matrix_norm(input, p) * matrix_norm(inverse, p)  # type: ignore[operator]
    if info._data.any():
        product = product.masked_fill(info != 0, INF)
    return finish("linalg_cond", product, out)


# Powers and exponentials


@public
def matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """The n-th power of square matrices, by repeated squaring; negative powers invert first. Example: `matrix_power(eye(2) * 2, 3)`."""
    require_square("linalg.matrix_power", input)
    if n == 0:
        result: Any = input * 0 + wrap(np.eye(input._data.shape[-1], dtype=input._data.dtype))  # type: ignore[operator]
    else:
        result = power(inv(input) if n < 0 else input, abs(n))
    return finish("linalg_matrix_power", result, out)


def power(base: Tensor, n: int) -> Tensor:
    if n == 1:
        return base.clone()  # type: ignore[attr-defined]
    if n == 3:
        return (base @ base) @ base  # type: ignore[operator]
    result = None
    while n:
        if n & 1:
            result = base if result is None else result @ base
        n >>= 1
        base = base @ base if n else base  # type: ignore[operator]
    return result  # type: ignore[return-value]


@public
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices, the sum of input ** k / k!. Example: `matrix_exp(zeros(2, 2))` is `eye(2)`."""
    require_square("linalg.matrix_exp", input)
    require_float("linalg.matrix_exp", input, low_ok=True)
    return ops.matrix_exp(input)


# Products


@public
def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of two or more matrices, multiplied in the cheapest order; the first and the last may be vectors.

    Example: `multi_dot([ones(2, 3), ones(3, 4), ones(4)]).shape` is `torch.Size([2])`.
    """
    tensors = list(tensors_of("multi_dot", tensors))
    count = len(tensors)
    if count < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {count}")
    for i, t in enumerate(tensors):
        ends = i in (0, count - 1)
        if t._data.ndim != 2 and not (ends and t._data.ndim == 1):
            allowed = "1D or 2D" if ends else "2D"
            raise RuntimeError(f"multi_dot(): tensor {i} must be {allowed} but got {t._data.ndim}D")
        if t.dtype is not tensors[0].dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {tensors[0].dtype.name} and tensor {i} "
                f"{t.dtype.name}"
            )
    row, last = tensors[0]._data.ndim == 1, tensors[-1]._data.ndim == 1
    shapes = [t._data.shape for t in tensors]
    if row:
        tensors[0] = reshape(tensors[0], (1, *shapes[0]))
    if last:
        tensors[-1] = ops.column(tensors[-1])
    for i in range(1, count):
        if tensors[i - 1]._data.shape[1] != tensors[i]._data.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i - 1} and {i} with shapes {list(shapes[i - 1])} and {list(shapes[i])} cannot be multiplied"
            )
    sizes = [tensors[0]._data.shape[0], *[t._data.shape[1] for t in tensors]]
    result = chained(tensors, cheapest(sizes), 0, count - 1)
    m, n = result._data.shape
    if row or last:
        result = reshape(result, (() if row else (m,)) + (() if last else (n,)))
    return finish("linalg_multi_dot", result, out)


def cheapest(sizes: list[int]) -> list[list[int]]:
    """Where to split each stretch i..j of a chain of matrices whose sizes are sizes[k], sizes[k + 1]."""
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            options = [(cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i][j], split[i][j] = min(options)
    return split


def chained(tensors: list[Tensor], split: list[list[int]], i: int, j: int) -> Tensor:
    if i == j:
        return tensors[i]
    k = split[i][j]
    return chained(tensors, split, i, k) @ chained(tensors, split, k + 1, j)  # type: ignore[operator]


@public
def cross(input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The vector product along `dim`, which has size 3. Example: `cross(tensor([1., 0., 0.]), tensor([0., 1., 0.]))` is (0, 0, 1)."""
    return cross_along("linalg_cross", input, other, dim, out)


@public
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The products of vectors along `dim`, the first conjugated; other dimensions broadcast. Example: `vecdot(ones(2), ones(2))`."""
    require_tensor("linalg_vecdot", x, "x")
    require_tensor("linalg_vecdot", y, "y", 2)
    for t in (x, y):
        require_float("linalg.vecdot", t, low_ok=True)
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type {dtypes.LEGACY[x.dtype]} and y of type "
            f"{dtypes.LEGACY[y.dtype]} instead"
        )
    products = ops.conj(x) * y
    return finish("linalg_vecdot", total(products, (wrap_dim(dim, products._data.ndim),) if products._data.ndim else None, False), out)


@public
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A view of the diagonals of matrices. Example: `diagonal(eye(2))` is `tensor([1., 1.])`."""
    return A.diagonal(offset, dim1, dim2)  # type: ignore[attr-defined]


@public
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 of the elements of vectors (..., n), as (..., n, N). Example: `vander(tensor([2., 3.]))` has rows 1, x."""
    require_tensor("linalg_vander", x, "x")
    if x.dtype is dtypes.bool_:
        raise RuntimeError("linalg.vander: Expected a floating point or complex tensor as input. Got Bool")
    if N is None:
        if not x._data.ndim:
            raise IndexError("Dimension specified as -1 but tensor has no dimensions")
        N = x._data.shape[-1]
    elif N <= 1:
        raise RuntimeError("N must be greater than 1.")
    if not x._data.ndim:
        x = reshape(x, (1,))
    from chainrule.functions.joining import cat
    from chainrule.functions.scan import cumprod

    if x.dtype.category == dtypes.INTEGRAL:
        x = cast(x, dtypes.int64)
    ones = wrap(np.ones((*x._data.shape, 1), x._data.dtype))
    if N == 1:
        return ones
    powers = cumprod(ops.column(x).expand((*x._data.shape, N - 1)), -1)
    return cat((ones, powers), -1)
