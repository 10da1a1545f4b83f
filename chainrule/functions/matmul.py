"""Products of vectors, matrices and batches of them: `matmul` and its cases, and `addmm` and its kind; `contractions` has the rest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.autograd.node import next_sequence
from chainrule.functions.arguments import require_tensor
from chainrule.functions.contractions import cdist, chain_matmul, cross, einsum, inner, kron, tensordot
from chainrule.kernels.random import CPP
from chainrule.ops import matmul as ops
from chainrule.ops.eager import eager
from chainrule.ops.inplace import inplace, write_out
from chainrule.ops.overrides import claims, dispatch, public, shortcut
from chainrule.ops.pointwise_form import operand, result_type
from chainrule.ops.shape import reshape
from chainrule.tensor import Tensor, sync

state = modes.state
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
Matmul = ops.mm.node
mm_pair, bmm_pair, mv_pair, dot_pair, vdot_pair, outer_pair = map(eager, (ops.mm, ops.bmm, ops.mv, ops.dot, ops.vdot, ops.outer))
vecmat_pair, fold_mm_pair, fold_mv_pair, spread_mm_pair, matmul_pair = map(
    eager, (ops.vecmat, ops.fold_mm, ops.fold_mv, ops.spread_mm, ops.matmul)
)
addmm_triple = eager(ops.addmm)
NUMBERS = (int, float)
_new = object.__new__
_dot = np.dot


def finish(function: str, result: Tensor, out: Tensor | None) -> Tensor:
    """The result, written to `out=` if there is one; products do not cast there."""
    if out is None:
        return result
    if isinstance(out, Tensor) and out._data.dtype != result._data.dtype:
        raise RuntimeError(f"Expected out tensor to have dtype {CPP[result.dtype.name]}, but got {CPP[out.dtype.name]} instead")
    return write_out(function, out, result)


def legacy(t: Tensor) -> str:
    return dtypes.LEGACY[t.dtype]


# Matrix times matrix, the eager path


def at(self: Tensor, other: Any) -> Tensor:
    """`self @ other`: for float matrices with nothing in the way recorded right here, else as `matmul`."""
    if not state.busy and isinstance(other, Tensor):
        a, b = self._data, other._data
        dtype = a.dtype
        if (dtype is F32 or dtype is F64) and b.dtype is dtype and a.ndim == 2 == b.ndim and a.shape[1] == b.shape[0]:
            if self._base is not None:
                sync(self)
            if other._base is not None:
                sync(other)
            t = _new(Tensor)
            t._data = _dot(a, b)
            t._base = t._grad = None
            t._versions = [0, 0]
            ta, tb = self._tracked, other._tracked
            if ta or tb:
                node = _new(Matmul)
                node.fix = node.extra = None
                node.made = t._data.shape
                node.sequence = next_sequence()
                if not tb:
                    counter = other._versions
                    node.edges, node.saved, node.guards = (self._edge or self, None), (None, b), (counter, counter[0])
                elif not ta:
                    counter = self._versions
                    node.edges, node.saved, node.guards = (None, other._edge or other), (a, None), (counter, counter[0])
                else:
                    node.edges, node.saved = (self._edge or self, other._edge or other), (a, b)
                    first, second = self._versions, other._versions
                    node.guards = (first, first[0], second, second[0])
                t._tracked, t._edge = True, node
            else:
                t._tracked, t._edge = False, None
            return t
    elif not isinstance(other, Tensor) and not claims(other):
        return NotImplemented
    if state.busy:
        done, value = dispatch(matmul, (self, other), {})
        if done:
            return value
    return matmul_any(self, other)


def reversed_at(self: Tensor, other: Any) -> Tensor:
    if isinstance(other, Tensor):
        return at(other, self)
    return dispatch(reversed_at, (self, other), {})[1] if claims(other) else NotImplemented


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
    return finish("mm", mm_pair(input, mat2), out)


def check_matrices(a: Tensor, b: Tensor, rows: int | None = None) -> None:
    """RuntimeError unless a @ b is a product of matrices of one type; `rows` are those of a with its batches."""
    one, two = a._data.shape, b._data.shape
    if rows is None:
        for name, shape in (("self", one), ("mat2", two)):
            if len(shape) != 2:
                raise RuntimeError(f"{name} must be a matrix")
        rows = one[0]
    if one[-1] != two[0]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{one[-1]} and {two[0]}x{two[1]})")
    if a._data.dtype != b._data.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {CPP[a.dtype.name]} != {CPP[b.dtype.name]}")
    if a._data.dtype == bool:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def batches(input: Any, mat2: Any) -> Tensor | None:
    """The shorter way of `bmm`."""
    if isinstance(input, Tensor) and isinstance(mat2, Tensor):
        one, two = input._data.shape, mat2._data.shape
        if len(one) == 3 == len(two) and one[0] == two[0] and one[2] == two[1] and alike(input, mat2):
            return bmm_pair(input, mat2)
    return None


@shortcut(batches)
@public
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products of matrices by batch, (b, n, k) @ (b, k, m). Example: `bmm(ones(2, 3, 4), ones(2, 4, 5)).shape` is (2, 3, 5)."""
    require_tensor("bmm", input)
    require_tensor("bmm", mat2, "mat2", 2)
    check_batches(input, mat2)
    result = bmm_pair(input, mat2)
    return result if out is None else finish("bmm", result, out)


def alike(a: Tensor, b: Tensor) -> bool:
    """Whether both are of the same of the two most frequent types."""
    dtype = a._data.dtype
    return b._data.dtype is dtype and (dtype is F32 or dtype is F64)


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
    result = mv_pair(input, vec)
    return result if out is None else finish("mv", result, out)


def check_vector(a: Tensor, v: Tensor, rows: int | None = None) -> None:
    one, two = a._data.shape, v._data.shape
    if rows is None:
        if len(one) != 2 or len(two) != 1:
            raise RuntimeError(f"vector + matrix @ vector expected, got 1, {len(one)}, {len(two)}")
        rows = one[0]
    if one[-1] != two[0]:
        raise RuntimeError(f"size mismatch, got input ({rows}), mat ({rows}x{one[-1]}), vec ({two[0]})")
    if a._data.dtype != v._data.dtype:
        raise RuntimeError(f"addmv input tensors must have the same dtype, but got {legacy(v)}, {legacy(a)}, and {legacy(v)}")


def check_vectors(a: Tensor, b: Tensor) -> None:
    one, two = a._data, b._data
    if one.ndim != 1 or two.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {one.ndim}D and {two.ndim}D tensors")
    if one.dtype != two.dtype:
        raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {legacy(a)} and {legacy(b)}")
    if one.size != two.size:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{one.size}] and src [{two.size}] to have the same number of elements, "
            f"but got {one.size} and {two.size} elements respectively"
        )
    refuse_bool("dot", a)


@public
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sum of the products of two vectors. Example: `dot(tensor([2., 3.]), tensor([2., 1.]))` is `tensor(7.)`."""
    require_tensor("dot", input)
    require_tensor("dot", tensor, "tensor", 2)
    check_vectors(input, tensor)
    return finish("dot", dot_pair(input, tensor), out)


@public
def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """As `dot`, the first vector conjugated. Example: `vdot(tensor([1j]), tensor([1j]))` is `tensor(1.+0.j)`."""
    require_tensor("vdot", input)
    require_tensor("vdot", other, "other", 2)
    check_vectors(input, other)
    return finish("vdot", vdot_pair(input, other), out)


@public
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """All products of the elements of two vectors, (n, m). Example: `outer(ones(2), ones(3)).shape` is `torch.Size([2, 3])`."""
    require_tensor("outer", input, "self")
    require_tensor("outer", vec2, "vec2", 2)
    for name, t in (("self", input), ("vec2", vec2)):
        if t._data.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {t._data.ndim}-D")
    result = outer_pair(input, vec2) if alike(input, vec2) else outer_pair(*promoted(input, vec2))
    return result if out is None else write_out("outer", out, result)


def promoted(*tensors: Tensor) -> list[Tensor]:
    """The tensors in the type that they promote to."""
    compute = result_type(tensors)
    return [operand(t, compute) for t in tensors]


ger = outer


# matmul: every number of dimensions


@public
def matmul_any(input: Tensor, other: Tensor) -> Tensor:
    a, b = input._data.ndim, other._data.ndim
    if not a or not b:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a}D and {b}D")
    return CASES[min(a, 3), min(b, 3)](input, other)


def matrix_times_matrix(a: Tensor, b: Tensor) -> Tensor:
    check_matrices(a, b)
    return mm_pair(a, b)


def vector_times_vector(a: Tensor, b: Tensor) -> Tensor:
    check_vectors(a, b)
    return dot_pair(a, b)


def matrix_times_vector(a: Tensor, b: Tensor) -> Tensor:
    check_vector(a, b)
    return mv_pair(a, b)


def vector_times_matrix(a: Tensor, b: Tensor) -> Tensor:
    check_matrices(a, b, 1)
    return vecmat_pair(a, b)


def batch_times_matrix(a: Tensor, b: Tensor) -> Tensor:
    check_matrices(a, b, math.prod(a._data.shape[:-1]))
    return fold_mm_pair(a, b)


def batch_times_vector(a: Tensor, b: Tensor) -> Tensor:
    check_vector(a, b, math.prod(a._data.shape[:-1]))
    return fold_mv_pair(a, b)


def matrix_times_batch(a: Tensor, b: Tensor) -> Tensor:
    check_batched(a, b)
    return spread_mm_pair(a, b)


def vector_times_batch(a: Tensor, b: Tensor) -> Tensor:
    row = reshape(a, (1, a._data.shape[0]))
    check_batched(row, b)
    return reshape(matmul_pair(row, b), (*b._data.shape[:-2], b._data.shape[-1]))


def batch_times_batch(a: Tensor, b: Tensor) -> Tensor:
    check_batched(a, b)
    return matmul_pair(a, b)


def check_batched(a: Tensor, b: Tensor) -> None:
    one, two = a._data.shape, b._data.shape
    if one[-1] != two[-2]:
        batch = math.prod(np.broadcast_shapes(one[:-2], two[:-2]))
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{batch}, {one[-1]}] but got: [{batch}, {two[-2]}]."
        )
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


@public
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product that `@` is: of vectors, matrices and batches of matrices, whose leading dimensions broadcast.

    Shapes (..., n, k) and (..., k, m) give (..., n, m); a 1-D argument is a row on the left, a column on the right, and loses that
    dimension again. Raises RuntimeError for shapes that do not fit and for unequal types.

    Example:
        >>> matmul(tensor([[1., 2.]]), tensor([3., 4.]))
        tensor([11.])
    """
    require_tensor("matmul", input)
    require_tensor("matmul", other, "other", 2)
    return finish("matmul", at(input, other), out)


matmul_any.shown = matmul


# A product added to something


def check_added(self: Tensor, a: Tensor, b: Tensor, shape: tuple) -> None:
    """RuntimeError unless `self`, of the type of a and b, broadcasts to `shape`."""
    for t in (b, a):
        if self._data.dtype != t._data.dtype:
            raise RuntimeError(f"self and mat2 must have the same dtype, but got {legacy(self)} and {legacy(t)}")
    check_spread(self._data.shape, shape)


def check_spread(have: tuple, shape: tuple) -> None:
    """RuntimeError unless an array of shape `have` broadcasts to `shape`."""
    if have == shape:
        return
    lead = len(shape) - len(have)
    if lead > 0 and have == shape[lead:]:
        return
    if lead < 0:
        raise RuntimeError(
            f"expand(torch.FloatTensor{{{list(have)}}}, size={list(shape)}): the number of sizes provided ({len(shape)}) must be greater "
            "or "
            f"equal to the number of dimensions in the tensor ({len(have)})"
        )
    for d in range(len(shape) - 1, lead - 1, -1):
        if have[d - lead] not in (1, shape[d]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[d]}) must match the existing size ({have[d - lead]}) at non-singleton "
                f"dimension {d}.  "
                f"Target sizes: {list(shape)}.  Tensor sizes: {list(have)}"
            )


def factor(value: Any, t: Tensor) -> Any:
    """`beta` or `alpha` as a number of t's kind."""
    if isinstance(value, (Tensor, np.generic)):
        value = value.item()
    kind = t._data.dtype.kind
    if isinstance(value, complex) and kind != "c":
        raise RuntimeError(f"value cannot be converted to type {CPP[t.dtype.name]} without overflow")
    return int(value) if kind in "iu" else value


def check_all(function: str, **tensors: Any) -> None:
    for position, name in enumerate(tensors, 1):
        if not isinstance(tensors[name], Tensor):
            require_tensor(function, tensors[name], name, position)


@public
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)` for matrices (n, k) and (k, m); `input` broadcasts to (n, m), and is not read if beta is 0.

    Example:
        >>> addmm(zeros(2), ones(1, 3), ones(3, 2))
        tensor([[3., 3.]])
    """
    check_all("addmm", input=input, mat1=mat1, mat2=mat2)
    one, two = mat1._data.shape, mat2._data.shape
    if len(one) == 2 == len(two) and one[1] == two[0] and alike(input, mat1) and alike(mat1, mat2):
        check_spread(input._data.shape, (one[0], two[1]))
        if beta.__class__ in NUMBERS and alpha.__class__ in NUMBERS:
            result = addmm_triple(input, mat1, mat2, beta, alpha)
            return result if out is None else finish("addmm", result, out)
    for name, shape in (("mat1", one), ("mat2", two)):
        if len(shape) != 2:
            raise RuntimeError(f"{name} must be a matrix, got {len(shape)}-D tensor")
    if one[1] == two[0]:
        check_added(input, mat1, mat2, (one[0], two[1]))
    check_matrices(mat1, mat2, one[0])
    return finish("addmm", ops.addmm(input, mat1, mat2, factor(beta, input), factor(alpha, input)), out)


@public
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """`beta * input + alpha * (mat @ vec)`, (n, k) @ (k,). Example: `addmv(zeros(2), ones(2, 3), ones(3))` is `tensor([3., 3.])`."""
    check_all("addmv", input=input, mat=mat, vec=vec)
    own, one, two = input._data.shape, mat._data.shape, vec._data.shape
    if len(own) > 1 or len(one) != 2 or len(two) != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {len(own)}, {len(one)}, {len(two)}")
    if one[1] != two[0] or (own and own[0] not in (1, one[0])):
        raise RuntimeError(f"size mismatch, got input ({own[0] if own else 1}), mat ({one[0]}x{one[1]}), vec ({two[0]})")
    if not input._data.dtype == mat._data.dtype == vec._data.dtype:
        raise RuntimeError(f"addmv input tensors must have the same dtype, but got {legacy(input)}, {legacy(mat)}, and {legacy(vec)}")
    refuse_bool("addmv_impl_cpu", mat)
    return finish("addmv", ops.addmv(input, mat, vec, factor(beta, input), factor(alpha, input)), out)


def refuse_bool(kernel: str, t: Tensor) -> None:
    if t._data.dtype == bool:
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


@public
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`, (n,) and (m,). Example: `addr(zeros(2, 3), ones(2), ones(3)).sum()` is `tensor(6.)`."""
    check_all("addr", input=input, vec1=vec1, vec2=vec2)
    for name, t in (("vec1", vec1), ("vec2", vec2)):
        if t._data.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {t._data.ndim}-D")
    check_spread(input._data.shape, (vec1._data.size, vec2._data.size))
    for name, value in (("beta", beta), ("alpha", alpha)):
        if isinstance(value, bool) and input._data.dtype != bool:
            raise RuntimeError(f"Boolean {name} only supported for Boolean results.")
    tensors = promoted(input, vec1, vec2)
    if tensors[0]._data.dtype == bool:
        product = outer_pair(*tensors[1:]) if alpha else zero_like(tensors)
        result = product | tensors[0] if beta else product
    else:
        result = ops.addr(*tensors, factor(beta, tensors[0]), factor(alpha, tensors[0]))
    return result if out is None else write_out("addr", out, result)


def zero_like(tensors: list[Tensor]) -> Tensor:
    from chainrule.tensor import wrap

    return wrap(np.zeros((tensors[1]._data.size, tensors[2]._data.size), tensors[0]._data.dtype))


@public
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """`beta * input + alpha * bmm(batch1, batch2)`, (b, n, k) and (b, k, m). Example: `baddbmm(zeros(1), a, b)`."""
    check_all("baddbmm", input=input, batch1=batch1, batch2=batch2)
    one, two = batch1._data.shape, batch2._data.shape
    if len(one) == len(two) == 3:
        check_spread(input._data.shape, (one[0], one[1], two[2]))
    if not input._data.dtype == batch1._data.dtype == batch2._data.dtype:
        names = [CPP[t.dtype.name] for t in (input, batch1, batch2)]
        raise RuntimeError("Input dtypes must be the same, got: input {}, batch1: {}, batch2: {}".format(*names))
    check_batches(batch1, batch2)
    return finish("baddbmm", ops.baddbmm(input, batch1, batch2, factor(beta, input), factor(alpha, input)), out)


@public
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """`beta * input + alpha * bmm(batch1, batch2).sum(0)`, (b, n, k) and (b, k, m). Example: `addbmm(zeros(1), a, b)`."""
    check_all("addbmm", input=input, batch1=batch1, batch2=batch2)
    one, two = batch1._data.shape, batch2._data.shape
    for name, shape in (("batch1", one), ("batch2", two)):
        if len(shape) != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    check_spread(input._data.shape, (one[1], two[2]))
    if one[0] != two[0]:
        raise RuntimeError(f"batch1 and batch2 must have same number of batches, got {one[0]} and {two[0]}")
    if one[2] != two[1]:
        raise RuntimeError(f"Incompatible matrix sizes for bmm ({one[1]}x{one[2]} and {two[1]}x{two[2]})")
    check_added(input, batch1, batch2, (one[1], two[2]))
    refuse_bool("addmm_impl_cpu_", input)
    return finish("addbmm", ops.addbmm(input, batch1, batch2, factor(beta, input), factor(alpha, input)), out)


@public
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal; integers give int64. Example: `trace(eye(3))` is `tensor(3.)`."""
    require_tensor("trace", input)
    if input._data.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._data.ndim}")
    refuse_bool("trace", input)
    return ops.trace(input if input._data.dtype.kind not in "iu" else operand(input, dtypes.int64))


addmv_ = inplace(addmv, "addmv_")
__all__ = [
    "addbmm", "addmm", "addmv", "addmv_", "addr", "baddbmm", "bmm", "cdist", "chain_matmul", "cross", "dot", "einsum", "ger", "inner",
    "kron",
    "matmul",
    "mm", "mv", "outer", "tensordot", "trace", "vdot",
]  # fmt: skip
METHODS = [n for n in __all__ if n not in ("cdist", "chain_matmul", "einsum", "tensordot")]
INPLACE = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]
OPERATORS = {"__matmul__": at, "__rmatmul__": reversed_at}
