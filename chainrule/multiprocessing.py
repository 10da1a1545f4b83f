"""`torch.multiprocessing`: Python's, with `spawn`. A tensor that is sent to another process arrives as a copy."""

from __future__ import annotations

import multiprocessing as _python
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from typing import Any

__all__ = [*_python.__all__, "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn"]


def get_all_sharing_strategies() -> set[str]:
    """The one strategy: to copy."""
    return {"copy"}


def get_sharing_strategy() -> str:
    """ "copy"."""
    return "copy"


def set_sharing_strategy(new_strategy: str) -> None:
    """Nothing: tensors are copied whatever the strategy."""


def spawn(
    fn: Callable, args: tuple = (), nprocs: int = 1, join: bool = True, daemon: bool = False, start_method: str = "spawn"
) -> list[Any] | None:
    """Run `fn(i, *args)` in a process for each i below `nprocs`; returns the processes if not `join`.

    Raises RuntimeError if one of them fails, after ending the others.
    """
    context = _python.get_context(start_method)
    processes: list[Any] = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    from multiprocessing.connection import wait

    running = list(processes)
    while running:
        wait([process.sentinel for process in running])
        for process in [p for p in running if p.exitcode is not None]:
            process.join()
            running.remove(process)
            if process.exitcode:
                for other in running:
                    other.terminate()
                    other.join()
                raise RuntimeError(f"process {processes.index(process)} terminated with exit code {process.exitcode}")
    return None
