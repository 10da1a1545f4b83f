"""A laid-out graph as SVG; the page and the bitmap are made from that same SVG."""

from __future__ import annotations

import re
from html import escape
from math import hypot, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.viz.layout import Box, Point, layout

if TYPE_CHECKING:
    from chainrule.viz.graph import Graph, Node

SIZE, SMALL = 13, 11  # of the letters of a name, of a shape
ADVANCE = 0.602  # the width of a monospaced letter, as a part of its size
PAD, GAP, HEIGHT, MARGIN, BEND = 13, 9, 28, 24, 9
PIXELS = 60_000_000  # the largest bitmap

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
    """The picture as SVG text: one group a box, with a title that a pointer resting on it shows."""
    placed = layout(graph, [size(node) for node in graph.nodes])
    left, top = placed.low[0] - MARGIN, placed.low[1] - MARGIN
    width, height = placed.high[0] - left + MARGIN, placed.high[1] - top + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chainrule" width="{width:g}" height="{height:g}" '
            f'viewBox="{left:g} {top:g} {width:g} {height:g}">',
            f"<style>{STYLE}</style>",
            '<marker id="chainrule-arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
            'markerUnits="userSpaceOnUse"><path d="M0 0.6 8 4 0 7.4Z"/></marker>',
            *[f'<path d="{rounded(line)}" marker-end="url(#chainrule-arrow)"/>' for line in placed.lines],
            *[group(graph.nodes[box.node], box) for box in placed.boxes],
            "</svg>",
        ]
    )


def html(graph: Graph) -> str:
    """A page of its own that shows the picture, to drag and to zoom with the wheel."""
    return (Path(__file__).parent / "page.html").read_text().replace("<!-- picture -->", svg(graph))


def png(graph: Graph) -> bytes:
    """The picture as a bitmap, two pixels a unit (fewer where that would be more than 60 million)."""
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
    """The width and height of a node's box: its name and shape on one line."""
    shape = shape_text(node)
    return 2 * PAD + ADVANCE * (SIZE * len(node.label) + SMALL * len(shape)) + (GAP if shape else 0), HEIGHT


def shape_text(node: Node) -> str:
    """ "2×3" for a matrix, nothing for a single value."""
    return "×".join(map(str, node.shape or ()))


def family(node: Node) -> str:
    """The classes that style a node's group."""
    if node.root:
        return "root"
    if node.kind == "leaf":
        return "leaf"
    op = node.label.rpartition(" ")[2]
    return next((family for family, pattern in FAMILIES.items() if pattern.fullmatch(op)), "op")


def group(node: Node, box: Box) -> str:
    (x, y), (width, height) = box.centre, box.size
    corner = height / 2 if node.kind == "leaf" else 6
    left, baseline = x - width / 2 + PAD, y + SIZE * 0.35
    after = left + ADVANCE * SIZE * len(node.label) + GAP
    shape = shape_text(node)
    return (
        f'<g class="{family(node)}{" again" if box.again else ""}"><title>{escape(node.hint)}</title>'
        f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" height="{height:g}" rx="{corner:g}"/>'
        f'<text x="{left:g}" y="{baseline:g}">{escape(node.label)}</text>'
        + (f'<text class="shape" x="{after:g}" y="{baseline:g}">{shape}</text>' if shape else "")
        + "</g>"
    )


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
