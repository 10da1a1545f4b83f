"""Pictures of graphs: what is walked, where it is laid, what is drawn. PyTorch's own tensors have the same face, so both are drawn."""

import importlib
import io
import json
import random
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

import chainrule
from chainrule import nn, viz
from chainrule._core import modes
from chainrule.viz import Graph, Group, Node, draw, graph, page as pages, save
from chainrule.viz.facts import op_name
from chainrule.viz.layout import distance_to_root, layout, repeat_far_leaves, straight
from chainrule.viz.modules import grouped

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
    drawn, edges, order = repeat_far_leaves(picture)
    assert drawn[: len(picture.nodes)] == list(range(len(picture.nodes)))
    copies = [picture.nodes[n].label for n in drawn[len(picture.nodes) :]]
    assert set(copies) == {"w"} and 5 < len(copies) < 20
    assert Counter((drawn[a], b) for a, b in edges) == Counter(picture.edges)  # every edge is there, once
    assert [(drawn[a], b) for a, b in edges] == [picture.edges[i] for i in order]
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
    _, edges, _ = repeat_far_leaves(picture)
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
        _, edges, _ = repeat_far_leaves(turned)
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
        ("op", ["exp"]),
        ("reduction", ["softmax"]),
        ("view", ["t"]),
        ("product", ["mm"]),
        ("leaf", ["<w&>", "3×2"]),
    ]
    assert len(root.findall(f"{SVG}path")) == 5
    assert [text.text for text in root.findall(f"{SVG}text[@class='edge']")] == ["4×2", "2×4", "2×4", "2×4"]  # on the lines


def test_the_same_graph_gives_the_same_picture():
    assert draw.svg(recurrent(12)) == draw.svg(recurrent(12))


def test_files(tmp_path):
    picture = recurrent(3)
    for suffix in "svg", "html", "PNG":
        picture.save(tmp_path / f"graph.{suffix}")
    text = (tmp_path / "graph.svg").read_text()
    assert text == picture._repr_svg_()
    page = (tmp_path / "graph.html").read_text()
    assert page.startswith("<!doctype html>")
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


# What a node tells


def build(lib):
    """A small network of many kinds of op, and its parameters; the same in both libraries."""
    w, b, k = (lib.linspace(-1, 1, n).reshape(shape).requires_grad_() for n, shape in [(12, (4, 3)), (3, (3,)), (6, (2, 3))])
    x = lib.linspace(0, 1, 20).reshape(5, 4)
    h = (x @ w + b).tanh()
    first, rest = h.split([2, 3])
    y = lib.cat([first.t().mul(k.select(1, 0).abs().sqrt()), rest.relu().narrow(1, 1, 2)]).exp()
    loss = lib.nn.functional.cross_entropy(h @ k.t(), lib.tensor([0, 1, 1, 0, 1])) + y.var() + h.softmax(1).select(0, 0).sum()
    return loss, {"w": w, "b": b, "k": k}


def told(picture):
    """The edges as (from, shape carried, to), counted."""
    shapes = zip(picture.edges, picture.shapes, strict=True)
    return Counter((picture.nodes[a].label, shape, picture.nodes[b].label) for (a, b), shape in shapes)


def test_edges_carry_the_shapes_that_pytorch_says():
    ours, theirs = (graph(*build(lib)) for lib in (chainrule, torch))
    assert told(ours) == told(theirs)
    assert None not in ours.shapes


@pytest.mark.parametrize("when", ["before", "after"])
def test_shapes_are_known_after_backward_too(when):
    loss, params = build(chainrule)
    if when == "after":
        loss.backward()
    picture = graph(loss, params)
    assert None not in picture.shapes
    assert all(node.norm is not None for node in picture.nodes if node.kind == "leaf") == (when == "after")


def test_what_ops_save():
    a, b = chainrule.ones(3, 4, requires_grad=True), chainrule.ones(4, dtype=chainrule.float32)
    product = a * b
    node = next(node for node in graph((product + 1).exp().sum(), {"a": a}).nodes if node.label == "mul")
    assert [(saved.name, saved.shape, saved.dtype, saved.nbytes) for saved in node.saved] == [("other", (4,), "float32", 16)]
    assert node.note == "saves other: 16 B" and "saves other: float32, 4, 16 B" in node.hint
    loss = product.exp().sum()
    loss.backward()
    nodes = {node.label: node for node in graph(loss, {"a": a}).nodes}
    assert nodes["exp"].saved == () and "freed by backward" in nodes["exp"].hint


def test_what_a_custom_function_saves():
    class Square(chainrule.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * x

    loss = Square.apply(chainrule.ones(5, dtype=chainrule.float64, requires_grad=True)).sum()
    node = graph(loss).nodes[1]
    assert node.shape == (5,) and [saved.nbytes for saved in node.saved] == [40]
    loss.backward()
    assert "freed" in graph(loss).nodes[1].hint


@pytest.mark.parametrize(("nbytes", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (5 * 10**12, "5000 GB")])
def test_sizes(nbytes, text):
    from chainrule.viz.facts import size_text

    assert size_text(nbytes) == text


def test_gradient_norms():
    w, v = chainrule.tensor([3.0, 4.0], requires_grad=True), chainrule.tensor([1.0, 2.0], requires_grad=True)
    hidden = w * v
    hidden.retain_grad()
    loss = (hidden * chainrule.tensor([3.0, 4.0])).sum()
    assert {node.norm for node in graph(loss, {"w": w}).nodes} == {None}
    loss.backward()
    nodes = graph(loss, {"w": w, "v": v, "hidden": hidden}).nodes
    assert {node.label: node.norm for node in nodes if node.norm is not None} == pytest.approx(
        {"w": np.hypot(3, 8), "v": np.hypot(9, 16), "hidden = mul": 5}
    )
    assert "‖grad‖ 5" in next(node.note for node in nodes if node.label == "hidden = mul")
    assert any(node.norm == 5 for node in graph(loss).nodes)  # a kept gradient is found without its name, too


# Modules


class Block(nn.Module):
    def __init__(self, width, shrink=False):
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.side = nn.Sequential(nn.Linear(width, width), nn.Tanh()) if shrink else None

    def forward(self, x):
        y = self.second(self.first(x).relu())
        return (y + (x if self.side is None else self.side(x))).relu()


class Net(nn.Module):
    """Two residual blocks, the first of which runs twice, and a head."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(4), Block(4, True)])
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        for block in (*self.blocks, self.blocks[0]):
            x = block(x)
        return self.head(x)


def chains(picture):
    """For each op, the labels of the frames around it."""
    def labels(group):
        return () if group is None else (*labels(picture.groups[group].parent), picture.groups[group].label)

    return [(node.label, labels(node.group)) for node in picture.nodes if node.kind == "op"]


def watched():
    net = Net()
    with viz.watch(net):
        loss = nn.MSELoss()(net(chainrule.ones(3, 4)), chainrule.zeros(3, 2))
    return net, loss


def test_watch_tells_the_modules():
    net, loss = watched()
    picture = graph(loss, net.named_parameters())
    found = chains(picture)
    assert found[:2] == [("mse_loss", ()), ("addmm", ("head",))]
    assert Counter(chain[0] for _, chain in found[2:]) == {"blocks.0 (2)": 5, "blocks.1": 7, "blocks.0": 5}
    assert ("tanh", ("blocks.1", "side")) in found and ("add", ("blocks.1",)) in found and ("addmm", ("blocks.1", "side", "0")) in found
    assert {group.kind for group in picture.groups} == {"Block", "Linear", "Sequential"}


def test_without_watch_the_names_of_parameters_tell():
    net = Net()
    found = chains(graph(net(chainrule.ones(3, 4)).sum(), net.named_parameters()))
    assert found[:2] == [("sum", ()), ("addmm", ("head",))]
    assert ("add", ("blocks", "1")) in found and ("addmm", ("blocks", "1", "side", "0")) in found
    assert graph(net(chainrule.ones(3, 4)).sum()).groups == []


def test_a_frame_is_left_once():
    """No way leaves a folded module and comes back: the folded graph has no cycle."""
    net, loss = watched()
    unwatched = net(chainrule.ones(3, 4)).sum()
    for picture in graph(loss), graph(loss, net.named_parameters()), graph(unwatched, net.named_parameters()):
        for depth in 1, 2, 3:
            folded = picture.fold(depth)
            distance = distance_to_root(folded)  # grows along every edge, unless there is a cycle
            assert all(distance[a] > distance[b] for a, b in folded.edges)
            assert sum(node.root for node in folded.nodes) == 1


def test_fold():
    net, loss = watched()
    picture = graph(loss, net.named_parameters())
    assert repr(picture) == "Graph(ops=19, leaves=12, edges=36, modules=8)"
    outer = picture.fold()
    labels = ["mse_loss", "head: Linear", "blocks.0 (2): Block", "blocks.1: Block", "blocks.0: Block"]
    assert [node.label for node in outer.nodes if node.kind != "leaf"] == labels
    assert outer.groups == [] and (3, 4) in outer.shapes
    folded = next(node for node in outer.nodes if node.label == "blocks.1: Block")
    assert folded.note == "7 ops · 60 parameters · saves 480 B"
    assert picture.fold(4).nodes == picture.nodes
    inner = picture.fold(2)
    assert {"blocks.1: Block"} < {group.title() for group in inner.groups}
    assert "side: Sequential" in [node.label for node in inner.nodes]
    with pytest.raises(ValueError, match=r"fold\(depth\) takes 1"):
        picture.fold(0)
    loss.backward()
    total = np.sqrt(sum(float(p.grad.norm()) ** 2 for p in net.blocks[1].parameters()))
    folded = next(node for node in graph(loss, net.named_parameters()).fold().nodes if node.label == "blocks.1: Block")
    assert f"‖grad‖ {total:.3g}" in folded.note


def test_looking_changes_nothing():
    loss, params = build(chainrule)
    graph(loss, params)._repr_svg_()
    waiting, extras = [loss.grad_fn], []
    while waiting:
        node = waiting.pop()
        extras.append(getattr(node, "extra", None))
        waiting += [edge for edge in getattr(node, "edges", ()) if edge is not None and not isinstance(edge, chainrule.Tensor)]
    assert len(extras) > 10 and set(extras) == {None}


def test_groups_are_runs():
    a, b, c = ("a", "", 0), ("a.b", "", 0), ("c", "", 0)
    groups, members = grouped([(), (a,), (a, b), (a,), (c,), (a,), ()])
    assert groups == [Group("a", None), Group("b", 0), Group("c", None), Group("a (2)", None)]
    assert members == [None, 0, 1, 0, 2, 3, None]


def test_watch_leaves_nothing_behind():
    busy = modes.state.busy
    net = Net()
    with pytest.raises(RuntimeError), viz.watch(net):
        net(chainrule.ones(3, 5))
    assert (modes.state.busy, modes.local.anomaly, modes.local.modules) == (busy, False, ())
    out = net(chainrule.ones(3, 4))
    assert out.grad_fn.metadata == {}
    with chainrule.autograd.set_detect_anomaly(True), viz.watch(net):
        assert chainrule.is_anomaly_enabled()
    assert modes.state.busy == busy
    with pytest.raises(TypeError, match="watch.. takes modules, not Tensor"):
        viz.watch(out)


def test_several_models_are_told_apart():
    one, two = nn.Sequential(nn.Linear(2, 2), nn.Tanh()), Block(2)
    with viz.watch(one, two):
        loss = two(one(chainrule.ones(1, 2))).sum()
    assert {chain[0] for _, chain in chains(graph(loss)) if chain} == {"Sequential", "Block"}
    with viz.watch(one):
        loss = one(chainrule.ones(1, 2)).sum()
    assert chains(graph(loss)) == [("sum", ()), ("tanh", ()), ("addmm", ("0",))]  # a frame around one node would say nothing


def test_the_line_that_made_a_node():
    w = chainrule.ones(3, requires_grad=True)
    with viz.watch():
        y = w * 2  # this line
    loss = y.sum()
    made = {node.label: node.source for node in graph(loss).nodes}
    assert (made["mul"].code, made["mul"].file) == ("y = w * 2  # this line", __file__)
    assert made["mul"].function == "test_the_line_that_made_a_node"
    assert made["sum"] is None and made["leaf"] is None
    with chainrule.autograd.set_detect_anomaly(True):
        loss = y.sum()
    assert graph(loss).nodes[0].source.code == "loss = y.sum()"


# The page and the notebook


def page_data(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_is_one_file_that_holds_all():
    net, loss = watched()
    picture = graph(loss, net.named_parameters())
    page = pages.html(picture)
    assert not any(f"{attribute}=" in page for attribute in ("src", "href")) and "@import" not in page and "url(http" not in page
    data = page_data(page)
    assert sum(not node.get("again") for node in data["nodes"]) == len(picture.nodes) + len(picture.groups)
    assert len(data["edges"]) == len(picture.edges)
    add = next(node for node in data["nodes"] if node["label"] == "add")
    assert add["source"]["lines"][add["source"]["line"] - add["source"]["first"]].strip().startswith("return (y +")
    assert {node["title"] for node in data["nodes"] if node["kind"] == "module"} >= {"head: Linear", "blocks.1: Block"}


TAGS = {"svg", "style", "marker", "path", "g", "title", "rect", "text"}
NASTY = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(1)>&\"'\u2028"


def test_names_are_escaped():
    w = chainrule.ones(3, requires_grad=True)
    picture = graph((w * 2).sum(), {NASTY: w})
    page, framed, drawing = pages.html(picture), picture._repr_html_(), picture._repr_svg_()
    assert page.count("</script>") == 3 and NASTY in {node["label"] for node in page_data(page)["nodes"]}
    assert "<script" not in framed and framed.count('"') == 6  # of the three attributes: the page in one of them has none of its own
    assert NASTY in [text.text for text in ET.fromstring(drawing).iter(f"{SVG}text")]
    assert {element.tag.removeprefix(SVG) for element in ET.fromstring(drawing).iter()} <= TAGS


def test_notebook(monkeypatch):
    w = chainrule.ones(3, requires_grad=True)
    picture = graph((w * 2).sum(), {"w": w})
    bundle = picture._repr_mimebundle_()
    assert bundle["text/plain"] == repr(picture) and bundle["text/html"].startswith('<iframe sandbox="allow-scripts"')
    monkeypatch.setattr(pages, "MOST", 2)
    assert list(picture._repr_mimebundle_()) == ["text/plain"] and "too large" in picture._repr_mimebundle_()["text/plain"]


def test_too_large_a_graph_says_what_to_do(tmp_path, monkeypatch):
    y = chainrule.ones(1, requires_grad=True)
    for _ in range(draw.LARGEST):
        y = y.neg()
    with pytest.raises(ValueError, match="graph of 4001 nodes is too large .* which can show 4000: draw the graph of a tensor on the way"):
        graph(y).save(tmp_path / "graph.svg")
    with pytest.raises(ValueError, match="which can show 500: save it as .svg, which can show 4000, or"):
        graph(y).save(tmp_path / "graph.html")
    net = Net()
    monkeypatch.setattr(draw, "LARGEST", 10)
    with pytest.raises(ValueError, match=r"fold its modules \(\.fold\(1\)\)"):
        graph(net(chainrule.ones(1, 4)).sum(), net.named_parameters()).save(tmp_path / "graph.svg")
    assert not list(tmp_path.iterdir())


def test_misuse():
    w = chainrule.ones(3, requires_grad=True)
    with pytest.raises(TypeError, match="hangs on a Tensor, or several, not on float"):
        graph(3.0)
    with pytest.raises(ValueError, match="there is none in the list"):
        graph([])
    with pytest.raises(RuntimeError, match="make it from tensors with requires_grad=True"):
        graph(w.detach())
    with pytest.raises(TypeError, match="'w' is of type int"):
        graph(w.sum(), {"w": 3})


def test_frames_hold_their_nodes():
    net, loss = watched()
    for direction in "down", "right":
        picture = graph(loss, net.named_parameters(), direction)
        placed = layout(picture, [draw.size(node) for node in picture.nodes])
        def corners(box):
            return np.array([np.subtract(box.centre, np.divide(box.size, 2)), np.add(box.centre, np.divide(box.size, 2))])

        homes = [picture.nodes[box.node].group for box in placed.boxes[: len(picture.nodes)]] + [group.parent for group in picture.groups]
        for box, home in zip([*placed.boxes[: len(picture.nodes)], *placed.frames], homes, strict=True):
            if home is not None:
                (low, high), (outer_low, outer_high) = corners(box), corners(placed.frames[home])
                assert (low >= outer_low).all() and (high <= outer_high).all()
                assert low[1] >= outer_low[1] + 18  # room for the name of the frame


def test_the_example(tmp_path, capsys):
    example = {"__name__": "look_inside"}
    source = Path(__file__).parent.parent / "examples" / "look_inside.py"
    exec(compile(source.read_text(), source, "exec"), example)
    example["main"](tmp_path)
    printed = capsys.readouterr().out
    assert printed.count("\nstep ") == printed.count("  receives ") - 1 == 12 and "to 0.norm.weight" in printed
    data = page_data((tmp_path / "look_inside.html").read_text())
    gelu = next(node for node in data["nodes"] if node["label"] == "gelu")
    assert gelu["source"]["lines"][4].strip() == "h = nn.functional.gelu(h)"
    assert "0: Residual" in (tmp_path / "look_inside.svg").read_text()
