"""`vmap`: a function of single examples becomes one of batches, which runs once, each op on all examples.

The tensors inside hold batched arrays (`kernels.batched`), so everything above arrays, derivatives too, is as outside. What the ops do
with such arrays is said in `func.rules` and `func.layer_rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from chainrule._core import modes
from chainrule.func import layer_rules, rules, tree  # noqa: F401 (the primitives' rules)
from chainrule.func.levels import entered, inside, leave, left
from chainrule.kernels import batched_numpy  # noqa: F401 (NumPy's functions on batched arrays)
from chainrule.kernels.batched import Batched, Level, NotBatched, chain, is_mapped
from chainrule.ops import joining, shape as ops
from chainrule.tensor import Tensor, wrap

RANDOMNESS = ("error", "different", "same")
local = modes.local


def vmap(
    func: Callable, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable:  # fmt: skip
    """A function that applies `func` along dimension `in_dims` of its arguments (None: not), and stacks along `out_dims`.

    `in_dims` and `out_dims` are ints, or trees of them built like the arguments and results. Random numbers are the same for all
    examples or different, as `randomness` says; with "error" drawing some is a RuntimeError. `chunk_size` is how many examples run
    at once (None: all).

    Example:
        >>> vmap(torch.dot)(ones(2, 3), ones(2, 3))
        tensor([3., 3.])
    """
    if randomness not in RANDOMNESS:
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    title = name_of(func)

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not all([d is None or isinstance(d, int) for d in tree.leaves(out_dims)]):
            raise ValueError(
                f"vmap({title}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints representing "
                "where in the outputs the vmapped dimension should appear."
            )
        dims = dims_of(title, in_dims, args)
        flat = tree.leaves(args)
        size = size_of(flat, dims)
        if chunk_size is None or chunk_size >= size:
            return once(func, title, args, flat, dims, out_dims, randomness, size, kwargs)
        results = []
        for start in range(0, size, chunk_size):
            stop = min(start + chunk_size, size)
            part = [t if d is None else ops.slice_dim(t, d, start, stop, 1) for t, d in zip(flat, dims, strict=True)]
            results.append(once(func, title, args, part, dims, out_dims, randomness, stop - start, kwargs))
        return chunks_joined(title, results, out_dims)

    return wrapper


def once(
    func: Callable, title: str, args: tuple, flat: list, dims: list, out_dims: Any, randomness: str, size: int, kwargs: dict
) -> Any:  # fmt: skip
    """The call on all examples at once."""
    level = Level(size, randomness)
    outer = local.batching
    given = [t if d is None else entered(inside(t, outer) if t.requires_grad else t, d, level) for t, d in zip(flat, dims, strict=True)]
    local.batching = (*outer, level)
    try:
        result = within(func, *tree.filled(args, given), **kwargs)
    except NotBatched as error:
        raise RuntimeError(str(error)) from None
    finally:
        local.batching = outer
    return unwrapped(title, result, out_dims, level)


def within(func: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call a function that is being transformed."""
    local.transforms += 1
    try:
        return func(*args, **kwargs)
    finally:
        local.transforms -= 1


def size_of(flat: list, dims: list) -> int:
    """How many examples there are."""
    sizes = [t._data.shape[d] for t, d in zip(flat, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any([n != sizes[0] for n in sizes]):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped dimension"
        )
    return sizes[0]


def name_of(func: Any) -> str:
    if isinstance(func, partial):
        return f"functools.partial({name_of(func.func)}, ...)"
    return getattr(func, "__name__", None) or repr(func)


def dims_of(title: str, in_dims: Any, args: tuple) -> list:
    """For each leaf of the arguments the dimension to go along, or None."""
    call = f"vmap({title}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{call}: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({title})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a function with no "
            "inputs. The latter is unsupported."
        )
    dims = tree.spread(in_dims, args)
    if dims is None:
        raise ValueError(
            f"{call}: in_dims is not compatible with the structure of `inputs`. in_dims has structure {tree.pattern(in_dims)} but inputs "
            f"has structure {tree.pattern(args)}."
        )
    for k, (t, d) in enumerate(zip(tree.leaves(args), dims, strict=True)):
        if d is None:
            continue
        if not isinstance(d, int):
            raise ValueError(f"{call}: Got in_dim={d} for an input but in_dim must be either an integer dimension or None.")
        if not isinstance(t, Tensor):
            raise ValueError(
                f"{call}: Got in_dim={d} for an input but the input is of type {type(t)}. We cannot vmap over non-Tensor arguments, please "
                "use None as the respective in_dim"
            )
        rank = t._data.ndim
        if not -rank <= d < rank:
            raise ValueError(
                f"{call}: Got in_dim={d} for some input, but that input is a Tensor of dimensionality {rank} so expected in_dim to satisfy "
                f"-{rank} <= in_dim < {rank}."
            )
        dims[k] = d % rank
    return dims


def spread_out(title: str, out_dims: Any, result: Any) -> list:
    """For each leaf of the result the dimension that the examples get, or None."""
    if isinstance(out_dims, tuple) and len(out_dims) == 1 and isinstance(result, Tensor):
        out_dims = out_dims[0]
    dims = tree.spread(out_dims, result)
    if dims is None:
        raise ValueError(
            f"vmap({title}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of `outputs`. out_dims has "
            f"structure {tree.pattern(out_dims)} but outputs has structure {tree.pattern(result)}."
        )
    return dims


def unwrapped(title: str, result: Any, out_dims: Any, level: Level) -> Any:
    """The results as tensors with the dimension of the examples."""
    dims = spread_out(title, out_dims, result)
    return tree.filled(result, [outside(title, t, d, level) for t, d in zip(tree.leaves(result), dims, strict=True)])


def outside(title: str, t: Any, dim: int | None, level: Level) -> Any:
    if dim is None:
        if isinstance(t, Tensor) and level in chain(t._data):
            if not is_mapped(t._data, level):
                return ops.select(leave(t, 0, level), 0, 0)
            raise ValueError(f"vmap({title}, ...): `{title}` can not return a BatchedTensor when out_dim is None")
        return t
    if not isinstance(t, Tensor):
        raise ValueError(
            f"vmap({title}, ...): `{title}` must only return Tensors, got type {type(t)}. Did you mean to set out_dims= to None for output?"
        )
    rank = t._data.ndim + 1
    if not -rank <= dim < rank:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})")
    return left(t, dim % rank, level)


def chunks_joined(title: str, results: list, out_dims: Any) -> Any:
    """The results of all chunks as one."""
    first = results[0]
    dims = spread_out(title, out_dims, first)
    columns = zip(*[tree.leaves(r) for r in results], strict=True)
    return tree.filled(first, [c[0] if d is None else joining.cat(c, d % c[0]._data.ndim) for c, d in zip(columns, dims, strict=True)])


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """What a tensor inside `vmap` holds, with the dimension of the examples in front; of all levels, or of the innermost one.

    Example:
        >>> vmap(lambda x: (print(debug_unwrap(x).shape), x)[1])(ones(2, 3)).shape
        torch.Size([2, 3])
        torch.Size([2, 3])
    """
    data = tensor._data
    while isinstance(data, Batched):
        data = data.array
        if not recurse:
            break
    return tensor if data is tensor._data else wrap(data)


def functionalize(func: Callable, *, remove: str = "mutations") -> Callable:
    """`func` itself, for scripts that ask for it: chainrule's transforms follow changes in place."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. Valid options are:\n"
            "     remove='mutations': all inplace and out= operators will be removed from the program, and replaced with their "
            "out-of-place equivalents.\n"
            "     remove='mutations_and_views': In addition to the above, all aliasing operators {view} will be replaced with their "
            "non-aliasing counterparts, {view}_copy."
        )

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper
