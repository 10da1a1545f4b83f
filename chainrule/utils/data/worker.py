"""Worker processes of a DataLoader, and the iteration that deals batches out to them.

Each worker has a queue of index lists and a pipe for what it made of them, in order. The loader keeps `prefetch_factor` lists with
each, and takes the batches in the order in which it dealt the lists out; so no batch waits for a slower one that comes later, and a
worker that dies is noticed by its pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import random
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from chainrule._core.generator import manual_seed
from chainrule.utils.data.dataloader import Batches, DataLoader, fetcher
from chainrule.utils.data.dataset import IterableDataset

PATIENCE = 5.0  # seconds between looks whether the other process still lives
FINISHED = object()


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker knows of itself: its number out of how many, its seed, its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process, its `WorkerInfo`; None elsewhere."""
    return _worker_info


class Failure:
    """An exception on its way to the loader."""

    def __init__(self, error: Exception, worker: int) -> None:
        self.kind, self.worker = type(error), worker
        self.text = "".join(traceback.format_exception(error))

    def reraise(self) -> None:
        message: Any = f"Caught {self.kind.__name__} in DataLoader worker process {self.worker}.\nOriginal {self.text}"
        if self.kind is KeyError:
            message = Plain(message)
        try:
            error = self.kind(message)
        except Exception:
            raise RuntimeError(message) from None
        try:
            raise error
        finally:
            del error  # else the exception's traceback would hold the exception, and this iteration's workers


class Restart:
    """A task: begin the stream anew."""


class StreamEnd:
    """What a worker sends when its stream has no more."""


class Plain(str):
    """Text that KeyError shows as it is."""

    def __repr__(self) -> str:
        return str(self)


def work(share: tuple, tasks: Any, results: Connection, base_seed: int, init: Callable | None, worker: int, workers: int) -> None:
    """A worker's life: lists of indices in, batches out, until None comes or the loader's process is gone."""
    global _worker_info
    dataset, loader = share[0], os.getppid()
    random.seed(base_seed + worker)
    manual_seed(base_seed + worker)
    np.random.seed(np.random.SeedSequence([worker, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]).generate_state(4))
    _worker_info = WorkerInfo(worker, workers, base_seed + worker, dataset)
    fetch: Any = None
    ended = False
    while os.getppid() == loader:
        try:
            task = tasks.get(timeout=PATIENCE)
            if task is None:
                return
            if isinstance(task, Restart):
                fetch, ended = None, False
                continue
            if ended:
                continue
            try:
                if init is not None:
                    call, init = init, None
                    call(worker)
                fetch = fetch or fetcher(*share)
                batch = fetch(task)
            except Exception as error:
                ended = isinstance(error, StopIteration) and isinstance(dataset, IterableDataset)
                batch = StreamEnd() if ended else Failure(error, worker)
            send(results, batch, worker)
        except queue.Empty:
            continue
        except (KeyboardInterrupt, BrokenPipeError):
            return


def send(results: Connection, batch: Any, worker: int) -> None:
    try:
        data = ForkingPickler.dumps(batch)
    except Exception as error:
        data = ForkingPickler.dumps(Failure(error, worker))
    results.send_bytes(data)


class WorkerBatches(Batches):
    """Batches made by worker processes."""

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        context = loader.multiprocessing_context or multiprocessing
        count = loader.num_workers
        share = (loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)
        self.processes: list = []
        self.tasks: list = []
        self.results: list[Connection] = []
        self.finish = weakref.finalize(self, shut_down, os.getpid(), self.processes, self.tasks, self.results)
        for worker in range(count):
            tasks = context.Queue()
            mine, theirs = context.Pipe(duplex=False)
            arguments = (share, tasks, theirs, self.base_seed, loader.worker_init_fn, worker, count)
            process = context.Process(target=work, args=arguments, daemon=True)
            self.tasks.append(tasks)
            self.results.append(mine)
            process.start()
            theirs.close()  # so that the pipe ends when the worker does
            self.processes.append(process)
        self.start()

    def start(self) -> None:
        """Deal out the first lists."""
        count = self.loader.num_workers
        self.turns, self.active = cycle(range(count)), [True] * count
        self.waiting: deque[int] = deque()  # the workers that owe a batch, in order
        for _ in range(count * (self.loader.prefetch_factor or 0)):
            self.deal()

    def restart(self, loader: DataLoader) -> None:
        """Begin anew with the same workers."""
        while self.waiting:
            self.collect()
        for tasks in self.tasks:
            tasks.put(Restart())
        self.indices, self.yielded = iter(loader._index_sampler), 0
        self.start()

    def deal(self) -> None:
        """Give the next list to the next worker whose stream has not ended."""
        indices = next(self.indices, FINISHED)
        if indices is FINISHED or not any(self.active):
            return
        worker = next(w for w in self.turns if self.active[w])
        self.tasks[worker].put(indices)
        self.waiting.append(worker)

    def collect(self) -> Any:
        """What the next worker sends; a StreamEnd once for each stream."""
        worker = self.ready()
        try:
            batch = self.results[worker].recv()
        except (EOFError, ConnectionResetError):
            raise RuntimeError(f"DataLoader worker (pid(s) {self.processes[worker].pid}) exited unexpectedly") from None
        self.waiting.remove(worker)
        if isinstance(batch, StreamEnd):
            self.active[worker] = False
            self.waiting = deque([w for w in self.waiting if w != worker])
        return batch

    def ready(self) -> int:
        """The worker to take the next batch from, once it has one."""
        candidates = [self.waiting[0]] if self.loader.in_order else list(dict.fromkeys(self.waiting))
        found = wait([self.results[w] for w in candidates], self.loader.timeout or None)
        if not found:
            raise RuntimeError(f"DataLoader timed out after {self.loader.timeout} seconds")
        return next(w for w in candidates if self.results[w] in found)

    def next_batch(self) -> Any:
        while self.waiting:
            batch = self.collect()
            self.deal()
            if isinstance(batch, Failure):
                batch.reraise()
            if not isinstance(batch, StreamEnd):
                return batch
        if not self.loader.persistent_workers:
            self.finish()
        raise StopIteration


def shut_down(owner: int, processes: list, tasks: list, results: list[Connection]) -> None:
    """End the workers: whoever waits is told, whoever sends finds the pipe closed."""
    if os.getpid() != owner:  # another worker, forked off while this iteration ran
        return
    for connection in results:
        connection.close()
    for q in tasks:
        q.put(None)
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.terminate()
            process.join(PATIENCE)
    for q in tasks:
        q.cancel_join_thread()
        q.close()
