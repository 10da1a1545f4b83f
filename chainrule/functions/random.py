"""Random tensors and in-place samplers, in PyTorch's streams: `manual_seed(0); rand(3)` gives PyTorch's numbers bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule._core import dtypes, generator as core, modes
from chainrule._core.generator import default_generator, initial_seed, manual_seed, seed
from chainrule._core.types import require_cpu
from chainrule.functions.arguments import is_integer, require_tensor
from chainrule.functions.creation import blank_like, element, made, own, sizes
from chainrule.kernels import random as draw
from chainrule.kernels.batched import Batched
from chainrule.ops.inplace import check_writable, overwrite, write_out
from chainrule.ops.overrides import dispatch, public
from chainrule.ops.pointwise import nothing
from chainrule.ops.primitive import Primitive, general
from chainrule.tensor import Tensor, wrap

# The generator, with Tensors for states


class Generator(core.Generator):
    """A stream of random numbers of its own. Example: `rand(3, generator=Generator().manual_seed(0))`."""

    __slots__ = ()

    def get_state(self) -> Any:
        """The state, a uint8 tensor of shape (5056,) that PyTorch reads too."""
        return wrap(super().get_state())

    def set_state(self, state: Any, /) -> None:
        """Continue from a state that `get_state` gave, here or in PyTorch."""
        super().set_state(state._data if isinstance(state, Tensor) else state)


Generator.__module__ = "chainrule"
default_generator.__class__ = Generator  # made in a room that knows no tensors


def get_rng_state() -> Any:
    """The default generator's state. Example: `s = get_rng_state(); a = rand(2); set_rng_state(s); rand(2)` is a again."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator into a state that `get_rng_state` gave."""
    default_generator.set_state(new_state)


def checked(function: str, generator: Any, device: Any = None) -> core.Generator | None:
    """The generator, if it is one; a device that cannot be is refused before anything is drawn."""
    if device is not None:
        require_cpu(device)
    if generator is not None and not isinstance(generator, core.Generator):
        raise TypeError(f"{function}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}")
    return generator


# New tensors


def rand(
    *args: Any, size: Any = None, generator: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform numbers in [0, 1) of the given sizes. Example: `rand(2, 3).shape` is `torch.Size([2, 3])`."""
    data = draw.uniform(sizes("rand", args, size), element(dtype, out), checked("rand", generator, device))
    return made("rand", data, out, layout, device, requires_grad, pin_memory)


def randn(
    *args: Any, size: Any = None, generator: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers of mean 0 and variance 1 of the given sizes. Example: `randn(2, 3).shape` is `torch.Size([2, 3])`."""
    data = draw.normal(sizes("randn", args, size), element(dtype, out), checked("randn", generator, device))
    return made("randn", data, out, layout, device, requires_grad, pin_memory)


def whole(dtype: Any, out: Tensor | None) -> np.dtype:
    """The type of random integers: int64 unless it is given."""
    return element(dtypes.int64 if dtype is None and out is None else dtype, out)


def bounds(function: str, args: tuple, low: Any, high: Any) -> tuple[int, int, tuple]:
    """(low, high, the rest) of the forms f(high, ...), f(low, high, ...) and those with names."""
    ends, rest = [], list(args)
    wanted = 2 - (low is not None) - (high is not None)
    while rest and len(ends) < wanted and not isinstance(rest[0], (tuple, list)):
        ends.append(rest.pop(0))
    if high is None:
        if not ends:
            raise TypeError(f"{function}() missing 1 required positional argument: 'high'")
        high = ends.pop()
    if ends:
        low = ends.pop()
    values = []
    for name, position, value in (("low", 1, 0 if low is None else low), ("high", 1 if low is None else 2, high)):
        if isinstance(value, Tensor) and value._data.size == 1:
            value = value.item()
        if not is_integer(value):
            raise TypeError(f"{function}(): argument '{name}' (position {position}) must be int, not {type(value).__name__}")
        values.append(int(value))
    return values[0], values[1], tuple(rest)


def randint(
    *args: Any, low: Any = None, high: Any = None, size: Any = None, generator: Any = None, out: Tensor | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Integers in [low, high), `randint(high, size)` or `randint(low, high, size)`; int64 unless `dtype` is given.

    Example: `randint(10, (2,)).shape` is `torch.Size([2])`.
    """
    low, high, rest = bounds("randint", args, low, high)
    if len(rest) != (size is None) or (size is None and not isinstance(rest[0], (tuple, list))):
        raise TypeError("randint(): argument 'size' must be tuple of ints")
    kind = whole(dtype, out)
    data = draw.randint(sizes("randint", rest, size), kind, checked("randint", generator, device), low, high)
    return made("randint", data, out, layout, device, requires_grad, pin_memory)


def randperm(
    n: int, *, generator: Any = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The integers below n in random order. Example: `randperm(4).sort().values` is `tensor([0, 1, 2, 3])`."""
    if not is_integer(n):
        raise TypeError(f"randperm(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    data = draw.randperm(int(n), whole(dtype, out), checked("randperm", generator, device))
    return made("randperm", data, out, layout, device, requires_grad, pin_memory)


# Filling: values are drawn in the order that the memory has

UNBATCHED = (
    "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like same randomness. If this is necessary "
    "for your usage, please file an issue with functorch."
)


def fill(a: np.ndarray, sample: Callable[[tuple], np.ndarray]) -> None:
    """Write `sample(shape)` over an array, the first number to the lowest address, as PyTorch walks it."""
    ordered = a if a.flags.c_contiguous else a.transpose(memory_order(a))
    values = sample(ordered.shape)
    if values.__class__ is Batched and a.__class__ is not Batched:
        raise RuntimeError(UNBATCHED)
    ordered[...] = values


def memory_order(a: np.ndarray) -> list[int]:
    """The dimensions by falling strides, which is the order of addresses."""
    return sorted(range(a.ndim), key=lambda d: -a.strides[d])


def new_like(
    function: str, input: Any, sample: Callable[[tuple, np.dtype, bool], np.ndarray], dtype: Any, layout: Any, device: Any,
    requires_grad: bool, pin_memory: bool, memory_format: Any,
) -> Tensor:  # fmt: skip
    require_tensor(function, input)
    data = blank_like(input._data, own(input, dtype), memory_format)
    fill(data, lambda shape: sample(shape, data.dtype, data.flags.c_contiguous))
    return made(function, data, None, layout, device, requires_grad, pin_memory)


@public
def rand_like(
    input: Tensor, *, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Uniform numbers in [0, 1) of input's shape and type. Example: `rand_like(ones(2, 3)).shape` is `torch.Size([2, 3])`."""
    source = checked("rand_like", generator, device)

    def sample(shape: tuple, kind: np.dtype, _: bool) -> np.ndarray:
        return draw.uniform(shape, kind, source)

    return new_like("rand_like", input, sample, dtype, layout, device, requires_grad, pin_memory, memory_format)


@public
def randn_like(
    input: Tensor, *, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Normal numbers of input's shape and type. Example: `randn_like(ones(2, 3)).shape` is `torch.Size([2, 3])`."""
    source = checked("randn_like", generator, device)

    def sample(shape: tuple, kind: np.dtype, contiguous: bool) -> np.ndarray:
        return draw.normal(shape, kind, source, blocks=contiguous)

    return new_like("randn_like", input, sample, dtype, layout, device, requires_grad, pin_memory, memory_format)


@public
def randint_like(
    input: Tensor, *args: Any, low: Any = None, high: Any = None, generator: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Integers in [low, high) in input's shape and type, `randint_like(input, high)` or `randint_like(input, low, high)`.

    Example: `randint_like(ones(2), 1)` is `tensor([0., 0.])`.
    """
    first, last, rest = bounds("randint_like", args, low, high)
    if rest:
        raise TypeError(f"randint_like() takes at most 3 positional arguments ({len(args) + 1} given)")
    source = checked("randint_like", generator, device)

    def sample(shape: tuple, kind: np.dtype, _: bool) -> np.ndarray:
        return draw.randint(shape, kind, source, first, last)

    return new_like("randint_like", input, sample, dtype, layout, device, requires_grad, pin_memory, memory_format)


# Draws that depend on tensors; their gradients are zero


def drawn_from(node: str, count: int) -> Primitive:
    """The record of a draw: `values` were drawn from distributions whose parameters are the inputs."""
    rules: dict[str, Any] = {"a": lambda g, a_shape: zeros_of(g, a_shape), "b": lambda g, b_shape: zeros_of(g, b_shape)}
    if count == 1:

        @general(a=rules["a"], node=node, name=node)
        def record(a: Any, values: Any) -> Any:
            return values
    else:

        @general(**rules, node=node, name=node)
        def record(a: Any, b: Any, values: Any) -> Any:
            return values

    return record


def zeros_of(g: Any, shape: tuple) -> Any:
    from chainrule.ops.reduce import sum_to

    return sum_to(nothing(g), shape)


DRAWS = {
    name: drawn_from(node, count)
    for name, node, count in (
        ("bernoulli", "BernoulliBackward0", 1), ("poisson", "PoissonBackward0", 1), ("mean", "NormalBackward1", 1), ("std",
        "NormalBackward2", 1),
        ("normal", "NormalBackward3", 2),
    )
}  # fmt: skip


@public
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, out: Tensor | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers of the given means and standard deviations: tensors, which broadcast, or two numbers and a size.

    Example: `normal(zeros(3), 1.0).shape` is `torch.Size([3])`.
    """
    source = checked("normal", generator, device)
    of_means, of_stds = isinstance(mean, Tensor), isinstance(std, Tensor)
    if not of_means and not of_stds:
        if size is None or not isinstance(size, (tuple, list)):
            raise TypeError("normal(): argument 'size' must be tuple of ints when mean and std are numbers")
        data = draw.normal(sizes("normal", (tuple(size),)), element(dtype, out), source, float(mean), float(std))
        return made("normal", data, out, layout, device, requires_grad, pin_memory)
    if size is not None:
        raise TypeError("normal(): argument 'size' is only for a mean and a std that are numbers")
    if of_stds:
        if std._data.dtype.kind == "c":
            raise RuntimeError("normal expects standard deviation to be non-complex")
        if std._data.size and not (std._data >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    if of_means and of_stds:
        shape = broadcast(mean._data, std._data)
        values = draw.normal(shape, mean._data.dtype, source)
        values = (values * std._data + mean._data).astype(values.dtype, copy=False)
        result = DRAWS["normal"](mean, std, values)
    elif of_means:
        values = draw.normal(mean._data.shape, mean._data.dtype, source, 0.0, float(std))
        result = DRAWS["mean"](mean, values + mean._data)
    else:
        values = draw.normal(std._data.shape, std._data.dtype, source)
        values *= std._data
        values += values.dtype.type(mean)
        result = DRAWS["std"](std, values)
    return result if out is None else write_out("normal", out, result)


def broadcast(a: np.ndarray, b: np.ndarray) -> tuple:
    from chainrule.ops.pointwise_form import broadcast_error

    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise broadcast_error(a, b) from None


@public
def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """0 or 1 for each element, 1 with the probability that it is (or with probability `p`, if given).

    Example: `bernoulli(tensor([0., 1.]))` is `tensor([0., 1.])`.
    """
    require_tensor("bernoulli", input)
    chance = input._data if p is None else p._data if isinstance(p, Tensor) else float(p)
    shape, kind = input._data.shape, input._data.dtype
    if isinstance(chance, (np.ndarray, Batched)):
        chance = np.broadcast_to(chance, shape)
    result = DRAWS["bernoulli"](input, draw.bernoulli(shape, kind, checked("bernoulli", generator), chance))
    return result if out is None else write_out("bernoulli", out, result)


def fill_chances(data: np.ndarray, chance: Any, generator: core.Generator | None) -> None:
    if isinstance(chance, (np.ndarray, Batched)):
        chance = np.broadcast_to(chance, data.shape)
        if not data.flags.c_contiguous:
            chance = chance.transpose(memory_order(data))
    fill(data, lambda shape: draw.bernoulli(shape, data.dtype, generator, chance))


@public
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """Indices into the last dimension of `input`, (categories,) or (rows, categories), drawn in proportion to its values.

    Example: `multinomial(tensor([0., 3.]), 1)` is `tensor([1])`.
    """
    require_tensor("multinomial", input)
    if not is_integer(num_samples):
        raise TypeError(f"multinomial(): argument 'num_samples' (position 2) must be int, not {type(num_samples).__name__}")
    if isinstance(out, Tensor) and out.dtype is not dtypes.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {dtypes.LEGACY[out.dtype]}")
    data = draw.multinomial(input._data, int(num_samples), replacement, checked("multinomial", generator))
    result = wrap(data if isinstance(data, Batched) else np.ascontiguousarray(data))
    return result if out is None else write_out("multinomial", out, result)


@public
def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson counts of the given rates. Example: `poisson(zeros(2))` is `tensor([0., 0.])`."""
    from chainrule.kernels.random_rejection import poisson as sample

    require_tensor("poisson", input)
    return DRAWS["poisson"](input, sample(input._data, checked("poisson", generator)))


@public
def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """How many of `count` trials of probability `prob` succeed. Example: `binomial(ones(2), ones(2))` is `tensor([1., 1.])`."""
    from chainrule.kernels.random_rejection import binomial as sample

    require_tensor("binomial", count, "count")
    require_tensor("binomial", prob, "prob", 2)
    shape = broadcast(count._data, prob._data)
    return wrap(sample(np.broadcast_to(count._data, shape), np.broadcast_to(prob._data, shape), checked("binomial", generator)))


# In place


def refilled(node: str) -> Primitive:
    """The record of a tensor that was filled anew: nothing of the old values is left."""

    @general(a=nothing, inputs=("a",), node=node, name=node)
    def refill(a: Any, values: Any) -> Any:
        return values

    return refill


REFILLS = {
    name: refilled(f"{node}Backward{number}")
    for name, node, number in (
        ("uniform", "Uniform", 0), ("normal", "Normal", 0), ("bernoulli", "Bernoulli", 2), ("random", "Random", 2),
        ("random_to", "Random", 1), ("random_from", "Random", 0), ("exponential", "Exponential", 0), ("geometric", "Geometric", 0),
        ("cauchy", "Cauchy", 0), ("log_normal", "LogNormal", 0),
    )
}  # fmt: skip


def write(name: str, t: Tensor, sample: Callable[[tuple], np.ndarray]) -> Tensor:
    """Fill t with new numbers, and put "filled" in the place of its history."""
    recording = modes.grad_enabled()
    check_writable(t, recording)
    if recording and t.requires_grad:
        data = np.empty_like(t._data, order="K")
        fill(data, sample)
        return overwrite(t, REFILLS[name](t, data))
    fill(t._data, sample)
    t._versions[0] += 1
    return t


def sampler(sample: Callable) -> Callable:
    """The method `name_(..., generator=None)` of `sample(t, ..., generator)`; it takes PyTorch's keyword `from`, and returns the tensor."""
    name = sample.__name__
    parameters = sample.__code__.co_varnames[1 : sample.__code__.co_argcount - 1]

    def method(self: Tensor, *args: Any, generator: Any = None, **named: Any) -> Tensor:
        if modes.state.busy:
            done, value = dispatch(method, (self, *args), named | ({} if generator is None else {"generator": generator}))
            if done:
                return value
        if "from" in named:
            named["start"] = named.pop("from")
        if len(args) > len(parameters):
            raise TypeError(f"{name}() takes {len(parameters) + 1} positional arguments but {len(args) + 1} were given")
        for key in named:
            if key not in parameters:
                raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        return sample(self, *args, **named, generator=checked(name, generator))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = sample.__doc__
    return method


@sampler
def uniform_(self: Tensor, start: float = 0.0, to: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with uniform numbers in [from, to). Example: `empty(2).uniform_(1, 1)` is `tensor([1., 1.])`."""
    return write("uniform", self, lambda shape: draw.uniform(shape, self._data.dtype, generator, float(start), float(to)))


@sampler
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with normal numbers. Example: `empty(2).normal_(3, 0)` is `tensor([3., 3.])`."""
    contiguous = self._data.flags.c_contiguous
    return write("normal", self, lambda shape: draw.normal(shape, self._data.dtype, generator, float(mean), float(std), contiguous))


@sampler
def bernoulli_(self: Tensor, p: Any = 0.5, generator: Any = None) -> Tensor:
    """Fill with ones with probability `p` (a number, or a tensor that broadcasts), else zeros. Example: `empty(2).bernoulli_(1)`."""
    if not isinstance(p, Tensor):
        return write("bernoulli", self, lambda shape: draw.bernoulli(shape, self._data.dtype, generator, float(p)))
    data = np.empty_like(self._data, order="K")
    fill_chances(data, p._data, generator)
    check_writable(self, modes.grad_enabled())
    return overwrite(self, REFILLS["bernoulli"](self, data))


@sampler
def random_(self: Tensor, start: Any = None, to: Any = None, generator: Any = None) -> Tensor:
    """Fill with integers in [from, to), [0, to) for one argument, or all that the type has from 0 up. Example: `empty(3).random_(2)`."""
    kind = self._data.dtype
    if start is None and to is None:
        return write("random", self, lambda shape: draw.random(shape, kind, generator))
    low, high = (0, start) if to is None else (start or 0, to)
    form = "random_to" if to is None else "random_from"
    return write(form, self, lambda shape: draw.randint(shape, kind, generator, int(low), int(high)))


@sampler
def exponential_(self: Tensor, lambd: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with exponential numbers of rate `lambd`. Example: `(empty(3).exponential_() >= 0).all()` is `tensor(True)`."""
    return write("exponential", self, lambda shape: draw.exponential(shape, self._data.dtype, generator, float(lambd)))


@sampler
def geometric_(self: Tensor, p: float, generator: Any = None) -> Tensor:
    """Fill with the number of trials up to the first success of probability `p`. Example: `(empty(3).geometric_(0.5) >= 1).all()`."""
    return write("geometric", self, lambda shape: draw.geometric(shape, self._data.dtype, generator, float(p)))


@sampler
def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with numbers of the Cauchy distribution. Example: `empty(3).cauchy_().shape` is `torch.Size([3])`."""
    return write("cauchy", self, lambda shape: draw.cauchy(shape, self._data.dtype, generator, float(median), float(sigma)))


@sampler
def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, generator: Any = None) -> Tensor:
    """Fill with numbers whose logarithms are normal. Example: `(empty(3).log_normal_() > 0).all()` is `tensor(True)`."""
    return write("log_normal", self, lambda shape: draw.log_normal(shape, self._data.dtype, generator, float(mean), float(std)))


__all__ = [
    "Generator", "bernoulli", "binomial", "default_generator", "get_rng_state", "initial_seed", "manual_seed", "multinomial", "normal",
    "poisson", "rand",
    "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip
METHODS = [
    "bernoulli", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "multinomial", "normal_", "random_", "uniform_",
]  # fmt: skip
