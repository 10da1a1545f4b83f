"""Products of large matrices, shared out among the threads in pieces that BLAS multiplies in one thread each.

A factor is given by its first element, the step from one row to the next, and `flip`: whether it is the transpose that lies so.
"""

from __future__ import annotations

from chainrule.kernels.compile_numba import finish, gemm, inner, kernel, product, wait
from chainrule.kernels.handover_numba import invite, take

DIRECT = 1 << 25  # multiplications up to which it is better that BLAS does not copy the factors
KINDS = ("f4[::1]", "f8[::1]")


@inner
def lay(bias, first, count, y, at, step, rows):  # type: ignore[no-untyped-def]
    """Part of the bias into so many rows of y, `step` apart."""
    for r in range(rows):
        for j in range(count):
            y[at + r * step + j] = bias[first + j]


@kernel(*[f"(b1, i8, {t}, b1, i8, {t}, {t}, {t}, i8, i8, i8, i8, i8, i8, i8[::1])" for t in KINDS])
def multiply(flip_a, step_a, a, flip_b, step_b, b, bias, y, m, n, k, tall, wide, pieces, turns):  # type: ignore[no-untyped-def]
    """y (m, n) = a (m, k) @ b (k, n) + bias, if that is not empty. A piece is `tall` rows and `wide` columns of y, or what is left."""
    helping = invite(turns)
    add, across = len(bias) > 0, (n + wide - 1) // wide
    i = take(turns, helping, pieces)
    while i < pieces:
        r, c = i // across * tall, i % across * wide
        rows, columns = min(tall, m - r), min(wide, n - c)
        if add:
            lay(bias, c, columns, y, r * n + c, n, rows)
        at_a, at_b = r if flip_a else r * step_a, c * step_b if flip_b else c
        gemm(flip_a, flip_b, rows, columns, k, a, at_a, step_a, b, at_b, step_b, add, y, r * n + c, n)
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel(*[f"(b1, i8, {t}, b1, i8, {t}, i8[::1], i8[::1], {t}, i8, i8, i8, i8, i8, i8[::1])" for t in KINDS])
def multiply_each(flip_a, step_a, a, flip_b, step_b, b, places_a, places_b, y, m, n, k, group, pieces, turns):  # type: ignore[no-untyped-def]
    """The same for many pairs of matrices, which begin at these places; a `group` of them is a piece."""
    helping = invite(turns)
    direct = not flip_b and m * n * k <= DIRECT
    i = take(turns, helping, pieces)
    while i < pieces:
        for j in range(i * group, min(len(places_a), (i + 1) * group)):
            if direct:
                product(flip_a, m, n, k, a, places_a[j], step_a, b, places_b[j], step_b, False, y, j * m * n, n)
            else:
                gemm(flip_a, flip_b, m, n, k, a, places_a[j], step_a, b, places_b[j], step_b, False, y, j * m * n, n)
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)
