"""Ops by schema, in the older way: `Library`, `define`, `impl`, and the `register_` functions, which take an op or its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chainrule.library.custom import OPS, CustomOpDef
from chainrule.library.schema import parsed

KERNELS = {"", "CPU", "CompositeExplicitAutograd", "CompositeImplicitAutograd", "cpu", "default"}  # the keys of what computes here
FAKES = {"Meta", "meta"}


class Library:
    """Ops of a namespace: kind "DEF" or "FRAGMENT" to define them, "IMPL" to give kernels to those that there are.

    Example:
        >>> lib = Library("shop", "DEF")
        >>> _ = lib.define("twice(Tensor x) -> Tensor")
        >>> lib.impl("twice", lambda x: x * 2, "CPU")
        >>> torch.ops.shop.twice(ones(1))
        tensor([2.])
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        if ns == "prim" or (ns == "aten" and kind == "DEF"):
            raise ValueError(f"{ns}, is a reserved namespace. Please try creating a library with another name.")
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self.defined: list[str] = []

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Define an op by its name and schema; returns the name."""
        if alias_analysis not in ("", "FROM_SCHEMA", "CONSERVATIVE"):
            raise RuntimeError(f"Invalid alias_analysis type {alias_analysis}")
        name, _, rest = schema.partition("(")
        qualname = f"{self.ns}::{name.strip()}"
        if qualname in OPS:
            raise RuntimeError(f"Tried to register an operator ({qualname}({rest}) with the same name and overload name multiple times.")
        CustomOpDef(qualname, parsed(f"({rest}"))
        self.defined.append(qualname)
        return name.strip()

    def impl(
        self, op_name: Any, fn: Callable, dispatch_key: str = "", *, with_keyset: bool = False, allow_override: bool = False
    ) -> None:  # fmt: skip
        """Give an op of the namespace a kernel. TypeError for what is no function."""
        if not callable(fn):
            raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
        name = op_name if isinstance(op_name, str) else op_name._name
        implement(name if "::" in name else f"{self.ns}::{name}", dispatch_key or self.dispatch_key, fn)

    def _destroy(self) -> None:
        """Take back what this library defined."""
        for name in self.defined:
            OPS.pop(name, None)
        self.defined.clear()


def implement(qualname: str, key: str, fn: Callable) -> None:
    """A kernel, or what tells shapes, for an op; what is for devices that there are not is not kept."""
    op = found(qualname)
    if key in KERNELS:
        op.fn = fn
    elif key in FAKES:
        op.fake = fn


def fallthrough_kernel(*args: Any, **kwargs: Any) -> None:
    """Stands for "no kernel"; it is not to be called."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


def define(qualname: str, schema: str, *, lib: Library | None = None, tags: Any = ()) -> None:
    """Define an op `namespace::name` by its schema; `impl` gives it a kernel.

    Example:
        >>> define("shop::thrice", "(Tensor x) -> Tensor")
        >>> _ = impl("shop::thrice", "cpu")(lambda x: x * 3)
        >>> torch.ops.shop.thrice(ones(1))
        tensor([3.])
    """
    if not isinstance(qualname, str):
        raise ValueError(f"define(qualname, schema): expected qualname to be instance of str, got {type(qualname)}")
    if not re.fullmatch(r"\(.*\) -> .*", schema, re.DOTALL):
        raise ValueError(
            'define(qualname, schema, ...): expected schema to look like e.g. "(Tensor x) -> Tensor" but got '
            f'"{schema}"'
        )
    namespace, separator, name = qualname.partition("::")
    if not separator:
        raise ValueError(f"Expected `namespace::name`, got {qualname}")
    (lib or Library(namespace, "FRAGMENT")).define(name + schema)


def impl(qualname: str, types: Any, func: Callable | None = None, *, lib: Library | None = None) -> Callable:
    """Give an op a kernel for kinds of devices ("cpu", "default", ...). Also a decorator."""

    def register(kernel: Callable) -> Callable:
        for key in [types] if isinstance(types, str) else types:
            implement(qualname, key, kernel)
        return kernel

    return register if func is None else register(func)


def found(op: Any) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    if not isinstance(op, str):
        raise ValueError(f"expected an op made by custom_op or its name, but got {type(op).__name__}")
    if op not in OPS:
        raise RuntimeError(f"operator {op} does not exist: no custom_op or define made it")
    return OPS[op]


def register_autograd(op: Any, backward: Callable, /, *, setup_context: Callable | None = None, lib: Any = None) -> None:
    """As `CustomOpDef.register_autograd`, for an op or its name."""
    found(op).register_autograd(backward, setup_context=setup_context)


def register_fake(
    op: Any, func: Callable | None = None, /, *, lib: Any = None, _stacklevel: int = 1, allow_override: bool = False
) -> Callable:  # fmt: skip
    """As `CustomOpDef.register_fake`, for an op or its name; also a decorator."""
    return found(op).register_fake if func is None else found(op).register_fake(func)


impl_abstract = register_fake


def register_kernel(op: Any, device_types: Any, func: Callable | None = None, /, *, lib: Any = None) -> Callable:
    """As `CustomOpDef.register_kernel`, for an op or its name; also a decorator."""
    return found(op).register_kernel(device_types, func)


def register_vmap(op: Any, func: Callable | None = None, /, *, lib: Any = None) -> Callable:
    """As `CustomOpDef.register_vmap`, for an op or its name; also a decorator."""
    return found(op).register_vmap(func)


def register_autocast(op: Any, device_type: str, cast_inputs: Any, /, *, lib: Any = None) -> None:
    """Have an op get floating-point Tensors in the type `cast_inputs` while `autocast` is on."""
    from chainrule.amp.autocast_mode import autocast, is_autocast_enabled
    from chainrule.library.custom import tensors_in

    if device_type not in ("cpu", "cuda"):
        raise ValueError(f"Unknown device type: {device_type}")
    target = found(op)
    if device_type != "cpu":
        return
    inner, call = target.function, target.function.call

    def cast(value: Any) -> Any:
        if isinstance(value, (list, tuple)) and tensors_in(value):
            return type(value)([cast(v) for v in value])
        return value.to(cast_inputs) if tensors_in(value) and value.is_floating_point() else value

    def casting(values: tuple) -> Any:
        if not is_autocast_enabled("cpu"):
            return call(values)
        with autocast("cpu", enabled=False):
            return call(tuple([cast(v) for v in values]))

    inner.call = casting


class FakeContext:
    """What a fake function may ask: sizes that are known only when the op has run."""

    def new_dynamic_size(self, *, min: int = 0, max: int | None = None) -> int:
        return min


def get_ctx() -> FakeContext:
    """For a function registered by `register_fake`, while it runs."""
    return FakeContext()


