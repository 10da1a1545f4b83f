"""The page of a graph in a real browser, by its mouse and keys. Its structure is tested in `test_viz.py`, which needs none."""

import browser
import numpy as np
import pytest
from test_viz import NASTY, recurrent, watched

import chainrule
from chainrule.viz import graph, watch


@pytest.fixture(scope="module")
def page():
    if browser.find() is None:
        pytest.skip("these tests need a Chromium or Chrome, which pip does not install: install the package chromium of your system")
    with browser.Browser() as opened:
        yield opened
    assert opened.problems == []


def boxes(page, among="g[data-node]:not(.frame)"):
    return page.run(f"[...document.querySelectorAll('{among}')].map(g => g.querySelector('text').textContent)")


def transform(page):
    return page.run("document.getElementById('view').getAttribute('transform')")


def button(page, name):
    page.click(*page.where(f"document.getElementById('{name}')"))


def overlapping(page):
    """Pairs of boxes that touch, boxes whose letters do not fit, and boxes that stick out of their frames."""
    return page.run("""(() => {
        const found = [], all = [...document.querySelectorAll('g[data-node]:not(.frame)')]
        const r = e => e.getBoundingClientRect(), rectangles = all.map(g => r(g.querySelector('rect')))
        rectangles.forEach((a, i) => rectangles.slice(i + 1).forEach(b => {
            if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) found.push(all[i].textContent)
        }))
        all.forEach((g, i) => g.querySelectorAll('text').forEach(t => {
            if (r(t).left < rectangles[i].left || r(t).right > rectangles[i].right + 1) found.push(t.textContent)
        }))
        for (const [n, box] of placed) {
            const home = parents[n] === null ? null : placed.get(parents[n])
            if (home && (box.x - box.width / 2 < home.x - home.width / 2 || box.y + box.height / 2 > home.y + home.height / 2))
                found.push(n)
        }
        return found
    })()""")


def test_page_folds_and_unfolds(page, tmp_path):
    net, loss = watched()
    graph(loss, net.named_parameters()).save(tmp_path / "net.html")
    page.open(tmp_path / "net.html")
    button(page, "fold")
    folded = ["mse_loss", "head: Linear", "blocks.0 (2): Block", "blocks.1: Block", "blocks.0: Block"]
    assert sorted(boxes(page)) == sorted([*folded, *boxes(page, "g.leaf")])
    x, y = page.where("[...document.querySelectorAll('g.module')].find(g => g.textContent.includes('blocks.1'))")
    page.click(x, y)
    assert "side: Sequential" in boxes(page) and overlapping(page) == []
    page.click(*page.where("[...document.querySelectorAll('g.frame text')].find(t => t.textContent.includes('blocks.1'))"))
    assert "side: Sequential" not in boxes(page)
    button(page, "unfold")
    assert boxes(page, "g.module") == [] and len(boxes(page, "g.op, g.product, g.root, g.reduction, g.view")) == 19
    assert overlapping(page) == []


def test_page_pans_zooms_and_fits(page, tmp_path):
    recurrent(4).save(tmp_path / "recurrent.html")
    page.open(tmp_path / "recurrent.html")
    assert overlapping(page) == []
    button(page, "fit")
    start = transform(page)
    page.drag(900, 700, 60, -30)
    left, top = page.run("[left, top_]")
    button(page, "fit")
    assert transform(page) == start and (left, top) == pytest.approx(page.run("[left + 60, top_ - 30]"), abs=1)
    x, y = page.where("document.querySelector('g.root')")
    page.wheel(x, y, -400)
    zoom = page.run("scale") / float(start.partition("scale(")[2][:-1])
    assert zoom == pytest.approx(np.exp(0.6), rel=1e-3) and page.where("document.querySelector('g.root')") == pytest.approx([x, y], abs=1)


def test_page_searches_and_tells(page, tmp_path):
    net, loss = watched()
    graph(loss, net.named_parameters()).save(tmp_path / "net.html")
    page.open(tmp_path / "net.html")
    button(page, "fold")
    page.click(*page.where("document.getElementById('search')"))
    page.type("side weight")
    assert page.run("document.getElementById('count').textContent") == "– of 1"
    page.key("Enter")
    assert page.run("document.querySelector('g.current text').textContent") == "blocks.1.side.0.weight"
    assert page.where("document.querySelector('g.current')") == pytest.approx([640, 400], abs=2)  # in the middle
    page.click(*page.where("[...document.querySelectorAll('g[data-node]')].find(g => g.querySelector('text')?.textContent === 'tanh')"))
    facts = page.run("document.getElementById('facts').innerText")
    assert "TanhBackward0: shape (3, 4)" in facts and "saves result: float32, 3×4, 48 B" in facts
    assert page.run("document.querySelector('li.made').textContent").strip().startswith("return (y +")
    button(page, "close")
    assert page.run("document.getElementById('facts').hidden")


def test_page_is_safe_from_names(page, tmp_path):
    w = chainrule.ones(3, requires_grad=True)
    graph((w * 2).sum(), {NASTY: w}).save(tmp_path / "nasty.html")
    page.open(tmp_path / "nasty.html")
    assert NASTY in boxes(page) and page.run("document.querySelector('img')") is None
    assert page.run("document.title") == "chainrule: graph of sum"


def test_resnet_is_readable_folded(page, tmp_path):
    from chainrule import vision

    model = vision.models.resnet18()
    with watch(model):
        loss = model(chainrule.ones(1, 3, 64, 64)).sum()
    picture = graph(loss, model.named_parameters())
    assert len(picture.fold().nodes) == 12 and all(a != b for a, b in picture.fold().edges)
    picture.save(tmp_path / "resnet.html")
    page.open(tmp_path / "resnet.html")
    button(page, "fold")
    button(page, "fit")
    assert "layer1: Sequential" in boxes(page, "g.module") and len(boxes(page)) == 12
    assert page.run("scale") > 0.7 and overlapping(page) == []  # all of it is in the window, its letters at least 9 pixels high
    button(page, "unfold")
    assert len(boxes(page)) == len(picture.nodes) and overlapping(page) == []


@pytest.mark.parametrize("direction", ["down", "right"])
def test_page_draws_a_line_for_each_edge(page, tmp_path, direction):
    net, loss = watched()
    picture = graph(loss, net.named_parameters(), direction)
    picture.save(tmp_path / "net.html")
    page.open(tmp_path / "net.html")
    button(page, "unfold")
    heads = page.run("""[...document.querySelectorAll('#view > path')].filter(p => p.getAttribute('marker-end')).map(p => {
        const end = p.getPointAtLength(p.getTotalLength())
        return [...placed].filter(([n, b]) => !unfolded.has(n)
            && Math.abs(end.x - b.x) <= b.width / 2 + 0.5 && Math.abs(end.y - b.y) <= b.height / 2 + 0.5).length })""")
    assert heads == [1] * len(picture.edges)
    assert overlapping(page) == []
