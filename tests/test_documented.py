"""The examples in the docstrings of PyTorch run under both libraries and say the same: values, printed forms, warnings, types of errors."""

from __future__ import annotations

import builtins
import contextlib
import doctest
import importlib
import inspect
import io
import math
import random
import re
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch as oracle

import chainrule

ROOMS = [
    "torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.nn.utils.rnn",
    "torch.nn.utils.parametrize", "torch.nn.utils.parametrizations", "torch.nn.utils.prune", "torch.nn.Module", "torch.nn.attention",
    "torch.linalg", "torch.special", "torch.fft", "torch.signal.windows", "torch.distributions", "torch.distributions.Distribution",
    "torch.optim", "torch.optim.lr_scheduler", "torch.optim.swa_utils", "torch.func", "torch.autograd", "torch.autograd.functional",
    "torch.autograd.forward_ad", "torch.autograd.graph", "torch.autograd.grad_mode", "torch.autograd.function",
    "torch.autograd.Function", "torch.autograd.function.FunctionCtx", "torch.utils.data", "torch.utils.checkpoint",
    "torch.utils.dlpack", "torch.masked", "torch.random", "torch.testing", "torch.overrides", "torch.library", "torch.serialization",
    "torch.quasirandom", "torch.futures",
]  # fmt: skip
EXCEPTIONS = {  # docstrings whose examples are not run, by the reason
    "sparse": """torch.Tensor.ccol_indices torch.Tensor.col_indices torch.Tensor.crow_indices torch.Tensor.row_indices torch.narrow_copy
        torch.sparse_bsc_tensor torch.sparse_bsr_tensor torch.sparse_compressed_tensor torch.sparse_coo_tensor torch.sparse_csc_tensor
        torch.sparse_csr_tensor torch.Tensor.sparse_mask torch.Tensor.to_dense torch.Tensor.to_sparse torch.Tensor.to_sparse_bsc
        torch.Tensor.to_sparse_bsr torch.Tensor.to_sparse_coo torch.Tensor.to_sparse_csc torch.Tensor.to_sparse_csr""",
    "quantised types": """torch.quantize_per_channel torch.quantize_per_tensor torch.quantize_per_tensor_dynamic torch.quantized_batch_norm
        torch.quantized_max_pool1d torch.quantized_max_pool2d""",
    "complex32": "torch.set_default_dtype",
    "other devices": "torch.Event torch.set_default_device",
    "several processes": "torch.nn.SyncBatchNorm",
    "conjugates that are not computed yet": "torch.conj torch.resolve_conj torch.resolve_neg",
    "code that is traced": """torch.func.functionalize torch.func.linearize torch.library.register_fake torch.library.triton_op
        torch.library.wrap_triton torch.autograd.graph.region_activation_memory_budget""",
    "dispatch keys": """torch.library.define torch.library.get_kernel torch.library.impl torch.library.register_autocast
        torch.library.register_vmap""",
    "lists of all that can be overridden": """torch.overrides.get_ignored_functions torch.overrides.get_testing_overrides
        torch.overrides.redispatch_function""",
    "private names": """torch.masked.amax torch.masked.amin torch.masked.argmax torch.masked.argmin torch.masked.cumprod torch.masked.cumsum
        torch.masked.is_masked_tensor torch.masked.log_softmax torch.masked.logaddexp torch.masked.logsumexp torch.masked.mean
        torch.masked.median torch.masked.norm torch.masked.normalize torch.masked.prod torch.masked.softmax torch.masked.softmin
        torch.masked.std torch.masked.sum torch.masked.var torch.autograd.graph.register_multi_grad_hook
        torch.serialization.register_package""",
    "a Generator or function by its own name": """torch.nn.CrossEntropyLoss torch.nn.LinearCrossEntropyLoss torch.vmap torch.func.vmap
        torch.typename""",
    "memory that was not set": """torch.empty torch.empty_strided torch.Tensor.new_empty torch.Tensor.new_empty_strided
        torch.nn.utils.skip_init""",
    "rounding errors, and whether they pass allclose": """torch.cholesky_inverse torch.cholesky_solve torch.linalg.eigh torch.linalg.solve
        torch.linalg.solve_triangular torch.fft.hfft2 torch.fft.hfftn""",
    "the order of equal elements": "torch.sort",
    "a warning that PyTorch's own code gives by mistake": "torch.ldexp",
    "settings of the whole process": "torch.set_flush_denormal torch.serialization.safe_globals",
    "larger than it says more by": "torch.nn.CircularPad3d torch.nn.Transformer torch.nn.ReplicationPad3d",
    "not there yet": """torch.Tensor.grad_dtype torch.autograd.enforce_grad_layout_policy torch.serialization.skip_data torch.is_storage
        torch.autograd.grad_mode.enforce_grad_layout_policy""",
}


def examples(room: str) -> dict[str, list[str]]:
    """The statements in the docstrings of what a module or class offers."""
    found = {}
    holder = resolve(oracle, room)
    for name in dir(holder):
        documented = getattr(holder, name, None) if not name.startswith("_") else None
        text = getattr(documented, "__doc__", None)
        if isinstance(text, str) and ">>>" in text and not inspect.ismodule(documented):
            found[f"{room}.{name}"] = statements(inspect.cleandoc(text))
    return found


def resolve(library: ModuleType, name: str) -> Any:
    """What `torch.nn.Module` is in a library."""
    place: Any = library
    for part in name.split(".")[1:]:
        place = getattr(place, part) if hasattr(place, part) else importlib.import_module(f"{place.__name__}.{part}")
    return place


def statements(text: str) -> list[str]:
    try:
        return [example.source for example in doctest.DocTestParser().get_examples(text)]
    except ValueError:  # not indented as doctest wants it
        found: list[str] = []
        for line in map(str.strip, text.split("\n")):
            if line.startswith(">>> "):
                found.append(line[4:] + "\n")
            elif line.startswith("...") and found:
                found[-1] += line[4:] + "\n"
        return found


def importer(library: ModuleType) -> Any:
    """`__import__` for examples: `torch` is the library."""

    def load(name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
        if name.split(".")[0] != "torch":
            return builtins.__import__(name, scope, local, wanted, level)
        module = importlib.import_module(library.__name__ + name[len("torch") :])
        return module if wanted else library

    return load


def said(library: ModuleType, sources: list[str]) -> list[tuple]:
    """What each statement printed, and its warnings; or the type of what it raised."""
    random.seed(0), np.random.seed(0), library.manual_seed(0)
    scope: dict = {"torch": library, "nn": library.nn, "F": library.nn.functional, "np": np, "math": math, "__name__": "__main__"}
    scope["__builtins__"] = vars(builtins) | {"__import__": importer(library)}
    answers: list[tuple] = []
    for source in sources:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                exec(compile(source, "<example>", "single"), scope)
            except Exception as error:
                answers.append(("raised", type(error).__name__))
            else:
                answers.append((normal(printed.getvalue()), [normal(str(w.message)) for w in warned if w.category is UserWarning]))
    return answers


def normal(text: str) -> str:
    """Without addresses and the places in PyTorch's own sources."""
    text = re.sub(r"0x[0-9a-f]+", "0x", text.replace("chainrule", "torch"))
    return re.sub(r"\s*\(Triggered internally.*?\)", "", text, flags=re.DOTALL).strip()


NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


def alike(one: str, two: str) -> bool:
    """Equal but for the last digits of numbers."""
    if NUMBER.sub("#", re.sub(r"\s+", "", one)) != NUMBER.sub("#", re.sub(r"\s+", "", two)):
        return False
    pairs = [(float(a), float(b)) for a, b in zip(NUMBER.findall(one), NUMBER.findall(two), strict=True)]
    largest = max([1.0, *[abs(b) for _, b in pairs]])  # what the rounding of sums goes by
    return all([math.isclose(a, b, rel_tol=2e-4, abs_tol=3e-6 * largest) for a, b in pairs])


LEFT_OUT = {name for names in EXCEPTIONS.values() for name in names.split()}
DOCUMENTED = {name: sources for room in ROOMS for name, sources in examples(room).items() if name not in LEFT_OUT}


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers = []
    for library in (chainrule, oracle):
        library.set_warn_always(True)  # whatever other tests were warned of
        try:
            answers.append(said(library, DOCUMENTED[name]))
        finally:
            library.set_warn_always(False)
            library.set_grad_enabled(True)
            library.set_default_dtype(library.float32)
            library.set_printoptions(profile="default")
            library.use_deterministic_algorithms(False)
    for source, ours, theirs in zip(DOCUMENTED[name], *answers, strict=True):
        same = alike(ours[0], theirs[0]) and ours[1] == theirs[1]
        assert same, f"\n>>> {source}\nchainrule: {ours}\nPyTorch:   {theirs}"
