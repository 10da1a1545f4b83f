"""Derivatives of functions, by name: `vjp`, `jvp`, `jacobian`, `hessian`, `vhp`, `hvp`, as `torch.autograd.functional` has them.

`func` takes Tensors and returns one or a tuple of them; what goes in as one Tensor comes out as one, what goes in as a tuple as a
tuple. With `create_graph` results are differentiable; with `strict` a result that does not depend on an input is an error, else
it is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.autograd.forward_ad import dual_level, make_dual, unpack_dual
from chainrule.autograd.grad_mode import enable_grad, is_grad_enabled, set_grad_enabled
from chainrule.autograd.gradients import batched, grad
from chainrule.ops import joining, shape as ops
from chainrule.tensor import Tensor, wrap

__all__ = ["vjp", "jvp", "jacobian", "hessian", "hvp", "vhp"]

OUTPUTS = "outputs of the user-provided function"
STRATEGIES = ("forward-mode", "reverse-mode")


# Arguments and results


def _construct_standard_basis_for(tensors: Sequence[Tensor], tensor_numels: Sequence[int]) -> tuple[Tensor, ...]:
    """For each tensor a matrix with a column for each of its elements: side by side they are the identity."""
    total, start, made = sum(tensor_numels), 0, []
    for t, n in zip(tensors, tensor_numels, strict=True):
        made.append(wrap(np.eye(total, n, -start, t._data.dtype)))
        start += n
    return tuple(made)


def as_tuple(value: Any, what: str, function: str) -> tuple[bool, tuple]:
    """Whether value is a tuple, and the tuple of Tensors that it is."""
    is_tuple = isinstance(value, tuple)
    many = value if is_tuple else (value,)
    for i, t in enumerate(many):
        if not isinstance(t, Tensor):
            which = f"value at index {i} has" if is_tuple else f"given {what} has"
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors but the {which} type {type(t)}."
            )
    return is_tuple, many


def prepare(tensors: tuple, create_graph: bool, track: bool = True) -> tuple:
    """Fresh tensors to differentiate by, which the function cannot have captured: connected to those given under create_graph."""
    return tuple([
        ops.view(t, t._data.shape) if create_graph and t.requires_grad else t.detach().requires_grad_(track) for t in tensors
    ])  # fmt: skip


def finished(values: Any, create_graph: bool) -> Any:
    """Results without history, unless it was asked for."""
    if isinstance(values, Tensor):
        return values if create_graph else values.detach()
    return tuple([finished(v, create_graph) for v in values])


def unwrapped(values: tuple, is_tuple: bool) -> Any:
    return values if is_tuple else values[0]


def check_vector(v: tuple, other: tuple, is_tuple: bool) -> None:
    if len(v) != len(other):
        if is_tuple:
            raise RuntimeError(f"v is a tuple of invalid length: should be {len(other)} but got {len(v)}.")
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (mine, wanted) in enumerate(zip(v, other, strict=True)):
        if mine.shape != wanted.shape:
            where = f"Entry {i} in " if is_tuple else ""
            raise RuntimeError(f"{where}v has invalid size: should be {wanted.shape} but got {mine.shape}.")


def vector_for(v: Any, other: tuple, is_tuple: bool, create_graph: bool, function: str, refusal: str) -> tuple | None:
    """The vector v, checked to be shaped as `other`; None is allowed if that is one number."""
    if v is None:
        if len(other) != 1 or other[0]._data.size != 1:
            raise RuntimeError(refusal)
        return None
    vector = prepare(as_tuple(v, "v", function)[1], create_graph, track=False)
    check_vector(vector, other, is_tuple)
    return vector


NO_OUTPUT_VECTOR = "The vector v can only be None if the user-provided function returns a single Tensor with a single element."
NO_INPUT_VECTOR = "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."

# What strict mode refuses: a tensor of this kind that does not require grad, or is None.
UNTRACKED = {
    "outputs": "Output {} of the user-provided function does not require gradients. The outputs must be computed in a "
    "differentiable manner from the input when running in strict mode.",
    "grad_inputs": "The gradient with respect to input {} is independent of the inputs of the user-provided function. This is not "
    "allowed in strict mode.",
    "jacobian": "While computing the hessian, found that the jacobian of the user-provided function with respect to input {} is "
    "independent of the input. This is not allowed in strict mode. You should ensure that your function is twice differentiable and "
    "that the jacobian depends on the inputs (this would be violated by a linear function for example).",
    "hessian": "The hessian of the user-provided function with respect to input {} is independent of the input. This is not allowed "
    "in strict mode. You should ensure that your function is thrice differentiable and that the hessian depends on the inputs.",
}
INDEPENDENT = "The output of the user-provided function is independent of input {}. This is not allowed in strict mode."
MISSING = {
    "back": INDEPENDENT,
    "back_trick": "The gradient with respect to the input is independent of entry {} in the grad_outputs when using the double "
    "backward trick to compute forward mode gradients. This is not allowed in strict mode.",
    "double_back": "The jacobian of the user-provided function is independent of input {}. This is not allowed in strict mode.",
    "double_back_trick": "The hessian of the user-provided function is independent of entry {} in the grad_jacobian. This is not "
    "allowed in strict mode as it prevents from using the double backward trick to replace forward mode AD.",
}
CONSTANT = "The {} of the user-provided function is independent of input {}. This is not allowed in strict mode when create_graph=True."


def check_tracked(tensors: Sequence, kind: str, strict: bool) -> None:
    if strict:
        for i, t in enumerate(tensors):
            if t is None:
                raise RuntimeError(INDEPENDENT.format(i))
            if not t.requires_grad:
                raise RuntimeError(UNTRACKED[kind].format(i))


def filled(grads: Sequence, like: Sequence, strict: bool, create_graph: bool, stage: str) -> tuple:
    """Zeros where there is no gradient; in strict mode an error."""
    made = []
    for i, (g, t) in enumerate(zip(grads, like, strict=True)):
        if g is None:
            if strict:
                raise RuntimeError(MISSING[stage].format(i))
            g = wrap(np.zeros_like(t._data))
        elif strict and create_graph and not g.requires_grad:
            raise RuntimeError(CONSTANT.format("hessian" if "double" in stage else "jacobian", i))
        made.append(g)
    return tuple(made)


def gradients(outputs: Sequence, inputs: tuple, cotangents: Sequence | None = None, create_graph: bool = False, **options: Any) -> tuple:
    """`grad` that lets outputs be None or untracked: they do not count."""
    given = [None] * len(outputs) if cotangents is None else cotangents
    pairs = [(t, g) for t, g in zip(outputs, given, strict=True) if t is not None and t.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    return grad([t for t, _ in pairs], inputs, [g for _, g in pairs], create_graph=create_graph, allow_unused=True, **options)


def probes(tensors: Sequence) -> tuple:
    """Zeros that require grad: what is linear in them is known by its derivative."""
    return tuple([wrap(np.zeros_like(t._data)).requires_grad_() for t in tensors])


# Products with a vector


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:  # fmt: skip
    """(func(inputs), v times the Jacobian): v is shaped as the outputs (None: 1), the product as the inputs.

    Example:
        >>> vjp(lambda x: x * x, tensor([1., 2.]), tensor([1., 10.]))
        (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        inputs_tuple, xs = as_tuple(inputs, "inputs", "vjp")
        xs = prepare(xs, create_graph)
        outputs_tuple, outputs = as_tuple(func(*xs), OUTPUTS, "vjp")
        check_tracked(outputs, "outputs", strict)
        vector = vector_for(v, outputs, outputs_tuple, create_graph, "vjp", NO_OUTPUT_VECTOR)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = filled(gradients(outputs, xs, vector, create_graph), xs, strict, create_graph, "back")
    return unwrapped(finished(outputs, create_graph), outputs_tuple), unwrapped(finished(product, create_graph), inputs_tuple)


def jvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), the Jacobian times v): v is shaped as the inputs (None: 1), the product as the outputs.

    It is the derivative of a vjp by its vector; `func.jvp` goes forward and costs less.

    Example:
        >>> jvp(lambda x: x * x, tensor([1., 2.]), tensor([1., 10.]))
        (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        inputs_tuple, xs = as_tuple(inputs, "inputs", "jvp")
        xs = prepare(xs, create_graph)
        vector = vector_for(v, xs, inputs_tuple, create_graph, "jvp", NO_INPUT_VECTOR)
        outputs_tuple, outputs = as_tuple(func(*xs), OUTPUTS, "jvp")
        check_tracked(outputs, "outputs", strict)
        weights = probes(outputs)
        back = gradients(outputs, xs, weights, create_graph=True)
        check_tracked(back, "grad_inputs", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = filled(gradients(back, weights, vector, create_graph), outputs, strict, create_graph, "back_trick")
    return unwrapped(finished(outputs, create_graph), outputs_tuple), unwrapped(finished(product, create_graph), outputs_tuple)


def scalar_with_gradient(function: str, func: Callable, inputs: Any, v: Any, create_graph: bool, strict: bool) -> tuple:
    """The value of a function that gives one number, and its gradient, tracked."""
    inputs_tuple, xs = as_tuple(inputs, "inputs", function)
    xs = prepare(xs, create_graph)
    vector = vector_for(v, xs, inputs_tuple, create_graph, function, NO_INPUT_VECTOR)
    outputs_tuple, outputs = as_tuple(func(*xs), OUTPUTS, function)
    check_tracked(outputs, "outputs", strict)
    if outputs_tuple:
        raise RuntimeError(f"The function given to {function} should return a single Tensor")
    if outputs[0]._data.size != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {function} should contain a single element")
    slope = gradients(outputs, xs, create_graph=True)
    check_tracked(slope, "jacobian", strict)
    return inputs_tuple, xs, vector, outputs, slope


def vhp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), v times the Hessian) of a function that gives one number; v and the product are shaped as the inputs.

    Example:
        >>> vhp(lambda x: (x ** 3).sum(), tensor([1., 2.]), tensor([1., 10.]))
        (tensor(9.), tensor([  6., 120.]))
    """
    with enable_grad():
        inputs_tuple, xs, vector, outputs, slope = scalar_with_gradient("vhp", func, inputs, v, create_graph, strict)
    return hessian_product(inputs_tuple, xs, vector, outputs, slope, create_graph, strict)


def hessian_product(
    inputs_tuple: bool, xs: tuple, vector: tuple, outputs: tuple, slope: tuple, create_graph: bool, strict: bool
) -> tuple[Any, Any]:  # fmt: skip
    """The derivative of the gradient `slope` along `vector`, and the value."""
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = filled(gradients(slope, xs, vector, create_graph), xs, strict, create_graph, "double_back")
    return finished(outputs, create_graph)[0], unwrapped(finished(product, create_graph), inputs_tuple)


def hvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """(func(inputs), the Hessian times v); it is symmetric, so this is `vhp`, but for what `strict` looks at.

    Example:
        >>> hvp(lambda x: (x ** 3).sum(), tensor([1., 2.]), tensor([1., 10.]))
        (tensor(9.), tensor([  6., 120.]))
    """
    with enable_grad():
        inputs_tuple, xs, vector, outputs, slope = scalar_with_gradient("hvp", func, inputs, v, create_graph, strict)
    if not strict:
        return hessian_product(inputs_tuple, xs, vector, outputs, slope, create_graph, strict)
    with enable_grad():
        weights = probes(xs)
        back = gradients(slope, xs, weights, create_graph=True)
        check_tracked(slope, "hessian", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = filled(gradients(back, weights, vector, create_graph), xs, strict, create_graph, "double_back_trick")
    return finished(outputs, create_graph)[0], unwrapped(finished(product, create_graph), inputs_tuple)


# Whole matrices


def jacobian(
    func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False, strategy: str = "reverse-mode"
) -> Any:  # fmt: skip
    """The derivatives of all outputs by all inputs: for an output of shape S and an input of shape T a Tensor of shape S + T.

    With several outputs a tuple by output, with several inputs (nested in it) a tuple by input. `strategy` "forward-mode" goes by
    column, which is less work if there are more outputs than inputs; like PyTorch's it wants `vectorize=True`.

    Example:
        >>> jacobian(lambda x: x * x, tensor([1., 2.]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if strategy not in STRATEGIES:
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than inputs, '
            '"forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported together (yet). '
                'Please either set `create_graph=False` or `strategy="reverse-mode"`.'
            )
        return by_columns(func, inputs, strict, vectorize)
    with enable_grad():
        inputs_tuple, xs = as_tuple(inputs, "inputs", "jacobian")
        xs = prepare(xs, create_graph)
        outputs_tuple, outputs = as_tuple(func(*xs), OUTPUTS, "jacobian")
        check_tracked(outputs, "outputs", strict)
        if vectorize and strict:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. Please either set "
                "`strict=False` or `vectorize=False`."
            )
        if vectorize:
            rows = all_rows(outputs, xs, create_graph)
        else:
            rows = tuple([by_rows(i, out, xs, create_graph, strict) for i, out in enumerate(outputs)])
        rows = finished(rows, create_graph)
        return unwrapped(tuple([unwrapped(r, inputs_tuple) for r in rows]), outputs_tuple)


def all_rows(outputs: tuple, xs: tuple, create_graph: bool) -> tuple:
    """The Jacobians of all outputs, in one backward pass for all elements."""
    from chainrule.func.transforms import stretches, units

    seeds, sizes = units(outputs)
    if not sum(sizes):
        return tuple([tuple([wrap(np.zeros((*out.shape, *x.shape), x._data.dtype)) for x in xs]) for out in outputs])
    columns = batched(lambda *v: gradients(outputs, xs, v, create_graph=create_graph, retain_graph=True), seeds)
    parts = [None if c is None else stretches(c, sizes) for c in columns]
    return tuple([
        tuple([
            wrap(np.zeros((*out.shape, *x.shape), x._data.dtype)) if p is None else ops.reshape(p[i], (*out.shape, *x.shape))
            for p, x in zip(parts, xs, strict=True)
        ])
        for i, out in enumerate(outputs)
    ])  # fmt: skip


def by_rows(i: int, out: Tensor, xs: tuple, create_graph: bool, strict: bool) -> tuple:
    """The Jacobian of output i by each of the inputs: a backward pass for each element."""
    columns: list[list] = [[] for _ in xs]
    for place in np.ndindex(out._data.shape):
        grads = gradients((out[place] if place else out,), xs, create_graph=create_graph, retain_graph=True)
        for k, (column, g, x) in enumerate(zip(columns, grads, xs, strict=True)):
            if g is None:
                if strict:
                    raise RuntimeError(
                        f"Output {i} of the user-provided function is independent of input {k}. This is not allowed in strict mode."
                    )
                g = wrap(np.zeros_like(x._data))
            elif strict and create_graph and not g.requires_grad:
                raise RuntimeError(CONSTANT.format("jacobian", i))
            column.append(g)
    return tuple([assembled(c, (*out._data.shape, *x._data.shape), x) for c, x in zip(columns, xs, strict=True)])


def assembled(parts: list, shape: tuple, like: Tensor) -> Tensor:
    """Tensors stacked, in another shape."""
    return ops.reshape(joining.stack(tuple(parts), 0), shape) if parts else wrap(np.zeros(shape, like._data.dtype))


def by_columns(func: Callable, inputs: Any, strict: bool, vectorize: bool) -> Any:
    """The Jacobian in forward mode, in one call of func for all elements of the inputs."""
    if strict:
        raise RuntimeError(
            'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are not supported together (yet). '
            'Please either set `strict=False` or `strategy="reverse-mode"`.'
        )
    inputs_tuple, xs = as_tuple(inputs, "inputs", "jacobian")
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for `vectorize=True`."
        )
    from chainrule.func.batching import vmap
    from chainrule.func.transforms import stretches, units

    shown: list = []

    def push(*directions: Tensor) -> tuple:
        with dual_level():
            is_tuple, outputs = as_tuple(func(*map(make_dual, xs, directions)), "outputs", "jacobian")
            pairs = [unpack_dual(out) for out in outputs]
            shown[:] = is_tuple, [p.primal.shape for p in pairs]
            return tuple([wrap(np.zeros_like(p.primal._data)) if p.tangent is None else p.tangent for p in pairs])

    seeds, sizes = units(xs)
    slopes = vmap(push)(*seeds)
    outputs_tuple, shapes = shown
    rows = []
    for slope, shape in zip(slopes, shapes, strict=True):
        parts = [ops.permute(part, (*range(1, len(shape) + 1), 0)) for part in stretches(slope, sizes)]
        row = [ops.reshape(part, (*shape, *x.shape)) for part, x in zip(parts, xs, strict=True)]
        rows.append(unwrapped(tuple(row), inputs_tuple))
    return unwrapped(tuple(rows), outputs_tuple)


def hessian(
    func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The second derivatives of a function that gives one number: the Jacobian of its gradient.

    Example:
        >>> hessian(lambda x: (x ** 3).sum(), tensor([1., 2.]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    inputs_tuple, xs = as_tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in STRATEGIES:
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def single(*args: Tensor) -> Tensor:
        out = func(*args)
        outputs_tuple, outputs = as_tuple(out, OUTPUTS, "hessian")
        check_tracked(outputs, "outputs", strict)
        if outputs_tuple:
            raise RuntimeError("The function given to hessian should return a single Tensor")
        if out._data.size != 1:
            raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
        return ops.reshape(out, ())

    def slope(*args: Tensor) -> Any:
        if outer_jacobian_strategy == "forward-mode":
            for t in args:
                t._tracked = True  # requires_grad_ refuses within vmap, which forward mode runs in
        result = jacobian(single, args, create_graph=True)
        check_tracked(result, "jacobian", strict)
        return result

    rows = jacobian(
        slope, xs, create_graph=create_graph, strict=strict, vectorize=vectorize, strategy=outer_jacobian_strategy
    )  # fmt: skip
    return rows if inputs_tuple else rows[0][0]
