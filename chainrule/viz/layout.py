"""Where the boxes and the lines go: layered layout by graphlay, after the far uses of a leaf have got a box of their own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chainrule.viz.graph import Graph

Point = tuple[float, float]

NEAR = 4  # layers: a leaf that is used again farther on is drawn again there, not joined by a line across the picture
DIRECTIONS = {"down": "topbottom", "right": "leftright"}
SPACING = {
    "layer_gap": 36, "node_gap": 20, "dummy_gap": 16, "port_gap": 12, "port_stroke_clear": 10, "stub": 11,
    "compound_padding": 14, "compound_header": 18,
}  # fmt: skip
OPTIONS = {
    "routing": {"style": "orthogonal", "lane_gap": 8, "centre_ports": "off"},
    "tuning": {"routing": {"step_flatten": 0, "endpoint_snap": 0}},  # keep small steps: without, lines may slant or run along a box
}


@dataclass(frozen=True, slots=True)
class Box:
    """A placed node: its position in `Graph.nodes`, its centre and size, and whether it was drawn before."""

    node: int
    centre: Point
    size: Point
    again: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes, the frames of the groups, the corners of each line from its start to its arrow head, and the corners of the whole."""

    boxes: list[Box]
    lines: list[list[Point]]
    low: Point
    high: Point
    frames: list[Box]  # in the order of `Graph.groups`
    edges: list[int]  # the position in `Graph.edges` of each line


def layout(graph: Graph, sizes: list[Point], gap: float = 0) -> Layout:
    """Place the nodes, whose boxes are `sizes` (width, height) wide and high, with room of `gap` for what lines carry."""
    try:
        import graphlay
    except ImportError as error:
        raise ImportError("drawing a graph needs the package graphlay: pip install chainrule[viz]") from error

    drawn, edges, order = repeat_far_leaves(graph)
    known = [*[sizes[n] for n in drawn], *[(1, 1)] * len(graph.groups)]  # the engine makes frames as large as need be
    boxes: list[dict] = [{"key": str(i), "shape": "box", "size": {"width": w, "height": h}} for i, (w, h) in enumerate(known)]
    inside = [*homes(graph, drawn, edges), *[group.parent for group in graph.groups]]
    for box, group in zip(boxes, inside, strict=True):
        if group is not None:
            box["parent"] = len(drawn) + group
    lines = [{"source": source, "target": target, "weight": 1.0} for source, target in edges]
    spacing = {**SPACING, "layer_gap": max(SPACING["layer_gap"], gap)}
    if graph.direction == "right":
        spacing |= {"compound_padding": 24, "compound_header": 0}  # the engine's header is at the start of the flow, the name on top
    options = {"direction": DIRECTIONS[graph.direction], "spacing": spacing, **OPTIONS}
    placed = graphlay.layout({"nodes": boxes, "edges": lines}, options=options)
    low, high = placed.bounds["min"], placed.bounds["max"]
    where = [
        Box(n, (at["center"]["x"], at["center"]["y"]), (at["size"]["width"], at["size"]["height"]), again=len(sizes) <= i < len(drawn))
        for i, (n, at) in enumerate(zip([*drawn, *range(len(graph.groups))], placed.nodes, strict=True))
    ]
    return Layout(
        where[: len(drawn)],
        [straight([(point["x"], point["y"]) for point in line["points"]]) for line in placed.edges],
        (low["x"], low["y"]),
        (high["x"], high["y"]),
        where[len(drawn) :],
        order,
    )


def straight(line: list[Point]) -> list[Point]:
    """The line with each stretch that is a hair off the level (or the plumb) put right."""
    points = line[:1]
    for x, y in line[1:]:
        before_x, before_y = points[-1]
        points.append((before_x if abs(x - before_x) < 1 else x, before_y if abs(y - before_y) < 1 else y))
    return points


def homes(graph: Graph, drawn: list[int], edges: list[tuple[int, int]]) -> list[int | None]:
    """The group that each drawn box is in; a leaf that is drawn again is where that use of it is."""
    found = [graph.nodes[n].group for n in drawn]
    for source, target in edges:
        if source >= len(graph.nodes):
            found[source] = graph.nodes[drawn[target]].group
    return found


def repeat_far_leaves(graph: Graph) -> tuple[list[int], list[tuple[int, int]], list[int]]:
    """The nodes to draw, as positions in `graph.nodes`, a leaf once for each neighbourhood that uses it; the edges between them, and
    the position in `graph.edges` of each."""
    distance = distance_to_root(graph)
    drawn, edges = list(range(len(graph.nodes))), []
    latest: dict[int, tuple[int, int]] = {}  # leaf -> (its latest box, the distance of the first use of that box)
    order = sorted(range(len(graph.edges)), key=lambda i: -distance[graph.edges[i][1]])
    for source, target in [graph.edges[i] for i in order]:
        if graph.nodes[source].kind == "leaf":
            box, since = latest.get(source, (source, distance[target]))
            if since - distance[target] > NEAR:
                box, since = len(drawn), distance[target]
                drawn.append(source)
            latest[source] = box, since
            source = box
        edges.append((source, target))
    return drawn, edges, order


def distance_to_root(graph: Graph) -> list[int]:
    """The length of the longest way from each node to an end of the computation."""
    inputs: list[list[int]] = [[] for _ in graph.nodes]
    uses = [0] * len(graph.nodes)
    for source, target in graph.edges:
        inputs[target].append(source)
        uses[source] += 1
    distance = [0] * len(graph.nodes)
    ready = deque(n for n, count in enumerate(uses) if not count)
    while ready:
        target = ready.popleft()
        for source in inputs[target]:
            distance[source] = max(distance[source], distance[target] + 1)
            uses[source] -= 1
            if not uses[source]:
                ready.append(source)
    return distance
