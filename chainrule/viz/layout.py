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
OPTIONS = {
    "spacing": {"layer_gap": 33, "node_gap": 20, "dummy_gap": 16, "port_gap": 12, "port_stroke_clear": 10, "stub": 11},
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
    """Boxes, the corners of each line from its start to its arrow head, and the corners of the whole."""

    boxes: list[Box]
    lines: list[list[Point]]
    low: Point
    high: Point


def layout(graph: Graph, sizes: list[Point]) -> Layout:
    """Place the nodes, whose boxes are `sizes` (width, height) wide and high."""
    try:
        import graphlay
    except ImportError as error:
        raise ImportError("drawing a graph needs the package graphlay: pip install chainrule[viz]") from error

    drawn, edges = repeat_far_leaves(graph)
    boxes = [{"key": str(i), "shape": "box", "size": {"width": sizes[n][0], "height": sizes[n][1]}} for i, n in enumerate(drawn)]
    lines = [{"source": source, "target": target, "weight": 1.0} for source, target in edges]
    placed = graphlay.layout({"nodes": boxes, "edges": lines}, options={"direction": DIRECTIONS[graph.direction], **OPTIONS})
    low, high = placed.bounds["min"], placed.bounds["max"]
    return Layout(
        [
            Box(n, (at["center"]["x"], at["center"]["y"]), sizes[n], again=i >= len(sizes))
            for i, (n, at) in enumerate(zip(drawn, placed.nodes, strict=True))
        ],
        [straight([(point["x"], point["y"]) for point in line["points"]]) for line in placed.edges],
        (low["x"], low["y"]),
        (high["x"], high["y"]),
    )


def straight(line: list[Point]) -> list[Point]:
    """The line with each stretch that is a hair off the level (or the plumb) put right."""
    points = line[:1]
    for x, y in line[1:]:
        before_x, before_y = points[-1]
        points.append((before_x if abs(x - before_x) < 1 else x, before_y if abs(y - before_y) < 1 else y))
    return points


def repeat_far_leaves(graph: Graph) -> tuple[list[int], list[tuple[int, int]]]:
    """The nodes to draw, as positions in `graph.nodes`, a leaf once for each neighbourhood that uses it; and the edges between them."""
    distance = distance_to_root(graph)
    drawn, edges = list(range(len(graph.nodes))), []
    latest: dict[int, tuple[int, int]] = {}  # leaf -> (its latest box, the distance of the first use of that box)
    for source, target in sorted(graph.edges, key=lambda edge: -distance[edge[1]]):
        if graph.nodes[source].kind == "leaf":
            box, since = latest.get(source, (source, distance[target]))
            if since - distance[target] > NEAR:
                box, since = len(drawn), distance[target]
                drawn.append(source)
            latest[source] = box, since
            source = box
        edges.append((source, target))
    return drawn, edges


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
