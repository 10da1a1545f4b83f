"""DataLoader: a dataset as batches, in order or shuffled, made here or by worker processes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, Generic, TypeVar

from chainrule._core import modes
from chainrule._core.generator import Generator
from chainrule.utils.data.collate import default_collate, default_convert
from chainrule.utils.data.dataset import IterableDataset, TensorDataset, samples
from chainrule.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, drawn_seed

__all__ = ["DataLoader"]

T = TypeVar("T", covariant=True)
FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class _DatasetKind:
    """What PyTorch calls datasets with an index, and streams."""

    Map, Iterable = 0, 1


class _InfiniteConstantSampler(Sampler):
    """The order of a stream: whatever comes next."""

    def __iter__(self) -> Iterator[None]:
        return repeat(None)


class DataLoader(Generic[T]):
    """Iterate over a dataset in batches.

    Args:
        dataset: anything with `__getitem__` and `__len__`, or an IterableDataset
        batch_size: samples a batch; None gives single samples
        shuffle: take them in a new random order each time
        sampler: the order, as indices; instead of `shuffle`
        batch_sampler: the order, as lists of indices; instead of batch_size, shuffle, sampler and drop_last
        num_workers: processes that make batches ahead; 0 makes them here
        collate_fn: list of samples -> batch (`default_collate`)
        drop_last: leave out a shorter last batch
        timeout: seconds to wait for a worker, 0 for ever
        worker_init_fn: called with its number in each worker
        generator: draws the order and the workers' seeds
        prefetch_factor: batches that each worker makes ahead (2)
        persistent_workers: keep the workers for the next iteration
        in_order: give batches in the order of the sampler, not as they get ready

    Example:
        >>> from chainrule.utils.data import TensorDataset
        >>> loader = DataLoader(TensorDataset(arange(5)), batch_size=2)
        >>> [x.tolist() for x, in loader]
        [[0, 1], [2, 3], [4]]
    """

    __initialized = False

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None, sampler: Iterable | None = None,
        batch_sampler: Iterable[list] | None = None, num_workers: int = 0, collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False, drop_last: bool = False, timeout: float = 0, worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None, generator: Generator | None = None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "", in_order: bool = True,
    ) -> None:  # fmt: skip
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable multiprocessing, "
                "otherwise set prefetch_factor to None."
            )
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self.dataset, self.num_workers = dataset, num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.timeout, self.worker_init_fn = timeout, worker_init_fn
        self.multiprocessing_context, self.in_order = multiprocessing_context, in_order
        streamed = isinstance(dataset, IterableDataset)
        if streamed:
            for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None:
                    raise ValueError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}")
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if streamed:
                sampler = _InfiniteConstantSampler()
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last, self.generator = batch_size, drop_last, generator
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.persistent_workers = persistent_workers
        self._workers: Any = None
        self._IterableDataset_len_called: int | None = None
        self.__initialized = True
        self.check_worker_number_rationality()

    def __setattr__(self, attr: str, value: Any) -> None:
        if self.__initialized and attr in FIXED:
            raise ValueError(f"{attr} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(attr, value)

    @property
    def multiprocessing_context(self) -> Any:
        return self.__multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            import multiprocessing
            from multiprocessing.context import BaseContext

            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got num_workers=0"
                )
            if isinstance(context, str):
                known = multiprocessing.get_all_start_methods()
                if context not in known:
                    raise ValueError(
                        f"multiprocessing_context option should specify a valid start method in {known!r}, but got "
                        f"multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying the start method, but got "
                    f"multiprocessing_context={context}"
                )
        self.__multiprocessing_context = context

    def __iter__(self) -> Iterator:
        if self.num_workers == 0:
            return LocalBatches(self)
        from chainrule.utils.data.worker import WorkerBatches

        if not self.persistent_workers:
            self.check_worker_number_rationality()
            return WorkerBatches(self)
        if self._workers is None:
            self._workers = WorkerBatches(self)
        else:
            self._workers.restart(self)
        return self._workers

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        length = self._IterableDataset_len_called = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    @property
    def _dataset_kind(self) -> int:
        return _DatasetKind.Iterable if isinstance(self.dataset, IterableDataset) else _DatasetKind.Map

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def check_worker_number_rationality(self) -> None:
        """Warn when there are to be more workers than processors."""
        known = hasattr(os, "sched_getaffinity")
        most = len(os.sched_getaffinity(0)) if known else os.cpu_count()
        if self.num_workers and (most is None or self.num_workers > most):
            suggestion = (
                "DataLoader is not able to compute a suggested max number of worker in current system."
                if most is None
                else f"Our suggested max number of worker in current system is {most}"
                f"{'' if known else ' (`cpuset` is not taken into account)'}, which is smaller than what this DataLoader is going to "
                "create."
            )
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. {suggestion} Please be aware that excessive "
                "worker creation might get DataLoader running slow or even freeze, lower the worker number to avoid potential "
                "slowness/freeze if necessary.",
                stacklevel=2,
            )


class Batches:
    """One iteration over a loader."""

    def __init__(self, loader: DataLoader) -> None:
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.", stacklevel=3
            )
        self.loader, self.yielded = loader, 0
        self.indices = iter(loader._index_sampler)
        self.base_seed = drawn_seed(loader.generator)

    def __iter__(self) -> Batches:
        return self

    def __len__(self) -> int:
        return len(self.loader._index_sampler)

    def __next__(self) -> Any:
        profile = modes.local.profile
        if profile is None:
            batch = self.next_batch()
        else:
            kind = "_MultiProcessing" if self.loader.num_workers else "_SingleProcess"
            batch = profile.named(f"enumerate(DataLoader)#{kind}DataLoaderIter.__next__", self.next_batch, (), {})
        self.yielded += 1
        loader, promised = self.loader, self.loader._IterableDataset_len_called
        if promised is not None and self.yielded > promised and isinstance(loader.dataset, IterableDataset):
            message = (
                f"Length of IterableDataset {loader.dataset} was reported to be {promised}(when accessing len(dataloader)), but "
                f"{self.yielded} samples have been fetched. "
            )
            if loader.num_workers > 0:
                message += (
                    "For multiprocessing data-loading, this could be caused by not properly configuring the IterableDataset replica at "
                    "each worker. Please see https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
                )
            warnings.warn(message, stacklevel=2)
        return batch

    def next_batch(self) -> Any:
        raise NotImplementedError

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


class LocalBatches(Batches):
    """Batches made in this process, as they are asked for."""

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        self.fetch = fetcher(loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)

    def next_batch(self) -> Any:
        return self.fetch(next(self.indices))


def fetcher(dataset: Any, batched: bool, collate: Callable, drop_last: bool) -> Callable[[Any], Any]:
    """The function that makes a batch of a list of indices (or, if not `batched`, a sample of one); StopIteration at a stream's end."""
    if isinstance(dataset, IterableDataset):
        stream = iter(dataset)
        return lambda wanted: collate(taken(stream, len(wanted), drop_last) if batched else next(stream))
    if not batched:
        return lambda index: collate(dataset[index])
    if type(dataset) is TensorDataset and collate is default_collate and not any([t.requires_grad for t in dataset.tensors]):
        return lambda indices: [t[indices] for t in dataset.tensors]  # what collating the rows gives, in one go
    return lambda indices: collate(samples(dataset, indices))


def taken(stream: Iterator, count: int, drop_last: bool) -> list:
    """The next `count` samples, fewer at the end."""
    found = [sample for _, sample in zip(range(count), stream)]
    if not found or (drop_last and len(found) < count):
        raise StopIteration
    return found
