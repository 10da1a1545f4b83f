"""Ops of your own, by name: `custom_op` makes one of a function, to which derivatives and rules for `vmap` can be registered.

Such an op is one node of the graph, whatever it does inside. `torch.ops.namespace.name` finds it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from chainrule.autograd.function import Function
from chainrule.tensor import Tensor

__all__ = ["CustomOpDef", "custom_op", "register_autograd", "register_fake", "register_kernel", "register_vmap"]

OPS: dict[str, CustomOpDef] = {}
NO_FORMULA = "Trying to backward through {}.default but no autograd formula was registered. Please use register_autograd to add one."


class CustomOpDef:
    """An op made by `custom_op`: call it as the function that it was made of."""

    def __init__(self, name: str, fn: Callable, mutates_args: str | Iterable[str]) -> None:
        if name.count("::") != 1:
            raise ValueError(f"Expected `name` to be of the form `namespace::name`, but got {name!r}")
        self.name, self.fn, self.mutates_args = name, fn, mutates_args
        self.signature = inspect.signature(fn)
        self.keywords = [p.name for p in self.signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
        self.backward: Callable | None = None
        self.setup_context: Callable | None = None
        self.vmap: Callable | None = None
        self.fake: Callable | None = None
        self.default = self
        self.__name__, self.__doc__ = name.partition("::")[2], fn.__doc__
        self._qualname = name
        self.function = made_function(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return self.function.apply(*bound.args, *bound.kwargs.values())

    def __repr__(self) -> str:
        return f"<CustomOpDef({self.name})>"

    def register_autograd(self, backward: Callable, /, *, setup_context: Callable | None = None) -> None:
        """Say how to go back: `backward(ctx, *grads)` gives a gradient (or None) for each input; `setup_context(ctx, inputs, output)`
        saves for it what it needs."""
        self.backward, self.setup_context = backward, setup_context

    def register_fake(self, fn: Callable, /) -> Callable:
        """Accept a function that tells shapes and types without computing; chainrule does not trace, so nothing calls it."""
        self.fake = fn
        return fn

    def register_kernel(self, device_types: Any, fn: Callable | None = None, /) -> Callable:
        """Replace what the op does on the CPU; kernels for other devices are accepted."""

        def register(kernel: Callable) -> Callable:
            if device_types is None or "cpu" in ([device_types] if isinstance(device_types, str) else list(device_types)):
                self.fn = kernel
            return kernel

        return register if fn is None else register(fn)

    def register_vmap(self, func: Callable | None = None) -> Callable:
        """Say how the op runs on batches: `func(info, in_dims, *args)` gives (output, out_dims). Also a decorator."""

        def register(rule: Callable) -> Callable:
            self.vmap = rule
            self.function.vmap = staticmethod(rule)
            self.function.generate_vmap_rule = False
            return rule

        return register if func is None else register(func)


def made_function(op: CustomOpDef) -> Any:
    """The Function whose node stands for a call of `op`."""

    class Generated(Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*args: Any) -> Any:
            before = [(a, a._versions[0]) for a in args if isinstance(a, Tensor)]
            split = len(args) - len(op.keywords)
            result = op.fn(*args[:split], **dict(zip(op.keywords, args[split:], strict=True)))
            outputs = result if isinstance(result, (tuple, list)) else (result,)
            if any([out is a for out in outputs for a, _ in before]):
                raise RuntimeError(
                    f"{op.name} (with implementation in {op.fn.__module__}): The output of this custom operator (1) must not also be an "
                    "input to this custom operator and (2) may not alias any inputs to this custom operator or other returns. The most "
                    "common way to trigger this error is if we have y = custom_op(x) and y and x are the same Tensor. Please instead "
                    "return a clone of the offending output tensor(s) (e.g. return x.clone()) or refactor the custom operator to not "
                    "return y."
                )
            return tuple(result) if isinstance(result, list) else result

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
            if op.setup_context is not None:
                split = len(inputs) - len(op.keywords)
                named = dict(zip(op.keywords, inputs[split:], strict=True))
                extra = {"keyword_only_inputs": named} if named else {}
                op.setup_context(ctx, inputs[:split], output, **extra)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            if op.backward is None:
                raise RuntimeError(NO_FORMULA.format(op.name))
            found = op.backward(ctx, *grads)
            return (*(found if isinstance(found, tuple) else (found,)), *[None] * len(op.keywords))

    Generated.__name__ = f"GeneratedBackwardFor_{op.name.replace('::', '_')}_default"
    Generated._backward_cls.__name__ = f"{Generated.__name__}Backward"
    return Generated


def custom_op(
    name: str, fn: Callable | None = None, /, *, mutates_args: str | Iterable[str], device_types: Any = None, schema: str | None = None,
    tags: Any = None,
) -> Any:  # fmt: skip
    """An op `namespace::name` made of `fn`, which takes and returns Tensors and plain values. Also a decorator.

    `mutates_args` names the arguments that it changes in place. Raises ValueError for a name without namespace.

    Example:
        >>> @custom_op("mine::cube", mutates_args=())
        ... def cube(x: Tensor) -> Tensor:
        ...     return from_numpy(x.numpy() ** 3)
        >>> cube.register_autograd(lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g,
        ...                        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
        >>> x = tensor(2., requires_grad=True)
        >>> cube(x).backward(); x.grad
        tensor(12.)
    """

    def define(function: Callable) -> CustomOpDef:
        if name in OPS:
            warnings.warn(f"Overriding the custom op {name}", UserWarning, stacklevel=3)
        op = OPS[name] = CustomOpDef(name, function, mutates_args)
        return op

    return define if fn is None else define(fn)


def found(op: Any) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    if not isinstance(op, str):
        raise ValueError(f"expected an op made by custom_op or its name, but got {type(op).__name__}")
    if op not in OPS:
        raise RuntimeError(f"There is no custom op {op!r}; chainrule's own ops already have their derivatives and rules")
    return OPS[op]


def register_autograd(op: Any, backward: Callable, /, *, setup_context: Callable | None = None, lib: Any = None) -> None:
    """As `CustomOpDef.register_autograd`, for an op or its name."""
    found(op).register_autograd(backward, setup_context=setup_context)


def register_fake(op: Any, func: Callable | None = None, /, *, lib: Any = None, _stacklevel: int = 1) -> Callable:
    """As `CustomOpDef.register_fake`, for an op or its name; also a decorator."""
    return found(op).register_fake if func is None else found(op).register_fake(func)


def register_kernel(op: Any, device_types: Any, func: Callable | None = None, /, *, lib: Any = None) -> Callable:
    """As `CustomOpDef.register_kernel`, for an op or its name; also a decorator."""
    return found(op).register_kernel(device_types, func)


def register_vmap(op: Any, func: Callable | None = None, /, *, lib: Any = None) -> Callable:
    """As `CustomOpDef.register_vmap`, for an op or its name; also a decorator."""
    return found(op).register_vmap(func)


def namespace(name: str) -> SimpleNamespace:
    """`torch.ops.<name>`: the ops of a namespace. AttributeError if there are none."""
    ops = {full.partition("::")[2]: op for full, op in OPS.items() if full.startswith(f"{name}::")}
    if not ops:
        raise AttributeError(f"'_OpNamespace' '{name}' object has no attributes: no custom op is named '{name}::...'")
    return SimpleNamespace(**ops)
