"""`TorchVersion`: a version as text that compares by its numbers, as `torch.__version__` does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["TorchVersion"]

VERSION = re.compile(r"v?(\d+(?:\.\d+)*)[-_.]?((?:a|alpha|b|beta|c|rc|pre|preview|dev)[-_.]?\d*)?[^+]*(?:\+(.*))?", re.IGNORECASE)


def key(version: Any) -> tuple[tuple[int, ...], bool, str, str]:
    """What versions are ordered by: the numbers without trailing zeros, previews before releases, and what follows a plus."""
    found = VERSION.match(str(version))
    if found is None:
        raise ValueError(f"{version!r} is no version: it should start as '2.13.0' does")
    numbers = [int(n) for n in found[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), found[2] is None, (found[2] or "").lower(), found[3] or ""


class TorchVersion(str):
    """Compares with strings, tuples of numbers and `packaging` versions.

    Example:
        >>> TorchVersion("2.13.0+cpu") >= "2.9", TorchVersion("2.13.0") < (3, 0)
        (True, True)
    """

    __slots__ = ()
    __hash__ = str.__hash__

    def _order(self, other: Any) -> int:
        theirs = ".".join(map(str, other)) if isinstance(other, Iterable) and not isinstance(other, str) else str(other)
        a, b = key(str(self)), key(theirs)
        return (a > b) - (a < b)

    def __eq__(self, other: object) -> bool:
        try:
            return self._order(other) == 0
        except ValueError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return self._order(other) < 0

    def __le__(self, other: Any) -> bool:
        return self._order(other) <= 0

    def __gt__(self, other: Any) -> bool:
        return self._order(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self._order(other) >= 0
