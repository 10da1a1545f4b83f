"""The names of types that scripted code is annotated with."""

from typing import Any, Dict, Final, List, NamedTuple, Optional, Tuple, Union  # noqa: UP035

__all__ = [
    "Any", "BroadcastingList1", "BroadcastingList2", "BroadcastingList3", "Dict", "Final", "List", "NamedTuple", "Optional", "Tuple",
    "Union",
]  # fmt: skip


class BroadcastingList:
    """`BroadcastingList2[int]`: an int, or a list of two."""

    def __class_getitem__(cls, item: Any) -> Any:
        return Union[item, list[item]]  # noqa: UP007


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = BroadcastingList
