"""Pictures of graphs: what is walked, where it is laid, what is drawn. PyTorch's own tensors have the same face, so both are drawn."""

import importlib
import io
import random
import sys
import xml.etree.ElementTree as ET
from collections import Counter

import matplotlib.image
import numpy as np
import pytest
import torch

from chainrule.viz import Graph, Node, draw, graph, save
from chainrule.viz.graph import op_name
from chainrule.viz.layout import layout, repeat_far_leaves, straight

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=["torch", "chainrule"])
def lib(request):
    return importlib.import_module(request.param)


def links(picture):
    """The edges by label, counted."""
    return Counter((picture.nodes[a].label, picture.nodes[b].label) for a, b in picture.edges)


def recurrent(steps):
    """A shared weight used at every step, and a loss summed up along the way: long edges and far uses."""
    w, h, total = torch.ones(4, 4, requires_grad=True), torch.ones(2, 4), 0
    for _ in range(steps):
        h = torch.tanh(h @ w) + h
        total = total + h.sum()
    return graph(total, {"w": w})


def scattered(seed, size=30):
    """A random directed acyclic graph with boxes of many widths."""
    rng = random.Random(seed)
    labels = [rng.choice(["mul", "tanh", "a_long_name_here", "sum"]) for _ in range(size)]
    nodes = [Node("op", label, (rng.choice([2, 300]),) * rng.randint(0, 3), label) for label in labels]
    reach = [{min(size - 1, i + 1 + int(rng.expovariate(0.3))) for _ in range(rng.randint(1, 3))} for i in range(size - 1)]
    return Graph(nodes, [(i, j) for i, targets in enumerate(reach) for j in sorted(targets)])


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("AddBackward0", "add"),
        ("LogSoftmaxBackward0", "log_softmax"),
        ("SumBackward1", "sum"),
        ("LinalgQrBackward0", "linalg_qr"),
        ("Conv2DBackward0", "conv2d"),
        ("BinaryCrossEntropyWithLogitsBackward0", "binary_cross_entropy_with_logits"),
        ("MyLayerBackward", "MyLayer"),
        ("torch::autograd::CopySlices", "CopySlices"),
    ],
)
def test_op_names(name, op):
    assert op_name(name) == op


def test_nodes_and_edges(lib):
    w, x, b = (lib.ones(3, requires_grad=True) for _ in range(3))
    y = (w * x + b).tanh()
    picture = graph((y * y + w).sum(), {"w": w, "x": x, "b": b})
    assert repr(picture) == "Graph(ops=6, leaves=3, edges=10)"
    assert [node.label for node in picture.nodes if node.root] == ["sum"]
    assert {node.label: node.shape for node in picture.nodes if node.kind == "leaf"} == {"w": (3,), "x": (3,), "b": (3,)}
    expected = {("w", "mul"): 1, ("x", "mul"): 1, ("mul", "add"): 2, ("b", "add"): 1, ("add", "tanh"): 1}
    assert links(picture) == expected | {("tanh", "mul"): 2, ("w", "add"): 1, ("add", "sum"): 1}


def test_shapes_and_hints_of_ops():
    w = torch.ones(3, 2, requires_grad=True)
    picture = graph((torch.ones(4, 3) @ w).sum(), {"w": w})
    assert [(node.label, node.shape) for node in picture.nodes] == [("sum", ()), ("mm", (4, 2)), ("w", (3, 2))]
    assert [node.hint for node in picture.nodes][1:] == ["MmBackward0: torch.float32, shape (4, 2)", "w: torch.float32, shape (3, 2)"]


def test_names(lib):
    w = lib.ones(3, requires_grad=True)
    hidden = w.tanh()
    labels = {node.label for node in graph(hidden.sum(), {"hidden": hidden}).nodes}
    assert labels == {"sum", "hidden = tanh", "leaf"}


def test_a_custom_function_is_an_op_whatever_it_keeps(lib):
    class Twice(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.variable = x
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    picture = graph(Twice.apply(lib.ones(3, requires_grad=True)).sum())
    assert [(node.label, node.kind) for node in picture.nodes] == [("sum", "op"), ("Twice", "op"), ("leaf", "leaf")]


def test_takes_named_parameters():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    picture = graph(model(torch.ones(5, 4)).sum(), model.named_parameters())
    leaves = {node.label: node.shape for node in picture.nodes if node.kind == "leaf"}
    assert leaves == {"0.weight": (3, 4), "0.bias": (3,), "2.weight": (2, 3), "2.bias": (2,)}


def test_roots(lib):
    w = lib.ones(3, requires_grad=True)
    y = w * 2
    assert sorted(node.label for node in graph([y.sum(), y.exp()], {"w": w}).nodes if node.root) == ["exp", "sum"]
    assert [(node.label, node.kind, node.root) for node in graph(w, {"w": w}).nodes] == [("w", "leaf", True)]
    with pytest.raises(RuntimeError, match="does not require grad"):
        graph(lib.ones(3))
    with pytest.raises(ValueError, match="'down' or 'right', not 'up'"):
        graph(y, direction="up")


def test_deep_and_wide_graphs_are_walked_without_recursion(lib):
    w = lib.ones(1, requires_grad=True)
    y = w
    for _ in range(20_000):
        y = y + y
    picture = graph(y, {"w": w})
    assert len(picture.nodes) == 20_001 and len(picture.edges) == 40_000


def test_a_thousand_nodes_are_drawn():
    picture = recurrent(300)
    assert len(picture.nodes) > 1000
    boxes = ET.fromstring(draw.svg(picture)).findall(f"{SVG}g")
    assert len(boxes) >= len(picture.nodes)


def test_far_uses_of_a_leaf_are_drawn_again_near_uses_are_not():
    picture = recurrent(20)
    drawn, edges = repeat_far_leaves(picture)
    assert drawn[: len(picture.nodes)] == list(range(len(picture.nodes)))
    copies = [picture.nodes[n].label for n in drawn[len(picture.nodes) :]]
    assert set(copies) == {"w"} and 5 < len(copies) < 20
    assert Counter((drawn[a], b) for a, b in edges) == Counter(picture.edges)  # every edge is there, once
    near = recurrent(1)
    assert repeat_far_leaves(near)[0] == list(range(len(near.nodes)))


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("make", [lambda seed=seed: scattered(seed) for seed in range(12)] + [lambda: recurrent(12)])
def test_boxes_do_not_touch_and_lines_keep_off_boxes(make, direction):
    picture = make()
    picture = Graph(picture.nodes, picture.edges, direction)
    placed = layout(picture, [draw.size(node) for node in picture.nodes])
    low = np.array([np.subtract(box.centre, np.divide(box.size, 2)) for box in placed.boxes])
    high = np.array([np.add(box.centre, np.divide(box.size, 2)) for box in placed.boxes])
    apart = (low[:, None] >= high[None]).any(-1) | (high[:, None] <= low[None]).any(-1)
    assert (apart | np.eye(len(low), dtype=bool)).all()
    assert (low >= np.array(placed.low) - 1e-6).all() and (high <= np.array(placed.high) + 1e-6).all()
    _, edges = repeat_far_leaves(picture)
    for (source, target), line in zip(edges, placed.lines, strict=True):
        for start, end in zip(line, line[1:], strict=False):
            assert start[0] == end[0] or start[1] == end[1]  # level or plumb
            crossed = (np.minimum(start, end) < high - 0.5).all(-1) & (np.maximum(start, end) > low + 0.5).all(-1)
            assert set(np.flatnonzero(crossed)) <= {source, target}


def test_flow_goes_one_way():
    picture = recurrent(5)
    for axis, direction in enumerate(["right", "down"]):
        turned = Graph(picture.nodes, picture.edges, direction)
        placed = layout(turned, [draw.size(node) for node in turned.nodes])
        _, edges = repeat_far_leaves(turned)
        assert all(placed.boxes[a].centre[axis] < placed.boxes[b].centre[axis] for a, b in edges)


def test_straight():
    assert straight([(0, 0), (0.4, 10), (30, 10.3), (30, 20)]) == [(0, 0), (0, 10), (30, 10), (30, 20)]


def test_corners_are_rounded():
    assert draw.rounded([(0, 0), (0, 100), (50, 100)]) == "M0 0L0 91Q0 100 9 100L50 100"
    assert draw.rounded([(0, 0), (0, 4), (50, 4)]) == "M0 0L0 2Q0 4 9 4L50 4"  # never past the middle of a stretch
    assert draw.rounded([(0, 0), (0, 9)]) == "M0 0L0 9"


def test_svg_shows_names_shapes_and_families():
    w = torch.ones(3, 2, requires_grad=True)
    root = ET.fromstring(draw.svg(graph((torch.ones(4, 3) @ w).t().softmax(0).exp().sum(), {"<w&>": w})))
    shown = [(box.get("class"), [text.text for text in box.findall(f"{SVG}text")]) for box in root.findall(f"{SVG}g")]
    assert shown == [
        ("root", ["sum"]),
        ("op", ["exp", "2×4"]),
        ("reduction", ["softmax", "2×4"]),
        ("view", ["t", "2×4"]),
        ("product", ["mm", "4×2"]),
        ("leaf", ["<w&>", "3×2"]),
    ]
    assert len(root.findall(f"{SVG}path")) == 5


def test_the_same_graph_gives_the_same_picture():
    assert draw.svg(recurrent(12)) == draw.svg(recurrent(12))


def test_files(tmp_path):
    picture = recurrent(3)
    for suffix in "svg", "html", "PNG":
        picture.save(tmp_path / f"graph.{suffix}")
    text = (tmp_path / "graph.svg").read_text()
    assert text == picture._repr_svg_()
    page = (tmp_path / "graph.html").read_text()
    assert text in page and page.startswith("<!doctype html>")
    pixels = matplotlib.image.imread(io.BytesIO((tmp_path / "graph.PNG").read_bytes()), format="png")
    root = ET.fromstring(text)
    assert abs(pixels.shape[1] - 2 * float(root.get("width"))) <= 1 and abs(pixels.shape[0] - 2 * float(root.get("height"))) <= 1
    colours = {tuple(colour) for colour in (pixels[..., :3].reshape(-1, 3) * 255).round().astype(int)}
    assert {(255, 255, 255), (0x1E, 0x29, 0x3B), (0xEC, 0xFD, 0xF5), (0xEE, 0xF2, 0xFF)} <= colours  # paper, root, leaf, product
    with pytest.raises(ValueError, match=r"'graph\.bmp': end it in one of \.svg, \.html, \.png"):
        save(picture, tmp_path / "graph.bmp")


def test_letters_fit_their_boxes():
    w = torch.ones(3, requires_grad=True)
    name = "a_rather_long_name_of_a_parameter"
    pixels = matplotlib.image.imread(io.BytesIO(draw.png(graph(w, {name: w}))), format="png")
    dark = np.flatnonzero((pixels[..., :3].sum(-1) < 1.0).any(0))  # columns with ink: the root's box
    white = np.flatnonzero((pixels[pixels.shape[0] // 2 - 8 : pixels.shape[0] // 2 + 8, :, :3].min(-1) > 0.9).any(0))
    letters = white[(white > dark[0] + 4) & (white < dark[-1] - 4)]
    assert abs((letters[0] - dark[0]) - 2 * draw.PAD) < 8 and dark[-1] - letters[-1] > draw.PAD


def test_a_bitmap_stays_bounded(monkeypatch):
    monkeypatch.setattr(draw, "PIXELS", 50_000)
    pixels = matplotlib.image.imread(io.BytesIO(draw.png(recurrent(12))), format="png")
    assert 40_000 < pixels.shape[0] * pixels.shape[1] <= 52_000


@pytest.mark.parametrize(("package", "write"), [("graphlay", draw.svg), ("resvg_py", draw.png), ("matplotlib", draw.png)])
def test_a_missing_package_is_named(monkeypatch, package, write):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs the package {package}: pip install chainrule\[viz\]"):
        write(recurrent(1))
