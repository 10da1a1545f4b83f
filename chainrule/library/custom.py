"""`custom_op`, and what it makes: a function that is one op, with what was registered to it."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from chainrule.autograd.function import Function
from chainrule.autograd.grad_mode import no_grad
from chainrule.func.calls import NO_RULE
from chainrule.library.schema import Argument, Schema, infer_schema, parsed
from chainrule.ops import joining, shape
from chainrule.tensor import Tensor

log = logging.getLogger(__name__)
OPS: dict[str, CustomOpDef] = {}
NO_FORMULA = "Trying to backward through {} but no autograd formula was registered. Please use register_autograd to add one."
ALIASED = (
    "{} (with implementation in {}): The output of this custom operator (1) must not also be an input to this custom operator and (2) may "
    "not alias any inputs to this custom operator or other returns. The most common way to trigger this error is if we have y = "
    "custom_op(x) and y and x are the same Tensor. Please instead return a clone of the offending output tensor(s) (e.g. return "
    "x.clone()) or refactor the custom operator to not return y."
)


class CustomOpDef:
    """An op made by `custom_op` or `define`: call it as the function that it was made of."""

    def __init__(self, qualname: str, schema: Schema, fn: Callable | None = None) -> None:
        self._qualname, self.schema, self.fn = qualname, schema, fn
        self._namespace, _, self._name = qualname.partition("::")
        self.__name__, self.__doc__ = self._name, fn.__doc__ if fn else None
        self.signature = schema.signature()
        self.kernels: dict[str, Callable] = {}  # by device
        self.disabled: set[str] = set()
        self.backward: Callable | None = None
        self.setup_context: Callable | None = None
        self.vmap: Callable | None = None
        self.fake: Callable | None = None
        self.default = self._opoverload = self
        self.function = made_function(self)
        OPS[qualname] = self

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def __str__(self) -> str:
        return f"{self._namespace}.{self._name}.default"

    @property
    def _schema(self) -> str:
        return f"{self._qualname}{self.schema.text}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise RuntimeError(f"{self._qualname}() {error}\nDeclaration: {self._schema}") from None
        bound.apply_defaults()
        values = tuple(bound.arguments.values())
        for i, (argument, value) in enumerate(zip(self.schema.arguments, values, strict=True)):
            self.check(i, argument, value)
        written = [t for a, v in zip(self.schema.arguments, values, strict=True) if a.is_write for t in tensors_in(v)]
        if written:
            with no_grad():
                result = self.run(values)
            for t in written:
                t._versions[0] += 1
            return result
        return self.function.call(values)

    def check(self, position: int, argument: Argument, value: Any) -> None:
        """RuntimeError unless `value` is a Tensor where the schema says so, or a number where it says that."""
        kind = argument.type
        if value is None and "?" in kind:
            return
        several = kind.endswith("[]") or kind.endswith("[]?")
        wanted: Any = Tensor if kind.startswith("Tensor") else {"float": (int, float), "SymInt": int, "int": int, "str": str}.get(kind)
        if wanted is None or (wanted is not Tensor and several):
            return
        if (several and isinstance(value, (list, tuple))) or (not several and isinstance(value, wanted)):
            return
        if kind == "float" and isinstance(value, Tensor):  # numbers in tensors are numbers
            return
        name = {"SymInt": "int", "Tensor[]": "List[Tensor]", "Tensor?": "Optional[Tensor]"}.get(kind, kind)
        raise RuntimeError(
            f"{self._qualname}() Expected a value of type '{name}' for argument '{argument.name}' but instead found type "
            f"'{type(value).__name__}'.\nPosition: {position}\nValue: {value}\nDeclaration: {self._schema}"
        )

    def run(self, values: Sequence) -> Any:
        """The kernel on all arguments, in the order of the schema."""
        kernel = None if "cpu" in self.disabled else self.kernels.get("cpu")
        kernel = kernel or self.fn
        if kernel is None:
            raise NotImplementedError(f"Could not run '{self._qualname}' with arguments from the 'CPU' backend: it has no kernel for it.")
        named = [(a, v) for a, v in zip(self.schema.arguments, values, strict=True)]
        result = kernel(*[v for a, v in named if not a.kwarg_only], **{a.name: v for a, v in named if a.kwarg_only})
        outputs = tensors_in(result)
        before = tensors_in(values)
        for i, out in enumerate(outputs):
            if any([share_memory(out, t) for t in (*before, *outputs[:i])]):
                raise RuntimeError(ALIASED.format(self._name, inspect.getmodule(kernel)))
        return tuple(result) if isinstance(result, list) and self.schema.returns[0] != "Tensor[]" else result

    def register_autograd(self, backward: Callable, /, *, setup_context: Callable | None = None) -> None:
        """Say how to go back: `backward(ctx, *grads)` gives a gradient (or None) for each input; `setup_context(ctx, inputs, output)`
        saves for it what it needs (and takes `keyword_only_inputs`, if there are any)."""
        if self.schema.written:
            raise RuntimeError(
                f"Cannot register autograd formula for non-functional operator {self!r} with schema {self._schema}. Please create a "
                "functional operator and register an autograd formula for that."
            )
        self.backward, self.setup_context = backward, setup_context

    def register_fake(self, fn: Callable, /) -> Callable:
        """A function that tells shapes and types without computing; `opcheck` compares them with those that the op gives."""
        self.fake = fn
        return fn

    def register_kernel(self, device_types: Any, fn: Callable | None = None, /) -> Callable:
        """Replace what the op does on the CPU; kernels for other devices are kept, for nothing calls them."""

        def register(kernel: Callable) -> Callable:
            if device_types is None:
                self.fn = kernel
            for name in [device_types] if isinstance(device_types, str) else device_types or ():
                self.kernels[name] = kernel
            return kernel

        return register if fn is None else register(fn)

    def register_vmap(self, func: Callable | None = None) -> Callable:
        """Say how the op runs on batches: `func(info, in_dims, *args)` gives (output, out_dims). Also a decorator."""

        def register(rule: Callable) -> Callable:
            self.vmap = rule
            return rule

        return register if func is None else register(func)

    @contextmanager
    def set_kernel_enabled(self, device_type: str, enabled: bool = True) -> Iterator[None]:
        """Inside, the kernel for a device is (or is not) taken; the op's own function stands in for it."""
        if device_type not in self.kernels:
            what = "enable" if enabled else "disable"
            log.warning("Attempted to %s kernel for %s but no kernel was registered for this device type.", what, device_type)
        before = set(self.disabled)
        (self.disabled.discard if enabled else self.disabled.add)(device_type)
        try:
            yield
        finally:
            self.disabled = before


def tensors_in(value: Any) -> list[Tensor]:
    """The Tensors among a value, or in a list or tuple of values."""
    if isinstance(value, Tensor):
        return [value]
    return [t for v in value for t in tensors_in(v)] if isinstance(value, (list, tuple)) else []


def share_memory(a: Tensor, b: Tensor) -> bool:
    return a is b or (isinstance(a._data, np.ndarray) and isinstance(b._data, np.ndarray) and np.may_share_memory(a._data, b._data))


def flat(values: Sequence) -> list:
    """The arguments with lists of Tensors taken apart, as a Function takes them."""
    return [item for v in values for item in (v if is_list(v) else [v])]


def refilled(values: Sequence, items: Iterable) -> list:
    """`items` put together again as `flat` took `values` apart."""
    source = iter(items)
    return [[next(source) for _ in v] if is_list(v) else next(source) for v in values]


def is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all([v is None or isinstance(v, Tensor) for v in value])


def made_function(op: CustomOpDef) -> Any:
    """The Function whose node stands for a call of `op`; its first argument are all arguments, for their form."""

    class Generated(Function):
        @classmethod
        def call(cls, values: tuple) -> Any:
            result = cls.apply(values_form(values), *flat(values))
            return list(result) if op.schema.returns == ("Tensor[]",) else result

        @staticmethod
        def forward(form: Form, *items: Any) -> Any:
            result = op.run(refilled(form.values, items))
            return tuple(result) if isinstance(result, list) else result

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
            form, *items = inputs
            ctx.form = form
            if op.setup_context is None:
                return
            values = refilled(form.values, items)
            named = [(a, v) for a, v in zip(op.schema.arguments, values, strict=True)]
            output = list(output) if op.schema.returns == ("Tensor[]",) else output
            more = {"keyword_only_inputs": {a.name: v for a, v in named if a.kwarg_only}} if any([a.kwarg_only for a, _ in named]) else {}
            op.setup_context(ctx=ctx, inputs=tuple([v for a, v in named if not a.kwarg_only]), output=output, **more)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            if op.backward is None:
                raise RuntimeError(NO_FORMULA.format(op))
            found = op.backward(ctx, *([list(grads)] if op.schema.returns == ("Tensor[]",) else grads))
            found = found if isinstance(found, tuple) else (found,)
            positional = [v for a, v in zip(op.schema.arguments, ctx.form.values, strict=True) if not a.kwarg_only]
            if len(found) != len(positional):
                raise RuntimeError(
                    f"Expected the backward of {op} to return {len(positional)} gradients, one for each input (None for those that have "
                    f"none), but got {len(found)}."
                )
            spread = [g for v, g in zip(positional, found, strict=True) for g in ((g or [None] * len(v)) if is_list(v) else [g])]
            rest = flat(ctx.form.values)[len(flat(positional)) :]
            return (None, *spread, *[None] * len(rest))

        @staticmethod
        def vmap(info: Any, in_dims: tuple, form: Form, *items: Any) -> Any:  # type: ignore[override]
            values, dims = refilled(form.values, items), refilled(form.values, in_dims[1:])
            if op.vmap is not None:
                named = list(zip(op.schema.arguments, values, dims, strict=True))
                more = {a.name: v for a, v, _ in named if a.kwarg_only}
                return op.vmap(info, tuple([d for a, _, d in named if not a.kwarg_only]), *values[: len(values) - len(more)], **more)
            return by_example(op, info.batch_size, values, dims)

    Generated.__name__ = f"GeneratedBackwardFor_{op._namespace}_{op._name}_default"
    Generated._backward_cls.__name__ = f"{Generated.__name__}Backward"
    return Generated


class Form:
    """The arguments of a call without their Tensors: which of them are lists, and how long."""

    __slots__ = ("values",)

    def __init__(self, values: tuple) -> None:
        self.values = values


def values_form(values: tuple) -> Form:
    return Form(tuple([[None] * len(v) if is_list(v) else None for v in values]))


def by_example(op: CustomOpDef, count: int, values: list, dims: list) -> tuple[Any, Any]:
    """An op without a rule for `vmap`, once for each example."""
    warnings.warn(NO_RULE.format(op._qualname), UserWarning, stacklevel=2)

    def example(value: Any, dim: Any, i: int) -> Any:
        if isinstance(value, list):
            return [example(v, d, i) for v, d in zip(value, dim, strict=True)]
        return value if dim is None else shape.select(value, dim, i)

    named = [a.name for a in op.schema.arguments]
    results = [
        op(**dict(zip(named, [example(v, d, i) for v, d in zip(values, dims, strict=True)], strict=True))) for i in range(count)
    ]
    if isinstance(results[0], (tuple, list)):
        columns = [joining.stack(tuple(column), 0) for column in zip(*results, strict=True)]
        return tuple(columns), tuple([0] * len(columns))
    return joining.stack(tuple(results), 0), 0


def custom_op(
    name: str, fn: Callable | None = None, /, *, mutates_args: str | Iterable[str], device_types: Any = None, schema: str | None = None,
    tags: Any = None,
) -> Any:  # fmt: skip
    """An op `namespace::name` made of `fn`, whose annotations say which Tensors and plain values it takes and returns. Also a decorator.

    `mutates_args` names the arguments that it changes in place; `schema` stands in for annotations. Raises ValueError for a name
    without namespace and for annotations that an op cannot have.

    Example:
        >>> @custom_op("mine::cube", mutates_args=())
        ... def cube(x: Tensor) -> Tensor:
        ...     return from_numpy(x.numpy() ** 3)
        >>> cube.register_autograd(lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g,
        ...                        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
        >>> x = tensor([2.], requires_grad=True)
        >>> cube(x).sum().backward(); x.grad
        tensor([12.])
    """

    def make(function: Callable) -> CustomOpDef:
        if name.count("::") != 1:
            raise ValueError(f"Expected `name` to be of the form `namespace::name`, but got {name!r}")
        described = parsed(infer_schema(function, mutates_args=mutates_args, tags=tags) if schema is None else schema)
        if schema is not None and set(described.written) != set(mutates_args):
            raise ValueError(
                f"Attempted to create a custom op with `mutates_args={mutates_args}` and `schema={schema}. The schema suggests that the op "
                f"mutates {set(described.written)}which is different from what was provided to us in `mutates_args`. Please make these "
                "consistent."
            )
        for a in described.arguments:
            if a.kwarg_only and a.type.startswith("Tensor"):
                raise NotImplementedError(
                    f"custom_op with kwarg-only Tensor args. Please make your tensors not kwarg-only. Got: {name}{described.text}"
                )
        op = CustomOpDef(name, described, function)
        op.register_kernel(device_types)(function)
        return op

    return make if fn is None else make(fn)


def namespace(name: str) -> SimpleNamespace:
    """`torch.ops.<name>`: the ops of a namespace. AttributeError if there are none."""
    ops = {op._name: op for op in OPS.values() if op._namespace == name}
    if not ops:
        raise AttributeError(f"'_OpNamespace' '{name}' object has no attributes: no custom op is named '{name}::...'")
    return SimpleNamespace(**ops)
