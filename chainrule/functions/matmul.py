"""Products of tensors: `matmul` and its special cases, `addmm` and its kind, `einsum`, `tensordot`, `kron`, `cross`, `cdist`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import next_sequence
from chainrule.functions.arguments import require_tensor, wrap_dim, wrap_dims
from chainrule.kernels.random import CPP
from chainrule.ops import matmul as ops
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import operand, result_type
from chainrule.ops.shape import expand, reshape
from chainrule.tensor import Tensor, sync

state = modes.state
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
Matmul, Linear = ops.mm.node, ops.affine.node
_new = object.__new__
_dot = np.dot


def finish(function: str, result: Tensor, out: Tensor | None) -> Tensor:
    return result if out is None else write_out(function, out, result)


def legacy(t: Tensor) -> str:
    return dtypes.LEGACY[t.dtype]


# Matrix times matrix, the eager path


def times(input: Tensor, other: Tensor) -> Tensor | None:
    """input @ other for float matrices with nothing in the way, recorded in place; None if this is another case."""
    a, b = input._data, other._data
    dtype = a.dtype
    if (dtype is not F32 and dtype is not F64) or b.dtype is not dtype or a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        return None
    if input._base is not None:
        sync(input)
    if other._base is not None:
        sync(other)
    t = _new(Tensor)
    t._data, t._version, t._base, t._grad = _dot(a, b), [0, 0], None, None
    ta, tb = input._tracked, other._tracked
    if ta or tb:
        node = _new(Matmul)
        va, vb = input._version, other._version
        node.fix = node.extra = None
        node.sequence = next_sequence()
        if ta and tb:
            node.edges, node.saved, node.guards = (input._edge or input, other._edge or other), (a, b), (vb, vb[0], va, va[0])
        elif ta:
            node.edges, node.saved, node.guards = (input._edge or input, None), (None, b), (vb, vb[0])
        else:
            node.edges, node.saved, node.guards = (None, other._edge or other), (a, None), (va, va[0])
        t._tracked, t._edge = True, node
    else:
        t._tracked, t._edge = False, None
    return t


@public
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices, (n, k) @ (k, m). Raises RuntimeError for other shapes and unequal types.

    Example:
        >>> mm(ones(2, 3), ones(3, 1))
        tensor([[3.],
                [3.]])
    """
    require_tensor("mm", input)
    require_tensor("mm", mat2, "mat2", 2)
    check_matrices(input, mat2)
    return finish("mm", ops.mm(input, mat2), out)


def check_matrices(a: Tensor, b: Tensor, rows: int | None = None) -> None:
    """RuntimeError unless a @ b is a product of matrices of one type; `rows` are those of a with its batches."""
    one, two = a._data.shape, b._data.shape
    if rows is None:
        for name, shape in (("self", one), ("mat2", two)):
            if len(shape) != 2:
                raise RuntimeError(f"{name} must be a matrix" + (f", got {len(shape)}-D tensor" if name == "self" else ""))
        rows = one[0]
    if one[-1] != two[0]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{one[-1]} and {two[0]}x{two[1]})")
    if a._data.dtype != b._data.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {CPP[a.dtype.name]} != {CPP[b.dtype.name]}")
    if a._data.dtype == bool:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


@public
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products of matrices by batch, (b, n, k) @ (b, k, m). Example: `bmm(ones(2, 3, 4), ones(2, 4, 5)).shape` is (2, 3, 5)."""
    require_tensor("bmm", input)
    require_tensor("bmm", mat2, "mat2", 2)
    check_batches(input, mat2)
    return finish("bmm", ops.bmm(input, mat2), out)


def check_batches(a: Tensor, b: Tensor) -> None:
    one, two = a._data.shape, b._data.shape
    for name, shape in (("batch1", one), ("batch2", two)):
        if len(shape) != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if two[0] != one[0] or two[1] != one[2]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{one[0]}, {one[2]}] but got: [{two[0]}, {two[1]}]."
        )
    check_types(a, b)
    if a._data.dtype == bool:
        raise NotImplementedError("\"baddbmm_impl_cpu\" not implemented for 'Bool'")


def check_types(a: Tensor, b: Tensor) -> None:
    if a._data.dtype != b._data.dtype:
        raise RuntimeError(f"expected scalar type {legacy(a)} but found {legacy(b)}")


@public
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A matrix times a vector, (n, k) @ (k,). Example: `mv(ones(2, 3), ones(3))` is `tensor([3., 3.])`."""
    require_tensor("mv", input)
    require_tensor("mv", vec, "vec", 2)
    check_vector(input, vec)
    return finish("mv", ops.mv(input, vec), out)


def check_vector(a: Tensor, v: Tensor, rows: int | None = None) -> None:
    one, two = a._data.shape, v._data.shape
    if rows is None:
        if len(one) != 2 or len(two) != 1:
            raise RuntimeError(f"vector + matrix @ vector expected, got {1}, {len(one)}, {len(two)}")
        rows = one[0]
    if one[-1] != two[0]:
        raise RuntimeError(f"size mismatch, got input ({rows}), mat ({rows}x{one[-1]}), vec ({two[0]})")
    if a._data.dtype != v._data.dtype:
        raise RuntimeError(f"addmv input tensors must have the same dtype, but got {legacy(v)}, {legacy(a)}, and {legacy(v)}")


def check_vectors(a: Tensor, b: Tensor, name: str = "dot") -> None:
    one, two = a._data, b._data
    if one.ndim != 1 or two.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {one.ndim}D and {two.ndim}D tensors")
    if one.dtype != two.dtype:
        raise RuntimeError(f"{name} : expected both vectors to have same dtype, but found {legacy(a)} and {legacy(b)}")
    if one.size != two.size:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{one.size}] and src [{two.size}] to have the same number of elements, "
            f"but got {one.size} and {two.size} elements respectively"
        )


@public
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sum of the products of two vectors. Example: `dot(tensor([2., 3.]), tensor([2., 1.]))` is `tensor(7.)`."""
    require_tensor("dot", input)
    require_tensor("dot", tensor, "tensor", 2)
    check_vectors(input, tensor)
    return finish("dot", ops.dot(input, tensor), out)


@public
def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """As `dot`, the first vector conjugated. Example: `vdot(tensor([1j]), tensor([1j]))` is `tensor(1.+0.j)`."""
    require_tensor("vdot", input)
    require_tensor("vdot", other, "other", 2)
    check_vectors(input, other)
    return finish("vdot", ops.vdot(input, other), out)


@public
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """All products of the elements of two vectors, (n, m). Example: `outer(ones(2), ones(3)).shape` is `torch.Size([2, 3])`."""
    for name, position, t in (("self", 1, input), ("vec2", 2, vec2)):
        require_tensor("outer", t, name, position)
        if t._data.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {t._data.ndim}-D")
    return finish("outer", ops.outer(*promoted(input, vec2)), out)


def promoted(*tensors: Tensor) -> list[Tensor]:
    """The tensors in the type that they promote to."""
    compute = result_type(tensors)
    return [operand(t, compute) for t in tensors]


ger = outer


@public
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of the last dimensions, (..., k) and (..., k). Example: `inner(ones(2, 3), ones(4, 3)).shape` is (2, 4)."""
    require_tensor("inner", input)
    require_tensor("inner", other, "other", 2)
    one, two = input._data.shape, other._data.shape
    if not one or not two:
        return finish("inner", input * other, out)  # type: ignore[operator]
    if one[-1] != two[-1]:
        raise RuntimeError(f"inner() the last dimension must match on both input tensors but got shapes {list(one)} and {list(two)}")
    return finish("inner", tensordot(input, other, [[-1], [-1]]), out)


# matmul: every number of dimensions


@public
def matmul_any(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    a, b = input._data.ndim, other._data.ndim
    if not a or not b:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a}D and {b}D")
    return finish("matmul", CASES[min(a, 3), min(b, 3)](input, other), out)


def matrix_times_matrix(a: Tensor, b: Tensor) -> Tensor:
    check_matrices(a, b)
    return ops.mm(a, b)


def vector_times_vector(a: Tensor, b: Tensor) -> Tensor:
    check_vectors(a, b)
    return ops.dot(a, b)


def matrix_times_vector(a: Tensor, b: Tensor) -> Tensor:
    check_vector(a, b)
    return ops.mv(a, b)


def vector_times_matrix(a: Tensor, b: Tensor) -> Tensor:
    check_matrices(a, b, 1)
    return ops.vecmat(a, b)


def batch_times_matrix(a: Tensor, b: Tensor) -> Tensor:
    check_matrices(a, b, math.prod(a._data.shape[:-1]))
    return ops.fold_mm(a, b)


def batch_times_vector(a: Tensor, b: Tensor) -> Tensor:
    check_vector(a, b, math.prod(a._data.shape[:-1]))
    return ops.fold_mv(a, b)


def matrix_times_batch(a: Tensor, b: Tensor) -> Tensor:
    check_batched(a, b)
    return ops.spread_mm(a, b)


def vector_times_batch(a: Tensor, b: Tensor) -> Tensor:
    row = reshape(a, (1, a._data.shape[0]))
    check_batched(row, b)
    return reshape(ops.matmul(row, b), (*b._data.shape[:-2], b._data.shape[-1]))


def batch_times_batch(a: Tensor, b: Tensor) -> Tensor:
    check_batched(a, b)
    return ops.matmul(a, b)


def check_batched(a: Tensor, b: Tensor) -> None:
    one, two = a._data.shape, b._data.shape
    if one[-1] != two[-2]:
        batch = math.prod(np.broadcast_shapes(one[:-2], two[:-2]))
        raise RuntimeError(f"Expected size for first two dimensions of batch2 tensor to be: [{batch}, {one[-1]}] but got: [{batch}, {two[-2]}].")
    rank = max(len(one), len(two))
    for d in range(rank - 3, -1, -1):
        p, q = ((1,) * (rank - len(s)) + s for s in (one, two))
        if p[d] != q[d] and 1 not in (p[d], q[d]):
            raise RuntimeError(f"The size of tensor a ({p[d]}) must match the size of tensor b ({q[d]}) at non-singleton dimension {d}")
    check_types(a, b)


CASES = {
    (1, 1): vector_times_vector, (1, 2): vector_times_matrix, (1, 3): vector_times_batch,
    (2, 1): matrix_times_vector, (2, 2): matrix_times_matrix, (2, 3): matrix_times_batch,
    (3, 1): batch_times_vector, (3, 2): batch_times_matrix, (3, 3): batch_times_batch,
}  # fmt: skip


def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product that `@` is: of vectors, matrices and batches of matrices, whose leading dimensions broadcast.

    Shapes (..., n, k) and (..., k, m) give (..., n, m); a 1-D argument is a row on the left, a column on the right, and loses that dimension
    again. Raises RuntimeError for shapes that do not fit and for unequal types.

    Example:
        >>> matmul(tensor([[1., 2.]]), tensor([3., 4.]))
        tensor([11.])
    """
    if not state.busy and out is None and isinstance(input, Tensor) and isinstance(other, Tensor):
        t = times(input, other)
        if t is not None:
            return t
    require_tensor("matmul", input) if not state.busy else None
    require_tensor("matmul", other, "other", 2) if not state.busy else None
    return matmul_any(input, other, out=out)
