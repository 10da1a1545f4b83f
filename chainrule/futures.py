"""`torch.futures`: results that come later, from other threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
from types import GenericAlias
from typing import Any

__all__ = ["Future", "collect_all", "wait_all"]


class Future:
    """A value that somebody will set.

    Example:
        >>> f = Future()
        >>> g = f.then(lambda f: f.value() + 1)
        >>> f.set_result(1)
        >>> g.wait()
        2
    """

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init__(self, *, devices: Any = None) -> None:
        self._inner: futures.Future = futures.Future()

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._inner.done()

    def wait(self) -> Any:
        """Wait for the result; raises the error if it is one."""
        return self._inner.result()

    def value(self) -> Any:
        """The result, which must be there: RuntimeError if it is not."""
        if not self.done():
            raise RuntimeError("value() called on a Future that is not done")
        return self._inner.result()

    def set_result(self, result: Any) -> None:
        """Set the result. Raises RuntimeError if there is one."""
        if self.done():
            raise RuntimeError(
                "Attempting to mark a completed Future as complete again. Note that a Future can only be marked completed once."
            )
        self._inner.set_result(result)

    def set_exception(self, result: BaseException) -> None:
        """Set an error as the outcome."""
        self._inner.set_exception(result)

    def add_done_callback(self, callback: Callable) -> None:
        """Call `callback(self)` when it is done, which may be now."""
        self._inner.add_done_callback(lambda _: callback(self))

    def then(self, callback: Callable) -> Future:
        """The future result of `callback(self)`."""
        following = Future()

        def run(_: Any) -> None:
            try:
                following.set_result(callback(self))
            except Exception as error:
                following.set_exception(error)

        self._inner.add_done_callback(run)
        return following


def collect_all(futures: Sequence[Future]) -> Future:
    """A future of the list of these, done when all of them are."""
    everything, left = Future(), len(futures)
    if not left:
        everything.set_result([])

    def one_done(_: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            everything.set_result(list(futures))

    for future in futures:
        future.add_done_callback(one_done)
    return everything


def wait_all(futures: Sequence[Future]) -> list:
    """The results of all, in order; raises the first error."""
    return [future.wait() for future in futures]
