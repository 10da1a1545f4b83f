"""Products summed over chosen dimensions (`einsum`, `tensordot`, `inner`), `kron`, `cross`, and distances between points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Any

from chainrule._core import dtypes
from chainrule._core.warn import warn_once
from chainrule.functions.arguments import require_tensor, tensors_of, wrap_dim
from chainrule.ops import matmul as ops
from chainrule.ops.inplace import write_out
from chainrule.ops.overrides import public
from chainrule.ops.pointwise_form import broadcast_error, operand, result_type
from chainrule.ops.shape import cast, expand, reshape
from chainrule.tensor import Tensor

ORDERED = ascii_uppercase + ascii_lowercase  # how PyTorch numbers and sorts subscripts
ELLIPSIS = "..."


# einsum


@public
def einsum(equation: Any, *operands: Any) -> Tensor:
    """Products of the operands' elements, summed over the subscripts that the output lacks.

    `equation` names the dimensions of each operand by letters, "ij,jk->ik"; "..." stands for dimensions that broadcast. Without
    "->" the output has, in alphabetic order, the letters that appear once. The other form is `einsum(a, [0, 1], b, [1, 2], [0, 2])`.
    Raises RuntimeError for a wrong equation or sizes that do not fit.

    Example:
        >>> einsum("ij,ij->i", ones(2, 3), ones(2, 3))
        tensor([3., 3.])
    """
    if not operands:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list"
        )
    if isinstance(equation, Tensor):
        equation, operands = from_lists((equation, *operands))
    elif not isinstance(equation, str):
        raise TypeError(f"einsum(): argument 'equation' (position 1) must be str, not {type(equation).__name__}")
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    tensors_of("einsum", operands, "tensors")
    shapes = tuple([t._data.shape for t in operands])
    inputs, output = labels(equation, shapes)
    for t in operands[1:]:
        if t._data.dtype != operands[0]._data.dtype:
            raise RuntimeError(f"expected scalar type {dtypes.LEGACY[operands[0].dtype]} but found {dtypes.LEGACY[t.dtype]}")
    if len(operands) > 1 and operands[0]._data.dtype == bool:
        raise NotImplementedError("\"bmm\" not implemented for 'Bool'")
    if operands[0].dtype.category < dtypes.FLOATING and sums_alone(inputs, output):
        operands = tuple([cast(t, dtypes.int64) for t in operands])
    return ops.einsum(list(operands), inputs, output)


def sums_alone(inputs: tuple, output: tuple) -> bool:
    """Whether an operand has a label that neither another one nor the output has: its sum, like `sum`, makes int64 of integers."""
    held = Counter(s for term in inputs for s in set(term))
    return any([n == 1 and s not in output for s, n in held.items()])


def from_lists(given: tuple) -> tuple[str, tuple]:
    """The form with lists of numbers as an equation and its operands."""
    operands, lists = given[0::2], given[1::2]
    output = None
    if len(given) % 2:
        operands, output = given[0:-1:2], given[-1]
    equation = ",".join([subscripts(s) for s in lists])
    return equation if output is None else f"{equation}->{subscripts(output)}", operands


def subscripts(numbers: Sequence) -> str:
    for n in numbers:
        if n is not Ellipsis and not 0 <= n < len(ORDERED):
            raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return "".join([ELLIPSIS if n is Ellipsis else ORDERED[n] for n in numbers])


@lru_cache(512)
def labels(equation: str, shapes: tuple) -> tuple[tuple, tuple]:
    """The label of each dimension of each operand, and of the output; dimensions of an ellipsis are numbered from the right."""
    left, arrow, right = equation.partition("->")
    terms = [tokens(term, f"operand {i}") for i, term in enumerate(left.replace(" ", "").split(","))]
    if len(terms) > len(shapes):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    if len(terms) < len(shapes):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    inputs = [spelled(term, len(shape), i) for i, (term, shape) in enumerate(zip(terms, shapes, strict=True))]
    check_sizes(inputs, shapes)
    dots = max([len(term) for term in ([s for s in labelled if isinstance(s, int)] for labelled in inputs)], default=0)
    around = tuple(range(-dots, 0))
    if not arrow:
        counts = Counter(s for term in terms for s in term if s != ELLIPSIS)
        return tuple(inputs), (*around, *sorted(s for s, n in counts.items() if n == 1))
    known = {s for term in inputs for s in term}
    output: list = []
    for s in tokens(right.replace(" ", ""), "the output"):
        if s == ELLIPSIS:
            output += around
            continue
        if s not in known:
            raise RuntimeError(f"einsum(): output subscript {s} does not appear in the equation for any input operand")
        if s in output:
            raise RuntimeError(f"einsum(): output subscript {s} appears more than once in the output")
        output.append(s)
    return tuple(inputs), tuple(output)


def tokens(term: str, where: str) -> list[str]:
    """The letters of one term, an ellipsis as one token."""
    parts: list[str] = []
    i = 0
    while i < len(term):
        c = term[i]
        if c == ".":
            if term[i : i + 3] != ELLIPSIS:
                raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis")
            if ELLIPSIS in parts:
                raise RuntimeError(f"einsum(): found '.' for {where} for which an ellipsis was already found")
            parts.append(ELLIPSIS)
            i += 3
            continue
        if c not in ascii_letters:
            raise RuntimeError(f"einsum(): invalid subscript given at index {i} in the equation string, subscripts must be in [a-zA-Z]")
        parts.append(c)
        i += 1
    return parts


def spelled(term: list[str], ndim: int, operand: int) -> tuple:
    """One label for each dimension: the ellipsis becomes negative numbers."""
    if ELLIPSIS not in term:
        if len(term) != ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({len(term)}) does not match the number of dimensions ({ndim}) for "
                f"operand {operand} and no ellipsis was given"
            )
        return tuple(term)
    covered = ndim - len(term) + 1
    if covered < 0:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(term) - 1}) is more than the number of dimensions ({ndim}) for "
            f"operand {operand}"
        )
    at = term.index(ELLIPSIS)
    return (*term[:at], *range(-covered, 0), *term[at + 1 :])


def check_sizes(inputs: list[tuple], shapes: tuple) -> None:
    seen: dict = {}
    for i, (term, shape) in enumerate(zip(inputs, shapes, strict=True)):
        own: dict = {}
        for s, n in zip(term, shape, strict=True):
            if own.setdefault(s, n) != n:
                raise RuntimeError(f"einsum(): subscript {s} is repeated for operand {i} but the sizes don't match, {n} != {own[s]}")
            if seen.setdefault(s, n) == 1:
                seen[s] = n
            elif n not in (1, seen[s]):
                raise RuntimeError(
                    f"einsum(): subscript {s} has size {n} for operand {i} which does not broadcast with previously seen size {seen[s]}"
                )


# Sums over pairs of dimensions


@public
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """The products of a's and b's elements summed over pairs of dimensions.

    `dims`: two lists of dimensions that pair off, or a number n for a's last n with b's first n. Raises RuntimeError for unequal sizes.

    Example:
        >>> tensordot(ones(2, 3), ones(3, 4), dims=1).shape
        torch.Size([2, 4])
    """
    require_tensor("tensordot", a, "a")
    require_tensor("tensordot", b, "b", 2)
    first, second = pairs(a._data.ndim, b._data.ndim, dims)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    if a._data.dtype != b._data.dtype:
        raise RuntimeError("both inputs should have same dtype")
    first, second = [wrap_dim(d, a._data.ndim) for d in first], [wrap_dim(d, b._data.ndim) for d in second]
    for i, j in zip(first, second, strict=True):
        m, n = a._data.shape[i], b._data.shape[j]
        if m != n and 1 not in (m, n):
            raise RuntimeError(f"contracted dimensions need to match, but first has size {m} in dim {i} and second has size {n} in dim {j}")
    left: list = list(range(a._data.ndim))
    right: list = list(range(len(left), len(left) + b._data.ndim))
    for i, j in zip(first, second, strict=True):
        right[j] = left[i]
    away = {left[i] for i in first}
    result = ops.einsum([a, b], (tuple(left), tuple(right)), tuple([s for s in (*left, *right) if s not in away]))
    return result if out is None else write_out("tensordot", out, result)


def pairs(m: int, n: int, dims: Any) -> tuple[list, list]:
    """The dimensions of a and of b that `dims` pairs."""
    if isinstance(dims, Tensor):
        dims = dims.item() if dims._data.size == 1 else dims.tolist()
    if isinstance(dims, (tuple, list)):
        first, second = dims
        return [list(d) if isinstance(d, (tuple, list)) else [d] for d in (first, second)]  # type: ignore[return-value]
    if dims < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
    if dims > min(m, n):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
    return list(range(-dims, 0)), list(range(dims))


@public
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of the last dimensions, (..., k) and (..., k). Example: `inner(ones(2, 3), ones(4, 3)).shape` is (2, 4)."""
    require_tensor("inner", input)
    require_tensor("inner", other, "other", 2)
    one, two = input._data.shape, other._data.shape
    if not one or not two:
        result = input * other  # type: ignore[operator]
        return result if out is None else write_out("inner", out, result)
    if one[-1] != two[-1]:
        raise RuntimeError(f"inner() the last dimension must match on both input tensors but got shapes {list(one)} and {list(two)}")
    return tensordot(input, other, [[-1], [-1]], out)


@public
def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """Deprecated: as `linalg.multi_dot(matrices)`. Example: `chain_matmul(ones(2, 3), ones(3, 4)).shape` is (2, 4)."""
    from chainrule.functions.matmul import mm
    from chainrule.linalg import multi_dot

    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    warn_once(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot instead, which "
        "accepts a list of two or more tensors rather than multiple parameters.",
    )
    for t in matrices:
        if isinstance(t, Tensor) and t._data.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {t._data.ndim}, expected 2 instead.")
    if len(matrices) == 1:
        return matrices[0]
    return mm(*matrices, out=out) if len(matrices) == 2 else multi_dot(list(matrices), out=out)


@public
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Kronecker's product: every element of `input` times all of `other`, laid out in blocks.

    Example:
        >>> kron(tensor([[1., 2.]]), ones(1, 2))
        tensor([[1., 1., 2., 2.]])
    """
    require_tensor("kron", input)
    require_tensor("kron", other, "other", 2)
    one, two = input._data.shape, other._data.shape
    ndim = max(len(one), len(two))
    one, two = (1,) * (ndim - len(one)) + one, (1,) * (ndim - len(two)) + two
    blocks = reshape(input, tuple([n for m in one for n in (m, 1)])) * reshape(other, tuple([n for m in two for n in (1, m)]))
    result = reshape(blocks, tuple([m * n for m, n in zip(one, two, strict=True)]))
    return result if out is None else write_out("kron", out, result)


# Three dimensions


@public
def cross(input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """The vector product along `dim`, which has size 3 (the first such dimension if left out, which is deprecated).

    Example:
        >>> cross(tensor([1., 0., 0.]), tensor([0., 1., 0.]), dim=0)
        tensor([0., 0., 1.])
    """
    if dim is None:
        require_tensor("cross", input)
        if 3 not in input._data.shape:
            raise RuntimeError("no dimension of size 3 in input")
        warn_once(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly or simply use "
            "torch.linalg.cross.\nThe default value of dim will change to agree with that of linalg.cross in a future release.",
        )
        dim = input._data.shape.index(3)
    return cross_along("cross", input, other, dim, out)


def cross_along(function: str, input: Tensor, other: Tensor, dim: int, out: Tensor | None) -> Tensor:
    """The vector product with the checks of `linalg.cross`."""
    require_tensor(function, input)
    require_tensor(function, other, "other", 2)
    one, two = input._data.shape, other._data.shape
    if len(one) != len(two):
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    at = wrap_dim(dim, len(one))
    if not one or one[at] != 3 or two[at] != 3:
        got = f"{one[at]} and {two[at]}" if one else "1 and 1"
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {got}")
    shape = []
    for m, n in zip(one, two, strict=True):
        if m != n and 1 not in (m, n):
            raise broadcast_error(input._data, other._data)
        shape.append(n if m == 1 else m)
    compute = result_type((input, other))
    if compute is dtypes.bool_:
        raise NotImplementedError("\"cross\" not implemented for 'Bool'")
    result = ops.cross(*[expanded(operand(t, compute), tuple(shape)) for t in (input, other)], at)
    return result if out is None else write_out(function, out, result)


def expanded(t: Tensor, shape: tuple) -> Tensor:
    return t if t._data.shape == shape else expand(t, shape)


# Distances

MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
MANY = 25  # from here on Euclidean distances are computed by a matrix product


@public
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = MODES[0]) -> Tensor:
    """The p-norm distances between the rows of x1 (..., n, k) and x2 (..., m, k), as (..., n, m); leading dimensions broadcast.

    With more than 25 rows (or `compute_mode="use_mm_for_euclid_dist"`) Euclidean distances come from a matrix product.

    Example:
        >>> cdist(zeros(1, 2), tensor([[3., 4.]]))
        tensor([[5.]])
    """
    require_tensor("cdist", x1, "x1")
    require_tensor("cdist", x2, "x2", 2)
    if compute_mode not in MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for name, t in (("X1", x1), ("X2", x2)):
        if t._data.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {t._data.ndim}D")
    one, two = x1._data.shape, x2._data.shape
    if one[-1] != two[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {one[-1]} X2: {two[-1]}")
    for name, t in (("X1", x1), ("X2", x2)):
        if not t.dtype.is_floating_point:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {dtypes.LEGACY[t.dtype]}")
    if not p >= 0:
        raise RuntimeError("cdist only supports non-negative p values")
    batch = broadcast_batch(one[:-2], two[:-2], x1, x2)
    if x1.dtype is not x2.dtype:
        raise RuntimeError(f"expected scalar type {dtypes.LEGACY[x1.dtype]} but found {dtypes.LEGACY[x2.dtype]}")
    by_product = p == 2 and compute_mode != MODES[2] and (compute_mode == MODES[1] or max(one[-2], two[-2]) > MANY)
    return ops.cdist(expanded(x1, (*batch, *one[-2:])), expanded(x2, (*batch, *two[-2:])), float(p), by_product)


def broadcast_batch(one: tuple, two: tuple, a: Tensor, b: Tensor) -> tuple:
    ndim = max(len(one), len(two))
    shape = []
    for m, n in zip((1,) * (ndim - len(one)) + one, (1,) * (ndim - len(two)) + two, strict=True):
        if m != n and 1 not in (m, n):
            raise broadcast_error(a._data, b._data)
        shape.append(n if m == 1 else m)
    return tuple(shape)
