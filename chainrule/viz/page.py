"""A page of its own to look around in a graph: one file, which pans, zooms, folds modules, searches, and tells a node's facts.

Whenever a module is folded the browser lays the graph out anew, with dagre (`dagre.min.js`); `page.js` does all the rest.
"""

from __future__ import annotations

import json
import linecache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.viz import draw
from chainrule.viz.facts import Line, shape_text
from chainrule.viz.graph import chain, check_size, summary
from chainrule.viz.layout import homes, repeat_far_leaves

if TYPE_CHECKING:
    from chainrule.viz.graph import Graph, Node

HERE = Path(__file__).parent
AROUND = 4  # lines of source shown before and after the one that made a node
READABLE = 24  # boxes: what a page opens with at most, if folding makes that possible
MOST = 500  # boxes in one module that a browser lays out while one waits


def html(graph: Graph) -> str:
    """The page, as text."""
    check_size(graph.fold(1) if graph.groups else graph, MOST, f"save it as .svg, which can show {draw.LARGEST}, or ")
    parts = {
        "title": escape(f"graph of {', '.join([node.label for node in graph.nodes if node.root][:3])}"),
        "style": draw.STYLE + (HERE / "page.css").read_text(),
        "data": json.dumps(data(graph), separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026"),
        "dagre": (HERE / "dagre.min.js").read_text(),
        "script": (HERE / "page.js").read_text(),
    }
    page = (HERE / "page.html").read_text()
    head, *rest = page.split("{{")
    return head + "".join([parts[part.partition("}}")[0]] + part.partition("}}")[2] for part in rest])


def frame(graph: Graph) -> str:
    """The page in a frame, for a notebook."""
    height = 620 if len(graph.nodes) > 12 else 420
    return (
        f'<iframe sandbox="allow-scripts" style="width: 100%; height: {height}px; border: 1px solid #e2e8f0; border-radius: 8px" '
        f'srcdoc="{escape(html(graph))}"></iframe>'
    )


def data(graph: Graph) -> dict[str, Any]:
    """All that the page shows, as JSON has it."""
    drawn, edges, order = repeat_far_leaves(graph)
    where = homes(graph, drawn, edges)
    inside: list[list[Node]] = [[] for _ in graph.groups]
    for node in graph.nodes:
        for group in chain(graph.groups, node.group):
            inside[group].append(node)
    modules = [summary(group, members, group.parent) for group, members in zip(graph.groups, inside, strict=True)]
    shapes = graph.shapes or [None] * len(graph.edges)
    return {
        "direction": graph.direction,
        "nodes": [
            {**box(graph.nodes[n]), "again": i >= len(graph.nodes), "source": excerpt(graph.nodes[n].source)} for i, n in enumerate(drawn)
        ]
        + [{**box(module), "title": group.title()} for module, group in zip(modules, graph.groups, strict=True)],
        "parents": [None if group is None else len(drawn) + group for group in [*where, *[group.parent for group in graph.groups]]],
        "edges": [
            [a, b, "" if graph.nodes[drawn[a]].kind == "leaf" else shape_text(shapes[i])] for (a, b), i in zip(edges, order, strict=True)
        ],
        "readable": READABLE,
        "most": MOST,
    }


def box(node: Node) -> dict[str, Any]:
    """A node's box and the facts that a click on it shows."""
    width, height = draw.size(node)
    return {
        "kind": node.kind, "family": draw.family(node), "label": node.label, "shape": draw.shown_shape(node), "note": node.note,
        "hint": node.hint, "width": round(width, 1), "height": height,
    }  # fmt: skip


def excerpt(source: Line | None) -> dict[str, Any] | None:
    """The line that made a node, among those around it, if the file can still be read."""
    if source is None:
        return None
    lines = linecache.getlines(source.file)
    first = max(1, source.line - AROUND)
    around = [line.rstrip() for line in lines[first - 1 : source.line + AROUND]]
    if source.line > len(lines):
        first, around = source.line, [source.code]
    return {"file": source.file, "line": source.line, "function": source.function, "first": first, "lines": around}
