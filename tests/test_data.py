"""Datasets, samplers and loaders give what PyTorch's give, in the same order for the same seed."""

import collections
import os
import random
import time
import warnings

import numpy as np
import pytest
import torch
import torch.utils.data as theirs

import chainrule
from chainrule.utils import data as ours

PAIRS = [(chainrule, ours), (torch, theirs)]
Point = collections.namedtuple("Point", "x y")


def plain(value):
    """A batch as plain Python, its containers and types told apart."""
    if isinstance(value, (torch.Tensor, chainrule.Tensor)):
        return str(value.dtype), tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(v) for v in value]
    return value


def both(function):
    """What `function(library, its utils.data)` gives, or raises, or warns, here and there."""
    results = []
    for lib, data in PAIRS:
        lib.manual_seed(3)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = plain(function(lib, data))
            except Exception as error:
                result = type(error).__name__, str(error).split("\nOriginal")[0]
        results.append((result, [str(w.message) for w in caught if "is not taken into account" not in str(w.message)]))
    return results


def tensors(lib, data, n=11):
    return data.TensorDataset(lib.arange(n), lib.arange(2 * n).reshape(n, 2) / 2)


class Squares:
    """A map-style set in plain Python."""

    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i * i, float(i)


def stream(data, n=10, divided=False):
    class Stream(data.IterableDataset):
        def __iter__(self):
            info = data.get_worker_info()
            return iter(range(n) if not divided or info is None else range(info.id, n, info.num_workers))

    return Stream()


LOADERS = {
    "plain": lambda lib, data: data.DataLoader(Squares()),
    "batches": lambda lib, data: data.DataLoader(tensors(lib, data), batch_size=4),
    "shuffled": lambda lib, data: data.DataLoader(tensors(lib, data), batch_size=4, shuffle=True),
    "dropped": lambda lib, data: data.DataLoader(tensors(lib, data), batch_size=4, shuffle=True, drop_last=True),
    "generator": lambda lib, data: data.DataLoader(
        tensors(lib, data), batch_size=3, shuffle=True, generator=lib.Generator().manual_seed(7)
    ),
    "sampler": lambda lib, data: data.DataLoader(Squares(), 3, sampler=data.SubsetRandomSampler([1, 5, 7, 2])),
    "batch_sampler": lambda lib, data: data.DataLoader(Squares(), batch_sampler=[[1, 2], [5]]),
    "weighted": lambda lib, data: data.DataLoader(Squares(), 4, sampler=data.WeightedRandomSampler([0.1, 0, 0.5, 2.0], 9)),
    "replacement": lambda lib, data: data.DataLoader(Squares(), 40, sampler=data.RandomSampler(Squares(), True, 70)),
    "more": lambda lib, data: data.DataLoader(Squares(), 40, sampler=data.RandomSampler(Squares(), num_samples=25)),
    "unbatched": lambda lib, data: data.DataLoader([np.arange(2), 3, "a", {"k": np.float32(2)}], batch_size=None),
    "collate": lambda lib, data: data.DataLoader(Squares(), 4, collate_fn=lambda rows: [sum(c) for c in zip(*rows)]),
    "stream": lambda lib, data: data.DataLoader(stream(data), 4),
    "stream dropped": lambda lib, data: data.DataLoader(stream(data), 4, drop_last=True),
    "stream unbatched": lambda lib, data: data.DataLoader(stream(data), None),
    "chained": lambda lib, data: data.DataLoader(stream(data, 3) + stream(data, 4), 4),
    "concatenated": lambda lib, data: data.DataLoader(data.ConcatDataset([Squares(3), Squares(4)]), 2, shuffle=True),
    "stacked": lambda lib, data: data.DataLoader(data.StackDataset(a=Squares(3), b=tensors(lib, data, 3)), 2),
    "subset": lambda lib, data: data.DataLoader(data.Subset(Squares(), [9, 3, 4]), 2),
}


@pytest.mark.parametrize("name", LOADERS)
def test_batches_are_pytorchs(name):
    """Two iterations, and what the default generator gives after them."""
    mine, reference = both(lambda lib, data: [*[list(LOADERS[name](lib, data)) for _ in range(2)], lib.rand(2)])
    assert mine == reference


@pytest.mark.parametrize("name", LOADERS)
def test_lengths(name):
    mine, reference = both(lambda lib, data: len(LOADERS[name](lib, data)))
    assert mine[0] == reference[0] or name.startswith(("stream", "chained"))  # names the class in its message


SAMPLES = [
    [1, 2],
    [1.5, 2],
    [True, False],
    ["a", "b"],
    [b"a", b"b"],
    [np.float32(1), np.float32(2)],
    [np.arange(3), np.arange(3)],
    [(1, "a"), (2, "b")],
    [[1, 2.0], [3, 4.0]],
    [{"x": 1, "y": [1, 2]}, {"x": 2, "y": [3, 4]}],
    [Point(1, 2.0), Point(3, 4.0)],
    [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    [[1], [1, 2]],
    [None, None],
    [np.array(["a"]), np.array(["b"])],
]


@pytest.mark.parametrize("batch", SAMPLES, ids=str)
def test_collate_and_convert(batch):
    for function in ("default_collate", "default_convert"):
        mine, reference = both(lambda lib, data: getattr(data, function)(batch))  # noqa: B023
        assert mine == reference, function


def test_collates_tensors_and_own_types():
    mine, reference = both(lambda lib, data: data.default_collate([lib.ones(2), lib.zeros(2)]))
    assert mine == reference
    table = {int: lambda batch, *, collate_fn_map=None: sum(batch)}
    assert ours.collate.collate([{"a": 1}, {"a": 2}], collate_fn_map=table) == {"a": 3}


@pytest.mark.parametrize("lengths", [[7, 3], [0.5, 0.3, 0.2], [0.33, 0.33, 0.34], [0.95, 0.05], [3, 3], [1.5, -0.5]], ids=str)
def test_random_split(lengths):
    mine, reference = both(lambda lib, data: [list(part.indices) for part in data.random_split(range(10), lengths)])
    assert mine == reference


def test_distributed_shares():
    for count in (7, 2, 12):
        for options in ({}, {"drop_last": True}, {"shuffle": False}):
            for rank in range(4):
                mine, reference = both(lambda lib, data: list(data.DistributedSampler(range(count), 4, rank, seed=2, **options)))  # noqa: B023
                assert mine == reference


BAD = [
    lambda lib, data: data.DataLoader(Squares(), num_workers=-1),
    lambda lib, data: data.DataLoader(Squares(), timeout=-1),
    lambda lib, data: data.DataLoader(Squares(), prefetch_factor=2),
    lambda lib, data: data.DataLoader(Squares(), num_workers=1, prefetch_factor=-2),
    lambda lib, data: data.DataLoader(Squares(), persistent_workers=True),
    lambda lib, data: data.DataLoader(Squares(), sampler=[1], shuffle=True),
    lambda lib, data: data.DataLoader(Squares(), batch_sampler=[[1]], drop_last=True),
    lambda lib, data: data.DataLoader(Squares(), None, drop_last=True),
    lambda lib, data: data.DataLoader(Squares(), 0),
    lambda lib, data: data.DataLoader(Squares(0), shuffle=True),
    lambda lib, data: data.DataLoader(stream(data), shuffle=True),
    lambda lib, data: data.DataLoader(stream(data), sampler=[1]),
    lambda lib, data: data.DataLoader(stream(data), batch_sampler=[[1]]),
    lambda lib, data: data.DataLoader(Squares(), multiprocessing_context="fork"),
    lambda lib, data: data.DataLoader(Squares(), num_workers=1, multiprocessing_context="walk"),
    lambda lib, data: setattr(data.DataLoader(Squares()), "batch_size", 3),
    lambda lib, data: list(data.DataLoader([object(), 1], 2)),
    lambda lib, data: data.TensorDataset(lib.ones(2), lib.ones(3)),
    lambda lib, data: data.ConcatDataset([]),
    lambda lib, data: data.ConcatDataset([Squares(2)])[-3],
    lambda lib, data: data.StackDataset(),
    lambda lib, data: data.StackDataset(Squares(2), Squares(3)),
    lambda lib, data: data.Dataset()[0],
    lambda lib, data: data.RandomSampler(Squares(), replacement=1),
    lambda lib, data: data.BatchSampler([1], True, False),
    lambda lib, data: data.BatchSampler([1], 1, 0),
    lambda lib, data: data.WeightedRandomSampler([[1.0]], 1),
    lambda lib, data: data.WeightedRandomSampler([1.0], 0),
    lambda lib, data: data.DistributedSampler(range(3), 2, 2),
]


@pytest.mark.parametrize("make", BAD)
def test_refuses_what_pytorch_refuses(make):
    mine, reference = both(make)
    assert mine == reference
    assert isinstance(reference[0], tuple) or reference[1]


# Workers


def drawing(lib):
    class Drawn:
        """Samples that tell what a worker's generators give."""

        def __len__(self):
            return 6

        def __getitem__(self, i):
            return i, lib.rand(1).item(), random.random(), np.random.rand()

    return Drawn()


@pytest.mark.parametrize("options", [{}, {"persistent_workers": True}, {"prefetch_factor": 1}], ids=str)
def test_workers_give_the_same_batches(options):
    def run(lib, data):
        loader = data.DataLoader(drawing(lib), 2, shuffle=True, num_workers=2, **options)
        return [list(loader) for _ in range(2)]

    mine, reference = both(run)
    assert mine == reference


def test_workers_divide_a_stream():
    for divided in (False, True):
        mine, reference = both(lambda lib, data: list(data.DataLoader(stream(data, 9, divided), 2, num_workers=2)))  # noqa: B023
        assert mine == reference


def test_persistent_workers_after_a_break():
    loader = ours.DataLoader(range(20), 2, num_workers=2, persistent_workers=True)
    first = next(iter(loader))
    processes = [p.pid for p in loader._workers.processes]
    assert first.tolist() == [0, 1] and [b.tolist() for b in loader] == [[i, i + 1] for i in range(0, 20, 2)]
    assert processes == [p.pid for p in loader._workers.processes]


def test_worker_init_and_info():
    def run(lib, data):
        seen = []
        collate = lambda batch: (batch, data.get_worker_info().id, seen)
        loader = data.DataLoader(range(4), 1, num_workers=2, worker_init_fn=seen.append, collate_fn=collate)
        return [list(loader), data.get_worker_info() is None]

    mine, reference = both(run)
    assert mine == reference


class Faulty:
    def __init__(self, fault):
        self.fault = fault

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return self.fault(i)


def raise_value(i):
    raise ValueError(f"sample {i} is bad")


def raise_key(i):
    return {}["missing"]


@pytest.mark.parametrize("fault", [raise_value, raise_key])
def test_errors_in_workers_reach_the_caller(fault):
    mine, reference = both(lambda lib, data: list(data.DataLoader(Faulty(fault), 2, num_workers=1)))
    assert mine == reference and "in DataLoader worker process 0" in mine[0][1]


def test_a_worker_that_dies_is_noticed():
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid\(s\) \d+\) exited unexpectedly"):
        list(ours.DataLoader(Faulty(lambda i: os._exit(3)), 2, num_workers=1))


def test_a_worker_that_sleeps_times_out():
    with pytest.raises(RuntimeError, match="DataLoader timed out after 0.2 seconds"):
        list(ours.DataLoader(Faulty(lambda i: time.sleep(1) or i), 1, num_workers=1, timeout=0.2))


def test_out_of_order_gives_every_batch():
    loader = ours.DataLoader(Faulty(lambda i: time.sleep(0.2 * (i == 0)) or i), 1, num_workers=2, in_order=False)
    order = [b.item() for b in loader]
    assert sorted(order) == [0, 1, 2, 3] and order[0] == 1


def test_workers_end_with_the_iteration():
    batches = iter(ours.DataLoader(range(100), 1, num_workers=2))
    next(batches)
    processes = batches.processes
    del batches
    assert not any(p.is_alive() for p in processes)


def test_a_spawned_worker_imports_for_itself():
    loader = ours.DataLoader(Squares(4), 2, num_workers=1, multiprocessing_context="spawn")
    assert [x.tolist() for x, _ in loader] == [[0, 1], [4, 9]]
