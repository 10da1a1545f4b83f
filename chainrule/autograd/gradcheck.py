"""Checking derivatives against finite differences: `gradcheck`, `gradgradcheck`.

A Jacobian is an array here, a row for each element of an input and a column for each element of an output. In fast mode only
u J v is compared, for random vectors u and v.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from chainrule.autograd.forward_ad import dual_level, make_dual, unpack_dual
from chainrule.autograd.function import Function
from chainrule.autograd.gradients import grad
from chainrule.ops.primitive import INEXACT
from chainrule.tensor import Tensor, wrap

__all__ = ["gradcheck", "gradgradcheck", "GradcheckError"]


class GradcheckError(RuntimeError):
    """What `gradcheck` and `gradgradcheck` raise for derivatives that are wrong."""


class Settings(NamedTuple):
    """How to check, and how to tell what was checked."""

    eps: float
    rtol: float
    atol: float
    check_grad_dtypes: bool
    nondet_tol: float
    fast: bool
    complex_indices: tuple = ()
    imaginary: bool = False
    forward: bool = False


class Case(NamedTuple):
    """A function, its inputs, all that it returns and what of that is differentiable."""

    func: Callable
    inputs: tuple
    returned: tuple
    outputs: tuple


NONDETERMINISTIC = """\n
NOTE: If your op relies on non-deterministic operations i.e., it is listed here:
https://pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
this failure might be expected. Call gradcheck/gradgradcheck with `nondet_tol=<tol>` then.
"""
FAST_FAILED = """
Fast gradcheck failed but element-wise differences are small. This means that the
test might've passed in slow_mode! Call gradcheck/gradgradcheck with `fast_mode=False` then.
""".strip()
BATCHED_FAILED = """
gradcheck or gradgradcheck failed while testing batched gradient computation.
Call gradcheck/gradgradcheck with `check_batched_grad=False` to leave this test out.
""".strip()
BATCHED_FORWARD_FAILED = """
gradcheck failed while testing batched gradient computation with forward-mode AD.
Call gradcheck with `check_batched_forward_grad=False` to leave this test out.
""".strip()
UNDEFINED_NOTE = 'Please look at "Notes about undefined output gradients" in "tools/autograd/derivatives.yaml"'


def as_tuple(x: Any) -> tuple:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def tracked(values: Iterable) -> list[Tensor]:
    """The tensors among `values` that derivatives are taken by."""
    return [t for t in values if isinstance(t, Tensor) and t.requires_grad]


def is_inexact(t: Any) -> bool:
    return isinstance(t, Tensor) and t._data.dtype in INEXACT


def is_complex(t: Any) -> bool:
    return isinstance(t, Tensor) and t._data.dtype.kind == "c"


# Finite differences


def difference(
    case: Case, change: Callable[[Any], None], restore: Callable[[], None], step: Any, norm: float, where: str, eps: float
) -> list:  # fmt: skip
    """(f(x + step) - f(x - step)) / (2 norm) of each of f's results, flat; `change(step)` moves the input by a step."""
    samples = []
    for sign in (-1, 1):
        change(sign * step)
        samples.append([np.array(t._data) for t in as_tuple(case.func(*case.inputs))])
        restore()
    for a, b in zip(*samples, strict=True):
        for what, one, two in (("shape", a.shape, b.shape), ("dtype", a.dtype, b.dtype)):
            if one != two:
                raise AssertionError(
                    f"Expected `func` to return outputs with the same {what} when inputs are perturbed {where}by {eps}, but got: "
                    f"{what}s {one} and {two}."
                )
    return [((b.astype(a.dtype.type) - a) / (2 * norm)).ravel() if a.dtype.kind != "b" else np.zeros(a.size) for a, b in zip(*samples)]


def directional(case: Case, x: Tensor, place: Any, step: Any, norm: float, settings: Settings) -> list:
    """The derivative along one step: x[place] moves; of a complex x the conjugate Wirtinger derivative."""
    array, before = x._data, np.array(x._data)

    def change(by: Any) -> None:
        array[place] = before[place] + by

    def restore() -> None:
        array[...] = before

    where = f"on index {place} " if place is not Ellipsis else ""
    steps = step if isinstance(step, tuple) else (step, step)
    found = difference(case, change, restore, steps[0], norm, where, settings.eps)
    if array.dtype.kind == "c":
        imaginary = difference(case, change, restore, steps[1] * 1j, norm, where, settings.eps)
        found = [a + 1j * b for a, b in zip(found, imaginary, strict=True)]
    return [d for d, t in zip(found, case.returned, strict=True) if is_inexact(t)]


def numerical_jacobians(case: Case, settings: Settings) -> list[list[np.ndarray]]:
    """By input, by output: the Jacobians by finite differences."""
    kept = [t for t in case.returned if is_inexact(t)]
    jacobians = []
    for x in tracked(case.inputs):
        whole = [np.zeros((x._data.size, t._data.size), x._data.dtype if is_complex(x) else t._data.dtype) for t in kept]
        for row, place in enumerate(np.ndindex(x._data.shape)):
            for jacobian, derivative in zip(whole, directional(case, x, place, settings.eps, settings.eps, settings), strict=True):
                jacobian[row] = derivative
        jacobians.append(whole)
    return jacobians


# Derivatives by autograd


def rows_of(output: Tensor, inputs: list[Tensor], cotangents: Iterable) -> list[list]:
    """By input, the gradients for each of the cotangents."""
    found = [grad(output, inputs, wrap(c), retain_graph=True, allow_unused=True) for c in cotangents]
    return [[None if f[i] is None else f[i] for f in found] for i in range(len(inputs))]


def unit_vectors(like: np.ndarray) -> Iterator[np.ndarray]:
    for place in np.ndindex(like.shape):
        one = np.zeros(like.shape, like.dtype)
        one[place] = 1
        yield one


def stacked(gradients: list[list], inputs: list[Tensor]) -> tuple[list, bool, bool]:
    """By input, the gradients as columns; and whether their types and sizes are right."""
    types_right = sizes_right = True
    jacobians = []
    for x, columns in zip(inputs, gradients, strict=True):
        jacobian = np.zeros((x._data.size, len(columns)), x._data.dtype)
        for k, g in enumerate(columns):
            if g is None:
                continue
            if g._data.shape != x._data.shape:
                sizes_right = False
            elif g._data.dtype != x._data.dtype:
                types_right = False
            if g._data.size != x._data.size:
                raise AssertionError(f"Expected out_jacobian column to have {g._data.size} elements, but got {x._data.size}")
            jacobian[:, k] = g._data.ravel()
        jacobians.append(jacobian)
    return jacobians, types_right, sizes_right


def analytical_jacobians(inputs: tuple, output: Tensor, settings: Settings, v: np.ndarray | None = None) -> list[np.ndarray]:
    """By input, the Jacobian of one output, or its product with v; computed twice, to see that both are the same."""
    targets = tracked(inputs)
    runs = []
    for _ in range(2):
        cotangents = unit_vectors(output._data) if v is None else [v.reshape(output._data.shape)]
        runs.append(stacked(rows_of(output, targets, cotangents), targets))
    jacobians, types_right, sizes_right = runs[0]
    if not types_right and settings.check_grad_dtypes:
        raise GradcheckError("Gradient has dtype mismatch")
    if not sizes_right:
        raise GradcheckError("Analytical gradient has incorrect size")
    if any([a.size and np.abs(a - b).max() > settings.nondet_tol for a, b in zip(jacobians, runs[1][0], strict=True)]):
        raise GradcheckError(
            "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different values, "
            f"although analytical gradient matches numerical gradient.The tolerance for nondeterminism was {settings.nondet_tol}."
            + NONDETERMINISTIC
        )
    return jacobians


def forward_derivatives(case: Case, i: int, direction: np.ndarray, settings: Settings) -> list:
    """The tangents of f's results, flat, for input i moving in a direction."""
    with dual_level():
        duals = [
            make_dual(t.detach(), wrap(direction if k == i else np.zeros_like(t._data))) if t_is_tracked(t) else t
            for k, t in enumerate(case.inputs)
        ]
        found = []
        for out in as_tuple(case.func(*duals)):
            if not is_inexact(out):
                continue
            primal, tangent = unpack_dual(out)
            if settings.check_grad_dtypes and tangent is not None and is_complex(primal) != is_complex(tangent):
                raise GradcheckError("Forward AD gradient has dtype mismatch.")
            found.append(np.zeros(primal._data.size, primal._data.dtype) if tangent is None else np.array(tangent._data).ravel())
    return found


def t_is_tracked(t: Any) -> bool:
    return isinstance(t, Tensor) and t.requires_grad


def forward_jacobians(case: Case, settings: Settings) -> list[list[np.ndarray]]:
    """By input, by output: the Jacobians in forward mode."""
    targets = [i for i, t in enumerate(case.inputs) if t_is_tracked(t)]
    if any([is_complex(case.inputs[i]) for i in targets]):
        raise ValueError("Expected inputs to be non-complex for _get_analytical_jacobian_forward_ad.")
    kept = [t for t in case.returned if is_inexact(t)]
    jacobians = []
    for i in targets:
        rows = [forward_derivatives(case, i, one, settings) for one in unit_vectors(case.inputs[i]._data)]
        jacobians.append([
            np.stack([r[k] for r in rows]) if rows else np.zeros((0, t._data.size), t._data.dtype) for k, t in enumerate(kept)
        ])  # fmt: skip
    return jacobians


# Comparing


def mismatch(analytical: Any, numerical: Any, output: int, input: int, settings: Settings) -> str:
    index = input if settings.forward else output
    prefix = ""
    if index in settings.complex_indices:
        part, element = "imaginary" if settings.imaginary else "real", "inputs" if settings.forward else "outputs"
        prefix = f"While considering the {part} part of complex {element} only, "
    mode = "computed with forward mode " if settings.forward else ""
    return (
        f"{prefix}Jacobian {mode}mismatch for output {output:d} with respect to input {input:d},\n"
        f"numerical:{wrap(np.asarray(numerical))}\nanalytical:{wrap(np.asarray(analytical))}\n"
    )


def check_slow(case: Case, settings: Settings) -> None:
    """Compare all elements of all Jacobians."""
    numerical = numerical_jacobians(case, settings)
    if not case.outputs:
        check_constant(numerical)
        return
    kept = [k for k, t in enumerate([t for t in case.returned if is_inexact(t)]) if t.requires_grad]
    if settings.forward:
        analytical = forward_jacobians(case, settings)
        pairs = [(i, j, analytical[j][k], numerical[j][k]) for i, k in enumerate(kept) for j in range(len(numerical))]
        compare(pairs, settings)
        return
    for i, (k, output) in enumerate(zip(kept, case.outputs, strict=True)):
        found = analytical_jacobians(case.inputs, output, settings)
        compare([(i, j, a, numerical[j][k]) for j, a in enumerate(found)], settings)


def compare(pairs: Iterable, settings: Settings) -> None:
    for i, j, a, n in pairs:
        if not np.allclose(a, n, settings.rtol, settings.atol):
            raise GradcheckError(mismatch(a, n, i, j, settings))


def check_constant(numerical: Iterable) -> None:
    """Without differentiable outputs all derivatives are zero."""
    if any([np.count_nonzero(n) for by_output in numerical for n in by_output]):
        raise GradcheckError("Numerical gradient for function expected to be zero")


def random_vector(size: int, dtype: np.dtype, generator: Any) -> np.ndarray:
    """Non-negative numbers of norm 1."""
    from chainrule.functions.random import rand

    vector = rand(size, generator=generator)._data.astype(dtype)
    return vector / np.linalg.norm(vector) if size else vector


def check_fast(case: Case, settings: Settings) -> None:
    """Compare u J v for random vectors; u alone in forward mode."""
    from chainrule._core.generator import Generator

    generator = Generator()
    targets = [(i, t) for i, t in enumerate(case.inputs) if t_is_tracked(t)]
    us: list = []
    for _, x in targets:
        real = x._data.real.dtype
        us.append(tuple([random_vector(x._data.size, real, generator) for _ in range(1 + is_complex(x))]))
    vs = None if settings.forward else [random_vector(t._data.size, t._data.dtype, generator) for t in case.outputs]
    numerical = []
    for (_, x), u in zip(targets, us, strict=True):
        steps = tuple([part.reshape(x._data.shape) * settings.eps for part in u])
        numerical.append(directional(case, x, Ellipsis, steps if len(u) > 1 else steps[0], settings.eps, settings))
    inexact = [t for t in case.returned if is_inexact(t)]
    if not case.outputs and not settings.forward:
        if any([d.size and np.abs(d).max() > settings.nondet_tol for by_output in numerical for d in by_output]):
            raise GradcheckError("Numerical gradient for function expected to be zero")
        return
    kept = range(len(inexact)) if settings.forward else [k for k, t in enumerate(inexact) if t.requires_grad]
    backward = None if vs is None else [analytical_jacobians(case.inputs, t, settings, v) for t, v in zip(case.outputs, vs, strict=True)]
    for j, ((i, x), u) in enumerate(zip(targets, us, strict=True)):
        pushed = forward_derivatives(case, i, u[0].reshape(x._data.shape), settings) if settings.forward else None
        for k, position in enumerate(kept):
            n = numerical[j][position]
            if pushed is not None:
                a, scale = pushed[position], 1.0
            else:
                assert vs is not None and backward is not None
                n, scale = (vs[k] * n).sum(), float(vs[k].real.sum())
                vector = backward[k][j][:, 0]
                a = vector.real @ u[0] + 1j * (vector.imag @ u[1]) if len(u) > 1 else vector @ u[0]
            atol = settings.atol * sum([float(part.sum()) for part in u]) * scale
            if not np.allclose(a, n, settings.rtol, atol):
                raise GradcheckError(mismatch(a, n, k, j, settings) + slow_comparison(case, j, k, settings))


def slow_comparison(case: Case, j: int, k: int, settings: Settings) -> str:
    """What slow mode finds for one input and output, to say more of a failure of fast mode."""
    inexact = [t for t in case.returned if is_inexact(t)]
    position = k if settings.forward else [i for i, t in enumerate(inexact) if t.requires_grad][k]
    numerical = numerical_jacobians(case, settings)[j][position]
    loose = settings._replace(nondet_tol=float("inf"), check_grad_dtypes=False)
    analytical = (
        forward_jacobians(case, loose)[j][k] if settings.forward else analytical_jacobians(case.inputs, case.outputs[k], loose)[j]
    )  # fmt: skip
    text = (
        "\nThe above quantities relating the numerical and analytical jacobians are computed \n"
        "in fast mode. See: https://github.com/pytorch/pytorch/issues/53876 for more background \n"
        "about fast mode. Below, we recompute numerical and analytical jacobians in slow mode:\n\n"
        f"Numerical:\n {wrap(numerical)}\n"
        f"Analytical:\n{wrap(analytical)}\n\n"
        f"The max per-element difference (slow mode) is: {np.abs(numerical - analytical).max()}.\n"
    )
    return text + FAST_FAILED if np.allclose(analytical, numerical, settings.rtol, settings.atol) else text


# Complex functions are checked by their real and imaginary parts


def part_of_outputs(func: Callable, name: str) -> Callable:
    def wrapped(*inputs: Any) -> tuple:
        return tuple([getattr(t, name) if is_complex(t) else t for t in as_tuple(func(*inputs))])

    return wrapped


def part_of_inputs(func: Callable, indices: tuple, originals: tuple, imaginary: bool) -> Callable:
    def wrapped(*inputs: Any) -> tuple:
        full = list(inputs)
        for i in indices:
            full[i] = originals[i].real + full[i] * 1j if imaginary else full[i] + originals[i].imag * 1j
        return as_tuple(func(*full))

    return wrapped


def case_of(func: Callable, inputs: tuple) -> Case:
    returned = as_tuple(func(*inputs))
    return Case(func, inputs, returned, tuple([t for t in returned if t.requires_grad]))


def check_all_parts(case: Case, settings: Settings, backward: bool, forward: bool, undefined: bool) -> None:
    check = check_fast if settings.fast else check_slow
    if backward:
        if any([is_complex(t) for t in case.returned]):
            indices = tuple([i for i, t in enumerate(case.outputs) if is_complex(t)])
            for name in ("imag", "real"):
                part = case_of(part_of_outputs(case.func, name), case.inputs)
                check(part, settings._replace(complex_indices=indices, imaginary=name == "imag"))
        else:
            check(case, settings)
    if not forward:
        return
    settings = settings._replace(forward=True)
    indices = tuple([i for i, t in enumerate(case.inputs) if is_complex(t)])
    if not indices:
        check(case, settings)
        if undefined:
            check_undefined_tangents(case)
        return
    parts = []
    for name in ("imag", "real"):
        inputs = tuple([getattr(t, name) if is_complex(t) else t for t in case.inputs])
        part = case_of(part_of_inputs(case.func, indices, case.inputs, name == "imag"), inputs)
        check(part, settings._replace(complex_indices=indices, imaginary=name == "imag"))
        parts.append(part)
    if undefined:
        for part in parts:
            check_undefined_tangents(part)


# Other properties


def check_inputs(inputs: tuple) -> None:
    found = False
    for i, t in enumerate(inputs):
        if not t_is_tracked(t):
            continue
        found = True
        if t._data.dtype not in (np.float64, np.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check will likely fail if all "
                "the inputs are not of double precision floating point or complex. ",
                stacklevel=4,
            )
        if not all([s > 0 or n <= 1 for s, n in zip(t._data.strides, t._data.shape, strict=True)]):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be able to "
                "compute the numerical gradients correctly. You should call .contiguous on the input before passing it to gradcheck."
            )
    if not found:
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True.")


def check_zero_cotangents(case: Case, masked: bool | None) -> None:
    """Gradients are multiples of what comes in: zero for zero."""
    targets = tracked(case.inputs)
    zeros = [wrap(np.zeros_like(t._data)) for t in case.outputs]
    for g, x in zip(grad(case.outputs, targets, zeros, allow_unused=True), targets, strict=True):
        if g is None:
            continue
        if not (np.allclose(g._data, 0) if masked else (g._data == 0).all()):
            raise GradcheckError("backward not multiplied by grad_output")
        if g._data.dtype != x._data.dtype:
            raise GradcheckError("grad is incorrect type")
        if g._data.shape != x._data.shape:
            raise GradcheckError("grad is incorrect size")


class UndefinedGrad(Function):
    """The same values; no gradient goes back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> None:  # type: ignore[override]
        return None


def warn_of_undefined() -> None:
    warnings.warn(
        "Backwards compatibility: New undefined gradient support checking feature is enabled by default, but it may break existing "
        "callers of "
        'this function. If this is true for you, you can call this function with "check_undefined_grad=False" to disable the feature',
        stacklevel=5,
    )


def check_undefined_cotangents(case: Case) -> None:
    """Backward takes None for the gradients of all outputs, and of each."""
    targets = tracked(case.inputs)
    outputs = case_of(case.func, case.inputs).outputs
    trials = [[UndefinedGrad.apply(t) for t in outputs]]
    if len(outputs) > 1:
        for i in range(len(outputs)):
            fresh = case_of(case.func, case.inputs).outputs
            trials.append([UndefinedGrad.apply(t) if k == i else t for k, t in enumerate(fresh)])
    for trial in trials:
        try:
            found = grad(trial, targets, [wrap(np.zeros_like(t._data)) for t in trial], allow_unused=True)
        except RuntimeError as error:
            warn_of_undefined()
            raise GradcheckError(f"Expected backward function to handle undefined output grads. {UNDEFINED_NOTE}") from error
        if any([g is not None and (g._data != 0).any() for g in found]):
            warn_of_undefined()
            raise GradcheckError(
                f"Expected all input grads to be undefined or zero when all output grads are undefined or zero. {UNDEFINED_NOTE}"
            )


def check_undefined_tangents(case: Case) -> None:
    """An input without a tangent counts as one with a tangent of zeros."""
    rng = np.random.default_rng(0)
    targets = [i for i, t in enumerate(case.inputs) if t_is_tracked(t)]
    directions = {i: rng.random(case.inputs[i]._data.shape).astype(case.inputs[i]._data.dtype) for i in targets}
    for i in targets:
        results = []
        for materialized in (True, False):
            with dual_level():
                duals = [
                    t if k not in directions else t.detach() if k == i and not materialized
                    else make_dual(t.detach(), wrap(directions[k] * (k != i))) for k, t in enumerate(case.inputs)
                ]  # fmt: skip
                results.append([unpack_dual(t).tangent for t in as_tuple(case.func(*duals)) if is_inexact(t)])
        for k, (one, two) in enumerate(zip(*results, strict=True)):
            if one is not None and two is not None and not np.allclose(one._data, two._data, 1e-5, 1e-8):
                raise GradcheckError(
                    "Mismatch in tangent values for output with index: ", k, " when input: ", case.inputs[i],
                    " has an undefined tangent value. ", " Got: ", one, " but expected: ", two,
                )  # fmt: skip


def check_batched(case: Case) -> None:
    """Gradients of a batch of cotangents are the stacked gradients."""
    targets = tracked(case.inputs)
    rng = np.random.default_rng(0)
    for k, out in enumerate(case.outputs):
        cotangents = rng.standard_normal((2, *out._data.shape)).astype(out._data.dtype)
        expected = [[grad(out, targets, wrap(c), retain_graph=True, allow_unused=True) for c in cotangents]]
        try:
            found = grad(out, targets, wrap(cotangents), retain_graph=True, allow_unused=True, is_grads_batched=True)
        except RuntimeError as error:
            raise GradcheckError(f"While computing batched gradients, got: {error}\n\n{BATCHED_FAILED}") from error
        for i, result in enumerate(found):
            wanted = [row[i] for row in expected[0]]
            if result is not None and not np.allclose(result._data, np.stack([w._data for w in wanted]), 1e-5, 1e-8):
                raise GradcheckError(f"For output {k} and input {i}:\n\n{BATCHED_FAILED}\n\nGot:\n{result}\n\nExpected:\n{wanted}")


# The public functions


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3, raise_exception: bool = True,
    nondet_tol: float = 0.0, check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False, check_forward_ad: bool = False, check_backward_ad: bool = True, fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:  # fmt: skip
    """Compare the gradients of `func` by the inputs that require grad (float64 or complex128) with finite differences.

    Returns True, or raises GradcheckError (returns False without `raise_exception`) if they differ by more than
    atol + rtol * |numerical|. `eps` is the step. Also checked: that running backward twice agrees within `nondet_tol`, that
    gradients are zero for zero, that None is taken for zero (`check_undefined_grad`), and on request types, batches and forward
    mode. `fast_mode` compares random projections only. ValueError if no input requires grad.

    Example:
        >>> x = tensor([1., 2.], dtype=float64, requires_grad=True)
        >>> gradcheck(lambda x: x.exp() * x, x)
        True
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    settings = Settings(eps, rtol, atol, check_grad_dtypes, nondet_tol, fast_mode)
    try:
        tupled = as_tuple(inputs)
        check_inputs(tupled)
        case = case_of(func, tupled)
        check_all_parts(case, settings, check_backward_ad, check_forward_ad, check_undefined_grad)
        if not check_backward_ad:
            return True
        if check_batched_grad:
            check_batched(case)
        if case.outputs:
            check_zero_cotangents(case, masked)
            if check_undefined_grad:
                check_undefined_cotangents(case)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False, check_batched_grad: bool = False, check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True,
    fast_mode: bool = False, masked: bool = False,
) -> bool:  # fmt: skip
    """`gradcheck` of the gradients of `func`, as a function of its inputs and of `grad_outputs` (random if None).

    Example:
        >>> x = tensor([1., 2.], dtype=float64, requires_grad=True)
        >>> gradgradcheck(lambda x: x.exp() * x, x)
        True
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    if check_undefined_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_undefined_grad=True requires check_rev_over_rev to be True")
    if check_batched_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_batched_grad=True requires check_rev_over_rev to be True")
    xs = as_tuple(inputs)
    if grad_outputs is None:
        weights = tuple([random_cotangent(t, gen_non_contig_grad_outputs) for t in case_of(func, xs).outputs])
    else:
        weights = as_tuple(grad_outputs)
    count = len(weights)
    tracked_inputs = {i for i, t in enumerate(xs) if t_is_tracked(t)}
    tracked_weights = {i for i, t in enumerate(weights) if t.requires_grad}

    def gradients(*args: Any) -> tuple:
        given = [t.requires_grad_() if i in tracked_inputs else t for i, t in enumerate(args[:-count])]
        cotangents = [t.requires_grad_() if i in tracked_weights else t for i, t in enumerate(args[-count:])]
        outputs = case_of(func, tuple(given)).outputs
        targets = [given[i] for i in sorted(tracked_inputs)]
        found = grad(outputs, targets, cotangents, create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        gradients, xs + weights, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes, check_batched_grad=check_batched_grad,
        fast_mode=fast_mode, check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev, masked=masked,
    )  # fmt: skip


def random_cotangent(like: Tensor, scattered: bool) -> Tensor:
    """Numbers between -1 and 1, shaped as `like`, not one after the other in memory if `scattered`."""
    from chainrule.functions.random import rand

    shape: Sequence[int] = like._data.shape
    parts = [rand(shape)._data.astype(np.float64) * 2 - 1 for _ in range(1 + is_complex(like))]
    array = np.asarray(parts[0] + 1j * parts[1] if len(parts) > 1 else parts[0], like._data.dtype)  # without dimensions a number
    if scattered and array.size > 1:
        array = np.repeat(array, 2, -1)[..., ::2]
    return wrap(array).requires_grad_()


class _CallableModule(ModuleType):
    """`autograd.gradcheck` is this module once somebody imported it, and a function all the same."""

    def __call__(self, *args: Any, **kwargs: Any) -> bool:
        return gradcheck(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
