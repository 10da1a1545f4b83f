"""Ops of your own, by name: `custom_op` makes one of a function, `Library` and `define` of a schema.

Such an op is one node of the graph, whatever it does inside; derivatives and rules for `vmap` can be registered to it.
`torch.ops.namespace.name` finds it.
"""

from __future__ import annotations

from chainrule.library.check import OpCheckError, opcheck
from chainrule.library.custom import CustomOpDef, custom_op, namespace
from chainrule.library.registry import (
    Library,
    define,
    fallthrough_kernel,
    get_ctx,
    impl,
    impl_abstract,
    register_autocast,
    register_autograd,
    register_fake,
    register_kernel,
    register_vmap,
)
from chainrule.library.schema import infer_schema

__all__ = [
    "CustomOpDef", "Library", "OpCheckError", "custom_op", "define", "fallthrough_kernel", "get_ctx", "impl", "impl_abstract",
    "infer_schema", "namespace", "opcheck", "register_autocast", "register_autograd", "register_fake", "register_kernel", "register_vmap",
]  # fmt: skip
