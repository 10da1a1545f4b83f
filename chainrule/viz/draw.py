"""A laid-out graph as SVG, and that as a bitmap."""

from __future__ import annotations

import re
from html import escape
from math import hypot, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.viz.facts import shape_text
from chainrule.viz.graph import check_size
from chainrule.viz.layout import Box, Layout, Point, layout

if TYPE_CHECKING:
    from chainrule.viz.graph import Graph, Node
    from chainrule.viz.modules import Group

SIZE, SMALL = 13, 11  # of the letters of a name, of a shape
ADVANCE = 0.602  # the width of a monospaced letter, as a part of its size
PAD, GAP, HEIGHT, LINE, MARGIN, BEND = 13, 9, 28, 15, 24, 9
LARGEST = 4000  # nodes: more can neither be laid out in reasonable time nor be read
PIXELS = 30_000_000  # the largest bitmap

# The look of an op by what it does to its inputs: the first pattern that its name matches.
PATTERNS = {
    "view": r"(unsafe_)?(view|split)|reshape(_alias)?|as_strided|t|transpose|permute|(un)?squeeze|expand|slice|select|split_with_sizes"
    r"|unbind|unfold|alias|diagonal",
    "product": r"(add|badd)?(mm|mv|bmm)|addr|dot|linear|matmul|bilinear|einsum|embedding|\w*conv(olution|\d?d)\w*|\w*attention\w*",
    "reduction": r"sum|mean|prod|median|a?(max|min)|(var|std)(_mean)?|\w*(norm|soft(max|min)|logsumexp|loss|cross_entropy|pool)\w*",
}
FAMILIES = {family: re.compile(pattern) for family, pattern in PATTERNS.items()}

STYLE = """
.chainrule text { font: 600 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1e293b }
.chainrule .shape { font-size: 11px; font-weight: 400; fill: #94a3b8 }
.chainrule rect { fill: #fff; stroke: #cbd5e1; stroke-width: 1.3 }
.chainrule path { fill: none; stroke: #a3b1c6; stroke-width: 1.4 }
.chainrule marker path { fill: #a3b1c6; stroke: none }
.chainrule .edge { font-size: 11px; font-weight: 400; fill: #64748b; stroke: #fff; stroke-width: 4px; paint-order: stroke }
.chainrule .frame rect { fill: #64748b; fill-opacity: 0.045; stroke: #94a3b8; stroke-opacity: 0.55; stroke-width: 1 }
.chainrule .frame text { font-size: 11px; fill: #64748b; stroke: #f8fafc; stroke-width: 3px; paint-order: stroke }
.chainrule .module rect { fill: #f5f3ff; stroke: #a78bfa; stroke-width: 1.6 } .chainrule .module text { fill: #5b21b6 }
.chainrule .module .shape { fill: #8b7bc8 }
.chainrule .leaf rect { fill: #ecfdf5; stroke: #6ee7b7 } .chainrule .leaf text { fill: #065f46 } .chainrule .leaf .shape { fill: #34a481 }
.chainrule .again rect { fill: #fff; stroke-dasharray: 4 3 }
.chainrule .product rect { fill: #eef2ff; stroke: #a5b4fc } .chainrule .product text { fill: #3730a3 }
.chainrule .product .shape { fill: #8b93e8 }
.chainrule .reduction rect { fill: #fff7ed; stroke: #fdba74 } .chainrule .reduction text { fill: #9a3412 }
.chainrule .reduction .shape { fill: #e0915a }
.chainrule .view rect { fill: #f8fafc; stroke: #e2e8f0 } .chainrule .view text { fill: #64748b; font-weight: 400 }
.chainrule .view .shape { fill: #94a3b8 }
.chainrule .root rect { fill: #1e293b; stroke: #1e293b } .chainrule .root text { fill: #fff } .chainrule .root .shape { fill: #94a3b8 }
"""


def svg(graph: Graph) -> str:
    """The picture as SVG text: one group a box, with a title that a pointer resting on it shows; a frame around each module.

    ImportError names the package to install if there is none for the layout, ValueError says if there is too much for a picture.
    """
    check_size(graph, LARGEST)
    carried = [shape_text(shape) for shape in graph.shapes] or [""] * len(graph.edges)
    gap = 30 + ADVANCE * SMALL * max(map(len, carried), default=0) if graph.direction == "right" else 0
    placed = layout(graph, [size(node) for node in graph.nodes], gap)
    left, top = placed.low[0] - MARGIN, placed.low[1] - MARGIN
    width, height = placed.high[0] - left + MARGIN, placed.high[1] - top + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chainrule" width="{width:g}" height="{height:g}" '
            f'viewBox="{left:g} {top:g} {width:g} {height:g}">',
            f"<style>{STYLE}</style>",
            '<marker id="chainrule-arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
            'markerUnits="userSpaceOnUse"><path d="M0 0.6 8 4 0 7.4Z"/></marker>',
            *[frame(graph.groups[box.node], box) for box in placed.frames],
            *[f'<path d="{rounded(line)}" marker-end="url(#chainrule-arrow)"/>' for line in placed.lines],
            *labels(graph, carried, placed),
            *[group(graph.nodes[box.node], box) for box in placed.boxes],
            "</svg>",
        ]
    )


def png(graph: Graph) -> bytes:
    """The picture as a bitmap, two pixels a unit (fewer where that would be more than 30 million)."""
    try:
        import matplotlib
        import resvg_py
    except ImportError as error:
        raise ImportError(f"a bitmap of a graph needs the package {error.name}: pip install chainrule[viz]") from error

    picture = svg(graph)
    width, height = (float(length) for length in re.findall(r'(?:width|height)="([\d.e+]+)"', picture)[:2])
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")  # one font everywhere, whatever the machine has
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=picture,
            background="white",
            zoom=min(2.0, sqrt(PIXELS / (width * height))),
            skip_system_fonts=True,
            font_files=[str(fonts / "DejaVuSansMono.ttf"), str(fonts / "DejaVuSansMono-Bold.ttf")],
            monospace_family="DejaVu Sans Mono",
        )
    )


def size(node: Node) -> Point:
    """The width and height of a node's box: its name and shape on one line, its note under them."""
    shape = shown_shape(node)
    first = ADVANCE * (SIZE * len(node.label) + SMALL * len(shape)) + (GAP if shape else 0)
    return 2 * PAD + max(first, ADVANCE * SMALL * len(node.note)), HEIGHT + (LINE if node.note else 0)


def shown_shape(node: Node) -> str:
    """The shape in a node's box: a leaf's and a root's, as those of the others stand on the lines that leave them."""
    return shape_text(node.shape) if node.root or node.kind == "leaf" else ""


def family(node: Node) -> str:
    """The classes that style a node's group."""
    if node.root:
        return "root"
    if node.kind != "op":
        return node.kind
    op = node.label.rpartition(" ")[2]
    return next((family for family, pattern in FAMILIES.items() if pattern.fullmatch(op)), "op")


def group(node: Node, box: Box) -> str:
    """A node's box."""
    (x, y), (width, height) = box.centre, box.size
    corner = HEIGHT / 2 if node.kind == "leaf" else 6
    left, baseline = x - width / 2 + PAD, y + SIZE * 0.35 - (LINE / 2 if node.note else 0)
    after = left + ADVANCE * SIZE * len(node.label) + GAP
    shape = shown_shape(node)
    return (
        f'<g class="{family(node)}{" again" if box.again else ""}"><title>{escape(node.hint)}</title>'
        f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" height="{height:g}" rx="{corner:g}"/>'
        f'<text x="{left:g}" y="{baseline:g}">{escape(node.label)}</text>'
        + (f'<text class="shape" x="{after:g}" y="{baseline:g}">{shape}</text>' if shape else "")
        + (f'<text class="shape" x="{left:g}" y="{baseline + LINE:g}">{escape(node.note)}</text>' if node.note else "")
        + "</g>"
    )


def frame(module: Group, box: Box) -> str:
    """The frame around a module's nodes, with its name at the top."""
    (x, y), (width, height) = box.centre, box.size
    left, top = x - width / 2, y - height / 2
    room = max(1, int((width - 12) / (ADVANCE * SMALL)))  # letters that fit
    text = next((text for text in (module.title(), module.label) if len(text) <= room), module.label[: room - 1] + "…")
    return (
        f'<g class="frame"><title>{escape(module.title())}</title>'
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="9"/>'
        f'<text x="{left + 8:g}" y="{top + 15:g}">{escape(text)}</text></g>'
    )


def labels(graph: Graph, carried: list[str], placed: Layout) -> list[str]:
    """The shapes on the lines, at their starts: once where several lines that start beside each other carry the same."""
    starts: dict[tuple[int, str], Point] = {}
    for line, edge in zip(placed.lines, placed.edges, strict=True):
        source, text = graph.edges[edge][0], carried[edge]
        if text and graph.nodes[source].kind != "leaf":
            starts[source, text] = min(line[0], starts.get((source, text), line[0]))
    down = graph.direction == "down"
    place = ('text-anchor="middle"', 0, 16) if down else ("", 5, -4)
    return [
        f'<text class="edge" {place[0]} x="{x + place[1]:g}" y="{y + place[2]:g}">{text}</text>' for (_, text), (x, y) in starts.items()
    ]


def rounded(line: list[Point]) -> str:
    """The path through the corners of `line`, each corner a curve."""
    path = [f"M{line[0][0]:g} {line[0][1]:g}"]
    for before, corner, after in zip(line, line[1:], line[2:], strict=False):
        (ax, ay), (bx, by) = toward(corner, before), toward(corner, after)
        path.append(f"L{ax:g} {ay:g}Q{corner[0]:g} {corner[1]:g} {bx:g} {by:g}")
    return "".join([*path, f"L{line[-1][0]:g} {line[-1][1]:g}"])


def toward(corner: Point, end: Point) -> Point:
    """The point where the curve of a corner meets the line to `end`."""
    dx, dy = end[0] - corner[0], end[1] - corner[1]
    length = hypot(dx, dy)
    part = min(BEND / length, 0.5) if length else 0
    return corner[0] + part * dx, corner[1] + part * dy
