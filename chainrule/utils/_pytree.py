"""Nested containers ("pytrees") taken apart and put together again: `tree_flatten`, `tree_unflatten`, `tree_map` and their like.

Tuples, lists, dicts, named tuples, deques and what is registered are nodes; all else, None too, is a leaf.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "Context", "GetAttrKey", "KeyPath", "LeafSpec", "MappingKey", "PyTree", "SequenceKey", "TreeSpec", "key_get", "keystr",
    "register_constant", "register_dataclass", "register_pytree_node", "tree_all", "tree_all_only", "tree_any", "tree_any_only",
    "tree_flatten", "tree_flatten_with_path", "tree_iter", "tree_leaves", "tree_leaves_with_path", "tree_map", "tree_map_", "tree_map_only",
    "tree_map_only_", "tree_map_with_path", "tree_structure", "tree_unflatten", "treespec_leaf", "treespec_pprint",
]  # fmt: skip

PyTree = Any
Context = Any


# The names of places in a tree


@dataclass(frozen=True)
class SequenceKey:
    """An entry of a list or tuple."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, container: Any) -> Any:
        return container[self.idx]


@dataclass(frozen=True)
class MappingKey:
    """An entry of a dict."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, container: Any) -> Any:
        return container[self.key]


@dataclass(frozen=True)
class GetAttrKey:
    """An attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, container: Any) -> Any:
        return getattr(container, self.name)


KeyPath = tuple[Any, ...]


def keystr(kp: KeyPath) -> str:
    """A path as Python would write it. Example: `keystr((MappingKey("a"), SequenceKey(0)))` is `"['a'][0]"`."""
    return "".join([str(key) for key in kp])


def key_get(obj: Any, kp: KeyPath) -> Any:
    """What is at a path."""
    for key in kp:
        obj = key.get(obj)
    return obj


# The kinds of nodes


class NodeDef(NamedTuple):
    """How to take a node apart (children and context), put it together (children, context), and name its children."""

    type: type
    flatten_fn: Callable[[Any], tuple]
    unflatten_fn: Callable[[Iterable, Any], Any]
    keys: Callable[[Any], Iterable] | None
    flatten_with_keys_fn: Callable[[Any], tuple] | None = None


def indices(node: Any) -> list:
    return [SequenceKey(i) for i in range(len(node))]


def mapping_keys(node: Any) -> list:
    return [MappingKey(key) for key in node]


def values(node: Any) -> tuple:
    return list(node.values()), list(node)


SUPPORTED_NODES: dict[type, NodeDef] = {
    definition.type: definition
    for definition in [
        NodeDef(tuple, lambda d: (list(d), None), lambda v, c: tuple(v), indices),
        NodeDef(list, lambda d: (d, None), lambda v, c: list(v), indices),
        NodeDef(dict, values, lambda v, c: dict(zip(c, v, strict=True)), mapping_keys),
        NodeDef(OrderedDict, values, lambda v, c: OrderedDict(zip(c, v, strict=True)), mapping_keys),
        NodeDef(
            defaultdict,
            lambda d: (list(d.values()), [d.default_factory, list(d)]),
            lambda v, c: defaultdict(c[0], zip(c[1], v, strict=True)),
            mapping_keys,
        ),
        NodeDef(deque, lambda d: (list(d), d.maxlen), lambda v, c: deque(v, maxlen=c), indices),
    ]
}
NAMED = NodeDef(
    namedtuple, lambda d: (list(d), type(d)), lambda v, c: c(*v), lambda d: [GetAttrKey(f) for f in d._fields]  # type: ignore[arg-type]
)


def register_pytree_node(
    cls: type, flatten_fn: Callable, unflatten_fn: Callable, *, serialized_type_name: str | None = None, to_dumpable_context: Any = None,
    from_dumpable_context: Any = None, flatten_with_keys_fn: Callable | None = None,
) -> None:  # fmt: skip
    """Make a class a node: `flatten_fn(node)` gives (children, context), `unflatten_fn(children, context)` the node again.

    Raises ValueError if it is one already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, None, flatten_with_keys_fn)


def _register_pytree_node(cls: type, flatten_fn: Callable, unflatten_fn: Callable, *args: Any, **kwargs: Any) -> None:
    """The older name of `register_pytree_node`; a class may be registered again."""
    SUPPORTED_NODES.pop(cls, None)
    register_pytree_node(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn=kwargs.get("flatten_with_keys_fn"))


def _deregister_pytree_node(cls: type) -> None:
    del SUPPORTED_NODES[cls]


def register_dataclass(cls: Any, *, field_names: list[str] | None = None, drop_field_names: list[str] | None = None, **names: Any) -> Any:
    """Make a dataclass a node whose children are its fields."""
    fields = field_names or [name for name in cls.__dataclass_fields__ if name not in (drop_field_names or ())]
    register_pytree_node(
        cls,
        lambda d: ([getattr(d, f) for f in fields], None),
        lambda v, c: cls(**dict(zip(fields, v, strict=True))),
        flatten_with_keys_fn=lambda d: ([(GetAttrKey(f), getattr(d, f)) for f in fields], None),
    )
    return cls


def register_constant(cls: type) -> None:
    """Make a class a node without children."""
    register_pytree_node(cls, lambda d: ([], d), lambda v, c: c)


def node_of(tree: Any, is_leaf: Callable | None = None) -> NodeDef | None:
    """The kind of a node; None for a leaf."""
    if is_leaf is not None and is_leaf(tree):
        return None
    node = SUPPORTED_NODES.get(type(tree))
    if node is None and isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return NAMED
    return node


# Structures


class TreeSpec:
    """How a tree is built: the kind of its top node, that node's context and the structures of the children."""

    def __init__(self, type: Any, context: Any, children_specs: list[TreeSpec]) -> None:
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_children = len(children_specs)
        self.num_leaves = sum([c.num_leaves for c in children_specs])
        self.num_nodes = 1 + sum([c.num_nodes for c in children_specs])

    def is_leaf(self) -> bool:
        return self.type is None

    def children(self) -> list[TreeSpec]:
        return list(self.children_specs)

    def child(self, index: int) -> TreeSpec:
        return self.children_specs[index]

    def unflatten(self, leaves: Iterable) -> Any:
        """The tree with these leaves. Raises ValueError for another number of them."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec refers to a pytree "
                f"that holds {self.num_leaves} items ({self})."
            )
        return self._built(iter(leaves))

    def _built(self, leaves: Any) -> Any:
        if self.is_leaf():
            return next(leaves)
        node = NAMED if self.type is namedtuple else SUPPORTED_NODES[self.type]
        return node.unflatten_fn([c._built(leaves) for c in self.children_specs], self.context)

    def flatten_up_to(self, tree: Any) -> list:
        """For each leaf of this structure the part of `tree`, which may go deeper, that is there. Raises ValueError if they differ."""
        if self.is_leaf():
            return [tree]
        node = node_of(tree)
        if node is None or node.type is not self.type:
            raise ValueError(f"Type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        children, context = node.flatten_fn(tree)
        children = list(children)
        if isinstance(tree, dict) and not isinstance(tree, defaultdict):
            if set(context) != set(self.context):
                raise ValueError(f"Node keys mismatch; expected {self.context}, but got {context}.")
            children = [tree[key] for key in self.context]
        elif len(children) != self.num_children:
            raise ValueError(f"Node arity mismatch; expected {self.num_children}, but got {len(children)}.")
        elif context != self.context:
            raise ValueError(f"Node context mismatch for custom node type {self.type!r}.")
        return [leaf for spec, child in zip(self.children_specs, children, strict=True) for leaf in spec.flatten_up_to(child)]

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, TreeSpec):
            return NotImplemented
        return (self.type, self.context, self.children_specs) == (other.type, other.context, other.children_specs)

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves, self.num_nodes))

    def __repr__(self, indent: int = 0) -> str:
        if self.is_leaf():
            return "*"
        gap = ",\n" + " " * (indent + 2)
        inner = gap.join([c.__repr__(indent + 2) for c in self.children_specs])
        return f"TreeSpec({self.type.__name__}, {self.context}, [{inner}])"


class LeafSpec(TreeSpec):
    """The structure of a leaf."""

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.num_leaves = 1


_LEAF = LeafSpec()


def treespec_leaf() -> LeafSpec:
    """The structure of a leaf."""
    return _LEAF


def treespec_pprint(treespec: TreeSpec) -> str:
    """A structure as text."""
    return repr(treespec)


# Taking apart and putting together


def tree_flatten(tree: Any, is_leaf: Callable | None = None) -> tuple[list, TreeSpec]:
    """The leaves in order, and the structure that `tree_unflatten` takes.

    Example:
        >>> tree_flatten({"a": 1, "b": (2, [3])})[0]
        [1, 2, 3]
    """
    leaves: list = []
    return leaves, gather(tree, leaves, is_leaf)


def gather(tree: Any, leaves: list, is_leaf: Callable | None) -> TreeSpec:
    """Append the leaves, and give the structure."""
    node = node_of(tree, is_leaf)
    if node is None:
        leaves.append(tree)
        return _LEAF
    children, context = node.flatten_fn(tree)
    return TreeSpec(node.type, context, [gather(child, leaves, is_leaf) for child in children])


def tree_unflatten(leaves: Iterable, treespec: TreeSpec) -> Any:
    """The tree of a structure with these leaves. Raises TypeError if the structure is none."""
    if not isinstance(treespec, TreeSpec):
        if isinstance(leaves, TreeSpec):  # in JAX's order
            return leaves.unflatten(treespec)
        raise TypeError(f"Expected `treespec` to be an instance of TreeSpec but got item of type {type(treespec)}.")
    return treespec.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: Callable | None = None) -> list:
    """The leaves in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: Any, is_leaf: Callable | None = None) -> Iterable:
    """An iterator over the leaves."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: Any, is_leaf: Callable | None = None) -> TreeSpec:
    """The structure alone."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable, tree: Any, *rests: Any, is_leaf: Callable | None = None) -> Any:
    """The same structure with `func(leaf, ...)` for the leaves, those of `rests` (which must be built alike) beside them.

    Example: `tree_map(lambda x: x + 1, {"a": 1, "b": (2, 3)})` is `{"a": 2, "b": (3, 4)}`.
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    return spec.unflatten(map(func, leaves, *[spec.flatten_up_to(r) for r in rests]))


def tree_map_(func: Callable, tree: Any, *rests: Any, is_leaf: Callable | None = None) -> Any:
    """Call `func` for the leaves, for what it does, and give back the tree."""
    leaves, spec = tree_flatten(tree, is_leaf)
    for args in zip(leaves, *[spec.flatten_up_to(r) for r in rests], strict=True):
        func(*args)
    return tree


def chosen(kind: Any) -> Callable[[Any], bool]:
    """Whether a leaf is of the classes, or such that the predicate holds."""
    return (lambda x: isinstance(x, kind)) if isinstance(kind, (type, tuple)) or not callable(kind) else kind


def map_only(type_or_types_or_pred: Any, func: Callable | None = None) -> Callable:
    """`func` for the leaves of some classes, the others as they are; also as a decorator."""
    if func is None:
        return lambda func: map_only(type_or_types_or_pred, func)
    wanted = chosen(type_or_types_or_pred)
    return lambda x: func(x) if wanted(x) else x


def tree_map_only(type_or_types_or_pred: Any, func: Callable, tree: Any, is_leaf: Callable | None = None) -> Any:
    """As `tree_map`, for the leaves of some classes (or for which a predicate holds)."""
    return tree_map(map_only(type_or_types_or_pred, func), tree, is_leaf=is_leaf)


def tree_map_only_(type_or_types_or_pred: Any, func: Callable, tree: Any, is_leaf: Callable | None = None) -> Any:
    """As `tree_map_`, for the leaves of some classes (or for which a predicate holds)."""
    return tree_map_(map_only(type_or_types_or_pred, func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable, tree: Any, is_leaf: Callable | None = None) -> bool:
    """Whether `pred` holds for all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable, tree: Any, is_leaf: Callable | None = None) -> bool:
    """Whether `pred` holds for a leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(type_or_types: Any, pred: Callable, tree: Any, is_leaf: Callable | None = None) -> bool:
    """Whether `pred` holds for all leaves of some classes."""
    return all([pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, type_or_types)])


def tree_any_only(type_or_types: Any, pred: Callable, tree: Any, is_leaf: Callable | None = None) -> bool:
    """Whether `pred` holds for a leaf of some classes."""
    return any([pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, type_or_types)])


def _broadcast_to_and_flatten(tree: Any, treespec: TreeSpec, is_leaf: Callable | None = None) -> list | None:
    """For each leaf of the structure what stands for it in `tree`, whose leaves may stand for whole parts; None if they do not match."""
    if treespec.is_leaf():
        return [tree] if node_of(tree, is_leaf) is None else None
    node = node_of(tree, is_leaf)
    if node is None:
        return [tree] * treespec.num_leaves
    if node.type is not treespec.type:
        return None
    children, context = node.flatten_fn(tree)
    children = list(children)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    parts = [_broadcast_to_and_flatten(c, spec, is_leaf) for c, spec in zip(children, treespec.children_specs, strict=True)]
    return None if any(p is None for p in parts) else [leaf for p in parts for leaf in p or ()]


# With the path to each leaf


def paths(tree: Any, path: KeyPath, is_leaf: Callable | None) -> Iterable:
    """Pairs of a path and the leaf there."""
    node = node_of(tree, is_leaf)
    if node is None:
        yield path, tree
        return
    if node.flatten_with_keys_fn is not None:
        pairs, _ = node.flatten_with_keys_fn(tree)
    elif node.keys is not None:
        pairs = zip(node.keys(tree), node.flatten_fn(tree)[0], strict=True)
    else:
        raise ValueError(f"Did not find a flatten_with_keys_fn for type: {node.type}. Please pass a flatten_with_keys_fn argument.")
    for key, child in pairs:
        yield from paths(child, (*path, key), is_leaf)


def tree_flatten_with_path(tree: Any, is_leaf: Callable | None = None) -> tuple[list, TreeSpec]:
    """As `tree_flatten`, with pairs of the path and the leaf."""
    return list(paths(tree, (), is_leaf)), tree_structure(tree, is_leaf)


def tree_leaves_with_path(tree: Any, is_leaf: Callable | None = None) -> list:
    """Pairs of the path and the leaf."""
    return list(paths(tree, (), is_leaf))


def tree_map_with_path(func: Callable, tree: Any, *rests: Any, is_leaf: Callable | None = None) -> Any:
    """As `tree_map`, with `func(path, leaf, ...)`."""
    pairs, spec = tree_flatten_with_path(tree, is_leaf)
    others = [spec.flatten_up_to(r) for r in rests]
    return spec.unflatten([func(*pair, *more) for pair, *more in zip(pairs, *others, strict=True)])
