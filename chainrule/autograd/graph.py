"""Looking at the graph and taking part in what it saves."""

from __future__ import annotations

from typing import Any, NamedTuple


class GradientEdge(NamedTuple):
    """A place in the graph where a gradient arrives: output `output_nr` of `node`; `get_gradient_edge(tensor)` makes one."""

    node: Any
    output_nr: int
    ownership_token: Any = None  # the shape and dtype there
