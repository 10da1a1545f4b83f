"""Batches of sequences of different lengths: padded to one length, or packed without padding (`PackedSequence`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from chainrule._core import dtypes
from chainrule.functions import arange, as_tensor, cat, from_numpy
from chainrule.functions.creation import full
from chainrule.tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pad_packed_sequence", "pad_sequence", "unpad_sequence",
    "pack_sequence", "unpack_sequence",
]  # fmt: skip
CONVERSIONS = {
    "double": dtypes.float64, "float": dtypes.float32, "half": dtypes.float16, "long": dtypes.int64, "int": dtypes.int32,
    "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8,
}  # fmt: skip


class PackedSequence_(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(PackedSequence_):
    """The rows of a batch of sequences, step after step, longest sequence first; made by `pack_sequence` or `pack_padded_sequence`.

    `batch_sizes[t]` sequences have a step t; `sorted_indices` says how the batch was sorted, `unsorted_indices` how to go back.
    """

    def __new__(cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None) -> Any:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """As `Tensor.to`, of the data."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Itself: everything is on the CPU."""
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Refused: chainrule computes on the CPU."""
        return type(self)(self.data.cuda(*args, **kwargs), *self[1:])

    def pin_memory(self) -> PackedSequence:
        """As `Tensor.pin_memory`, of the data."""
        return type(self)(self.data.pin_memory(), *self[1:])

    def is_pinned(self) -> bool:
        """Whether the data is pinned."""
        return self.data.is_pinned()

    @property
    def is_cuda(self) -> bool:
        return False


def conversion(name: str, dtype: Any) -> Callable:
    def convert(self: PackedSequence) -> PackedSequence:
        return self.to(dtype=dtype)

    convert.__name__, convert.__doc__ = name, f"The data as {dtype}."
    return convert


for _name, _dtype in CONVERSIONS.items():
    setattr(PackedSequence, _name, conversion(_name, _dtype))


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one. Example: `invert_permutation(tensor([2, 0, 1]))` is `tensor([1, 2, 0])`."""
    return None if permutation is None else from_numpy(np.argsort(permutation._data))


def pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Pack a padded batch (L, N, *) (with `batch_first` (N, L, *)), given the N lengths.

    They must fall from longest to shortest unless `enforce_sorted=False`, which sorts them.
    """
    lengths = lengths.to(dtype=dtypes.int64) if isinstance(lengths, Tensor) else as_tensor(lengths, dtype=dtypes.int64)
    order = None
    if not enforce_sorted:
        lengths, order = lengths.sort(descending=True)
        input = input.index_select(0 if batch_first else 1, order)
    check_lengths(input, lengths._data, batch_first)
    counts = lengths._data
    steps = np.arange(counts[0])
    sizes = (counts[None, :] > steps[:, None]).sum(1)
    step, sample = np.nonzero(counts[None, :] > steps[:, None])
    rows = (from_numpy(sample), from_numpy(step)) if batch_first else (from_numpy(step), from_numpy(sample))
    return PackedSequence(input[rows], from_numpy(sizes.astype(np.int64)), order, None)


def check_lengths(input: Tensor, lengths: np.ndarray, batch_first: bool) -> None:
    if not input.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    batch = input.shape[0 if batch_first else 1]
    if lengths.shape != (batch,):
        raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got {lengths.size} (batch_size={batch})")
    if (np.diff(lengths) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass `enforce_sorted=False` to "
            "pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need ONNX exportability."
        )
    if lengths[-1] <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded batch (L, N, *) (with `batch_first` (N, L, *)) and the lengths of a packed one, in the order before packing."""
    data, batch_sizes, _, back = sequence
    sizes = batch_sizes._data
    longest = len(sizes)
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got total_length="
            f"{total_length} and max sequence length being {longest}"
        )
    batch = int(sizes[0])
    step, sample = np.nonzero(np.arange(batch)[None, :] < sizes[:, None])
    padded = full((total_length or longest, batch, *data.shape[1:]), padding_value, dtype=data.dtype)
    padded = padded.index_put((from_numpy(step), from_numpy(sample)), data)
    lengths = from_numpy((np.arange(batch)[None, :] < sizes[:, None]).sum(0).astype(np.int64))
    if back is not None:
        padded, lengths = padded.index_select(1, back), lengths[back]
    return (padded.transpose(0, 1) if batch_first else padded), lengths


def pad_sequence(sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right") -> Tensor:
    """Sequences (L_i, *) as one batch (L, N, *) (with `batch_first` (N, L, *)), the shorter ones padded at one side.

    Example:
        >>> pad_sequence([tensor([1, 2]), tensor([3])], batch_first=True)
        tensor([[1, 2],
                [3, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    first = sequences[0]
    lengths = np.array([len(s) for s in sequences])
    longest = int(lengths.max())
    sample = np.repeat(np.arange(len(sequences)), lengths)
    step = np.concatenate([np.arange(n) for n in lengths])
    if padding_side == "left":
        step += (longest - lengths)[sample]
    where = (sample, step) if batch_first else (step, sample)
    shape = (len(sequences), longest) if batch_first else (longest, len(sequences))
    padded = full((*shape, *first.shape[1:]), padding_value, dtype=first.dtype)
    return padded.index_put(tuple([from_numpy(w) for w in where]), cat(sequences))


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch."""
    batch = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    steps = arange(batch.shape[1])
    return [row[steps < length] for row, length in zip(batch, lengths, strict=True)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L_i, *); they must fall from longest to shortest unless `enforce_sorted=False`.

    Example:
        >>> pack_sequence([tensor([1, 2]), tensor([3])]).data
        tensor([1, 3, 2])
    """
    lengths = as_tensor([len(v) for v in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
