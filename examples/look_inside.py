"""Look inside a backward pass: the graph of a small network as a page to explore, and backward one node at a time.

Open `look_inside.html` in a browser: fold and unfold the layers, search, click a node to see the line that made it.
"""

from pathlib import Path

import chainrule as torch
from chainrule import nn, viz


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        h = self.up(self.norm(x))
        h = nn.functional.gelu(h)
        return x + self.down(h)


def main(folder: Path = Path("out")) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Residual(8), Residual(8), nn.Linear(8, 3))
    x, y = torch.randn(16, 8), torch.randint(3, (16,))
    with viz.watch(model):  # notes the module and the line of each node
        loss = nn.functional.cross_entropy(model(x), y)

    names = dict(model.named_parameters())
    for step in viz.step(loss, params=names, retain_graph=True):
        print(step)

    folder.mkdir(exist_ok=True)
    picture = viz.graph(loss, params=names)  # the gradients are there now, so their norms are in the picture
    print(picture)
    picture.save(folder / "look_inside.html")
    picture.fold().save(folder / "look_inside.svg")
    print("the graph is in", folder / "look_inside.html")


if __name__ == "__main__":
    main()
