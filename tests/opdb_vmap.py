"""`vmap` against a loop for every entry of PyTorch's operator database: `python tests/opdb_vmap.py sum mean` (no names: all).

For the first samples of an entry: all tensors batched, and the first alone; values, and (unless `--values`) gradients by `func.vjp`.
Prints what fails, and the primitives that have no batching rule, which went example by example.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import opdb
import torch

import chainrule
from chainrule.func import calls

EXAMPLES = 3
# Results that depend on the memory that happens to be there, on random numbers, or that leave tensors
NOT_COMPARED = opdb.UNINITIALISED | {"allclose", "equal", "item"}
RANDOM = {
    "bernoulli", "cauchy", "dropout", "exponential", "geometric", "log_normal", "multinomial", "normal", "rand", "rand_like", "randint",
    "randint_like", "randn", "randn_like", "uniform", "svd_lowrank", "pca_lowrank", "rrelu", "alpha_dropout", "feature_alpha_dropout",
    "dropout2d", "dropout3d", "fractional_max_pool2d", "fractional_max_pool3d", "scaled_dot_product_attention",
}  # fmt: skip
ELSEWHERE = ("type object 'Tensor' has no attribute", "Batch norm got a batched tensor")  # what PyTorch's vmap refuses, too
DYNAMIC = {"nonzero", "nonzero_static", "argwhere", "unique", "unique_consecutive", "masked_select", "combinations", "histogram"}


def variants(x: torch.Tensor) -> list[torch.Tensor]:
    """Examples like x: smaller by a little each, so that what is positive stays so."""
    if x.dtype.is_floating_point or x.dtype.is_complex:
        return [x.detach() * (1 - 0.1 * i) for i in range(EXAMPLES)]
    return [x.detach().clone() for _ in range(EXAMPLES)]


def replaced(x: Any, tensors: Iterator) -> Any:
    if isinstance(x, chainrule.Tensor):
        return next(tensors)
    if isinstance(x, (list, tuple)):
        return type(x)([replaced(v, tensors) for v in x]) if not hasattr(x, "_fields") else x
    if isinstance(x, dict):
        return {k: replaced(v, tensors) for k, v in x.items()}
    return x


def outputs(result: Any) -> tuple:
    return tuple([t for t in opdb.leaves(result) if isinstance(t, chainrule.Tensor)])


def close(a: Any, b: Any, what: str) -> None:
    a, b = a._data, b._data
    if a.shape != b.shape or a.dtype != b.dtype:
        raise AssertionError(f"{what}: {a.dtype} {a.shape} instead of {b.dtype} {b.shape}")
    if a.dtype.name in ("bfloat16", "float16"):
        return
    scale = np.abs(b[np.isfinite(b)]).max() if b.size and np.isfinite(b).any() else 0
    if not np.allclose(a, b, rtol=2e-4, atol=2e-5 * (1 + scale), equal_nan=True):
        raise AssertionError(f"{what}: differs by {np.nanmax(np.abs(a.astype(complex) - b)):.3g}")


def check(entry: Any, sample: Any, only_first: bool, derivatives: bool) -> bool:
    """Compare one sample; False if there is nothing to compare."""
    function = opdb.our_function(entry)
    arguments = opdb.ours(sample.input), opdb.ours(tuple(sample.args)), opdb.ours(sample.kwargs)
    tensors = [t for t in opdb.leaves((sample.input, tuple(sample.args), sample.kwargs)) if isinstance(t, torch.Tensor)]
    if not tensors:
        return False
    count = 1 if only_first else len(tensors)
    stacks = [chainrule.stack([opdb.ours(v) for v in variants(t)]) if i < count else opdb.ours(t.detach()) for i, t in enumerate(tensors)]

    def call(*given: Any) -> tuple:
        source = iter(given)
        a, args, kwargs = [replaced(x, source) for x in arguments]
        return outputs(function(a, *args, **kwargs))

    def example(i: int) -> list:
        return [s[i].clone() if k < count else s for k, s in enumerate(stacks)]

    try:
        expected = [call(*example(i)) for i in range(EXAMPLES)]
    except Exception:
        return False
    if any([len({t._data.shape for t in column}) > 1 for column in zip(*expected)]) or not expected[0]:
        return False
    dims = tuple([0 if k < count else None for k in range(len(stacks))])
    got = chainrule.func.vmap(call, in_dims=dims, randomness="same")(*stacks)
    if entry.name in NOT_COMPARED:
        return True
    for k, (mine, column) in enumerate(zip(got, zip(*expected, strict=True), strict=True)):
        close(mine, chainrule.stack(list(column)), f"result {k}")
    if derivatives:
        compare_gradients(call, stacks, dims, example)
    return True


def compare_gradients(call: Callable, stacks: list, dims: tuple, example: Callable) -> None:
    wanted = [k for k, s in enumerate(stacks) if s.dtype.is_floating_point]

    def gradients(*given: Any) -> tuple:
        def some(*chosen: Any) -> tuple:
            values = list(given)
            for k, v in zip(wanted, chosen, strict=True):
                values[k] = v
            return tuple([t for t in call(*values) if t.dtype.is_floating_point])

        out, pull = chainrule.func.vjp(some, *[given[k] for k in wanted])
        return pull(tuple([chainrule.ones_like(t) + t.detach() * 0.1 for t in out]))

    if not wanted:
        return
    try:
        expected = [gradients(*example(i)) for i in range(EXAMPLES)]
    except Exception:
        return
    got = chainrule.func.vmap(gradients, in_dims=dims, randomness="same")(*stacks)
    for k, (mine, column) in enumerate(zip(got, zip(*expected, strict=True), strict=True)):
        close(mine, chainrule.stack(list(column)), f"gradient {k}")


def compared(entry: Any) -> bool:
    """Whether vmap of the entry can be compared with a loop."""
    return bool(entry.dtypes) and entry.name not in DYNAMIC and entry.name.split(".")[-1] not in RANDOM


def show_why() -> None:
    """Print the place of each loop once."""
    seen: set = set()

    def told(name: str) -> None:
        frame = traceback.extract_tb(sys.exc_info()[2])[-2] if sys.exc_info()[2] else None
        if frame is not None and (frame.filename, frame.lineno) not in seen:
            seen.add((frame.filename, frame.lineno))
            print(f"      {name}: {frame.filename.rpartition('chainrule/')[2]}:{frame.lineno} {frame.line}")

    calls.warn_of_loop = told


def run(entry: Any, samples: int, derivatives: bool = True) -> list[str]:
    """What fails."""
    dtype = torch.float32 if torch.float32 in entry.dtypes else next(iter(entry.dtypes))
    problems = []
    for i, sample in enumerate(itertools.islice(entry.sample_inputs("cpu", dtype), samples)):
        for only_first in (False, True):
            try:
                check(entry, sample, only_first, derivatives)
            except Exception as error:
                if any([text in str(error) for text in ELSEWHERE]):
                    continue
                problems.append(f"sample {i}{' first only' if only_first else ''}: {type(error).__name__}: {str(error)[:150]}")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--values", action="store_true")
    parser.add_argument("--why", action="store_true", help="show where the memory of a batched array was asked for")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    failing = looping = count = 0
    if options.why:
        show_why()
    for entry in opdb.ENTRIES:
        if options.names and entry.name not in options.names or not compared(entry):
            continue
        before = set(calls.looped)
        count += 1
        try:
            problems = run(entry, options.samples, not options.values)
        except Exception as error:
            problems = [f"{type(error).__name__}: {str(error)[:150]}"]
        new = sorted(calls.looped - before)
        if problems or new:
            failing += bool(problems)
            looping += bool(new)
            print(f"{entry.name} {entry.variant_test_name}".strip(), f"[loops: {', '.join(new)}]" if new else "", flush=True)
            for p in problems[:2]:
                print("    ", p, flush=True)
    share = 100 * (count - failing) / max(count, 1)
    print(f"{count} entries, {failing} fail: {share:.1f} % pass; {looping} go example by example, for these have no rule:")
    print(", ".join(sorted(calls.looped)))


if __name__ == "__main__":
    main()
