"""Compiled reductions, scans, gathers and copies along one dimension, for which NumPy has no fast loop.

An array is seen as (outer, n, inner), the work being along n; rows are (outer, n).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from chainrule.kernels.compile_numba import finish, inner, kernel, wait
from chainrule.kernels.compile_vectors_numba import LANES, OF, fill, load, store, total as sum_of
from chainrule.kernels.handover_numba import invite, take

GROUP = 16  # rows to a piece of work
PIECE, ROW = 1 << 16, 1 << 12  # elements to a piece of a sum, and of them those that are added up in their own type
SPAN = 256  # inner elements to a piece of work
COPIED = 1 << 13  # elements to a piece of a copy
TILE = 16  # float32 to a line of the cache


def across(name, combine):
    """A function that combines the elements of a vector, two halves at a time."""

    def of_vector(context, value):
        def build(context, builder, signature, args):
            value, width = args[0], LANES
            while width > 1:
                width //= 2
                places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [(i + width) % LANES for i in range(LANES)])
                value = combine(builder, value, builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), places))
            return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

        return {many: number for number, many in OF.items()}[value](value), build

    of_vector.__name__ = name
    return intrinsic(of_vector)


def _larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@intrinsic
def larger(context, a, b):
    """The larger elements of two vectors without NaN."""
    return a(a, b), lambda context, builder, signature, args: _larger(builder, *args)


largest = across("largest", _larger)  # of a vector without NaN
multiplied = across("multiplied", lambda builder, a, b: builder.fmul(a, b))


@intrinsic
def marked(context, marks, a, b):
    """`marks`, with 1 where a or b is NaN."""

    def build(context, builder, signature, args):
        marks, a, b = args
        ones = ir.Constant(marks.type, [ir.Constant(marks.type.element, 1.0)] * LANES)
        return builder.select(builder.fcmp_unordered("uno", a, b), ones, marks)

    return marks(marks, a, b), build


@inner
def extremum_of(x, r, sign):
    """The largest (sign 1) or smallest (-1) of a row; NaN if there is one."""
    best = sign * x[r, 0]
    for j in range(1, x.shape[1]):
        v = sign * x[r, j]
        best = v if (v > best) | (v != v) else best
    return sign * best


@kernel("(f4[:, ::1], f4[::1], f4, i8[::1])")
def extremum(x, y, sign, turns):
    """The largest of each row (sign 1) or the smallest (-1); NaN if there is one."""
    helping = invite(turns)
    rows, n = x.shape
    whole = n - n % (4 * LANES)
    pieces = (rows + GROUP - 1) // GROUP
    i = take(turns, helping, pieces)
    while i * GROUP < rows:
        start, stop = i * GROUP, min(rows, (i + 1) * GROUP)
        marks, odd = fill(np.float32(0)), whole == 0
        for r in range(start, 0 if odd else stop):
            at = r * n
            a, b = sign * load(x, at), sign * load(x, at + LANES)
            c, d = sign * load(x, at + 2 * LANES), sign * load(x, at + 3 * LANES)
            marks = marked(marked(marks, a, b), c, d)
            for at in range(r * n + 4 * LANES, r * n + whole, 4 * LANES):
                e, f = sign * load(x, at), sign * load(x, at + LANES)
                g, h = sign * load(x, at + 2 * LANES), sign * load(x, at + 3 * LANES)
                marks = marked(marked(marks, e, f), g, h)
                a, b, c, d = larger(a, e), larger(b, f), larger(c, g), larger(d, h)
            best = largest(larger(larger(a, b), larger(c, d)))
            for j in range(whole, n):
                v = sign * x[r, j]
                odd |= v != v
                best = v if v > best else best
            y[r] = sign * best
        if odd or sum_of(marks) > 0:  # NaN, or short rows
            for r in range(start, stop):
                y[r] = extremum_of(x, r, sign)
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def shared_among(x, y, g, out):
    """g split evenly among the elements of x that are y; NaN if none is, for y is NaN then."""
    n = np.float32(0)
    for k in range(len(x)):
        n += np.float32(x[k] == y)
    part, none = g / n, g * np.float32(0) / n
    for k in range(len(x)):
        out[k] = part if x[k] == y else none


@kernel("(f4[:, ::1], f4[::1], f4[::1], f4[:, ::1], i8[::1])")
def unextremum(x, y, g, out, turns):
    """Each row's g, split evenly among the elements of the row that equal its extremum y."""
    helping = invite(turns)
    rows = len(x)
    pieces = (rows + GROUP - 1) // GROUP
    i = take(turns, helping, pieces)
    while i < pieces:
        for r in range(i * GROUP, min(rows, (i + 1) * GROUP)):
            shared_among(x[r], y[r], g[r], out[r])
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[::1], f4[::1], i8, f4, f8[::1], i8[::1])")
def totals(x, z, which, center, parts, turns):
    """The sum over each piece of x (which: 0), or of the squares of x - center (1) or x - z (2)."""
    helping = invite(turns)
    n = len(x)
    pieces = len(parts)
    i = take(turns, helping, pieces)
    while i < len(parts):
        total = 0.0
        for start in range(i * PIECE, min(n, (i + 1) * PIECE), ROW):
            a, b = x[start : min(n, start + ROW)], z[start : min(n, start + ROW)]
            s = np.float32(0)
            if which == 0:
                for k in range(len(a)):
                    s += a[k]
            elif which == 1:
                for k in range(len(a)):
                    s += (a[k] - center) * (a[k] - center)
            else:
                for k in range(len(a)):
                    s += (a[k] - b[k]) * (a[k] - b[k])
            total += s
        parts[i] = total
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], f4[::1], i8[::1])", "(f8[:, ::1], f8[::1], i8[::1])")
def product(x, y, turns):
    """The product of each row."""
    helping = invite(turns)
    rows, n = x.shape
    pieces = (rows + GROUP - 1) // GROUP
    i = take(turns, helping, pieces)
    while i * GROUP < rows:
        for r in range(i * GROUP, min(rows, (i + 1) * GROUP)):
            at, end = r * n, (r + 1) * n
            total = x[r, 0]
            if n >= 4 * LANES:
                a, b, c, d = load(x, at), load(x, at + LANES), load(x, at + 2 * LANES), load(x, at + 3 * LANES)
                at += 4 * LANES
                while at + 4 * LANES <= end:
                    a, b = a * load(x, at), b * load(x, at + LANES)
                    c, d = c * load(x, at + 2 * LANES), d * load(x, at + 3 * LANES)
                    at += 4 * LANES
                total = multiplied((a * b) * (c * d))
            else:
                at += 1
            for k in range(at, end):
                total *= x[r, k - r * n]
            y[r] = total
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, :, ::1], f4[:, ::1], i8[:, ::1], f4, i8[::1])", "(f8[:, :, ::1], f8[:, ::1], i8[:, ::1], f8, i8[::1])")
def extremum_at(x, y, place, sign, turns):
    """The largest (sign 1) or smallest (-1) along n, and where the first of them is; NaN counts as either."""
    helping = invite(turns)
    outer, n, inner = x.shape
    spans = (inner + SPAN - 1) // SPAN
    pieces = outer * spans
    i = take(turns, helping, pieces)
    while i < outer * spans:
        o, start = i // spans, i % spans * SPAN
        count = min(SPAN, inner - start)
        best, at = y[o, start : start + count], place[o, start : start + count]
        for k in range(count):
            best[k] = x[o, 0, start + k]
            at[k] = 0
        for j in range(1, n):
            row = x[o, j, start : start + count]
            for k in range(count):
                v, old = row[k], best[k]
                better = (sign * v > sign * old) | ((v != v) & (old == old))
                best[k] = v if better else old
                at[k] = j if better else at[k]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], f4[:, ::1], b1, b1, i8[::1])", "(f8[:, ::1], f8[:, ::1], b1, b1, i8[::1])", fast=False)
def scan_rows(x, y, products, back, turns):
    """Running sums (or products) of each row, from its end if `back`; accumulated in double precision, four rows at a time."""
    helping = invite(turns)
    rows, n = x.shape
    first, step = (n - 1, -1) if back else (0, 1)
    begin = 1.0 if products else 0.0
    pieces = (rows + 3) // 4
    i = take(turns, helping, pieces)
    while i * 4 < rows:
        r = i * 4
        if r + 4 <= rows:
            s0 = s1 = s2 = s3 = begin
            j = first
            if products:
                for _ in range(n):
                    s0 *= x[r, j]
                    s1 *= x[r + 1, j]
                    s2 *= x[r + 2, j]
                    s3 *= x[r + 3, j]
                    y[r, j], y[r + 1, j], y[r + 2, j], y[r + 3, j] = s0, s1, s2, s3
                    j += step
            else:
                for _ in range(n):
                    s0 += x[r, j]
                    s1 += x[r + 1, j]
                    s2 += x[r + 2, j]
                    s3 += x[r + 3, j]
                    y[r, j], y[r + 1, j], y[r + 2, j], y[r + 3, j] = s0, s1, s2, s3
                    j += step
        else:
            for k in range(r, rows):
                s0 = begin
                j = first
                for _ in range(n):
                    s0 = s0 * x[k, j] if products else s0 + x[k, j]
                    y[k, j] = s0
                    j += step
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, :, ::1], f4[:, :, ::1], b1, b1, i8[::1])", "(f8[:, :, ::1], f8[:, :, ::1], b1, b1, i8[::1])", fast=False)
def scan(x, y, products, back, turns):
    """Running sums (or products) along n, as `scan_rows`."""
    helping = invite(turns)
    outer, n, inner = x.shape
    spans = (inner + SPAN - 1) // SPAN
    totals = np.empty(SPAN)
    first, step = (n - 1, -1) if back else (0, 1)
    pieces = outer * spans
    i = take(turns, helping, pieces)
    while i < outer * spans:
        o, start = i // spans, i % spans * SPAN
        count = min(SPAN, inner - start)
        totals[:] = 1.0 if products else 0.0
        j = first
        for _ in range(n):
            source, target = x[o, j, start : start + count], y[o, j, start : start + count]
            if products:
                for k in range(count):
                    totals[k] *= source[k]
                    target[k] = totals[k]
            else:
                for k in range(count):
                    totals[k] += source[k]
                    target[k] = totals[k]
            j += step
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], i8[:, ::1], f4[:, ::1], i8[::1])", "(f8[:, ::1], i8[:, ::1], f8[:, ::1], i8[::1])")
def gather(x, index, y, turns):
    """y[o, j] = x[o, index[o, j]]; an index of one row is for all. No index is negative or too large."""
    helping = invite(turns)
    rows, m = y.shape
    pieces = (rows + GROUP - 1) // GROUP
    i = take(turns, helping, pieces)
    while i * GROUP < rows:
        for r in range(i * GROUP, min(rows, (i + 1) * GROUP)):
            source, target, at = x[r], y[r], index[r if len(index) > 1 else 0]
            for j in range(m):
                target[j] = source[np.uint64(at[j])]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], i8[:, ::1], f4[:, ::1], i8[::1])", "(f8[:, ::1], i8[:, ::1], f8[:, ::1], i8[::1])")
def scatter_add(y, index, x, turns):
    """y[o, index[o, j]] += x[o, j]; an index of one row is for all. No index is negative or too large."""
    helping = invite(turns)
    rows, m = x.shape
    pieces = (rows + GROUP - 1) // GROUP
    i = take(turns, helping, pieces)
    while i * GROUP < rows:
        for r in range(i * GROUP, min(rows, (i + 1) * GROUP)):
            source, target, at = x[r], y[r], index[r if len(index) > 1 else 0]
            for j in range(m):
                target[np.uint64(at[j])] += source[j]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], i8[::1], f4[:, ::1], i8[::1])", "(f8[:, ::1], i8[::1], f8[:, ::1], i8[::1])")
def pick_rows(x, index, y, turns):
    """y[k] = x[index[k]]. No index is negative or too large."""
    helping = invite(turns)
    rows, n = y.shape
    group = max(1, COPIED // n)
    pieces = (rows + group - 1) // group
    i = take(turns, helping, pieces)
    while i < pieces:
        for k in range(i * group, min(rows, (i + 1) * group)):
            source, target = x[np.uint64(index[k])], y[k]
            for j in range(n):
                target[j] = source[j]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], i8[::1], f4[:, ::1], i8[::1])", "(f8[:, ::1], i8[::1], f8[:, ::1], i8[::1])")
def add_rows(y, index, x, turns):
    """y[index[k]] += x[k], by spans of columns. No index is negative or too large."""
    helping = invite(turns)
    columns = y.shape[1]
    spans = (columns + SPAN - 1) // SPAN
    pieces = spans
    i = take(turns, helping, pieces)
    while i < spans:
        for k in range(len(index)):
            target, source = y[np.uint64(index[k]), i * SPAN : (i + 1) * SPAN], x[k, i * SPAN : (i + 1) * SPAN]
            for j in range(len(target)):
                target[j] += source[j]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[::1], b1[::1], f4[::1])", "(f8[::1], b1[::1], f8[::1])")
def choose(x, mask, y):
    """y = x[mask], y being as long as that is; without branches, which chance would mislead."""
    i = j = 0
    while j < len(y):
        y[j] = x[i]
        j += mask[i]
        i += 1


@kernel("(f4[::1], b1[::1], f4[::1])", "(f8[::1], b1[::1], f8[::1])")
def place(x, mask, y):
    """y[mask] = x, x being as long as that is."""
    i = j = 0
    while j < len(x):
        y[i] = x[j] if mask[i] else y[i]
        j += mask[i]
        i += 1


@kernel("(f4[::1], f4[::1], f4[:, ::1], i8[::1])", "(f8[::1], f8[::1], f8[:, ::1], i8[::1])")
def outer(a, b, y, turns):
    """y[i, j] = a[i] * b[j]."""
    helping = invite(turns)
    rows = len(a)
    pieces = (rows + GROUP - 1) // GROUP
    i = take(turns, helping, pieces)
    while i * GROUP < rows:
        for r in range(i * GROUP, min(rows, (i + 1) * GROUP)):
            target, factor = y[r], a[r]
            for j in range(len(target)):
                target[j] = factor * b[j]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@intrinsic
def turned(context, a):
    """The elements of a vector in reverse order."""

    def build(context, builder, signature, args):
        places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES))[::-1])
        return builder.shuffle_vector(args[0], ir.Constant(args[0].type, ir.Undefined), places)

    return a(a), build


@kernel("(f4[:, ::1], f4[:, ::1], i8[::1])", "(f8[:, ::1], f8[:, ::1], i8[::1])")
def reverse(x, y, turns):
    """y[i, j] = x[i, n - 1 - j]."""
    helping = invite(turns)
    rows, n = x.shape
    pieces = (rows + GROUP - 1) // GROUP
    i = take(turns, helping, pieces)
    while i * GROUP < rows:
        for r in range(i * GROUP, min(rows, (i + 1) * GROUP)):
            j, end = r * n, (r + 1) * n
            while j + LANES <= end:
                store(y, j, turned(load(x, r * n + end - LANES - j)))
                j += LANES
            for k in range(j - r * n, n):
                y[r, k] = x[r, n - 1 - k]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@inner
def copy_rows(x, y, first, step, start, stop):
    n = x.shape[1]
    for r in range(start, stop):
        source, target = x[r], y[first + r * step : first + r * step + n]
        for j in range(n):
            target[j] = source[j]


@kernel(
    "(f4[:, ::1], f4[:, ::1], f4[::1], i8, i8, i8, i8[::1])", "(f8[:, ::1], f8[:, ::1], f8[::1], i8, i8, i8, i8[::1])",
)  # fmt: skip
def lay(x, z, y, first, second, step, turns):
    """The rows of x and those of z in y, from the places `first` and `second` on, each row `step` after the one before."""
    helping = invite(turns)
    n, m = len(x), len(z)
    group = max(1, COPIED // x.shape[1])
    together = step > x.shape[1]  # no two threads write close by each other
    pieces = ((max(n, m) if together else n + m) + group - 1) // group
    i = take(turns, helping, pieces)
    while i < pieces:
        start, stop = i * group, (i + 1) * group
        copy_rows(x, y, first, step, start, min(stop, n))
        if together:
            copy_rows(z, y, second, step, start, min(stop, m))
        else:
            copy_rows(z, y, second, step, max(start - n, 0), min(stop - n, m))
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], f4[:, ::1], i8, i8, b1, i8[::1])", "(f8[:, ::1], f8[:, ::1], i8, i8, b1, i8[::1])")
def triangle(x, y, height, first, lower, turns):
    """y = x in the lower or upper triangles of matrices of so many rows, zero elsewhere; row 0 changes over at column `first`."""
    helping = invite(turns)
    rows, n = x.shape
    pieces = (rows + GROUP - 1) // GROUP
    i = take(turns, helping, pieces)
    while i * GROUP < rows:
        for r in range(i * GROUP, min(rows, (i + 1) * GROUP)):
            source, target = x[r], y[r]
            edge = min(max(r % height + first, 0), n)
            start, stop = (0, edge) if lower else (edge, n)
            target[:start] = 0
            target[start:stop] = source[start:stop]
            target[stop:] = 0
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], f4[:, ::1], i8[::1])", "(f8[:, ::1], f8[:, ::1], i8[::1])")
def transpose(x, y, turns):
    """y = x.T, by bands of rows, each read in order; tiles of a band are turned round in a buffer."""
    helping = invite(turns)
    rows, columns = x.shape
    tile = np.empty((TILE, TILE), x.dtype)
    pieces = (rows + TILE - 1) // TILE
    i = take(turns, helping, pieces)
    while i * TILE < rows:
        top = i * TILE
        height = min(TILE, rows - top)
        for left in range(0, columns, TILE):
            width = min(TILE, columns - left)
            if height == TILE and width == TILE:  # loops of known length
                for r in range(TILE):
                    for c in range(TILE):
                        tile[c, r] = x[top + r, left + c]
                for c in range(TILE):
                    for r in range(TILE):
                        y[left + c, top + r] = tile[c, r]
            else:
                for r in range(height):
                    for c in range(width):
                        y[left + c, top + r] = x[top + r, left + c]
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)


@kernel("(f4[:, ::1], f4[:, ::1], i8[:, ::1], f4, i8[::1])", "(f8[:, ::1], f8[:, ::1], i8[:, ::1], f8, i8[::1])")
def best(x, y, place, sign, turns):
    """The k largest (sign 1) or smallest (-1) of each row in order, and where they are; NaN is larger than all, equal ones keep order."""
    helping = invite(turns)
    rows, n = x.shape
    k = y.shape[1]
    pieces = rows
    i = take(turns, helping, pieces)
    while i < rows:
        found = 0
        for j in range(n):
            v = x[i, j]
            if found == k:
                last = y[i, k - 1]
                if not ((sign * v > sign * last) | (((v != v) & (last == last)) if sign > 0 else ((last != last) & (v == v)))):
                    continue
            else:
                found += 1
            at = found - 1
            while at > 0:
                w = y[i, at - 1]
                if not ((sign * v > sign * w) | (((v != v) & (w == w)) if sign > 0 else ((w != w) & (v == v)))):
                    break
                y[i, at], place[i, at] = w, place[i, at - 1]
                at -= 1
            y[i, at], place[i, at] = v, j
        finish(turns, 0)
        i = take(turns, helping, pieces)
    wait(turns, 0, pieces)
