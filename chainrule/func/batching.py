"""`vmap`: a function of single examples becomes one of batches, by calling it for each example and stacking the results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from chainrule.func import tree
from chainrule.ops import joining, shape as ops
from chainrule.tensor import Tensor

RANDOMNESS = ("error", "different", "same")


def vmap(
    func: Callable, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable:  # fmt: skip
    """A function that applies `func` along dimension `in_dims` of its arguments (None: not), and stacks along `out_dims`.

    `in_dims` and `out_dims` are ints, or trees of them built like the arguments and results. With `randomness` "same" each call
    draws the same random numbers, else the next ones. `chunk_size` is accepted; examples go one by one.

    Example:
        >>> vmap(torch.dot)(ones(2, 3), ones(2, 3))
        tensor([3., 3.])
    """
    if randomness not in RANDOMNESS:
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    title = name_of(func)
    if not all([isinstance(d, int) for d in tree.leaves(out_dims)]):
        raise ValueError(
            f"vmap({title}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints representing "
            "where in the outputs the vmapped dimension should appear."
        )

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        dims = dims_of(title, in_dims, args)
        flat = tree.leaves(args)
        sizes = [t._data.shape[d] for t, d in zip(flat, dims, strict=True) if d is not None]
        if not sizes:
            raise ValueError("vmap: Expected at least one Tensor to vmap over")
        if any([n != sizes[0] for n in sizes]):
            raise ValueError(
                f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped dimension"
            )
        from chainrule._core.generator import default_generator

        state = default_generator.get_state() if randomness == "same" else None
        results = []
        for i in range(sizes[0]):
            if state is not None:
                default_generator.set_state(state)
            example = [t if d is None else ops.select(t, d, i) for t, d in zip(flat, dims, strict=True)]
            results.append(func(*tree.filled(args, example), **kwargs))
        return stacked(title, results, out_dims)

    return wrapper


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
        raise ValueError(f"{call}: in_dims is not compatible with the structure of `inputs`.")
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


def stacked(title: str, results: list, out_dims: Any) -> Any:
    """The results of all calls, stacked."""
    first = results[0]
    if isinstance(first, Tensor) and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    dims = tree.spread(out_dims, first)
    if dims is None:
        raise ValueError(
            f"vmap({title}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of `outputs`."
        )
    columns = zip(*[tree.leaves(r) for r in results], strict=True)
    return tree.filled(first, [along(title, column, d) for column, d in zip(columns, dims, strict=True)])


def along(title: str, values: tuple, dim: int | None) -> Any:
    if dim is None:
        return values[0]
    if not all([isinstance(v, Tensor) for v in values]):
        raise ValueError(
            f"vmap({title}, ...): `{title}` must only return Tensors, got type {type(values[0])}. Did you mean to set out_dims= to "
            "None for output?"
        )
    return joining.stack(values, dim % (values[0]._data.ndim + 1))
