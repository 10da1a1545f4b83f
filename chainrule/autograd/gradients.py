"""`backward` and `grad`: the questions that a user asks the engine, their arguments checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd.engine import run
from chainrule.autograd.graph import GradientEdge
from chainrule.autograd.node import AccumulateGrad, as_edge
from chainrule.kernels.batched import Batched, writeable
from chainrule.ops.overrides import public
from chainrule.ops.primitive import edge_of
from chainrule.ops.shape import cast
from chainrule.tensor import Tensor, wrap

CYCLE = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient which can cause a memory "
    "leak. We recommend using autograd.grad when creating the graph to avoid this. If you have to use this function, make sure to "
    "reset the .grad fields of your parameters to None after use to break the cycle and avoid the leak."
)


@public
def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False, grad_variables: Any = None,
    inputs: Any = None,
) -> None:  # fmt: skip
    """Add the gradient of `tensors`, weighed by `grad_tensors`, to the `.grad` of every leaf they were made from (or of `inputs` only).

    `grad_tensors` have the shapes of `tensors`; None stands for 1 and is for tensors of one element. `retain_graph` (default: as
    `create_graph`) keeps what the graph saved, for another backward; `create_graph` makes the gradients differentiable.
    Raises RuntimeError for shapes that do not match, tensors without history, and graphs that were freed.

    Example:
        >>> x = tensor([1., 2.], requires_grad=True)
        >>> backward([x * x, x], [ones(2), ones(2)])
        >>> x.grad
        tensor([3., 5.])
    """
    if modes.local.transforms:
        raise RuntimeError(
            "backward() called inside a functorch transform. This is not supported, please use functorch.grad or functorch.vjp instead or "
            "call backward() outside of functorch transforms."
        )
    if grad_variables is not None:
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=3)
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    roots = as_tuple(tensors)
    targets = None if inputs is None else inputs_of("backward", inputs)
    cotangents = cotangents_for(roots, grad_tensors)
    starts, edges = root_edges(roots), None
    if create_graph:
        warn_of_cycle()
    if targets is not None:
        edges = [target_edge(t, retain=True) for t in targets]
    keep = create_graph if retain_graph is None else retain_graph
    run(starts, cotangents, keep, create_graph, edges, accumulate_targets=edges is not None)


@public
def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False, materialize_grads: bool = False,
) -> Any:  # fmt: skip
    """The gradient of `outputs`, weighed by `grad_outputs`, for each of `inputs`: a tuple, or a dict if `inputs` is one.

    `inputs` are Tensors or GradientEdges. An input that outputs do not depend on is an error unless `allow_unused` (its gradient is
    then None) or `materialize_grads` (zeros). With `is_grads_batched` the first dimension of each of `grad_outputs` counts a batch
    of weights, and so does the first dimension of the results.

    Example:
        >>> x = tensor(3., requires_grad=True)
        >>> g, = grad(x ** 3, x, create_graph=True); g
        tensor(27., grad_fn=<MulBackward0>)
        >>> grad(g, x)
        (tensor(18.),)
    """
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False.")
    if allow_unused is None:
        allow_unused = materialize_grads
    roots, targets = as_tuple(outputs), inputs_of("grad", inputs)
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other parts of the "
            "graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=3,
        )
    cotangents = cotangents_for(roots, grad_outputs, is_grads_batched)
    starts = root_edges(roots)
    edges = [target_edge(t) for t in targets]
    keep = create_graph if retain_graph is None else retain_graph
    results: Sequence
    if is_grads_batched:
        results = run_batch(starts, cotangents, keep, create_graph, edges)
    else:
        results = [as_result(g) for g in run(starts, cotangents, keep, create_graph, edges)]
    if any(g is None for g in results):
        if not allow_unused:
            index = next(i for i, g in enumerate(results) if g is None)
            raise RuntimeError(
                f"The differentiated Tensor at index {index} appears to not have been used in the graph. Set allow_unused=True if "
                "this is the desired behavior."
            )
        if materialize_grads:
            results = [zeros_for(t, create_graph) if g is None else g for g, t in zip(results, targets, strict=True)]
    if isinstance(inputs, dict):
        return dict(zip(inputs, results, strict=True))
    return tuple(results)


def as_tuple(values: Any) -> tuple:
    return (values,) if isinstance(values, (Tensor, GradientEdge)) else tuple(values)


def inputs_of(function: str, inputs: Any) -> tuple:
    """The inputs as a non-empty tuple; of a dict, its values."""
    if isinstance(inputs, Mapping):
        if type(inputs) is not dict:
            raise TypeError(
                f"`inputs` argument to `{function}()` must be a dict, not {type(inputs).__name__}. Other Mapping types are not supported."
            )
        inputs = inputs.values()
    many = as_tuple(inputs)
    if not many:
        raise RuntimeError(f"`inputs` argument to `{function}()` cannot be empty.")
    return many


def root_edges(roots: tuple) -> list:
    """Where the cotangents of the outputs start."""
    edges = []
    for i, t in enumerate(roots):
        if isinstance(t, Tensor):
            edge = edge_of(t)
        elif isinstance(t, GradientEdge):
            edge = as_edge(t.node, t.output_nr)
        else:
            raise TypeError(f"element {i} of tensors tuple is not a Tensor")
        if edge is None:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        edges.append(edge)
    return edges


@cache
def warn_of_cycle() -> None:
    warnings.warn(CYCLE, UserWarning, stacklevel=5)


def target_edge(t: Any, retain: bool = False) -> Any:
    """Where the cotangent of an input arrives; the input keeps it in its `.grad` if `retain`."""
    if isinstance(t, GradientEdge):
        return as_edge(t.node, t.output_nr)
    if not isinstance(t, Tensor):
        raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(t).__name__}")
    if retain:
        t.retain_grad()
    edge = edge_of(t)
    if edge is None:
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return edge


def cotangents_for(roots: tuple, given: Any, batched: bool = False) -> list:
    """The cotangents of the outputs, checked; 1 for an output of one element without one."""
    given = [None] * len(roots) if given is None else [given] if isinstance(given, Tensor) else list(given)
    if len(given) < len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(given)} gradients")
    made = []
    for i, (t, g) in enumerate(zip(roots, given)):  # more are ignored, as by PyTorch
        if not isinstance(t, (GradientEdge, Tensor)):
            raise AssertionError("Expected output to be a torch.Tensor")
        if isinstance(t, GradientEdge):
            if batched:
                raise RuntimeError("Batched grads are not supported with GradientEdge")
            shape, dtype = edge_metadata(t)
        else:
            shape, dtype = t.shape, t.dtype
        if g is None:
            made.append(implicit(shape, dtype) if isinstance(t, GradientEdge) or t.requires_grad else None)
            continue
        if not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        if shape is not None:
            check_cotangent(i, g, shape, dtype, batched)
        if dtype is not None and g.dtype is not dtype:
            g = cast(g, dtype)
        made.append(g)
    return made


def check_cotangent(i: int, g: Tensor, shape: Any, dtype: Any, batched: bool) -> None:
    mine = g.shape[1:] if batched else g.shape
    if mine != shape:
        mismatch = f"grad_output[{i}] has a shape of {mine} and output[{i}] has a shape of {shape}."
        if not batched:
            raise RuntimeError(f"Mismatch in shape: {mismatch}")
        raise RuntimeError(
            "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. The sizes of the "
            "remaining dimensions are expected to match the shape of corresponding output, but a mismatch was detected: "
            f"{mismatch} If you only want some tensors in `grad_output` to be considered batched, consider using vmap."
        )
    if g.dtype.is_complex != dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. "
            f"Mismatch in dtype: grad_output[{i}] has a dtype of {g.dtype} and output[{i}] has a dtype of {dtype}."
        )


def implicit(shape: Any, dtype: Any) -> Tensor:
    """The cotangent 1 of an output of one element."""
    if shape is None or (shape and any([n != 1 for n in shape])):
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if not dtype.is_floating_point:
        raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {dtype}")
    return wrap(np.ones(shape, dtype.numpy) if shape else np.array(1, dtype.numpy))


def edge_metadata(edge: GradientEdge) -> tuple:
    """Shape and dtype at a GradientEdge; (None, None) if it does not know them."""
    if isinstance(edge.node, AccumulateGrad):
        return edge.node.variable.shape, edge.node.variable.dtype
    token = edge.ownership_token
    return (token.shape, token.dtype) if token is not None else (None, None)


def run_batch(starts: list, cotangents: list, keep: bool, create: bool, edges: list) -> list:
    """One backward pass for all rows of the cotangents."""
    def once(*weights: Any) -> list:
        given = iter(weights)
        return [as_result(g) for g in run(starts, [None if c is None else next(given) for c in cotangents], keep, create, edges)]

    return batched(once, [c for c in cotangents if c is not None])


def batched(function: Callable, tensors: Sequence[Tensor]) -> list:
    """`function` of all rows of tensors at once, as `vmap` has it, where some of its results may be None."""
    from chainrule.func.batching import vmap

    absent: list[bool] = []

    def present(*rows: Tensor) -> list:
        results = function(*rows)
        absent[:] = [r is None for r in results]
        return [r for r in results if r is not None]

    found = iter(vmap(present)(*tensors))
    return [None if gone else next(found) for gone in absent]


def as_result(g: Any) -> Tensor | None:
    """A captured cotangent as the user gets it; broadcast memory becomes memory of its own."""
    if g is None or isinstance(g, Tensor):
        return g
    if type(g) is Batched:
        return wrap(g if writeable(g) else g.copy())
    return wrap(g if type(g) is np.ndarray and g.flags.writeable else np.array(g))


def zeros_for(t: Any, create: bool) -> Tensor:
    if not isinstance(t, Tensor):
        raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
    zeros = wrap(np.zeros_like(t._data))
    zeros._tracked = create
    return zeros

