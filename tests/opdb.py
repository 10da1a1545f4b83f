"""chainrule against PyTorch's own operator database: every sample input of an entry through both, compared.

Run `python tests/opdb.py sum mean` for a few entries (`--samples 0` for all samples, `--only backward,forward_mode` for some checks);
`tests/test_opdb.py` runs it in the test-suite and `tests/coverage_ops.py` writes docs/operators.md from it.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import types
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import chainrule

EXCLUDED = re.compile(r"jiterator_|sparse\.|to_sparse$|torch\.ops\.|torch\._scaled_mm|_")
ENTRIES = [entry for entry in op_db if not EXCLUDED.match(entry.name)]
DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128, torch.int64)
UNINITIALISED = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}
LIMIT_OF_SAMPLES = 12
# In float32 the last bits depend on the order of a sum: compared at 1e-5, and at 1e-6 of the largest element, since sums cancel.
SINGLE = (torch.float32, torch.complex64)


class Failure(NamedTuple):
    check: str
    sample: str
    error: str


class Mismatch(AssertionError):
    pass


# PyTorch's values and functions, made ours


def ours(x: Any) -> Any:
    """The same value for chainrule: tensors with their strides, dtypes, and the rest by structure."""
    if isinstance(x, torch.Tensor):
        return tensor_of(x)
    if isinstance(x, torch.dtype):
        return getattr(chainrule, str(x).removeprefix("torch."))
    if isinstance(x, (torch.memory_format, torch.layout)):
        return getattr(chainrule, str(x).removeprefix("torch."))
    if isinstance(x, torch.device):
        return chainrule.device(str(x))
    if isinstance(x, torch.Size):
        return chainrule.Size(x)
    if isinstance(x, torch.Generator):
        return chainrule.Generator().manual_seed(x.initial_seed())
    if isinstance(x, torch.nn.Module):
        return getattr(chainrule.nn, type(x).__name__)()
    if isinstance(x, slice):
        return slice(ours(x.start), ours(x.stop), ours(x.step))
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(ours, x))
    if isinstance(x, (list, tuple)):
        return type(x)(map(ours, x))
    if isinstance(x, dict):
        return {k: ours(v) for k, v in x.items()}
    return translated(x) if isinstance(x, types.FunctionType) else x


def tensor_of(x: torch.Tensor) -> chainrule.Tensor:
    """The same tensor for chainrule; within one sample, tensors that share memory share it again."""
    if ("tensor", id(x)) in _made:
        return _made["tensor", id(x)]
    plain = x.detach().resolve_conj().resolve_neg()
    if plain.layout != torch.strided:
        raise TypeError("a sparse sample")
    whole = torch.empty(0, dtype=plain.dtype).set_(plain.untyped_storage()) if plain.numel() else plain.reshape(-1)
    memory, _ = _made.get(("memory", whole.data_ptr(), whole.dtype), (None, None))
    if memory is None:
        memory = array_of(whole).copy()
    strides = [memory.itemsize * stride for stride in plain.stride()]
    array = np.ndarray(plain.shape, memory.dtype, memory, plain.storage_offset() * memory.itemsize if plain.numel() else 0, strides)
    made = chainrule.from_numpy(array).requires_grad_(x.requires_grad)
    if _made.get("on"):
        _made.update({("tensor", id(x)): made, ("memory", whole.data_ptr(), whole.dtype): (memory, whole)})  # alive: its address is a key
    return made


_made: dict = {}  # while one sample is converted ("on"): what its tensors and their memories became


def array_of(x: torch.Tensor) -> np.ndarray:
    if x.dtype == torch.bfloat16:
        import ml_dtypes

        return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


class Library:
    """chainrule, and what only the database's own wrappers ask of PyTorch."""

    masked = types.SimpleNamespace(
        _output_mask=lambda op, input, *args, **kwargs: ours(
            torch.masked._output_mask(getattr(torch.masked, op.__name__), theirs(input), *args, **{k: theirs(v) for k, v in kwargs.items()})
        ),
        _input_mask=lambda input, *args, **kwargs: ours(
            torch.masked._input_mask(theirs(input), *[theirs(v) for v in args], **{k: theirs(v) for k, v in kwargs.items()})
        ),
    )

    def __getattr__(self, name: str) -> Any:
        return getattr(chainrule, name)


LIBRARY = Library()


def translated(f: Callable) -> Callable:
    """A function of the database that computes with `torch`, computing with chainrule."""
    if isinstance(f, types.FunctionType) and f.__module__.startswith("torch.") and "torch" in f.__globals__:
        used = [(name, f.__globals__[name]) for name in f.__code__.co_names if isinstance(f.__globals__.get(name), types.FunctionType)]
        names = {name: translated(value) for name, value in used if value is not f}
        closure = tuple([types.CellType(translated_value(cell.cell_contents)) for cell in f.__closure__ or ()])
        made = types.FunctionType(f.__code__, {**f.__globals__, **names, "torch": LIBRARY}, f.__name__, f.__defaults__, closure)
        made.__kwdefaults__ = f.__kwdefaults__
        return made
    return f


def translated_value(x: Any) -> Any:
    if isinstance(x, types.FunctionType):
        return translated(x)
    name = getattr(x, "__name__", None)
    if callable(x) and name is not None and getattr(torch, name, None) is x:
        return getattr(chainrule, name)
    return x


def our_function(entry: Any) -> Callable:
    """chainrule's function for the entry."""
    op = entry.op
    if isinstance(op, types.FunctionType) and op.__module__.startswith("torch.testing"):
        return translated(op)
    found: Any = chainrule
    for part in entry.name.split("."):
        if found is chainrule and not callable(getattr(found, part, None)) and "." not in entry.name:
            found = chainrule.Tensor
        found = getattr(found, part)
    return found


def theirs(x: Any) -> Any:
    """Our result as PyTorch's, to be compared."""
    if isinstance(x, chainrule.Tensor):
        array = x.detach()._data
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(np.ascontiguousarray(array).view(np.int16).copy()).view(torch.bfloat16).reshape(array.shape)
        return torch.from_numpy(np.array(array, copy=True))
    if isinstance(x, chainrule.dtype):
        return getattr(torch, str(x).removeprefix("torch."))
    if isinstance(x, (list, tuple)):
        return tuple(map(theirs, x))
    return x


# Comparison


def compare(got: Any, expected: Any, what: str, values: bool = True) -> None:
    if isinstance(expected, torch.Tensor):
        if not isinstance(got, torch.Tensor):
            raise Mismatch(f"{what}: {type(got).__name__} instead of a tensor")
        expected = expected.detach().resolve_conj().resolve_neg()
        if got.shape != expected.shape or got.dtype != expected.dtype:
            raise Mismatch(f"{what}: {got.dtype} {tuple(got.shape)} instead of {expected.dtype} {tuple(expected.shape)}")
        if values:
            rtol = atol = None
            if expected.dtype in SINGLE:
                largest = expected.abs()[expected.isfinite()].max().item() if expected.isfinite().any() else 0.0
                rtol, atol = 1e-5, 1e-5 + 1e-6 * largest
            torch.testing.assert_close(got, expected, rtol=rtol, atol=atol, equal_nan=True, msg=lambda m: f"{what}: {m}")
    elif isinstance(expected, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(expected):
            raise Mismatch(f"{what}: {got!r:.60} instead of {len(expected)} results")
        for i, (g, e) in enumerate(zip(got, expected)):
            compare(g, e, f"{what}[{i}]", values)
    elif isinstance(expected, float):
        torch.testing.assert_close(got, expected, equal_nan=True)
    elif got != expected:
        raise Mismatch(f"{what}: {got!r:.80} instead of {expected!r:.80}")


def leaves(x: Any) -> Iterator[Any]:
    if isinstance(x, (torch.Tensor, chainrule.Tensor)):
        yield x
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from leaves(item)
    elif isinstance(x, dict):
        for item in x.values():
            yield from leaves(item)


def random_like(xs: list[torch.Tensor]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(x.shape, dtype=x.dtype, generator=generator) for x in xs]


class Call:
    """One sample in one library: the function, its arguments, and the tensors among them that require grad."""

    def __init__(self, library: Any, entry: Any, sample: Any) -> None:
        self.library = library
        self.mine = library is chainrule
        convert = ours if self.mine else lambda x: x
        self.function = our_function(entry) if self.mine else entry.op
        self.process = convert(sample.output_process_fn_grad)
        self.wrapper = translated(entry.gradcheck_wrapper) if self.mine else entry.gradcheck_wrapper
        _made.clear()
        _made["on"] = True
        self.input, self.args, self.kwargs = convert(sample.input), tuple(convert(sample.args)), convert(sample.kwargs)
        _made.clear()
        self.arguments = [self.input, self.args, self.kwargs]
        self.wanted = [t for t in leaves(self.arguments) if t.requires_grad]

    def value(self) -> Any:
        seed(self.library)
        return self.function(self.input, *self.args, **self.kwargs)

    def outputs(self, inputs: dict | None = None) -> list:
        """The differentiable outputs, made unique as the entry says (a singular vector has no sign)."""
        seed(self.library)
        replaced = (lambda x: swap(x, inputs)) if inputs else (lambda x: x)
        result = self.wrapper(self.function, replaced(self.input), *replaced(self.args), **replaced(self.kwargs))
        return [t for t in leaves(self.process(result)) if t.requires_grad or inputs]


def swap(x: Any, table: dict) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)([swap(item, table) for item in x])
    if isinstance(x, dict):
        return {k: swap(v, table) for k, v in x.items()}
    return table.get(id(x), x)


def seed(library: Any) -> None:
    library.manual_seed(11)
    random.seed(11)
    np.random.seed(11)


# The checks: each takes (entry, sample) and raises


def check_forward(entry: Any, sample: Any) -> None:
    expected = Call(torch, entry, sample)
    got = Call(chainrule, entry, sample)
    run = (lambda c: c.process(c.value())) if is_free(entry) else Call.value
    result, reference = theirs(run(got)), run(expected)
    try:
        compare(result, reference, "result", entry.name not in UNINITIALISED)
    except AssertionError:
        if not (nearer_to_double(entry, sample, result, reference) or same_but_for_ties(entry, sample, result, reference)):
            raise


def is_free(entry: Any) -> bool:
    """Whether results are defined up to signs or phases only, which the entry's process takes away."""
    return entry.name.startswith("linalg.") or entry.name in ("svd", "svd_lowrank", "pca_lowrank", "qr", "geqrf", "lu_unpack")


def nearer_to_double(entry: Any, sample: Any, result: Any, reference: Any) -> bool:
    """Whether a float32 result that differs from PyTorch's is as near as that, or nearer, to what PyTorch computes in float64."""
    if not isinstance(reference, torch.Tensor) or reference.dtype not in SINGLE or result.shape != reference.shape:
        return False
    widened = sample.transform(lambda x: x.double() if isinstance(x, torch.Tensor) and x.dtype == torch.float32 else x)
    exact = Call(torch, entry, widened).value()
    far = [(x.to(exact.dtype) - exact).abs().nan_to_num(0).max().item() for x in (result, reference)]
    return result.dtype == reference.dtype and exact.dtype in (torch.float64, torch.complex128) and far[0] <= far[1]


def same_but_for_ties(entry: Any, sample: Any, result: Any, reference: Any) -> bool:
    """Whether equal values were found at other places: PyTorch promises no order among equals."""
    if entry.name not in ("topk", "kthvalue") or not torch.equal(result[0], reference[0]):
        return False
    dim = sample.kwargs.get("dim", sample.args[1] if len(sample.args) > 1 else -1)
    keep = result[1].ndim == sample.input.ndim
    places = result[1] if keep else result[1].unsqueeze(dim)
    return torch.equal(sample.input.gather(dim, places), result[0] if keep else result[0].unsqueeze(dim))


def check_method(entry: Any, sample: Any) -> None:
    name = entry.method_variant.__name__
    call, mine = Call(torch, entry, sample), Call(chainrule, entry, sample)
    seed(torch)
    expected = entry.method_variant(call.input, *call.args, **call.kwargs)
    seed(chainrule)
    got = getattr(mine.input, name)(*mine.args, **mine.kwargs)
    if is_free(entry):
        expected, got = call.process(expected), mine.process(got)
    compare(theirs(got), expected, "method", entry.name not in UNINITIALISED)


def check_backward(entry: Any, sample: Any) -> None:
    calls = [Call(torch, entry, sample), Call(chainrule, entry, sample)]
    results = [c.outputs() for c in calls]
    if len(results[0]) != len(results[1]):
        raise Mismatch(f"{len(results[1])} outputs require grad instead of {len(results[0])}")
    if results[0] and calls[0].wanted:
        cotangents = random_like(results[0])
        grads = [first_order(c, r, cotangents, False) for c, r in zip(calls, results)]
        compare_grads(grads[1], grads[0], calls[0].wanted, "gradient")


def first_order(call: Call, outputs: list, cotangents: list, create: bool) -> tuple:
    if call.mine:
        cotangents = [ours(c) for c in cotangents]
    return call.library.autograd.grad(outputs, call.wanted, cotangents, create_graph=create, allow_unused=True)


def compare_grads(got: Any, expected: Any, like: list, what: str) -> None:
    """As compare, None being zeros."""
    filled = [[torch.zeros_like(x) if g is None else g for g, x in zip(gs, like)] for gs in (map(theirs, got), expected)]
    compare(filled[0], filled[1], what)


def check_second(entry: Any, sample: Any) -> None:
    results = []
    like: list = []
    for library in (torch, chainrule):
        call = Call(library, entry, sample)
        outputs = call.outputs()
        if not outputs or not call.wanted:
            return
        cotangents = [c.requires_grad_() for c in random_like([theirs(o) for o in outputs] if call.mine else outputs)]
        cotangents = [ours(c) for c in cotangents] if call.mine else cotangents
        wanted = [*call.wanted, *cotangents]
        grads = library.autograd.grad(outputs, call.wanted, cotangents, create_graph=True, allow_unused=True)
        like = like or wanted
        grads = [g for g in grads if g is not None and g.requires_grad]
        if not grads:
            results.append([None] * len(wanted))
            continue
        seconds = random_like([theirs(g) for g in grads] if call.mine else grads)
        seconds = [ours(c) for c in seconds] if call.mine else seconds
        try:
            results.append(library.autograd.grad(grads, wanted, seconds, allow_unused=True))
        except RuntimeError as error:
            if library is torch and "not implemented" in str(error):
                return
            raise
    compare_grads(results[1], results[0], like, "second derivative")


def check_forward_mode(entry: Any, sample: Any) -> None:
    from chainrule.autograd import forward_ad as our_forward_ad

    results = []
    for library, forward_ad in ((torch, torch.autograd.forward_ad), (chainrule, our_forward_ad)):
        call = Call(library, entry, sample)
        if not call.wanted:
            return
        directions = random_like([theirs(w) for w in call.wanted] if call.mine else call.wanted)
        with forward_ad.dual_level():
            duals = {id(w): forward_ad.make_dual(w.detach(), ours(d) if call.mine else d) for w, d in zip(call.wanted, directions)}
            tangents = []
            for output in call.outputs(duals):
                primal, tangent = forward_ad.unpack_dual(output)
                if primal.dtype.is_floating_point or primal.dtype.is_complex:
                    zeros = torch.zeros_like(theirs(primal))
                    tangents.append(zeros if tangent is None else theirs(tangent) if call.mine else tangent)
            results.append(tangents)
    compare(results[1], results[0], "tangent")


def check_inplace(entry: Any, sample: Any) -> None:
    variant = entry.inplace_variant
    keywords = variant.keywords if isinstance(variant, partial) else {}
    name = getattr(variant, "__name__", "")
    results = []
    for library in (torch, chainrule):
        call = Call(library, entry, sample)
        seed(library)
        target = call.input.clone()
        if library is torch:
            function = variant
        elif keywords:
            function = partial(call.function, **keywords)
        else:
            function = getattr(library.Tensor, name) if hasattr(library.Tensor, name) else translated(variant)
        try:
            returned = function(target, *call.args, **call.kwargs)
        except Exception as error:
            if library is torch:  # a sample that has no in-place form (its result has another type or shape)
                results.append(error)
                continue
            if isinstance(results[0], Exception):
                return
            raise
        if returned is not target:
            raise Mismatch("the in-place form does not return its target")
        grads: Any = ()
        if library is chainrule and isinstance(results[0], Exception):
            raise Mismatch(f"the in-place form succeeded where PyTorch says: {results[0]!s:.150}")
        if target.requires_grad and call.wanted:
            try:
                grads = first_order(call, [target], random_like([theirs(target) if call.mine else target]), False)
            except NotImplementedError:
                if library is chainrule:
                    raise
                grads = None
        results.append((target, grads, call.wanted))
    if not isinstance(results[0], Exception):
        (expected, their_grads, like), (got, our_grads, _) = results
        compare(theirs(got), expected, "in-place result", entry.name not in UNINITIALISED)
        if their_grads is not None:
            compare_grads(our_grads, their_grads, like, "gradient of the in-place form")


def check_out(entry: Any, sample: Any) -> None:
    expected = Call(torch, entry, sample).value()
    call = Call(chainrule, entry, sample)
    if not isinstance(expected, (torch.Tensor, tuple, list)) or entry.name == "histogramdd":  # (no flat list of tensors)
        return
    if sample.kwargs.get("as_tuple"):  # nonzero's, which has no out=
        return
    many = not isinstance(expected, torch.Tensor)
    target = ours(torch.empty_like(expected) if not many else [torch.empty_like(e) for e in expected])
    target = tuple(target) if many else target
    seed(chainrule)
    returned = call.function(call.input, *call.args, **call.kwargs, out=target)
    returned = target if returned is None else returned  # the copying forms of views with many results return None
    same = all([a is b or a._data is b._data for a, b in zip(returned, target)]) if many else returned is target
    if not same:
        raise Mismatch("out= is not what is returned")
    process = (call.process, Call(torch, entry, sample).process) if is_free(entry) else (lambda x: x, lambda x: x)
    compare(theirs(process[0](target)), process[1](expected), "out=", entry.name not in UNINITIALISED)


def check_error(entry: Any, error_input: Any) -> None:
    call = Call(chainrule, entry, error_input.sample_input)
    before = [np.array(t.detach().numpy()) for t in leaves(call.arguments)]
    try:
        call.value()
    except error_input.error_type:
        pass
    else:
        raise Mismatch(f"no {error_input.error_type.__name__} ({error_input.error_regex})")
    for t, b in zip(leaves(call.arguments), before):
        if t._data.shape != b.shape or not np.array_equal(t.detach().numpy(), b, equal_nan=b.dtype.kind in "fc"):
            raise Mismatch("an argument changed though the call failed")


def samples_of(entry: Any, check: str, dtype: torch.dtype) -> Iterator[Any]:
    if check == "errors":
        yield from entry.error_inputs("cpu")
        return
    grads = check in ("backward", "second", "forward_mode", "inplace") and entry.supports_autograd
    for sample in entry.sample_inputs("cpu", dtype, requires_grad=grads and (dtype.is_floating_point or dtype.is_complex)):
        if any([t.layout != torch.strided for t in leaves([sample.input, sample.args, sample.kwargs])]):
            continue
        if check == "inplace" and (sample.broadcasts_input or not isinstance(sample.input, torch.Tensor)):
            continue
        if check == "method" and not isinstance(sample.input, torch.Tensor):
            continue
        yield sample


def supported(entry: Any) -> set[torch.dtype]:
    return set(entry.supported_dtypes("cpu"))


def backward_dtypes(entry: Any) -> tuple:
    have = set(entry.supported_backward_dtypes("cpu")) if entry.supports_autograd else set()
    return tuple([d for d in (torch.float64, torch.complex128) if d in have])


# check: (function, the dtypes that it is made in)
CHECKS: dict[str, tuple[Callable, Callable]] = {
    "forward": (check_forward, lambda e: tuple([d for d in DTYPES if d in supported(e)]) or tuple(supported(e))[:1]),
    "method": (check_method, lambda e: tuple([d for d in DTYPES[1:] if d in supported(e)])[:1] if has_method(e) else ()),
    "backward": (check_backward, backward_dtypes),
    "second": (check_second, lambda e: backward_dtypes(e) if e.supports_gradgrad else ()),
    "forward_mode": (check_forward_mode, lambda e: backward_dtypes(e) if e.supports_forward_ad else ()),
    "inplace": (check_inplace, lambda e: tuple([d for d in DTYPES[1:] if d in supported(e)])[:1] if e.inplace_variant else ()),
    "out": (check_out, lambda e: tuple([d for d in DTYPES[1:] if d in supported(e)])[:1] if e.supports_out else ()),
    "errors": (check_error, lambda e: (torch.float32,) if e.error_inputs_func else ()),
}


def has_method(entry: Any) -> bool:
    return entry.method_variant is not None and hasattr(torch.Tensor, getattr(entry.method_variant, "__name__", ""))


def describe(sample: Any, dtype: torch.dtype) -> str:
    sample = getattr(sample, "sample_input", sample)
    return f"{dtype} " + re.sub(r"Tensor\[size=(\(.*?\)), .*?\]", r"\1", str(sample.summary())).partition(", broadcasts_input")[0]


def run(entry: Any, check: str, limit: int = 0) -> tuple[int, list[Failure]]:
    """How many samples ran, and what failed. `limit` samples a dtype, spread evenly, 0 for all."""
    function, dtypes = CHECKS[check]
    count, failures = 0, []
    for dtype in dtypes(entry):
        torch.manual_seed(3)
        samples = list(itertools.islice(samples_of(entry, check, dtype), 2000))
        if limit and len(samples) > limit:
            samples = samples[:: -(-len(samples) // limit)]
        for sample in samples:
            count += 1
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    function(entry, sample)
            except Exception as error:
                failures.append(Failure(check, describe(sample, dtype), f"{type(error).__name__}: {error}"))
    return count, failures


def label(entry: Any) -> str:
    return f"{entry.name}.{entry.variant_test_name}" if entry.variant_test_name else entry.name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="entries (an ending * matches more); none means all")
    parser.add_argument("--samples", type=int, default=LIMIT_OF_SAMPLES, help="at most so many samples a dtype, 0 for all")
    parser.add_argument("--only", default=",".join(CHECKS), help="checks, by comma")
    parser.add_argument("--verbose", "-v", action="store_true", help="every failure, in full")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pattern = re.compile("|".join([re.escape(n).replace(r"\*", ".*") + "$" for n in options.names]) or ".*")
    good = total = 0
    for entry in [e for e in ENTRIES if pattern.match(e.name) or pattern.match(label(e))]:
        total += 1
        line, worst = [], []
        for check in options.only.split(","):
            count, failures = run(entry, check, options.samples)
            if count:
                line.append(f"{check} {count}" if not failures else f"{check.upper()} {len(failures)}/{count}")
            worst += failures if options.verbose else failures[:1]
        good += not worst
        print(("ok   " if not worst else "FAIL ") + label(entry) + ": " + ", ".join(line), flush=True)
        for failure in worst:
            text = failure.error if options.verbose else " ".join(failure.error.split())[:220]
            print(f"       {failure.check} on {failure.sample}\n         {text}")
    print(f"{good} of {total} entries pass")


if __name__ == "__main__":
    main()
