"""Samples into batches: tensors are stacked, numbers become tensors, containers keep their form."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from chainrule._core import dtypes
from chainrule.functions.from_data import as_tensor, tensor
from chainrule.tensor import Tensor

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

REFUSED = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def collate_tensor_fn(batch: Sequence, *, collate_fn_map: Any = None) -> Tensor:
    from chainrule.functions.joining import stack

    return stack(list(batch), 0)


def collate_numpy_array_fn(batch: Sequence, *, collate_fn_map: Any = None) -> Any:
    if batch[0].dtype.kind in "SUO":
        raise TypeError(REFUSED.format(batch[0].dtype))
    return collate([as_tensor(a) for a in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Sequence, *, collate_fn_map: Any = None) -> Tensor:
    return as_tensor(list(batch))


def collate_float_fn(batch: Sequence, *, collate_fn_map: Any = None) -> Tensor:
    return tensor(list(batch), dtype=dtypes.float64)


def collate_int_fn(batch: Sequence, *, collate_fn_map: Any = None) -> Tensor:
    return tensor(list(batch))


def collate_str_fn(batch: Sequence, *, collate_fn_map: Any = None) -> Sequence:
    return batch


default_collate_fn_map: dict[Any, Callable] = {  # by type of sample, the first that fits
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: Any) -> Any:
    """A list of samples as one batch: stacked tensors, dicts and lists of them, whatever form the samples have.

    Example:
        >>> default_collate([(0, "a"), (1, "b")])
        [tensor([0, 1]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch: Any, *, collate_fn_map: dict[Any, Callable] | None = None) -> Any:
    """As `default_collate`, with a table of your own: sample type -> `function(batch, collate_fn_map=table)`."""
    first = batch[0]
    table = collate_fn_map or {}
    if type(first) in table:
        return table[type(first)](batch, collate_fn_map=collate_fn_map)
    for kind, function in table.items():
        if isinstance(first, kind):
            return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        return like_mapping(first, {k: collate([sample[k] for sample in batch], collate_fn_map=collate_fn_map) for k in first})
    if isinstance(first, Sequence):
        if not hasattr(first, "_fields") and any([len(sample) != len(first) for sample in batch]):
            raise RuntimeError("each element in list of batch should be of equal size")
        return like_sequence(first, [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch)])
    raise TypeError(REFUSED.format(type(first)))


def default_convert(data: Any) -> Any:
    """NumPy arrays and numbers as tensors, in whatever containers; all else as it is.

    Example:
        >>> default_convert({"x": np.array([1, 2])})
        {'x': tensor([1, 2])}
    """
    if isinstance(data, (np.ndarray, np.generic)) and not isinstance(data, (str, bytes)):
        return data if data.dtype.kind in "SUO" else as_tensor(data)
    if isinstance(data, Tensor):
        return data
    if isinstance(data, Mapping):
        return like_mapping(data, {k: default_convert(data[k]) for k in data})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return like_sequence(data, [default_convert(d) for d in data])
    return data


def like_mapping(sample: Any, items: dict) -> Any:
    """A mapping of the sample's own type with other values, a dict if that type cannot be made so."""
    try:
        if isinstance(sample, MutableMapping):
            clone = copy.copy(sample)
            clone.update(items)
            return clone
        return type(sample)(items)
    except TypeError:
        return items


def like_sequence(sample: Any, items: list) -> Any:
    """A sequence of the sample's own type with other values; a list for a plain tuple and what cannot be made so."""
    if isinstance(sample, tuple):
        return type(sample)(*items) if hasattr(sample, "_fields") else items
    try:
        if isinstance(sample, MutableSequence):
            clone = copy.copy(sample)
            for i, item in enumerate(items):
                clone[i] = item
            return clone
        return type(sample)(items)  # type: ignore[call-arg]
    except TypeError:
        return items
