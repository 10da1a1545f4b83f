"""Transforms of functions: `grad`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian`. Each takes a function and gives one, so they nest.

A transform differentiates by fresh inputs. Its results keep a history only if they depend on something else that is tracked (a
transform around this one, a tensor with `requires_grad`), so that what was plain stays plain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from chainrule._core import modes
from chainrule.autograd import forward_ad, gradients
from chainrule.autograd.grad_mode import enable_grad
from chainrule.autograd.node import Node, Output
from chainrule.func import tree
from chainrule.func.batching import vmap, within
from chainrule.func.levels import at_levels, inside, is_plain
from chainrule.ops import joining, shape as ops
from chainrule.ops.primitive import INEXACT, edge_of
from chainrule.tensor import Tensor, adopt, wrap

Argnums = int | tuple[int, ...]


# Arguments


def positions(argnums: Any, count: int) -> tuple[int, ...]:
    """`argnums` as positions among `count` arguments; RuntimeError for those that there are not."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    found = []
    for n in (argnums,) if isinstance(argnums, int) else argnums:
        if not isinstance(n, int):
            raise RuntimeError(f"argnum must be int, got: {type(n)}")
        if not -count <= n < count:
            raise RuntimeError(f"Got argnum={n}, but only {count} positional inputs")
        found.append(n % count)
    if not found:
        raise RuntimeError("argnums must be non-empty")
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {tuple(found)}")
    return tuple(found)


def chosen(args: tuple, argnums: Argnums) -> Any:
    """The arguments to differentiate by: one, or a tuple if argnums is one."""
    found = tuple([args[i] for i in positions(argnums, len(args))])
    return found[0] if isinstance(argnums, int) else found


def replaced(args: tuple, argnums: Argnums, new: Any) -> tuple:
    values = list(args)
    for i, value in zip(positions(argnums, len(args)), (new,) if isinstance(argnums, int) else new, strict=True):
        values[i] = value
    return tuple(values)


def with_aux(result: Any, has_aux: bool, title: str) -> tuple[Any, Any]:
    """What a function returned, and its second output if it has one that is not differentiated."""
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{title}: output of function f should be a tuple: (output, aux) if has_aux is True")
    for t in tree.leaves(result[1]):
        if not isinstance(t, Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(t)}")
    return result


# Histories

NO_HOOKS = "torch.func.{grad, vjp, jacrev, hessian} don't yet support saved tensor hooks. Please open an issue with your use case."


def recorded(func: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call a function that is to be differentiated; saved-tensor hooks are refused, as what they pack is not that of one level."""
    local = modes.local
    if local.saved_hooks:
        raise RuntimeError(NO_HOOKS)
    before, local.saved_hooks_disabled = local.saved_hooks_disabled, NO_HOOKS
    try:
        return within(func, *args, **kwargs)
    finally:
        local.saved_hooks_disabled = before


def fresh(t: Any) -> Tensor:
    """A tensor to differentiate by, connected to t if t is tracked and gradients were on when the transform was called."""
    if not isinstance(t, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(t)}")
    if t._data.dtype not in INEXACT:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    if is_plain(t):
        new = adopt(Tensor, at_levels(t._data, modes.local.batching))
        new._versions = t._versions
    else:
        new = inside(ops.view(t, t._data.shape), modes.local.batching)
    if not new._tracked:
        new._base, new._tracked, new._edge = None, True, Input()
    new._restriction = "input"  # no leaf, but written to as little as one
    return new


class Input(Node):
    """What an input of a transform comes from: gradients that nobody asked for end here, for it has no `.grad`."""

    __slots__ = ()

    def vjp(self, g: Any, saved: Any) -> tuple:
        return ()


def depends_on_others(tensors: Iterable, own: Sequence) -> bool:
    """Whether the history of `tensors` goes on below the fresh inputs `own`, or to other leaves."""
    below = {edge.node if type(edge) is Output else edge for edge in [edge_of(t) for t in own]}
    seen: set = set()
    stack = [edge_of(t) for t in tensors if isinstance(t, Tensor)]
    while stack:
        edge = stack.pop()
        node = edge.node if type(edge) is Output else edge
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in below:
            if node.edges:
                return True
            continue
        if not isinstance(node, Node) or isinstance(node, Input):
            return True
        stack.extend(node.edges)
    return False


def settled(values: Any, own: Sequence, outer: bool) -> Any:
    """Results of a transform: without history where it would lead to the fresh inputs only, or gradients are off outside."""

    def settle(t: Any) -> Any:
        if not isinstance(t, Tensor) or not t.requires_grad or (outer and depends_on_others([t], own)):
            return t
        return untracked(t)

    return tree.mapped(settle, values)


def untracked(t: Tensor) -> Tensor:
    """t without history, with its tangents."""
    before = modes.set_grad(False)
    try:
        new = ops.alias(t)
    finally:
        modes.set_grad(before)
    new._base = None  # which would keep the history alive
    return new


def zeros_as(t: Tensor) -> Tensor:
    return wrap(np.zeros_like(t._data))


# Reverse mode


def grad_and_value(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that gives (the gradient of `func` by the arguments `argnums`, func's value).

    `func` returns a 0-dim Tensor; or a pair of that and anything else if `has_aux`, then the value is a pair, too. Arguments may
    be trees of Tensors.

    Example:
        >>> grad_and_value(lambda x: (x ** 2).sum())(tensor([1., 2.]))
        (tensor([2., 4.]), tensor(5.))
    """

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        title = "grad_and_value(f)(*args)"
        outer = modes.local.grad
        with enable_grad():
            given = chosen(args, argnums)
            inputs = tree.mapped(fresh if outer else lambda t: fresh(untracked(t)), given)
            output, aux = with_aux(recorded(func, *replaced(args, argnums, inputs), **kwargs), has_aux, title)
            if not isinstance(output, Tensor):
                raise RuntimeError(f"{title}: Expected f(*args) to return a Tensor, got {type(output)}")
            if output._data.ndim:
                raise RuntimeError(
                    f"{title}: Expected f(*args) to return a scalar Tensor, got tensor with {output._data.ndim} dims. Maybe you wanted to "
                    "use the vjp or jacrev APIs instead?"
                )
            own = tree.leaves(inputs)
            found = differentiated([output], own, None, outer and depends_on_others([output], own))
            value, aux = settled((output, aux), own, outer)
            result = tree.filled(inputs, settled(found, own, outer))
        return result, ((value, aux) if has_aux else value)

    return wrapper


def differentiated(outputs: Sequence, own: Sequence, cotangents: Sequence | None, create: bool) -> list:
    """The gradients of `outputs`, zeros where there are none."""
    given = [None] * len(outputs) if cotangents is None else cotangents
    pairs = [(t, g) for t, g in zip(outputs, given, strict=True) if t.requires_grad]
    found: Sequence = [None] * len(own)
    wanted = [i for i, t in enumerate(own) if t._tracked]
    if pairs and wanted:
        roots, weights = zip(*pairs, strict=True)
        targets = [own[i] for i in wanted]
        made = gradients.grad(roots, targets, weights, retain_graph=True, create_graph=create, allow_unused=True)
        places = dict(zip(wanted, made, strict=True))
        found = [places.get(i) for i in range(len(own))]
    return [zeros_as(t) if g is None else g for g, t in zip(found, own, strict=True)]


def grad(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that gives the gradient of `func` (which returns a 0-dim Tensor) by the arguments `argnums`.

    Example:
        >>> grad(grad(torch.sin))(tensor(1.))
        tensor(-0.8415)
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), a function from cotangents of that to cotangents of the primals); with `has_aux` the auxiliary output third.

    Example:
        >>> y, pull = vjp(lambda x: x * x, tensor([1., 2.]))
        >>> pull(ones(2))
        (tensor([2., 4.]),)
    """
    outer = modes.local.grad
    with enable_grad():
        inputs = tree.mapped(fresh if outer else lambda t: fresh(untracked(t)), primals)
        outputs, aux = with_aux(recorded(func, *inputs), has_aux, "vjp(f, *primals)")
        flat = tree.leaves(outputs)
        if not flat or flat == [None]:
            raise RuntimeError(f"vjp(f, *primals): Expected f to be a function that has non-empty output (got output = {flat})")
        for t in flat:
            if not isinstance(t, Tensor):
                raise RuntimeError(f"vjp(f, *primals): expected f(*primals) to return only tensors, got unsupported type {type(t)}")
            if t._data.dtype not in INEXACT:
                raise RuntimeError(
                    f"vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype {t.dtype}"
                )
        own = tree.leaves(inputs)
        others = depends_on_others(flat, own)
        shown, aux = settled((outputs, aux), own, outer)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        if not tree.same_structure(cotangents, outputs):
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {tree.sketch(cotangents)}, primal output: {tree.sketch(outputs)}"
            )
        weights = tree.leaves(cotangents)
        on = modes.local.grad if create_graph is None else create_graph
        create = on and (others or any([w.requires_grad for w in weights]))
        with enable_grad():
            found = differentiated(flat, own, weights, create)
        return tree.filled(primals, settled(found, own, on))

    return (shown, pull, aux) if has_aux else (shown, pull)


# Forward mode


def jvp(func: Callable, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """(func(*primals), its derivative along `tangents`, built like the primals); with `has_aux` the auxiliary output third.

    With `strict` an output that does not depend on the primals is a RuntimeError, else its tangent is zero.

    Example:
        >>> jvp(torch.sin, (tensor(0.),), (tensor(2.),))
        (tensor(0.), tensor(2.))
    """
    title = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(f"{title}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    if not tree.same_structure(primals, tangents):
        raise RuntimeError(
            f"{title}: Expected primals and tangents to have the same python structure. For example, if primals is a tuple of 3 tensors, "
            f"tangents also must be. Got primals with structure {tree.pattern(primals)} and tangents with structure "
            f"{tree.pattern(tangents)}"
        )
    points, directions = tree.leaves(primals), tree.leaves(tangents)
    for name, values in (("primals", points), ("tangents", directions)):
        if not values:
            raise RuntimeError(f"{title}: Expected {name} to contain at least one Tensor.")
        for t in values:
            if not isinstance(t, Tensor):
                raise RuntimeError(f"{title}: Expected {name} to only contain Tensors, got {type(t)}")
    level = forward_ad.enter_level()
    try:
        duals = tree.filled(primals, [forward_ad.make_dual(t, v, level=level) for t, v in zip(points, directions, strict=True)])
        output, aux = with_aux(within(func, *duals), has_aux, title)
        values, slopes = [], []
        flat = tree.leaves(output)
        if not flat:
            raise RuntimeError(f"{title}: Expected f to be a function that has non-empty output (got output = {flat})")
        for t in flat:
            if not isinstance(t, Tensor):
                raise RuntimeError(f"{title}: expected f(*primals) to return only tensors, got unsupported type {type(t)}")
            primal, tangent = forward_ad.unpack_dual(t, level=level)
            if tangent is None and strict:
                raise RuntimeError(
                    "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed with "
                    "strict=True."
                )
            values.append(primal)
            slopes.append(zeros_as(primal) if tangent is None else tangent)
        if has_aux:
            aux = tree.mapped(lambda t: forward_ad.unpack_dual(t, level=level).primal if isinstance(t, Tensor) else t, aux)
    finally:
        forward_ad.exit_level()
    result = tree.filled(output, values), tree.filled(output, slopes)
    return (*result, aux) if has_aux else result


def linearize(func: Callable, *primals: Any) -> tuple[Any, Callable]:
    """(func(*primals), the function from tangents to the derivative along them at that point).

    Example:
        >>> y, push = linearize(torch.sin, tensor(0.))
        >>> push(tensor(2.))
        tensor(2.)
    """

    points = tree.leaves(primals)

    def push(*tangents: Any) -> Any:
        if not tree.same_structure(primals, tangents):
            raise RuntimeError(
                f"Expected the tangents {tree.pattern(tangents)} to have the same argspec as the primals {tree.pattern(primals)}"
            )
        for i, (t, v) in enumerate(zip(points, tree.leaves(tangents), strict=True)):
            for what in ("shape", "dtype"):
                has, wanted = getattr(v, what), getattr(t, what)
                if has != wanted:
                    raise RuntimeError(
                        f"tangent:{i} with {what} {has} in flattened pytree doesn't match the {what} {wanted} of the corresponding primal."
                    )
        return jvp(func, primals, tangents)[1]

    return func(*primals), push


# Jacobians


def refuse_complex(name: str, values: Any, what: str) -> None:
    for t in tree.leaves(values):
        if isinstance(t, Tensor) and t._data.dtype.kind == "c":
            raise RuntimeError(f"{name}: Expected all {what} to be real but received complex tensor at flattened input idx: 0")


def units(tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[int]]:
    """For each tensor a batch of its shape, such that row k of all is the k-th unit vector of all elements; and the tensors' sizes."""
    sizes = [t._data.size for t in tensors]
    made, start = [], 0
    for t, n in zip(tensors, sizes, strict=True):
        rows = np.zeros((sum(sizes), n), t._data.dtype)
        np.fill_diagonal(rows[start : start + n], 1)
        made.append(wrap(rows.reshape(sum(sizes), *t._data.shape)))
        start += n
    return made, sizes


def stretches(t: Tensor, sizes: list[int]) -> list[Tensor]:
    """The rows of a Jacobian that belong to each output (or input)."""
    return list(joining.split(t, tuple(sizes), 0)) if len(sizes) > 1 else [t]


def jacrev(
    func: Callable, argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None, _preallocate_and_copy: bool = False
) -> Callable:  # fmt: skip
    """A function that gives the Jacobian of `func` by the arguments `argnums`, all rows at once: of shape output + input.

    Outputs and inputs may be trees: the result is the tree of outputs with, in place of each, the tree of inputs. `chunk_size` is
    how many rows to compute at once (None: all).

    Example:
        >>> jacrev(torch.sin)(zeros(2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        refuse_complex("jacrev", args, "inputs")

        def partial(*given: Any) -> Any:
            return func(*replaced(args, argnums, given[0] if isinstance(argnums, int) else given), **kwargs)

        primals = chosen(args, argnums)
        output, pull, *aux = vjp(partial, *((primals,) if isinstance(argnums, int) else primals), has_aux=has_aux)
        refuse_complex("jacrev", output, "outputs")
        flat, inputs = tree.leaves(output), tree.leaves(primals)
        seeds, sizes = units(flat)
        if not sum(sizes):
            columns = [wrap(np.zeros((0, *t._data.shape), t._data.dtype)) for t in inputs]
        else:
            columns = tree.leaves(vmap(lambda *v: pull(tree.filled(output, v)), chunk_size=chunk_size)(*seeds))
        parts = [stretches(c, sizes) for c in columns]
        rows = []
        for k, out in enumerate(flat):
            row = [ops.reshape(p[k], (*out._data.shape, *t._data.shape)) for p, t in zip(parts, inputs, strict=True)]
            rows.append(tree.filled(primals, row))
        result = tree.filled(output, rows)
        return (result, aux[0]) if has_aux else result

    return wrapper


def jacfwd(func: Callable, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error") -> Callable:
    """As `jacrev`, in forward mode, all columns at once: less work if there are more outputs than inputs.

    Example:
        >>> jacfwd(torch.sin)(zeros(2))
        tensor([[1., 0.],
                [0., 1.]])
    """

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        refuse_complex("jacfwd", args, "inputs")
        primals = chosen(args, argnums)
        inputs = tree.leaves(primals)
        seeds, sizes = units(inputs)

        def partial(given: Any) -> Any:
            return func(*replaced(args, argnums, given), **kwargs)

        def push(*tangents: Any) -> Any:
            output, slope, *aux = jvp(partial, (primals,), (tree.filled(primals, tangents),), has_aux=has_aux)
            refuse_complex("jacfwd", output, "outputs")
            return tuple(tree.leaves(slope)), output, tuple(aux)

        if sum(sizes):
            slopes, *same = vmap(push, randomness=randomness)(*seeds)
            output, aux = tree.mapped(lambda t: ops.select(t, 0, 0), tuple(same))  # they do not depend on the tangent
        else:
            slopes, output, aux = push(*[zeros_as(t) for t in inputs])
            slopes = [wrap(np.zeros((0, *s._data.shape), s._data.dtype)) for s in slopes]
        parts = [stretches(s, sizes) for s in slopes]
        rows = []
        for p, out in zip(parts, tree.leaves(output), strict=True):
            rank = out._data.ndim
            turned = [ops.permute(part, (*range(1, rank + 1), 0)) for part in p]
            row = [ops.reshape(r, (*out._data.shape, *t._data.shape)) for r, t in zip(turned, inputs, strict=True)]
            rows.append(tree.filled(primals, row))
        result = tree.filled(output, rows)
        return (result, aux[0]) if has_aux else result

    return wrapper


def hessian(func: Callable, argnums: Argnums = 0) -> Callable:
    """A function that gives the second derivatives of `func` by the arguments `argnums`: forward over reverse mode.

    Example:
        >>> hessian(lambda x: (x ** 3).sum())(tensor([1., 2.]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
