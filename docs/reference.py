"""Writes the pages of the reference: which names each has; the text comes from the docstrings when Sphinx reads them."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import chainrule

# Page: title, and its sections as (heading, module, names or None for what the module offers)
ROOMS = {
    "autograd": ("Automatic differentiation", ["autograd", "autograd.graph", "autograd.forward_ad", "autograd.functional"]),
    "func": ("Function transforms", ["func"]),
    "nn": ("Layers and losses", ["nn"]),
    "nn.functional": ("Layers and losses as functions", ["nn.functional"]),
    "nn.more": ("Initialisation and other helpers of layers", ["nn.init", "nn.utils", "nn.utils.rnn", "nn.utils.parametrize"]),
    "optim": ("Optimizers", ["optim", "optim.lr_scheduler", "optim.swa_utils"]),
    "data": ("Data", ["utils.data"]),
    "linalg": ("Linear algebra, Fourier transforms, special functions", ["linalg", "fft", "special"]),
    "distributions": ("Distributions", ["distributions"]),
    "vision": ("Vision", ["vision.models", "vision.transforms", "vision.datasets", "vision.utils"]),
    "saving": ("Saving, loading, downloading", ["serialization", "hub"]),
    "utils": ("Checkpoints and benchmarks", ["utils.checkpoint", "utils.benchmark"]),
    "viz": ("Pictures of graphs", ["viz"]),
    "profiler": ("Profiler", ["profiler", "autograd.profiler", "autograd.profiler_util"]),
}
FAMILIES = {
    "creation": "Making tensors", "random": "Random numbers", "pointwise": "Element by element", "comparison": "Comparing",
    "reduce": "Reducing", "statistics": "Statistics", "scan": "Cumulative", "order": "Order", "shape": "Shape", "memory": "Memory",
    "joining": "Joining and splitting", "index": "Picking", "placing": "Placing", "writing": "Writing", "matmul": "Matrix products",
    "linalg_basic": "Matrices", "spectral": "Signals", "windows": "Windows", "convert": "Types", "storage": "Storage",
    "display": "Printing",
}  # fmt: skip


def write(folder: Path) -> None:
    """The index and one page for each room."""
    folder.mkdir(exist_ok=True)
    pages = {"tensor": tensor_page(), "functions": functions_page()}
    pages |= {name: room_page(title, rooms) for name, (title, rooms) in ROOMS.items()}
    listed = "\n".join(pages)
    pages["index"] = (
        "# Reference\n\nNames, argument orders and defaults are PyTorch's. `chainrule` is what a program imports as `torch`.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    )
    for old in folder.glob("*.md"):
        if old.stem not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def tensor_page() -> str:
    """The class, and those of its methods that are no functions too."""
    names = [n for n in dir(chainrule.Tensor) if not n.startswith("_") and documented(getattr(chainrule.Tensor, n, None))]
    own = [n for n in names if not hasattr(chainrule, n) and not (n.endswith("_") and hasattr(chainrule.Tensor, n[:-1]))]
    shared = ", ".join([f"`{n}`" for n in names if hasattr(chainrule, n)])
    written = ", ".join([f"`{n}`" for n in names if n.endswith("_") and hasattr(chainrule.Tensor, n[:-1])])
    parts = ["# Tensor", directives([("autoclass", "chainrule.Tensor")])]
    parts += ["## Methods of its own", directives([(kind_of_member(n), f"chainrule.Tensor.{n}") for n in own])]
    parts += ["## Methods that are functions too", f"See [the functions](functions.md), whose first argument the tensor is: {shared}."]
    parts += ["## Written in place", f"As the function, with the result written over the tensor: {written}."]
    return "\n\n".join(parts) + "\n"


def kind_of_member(name: str) -> str:
    return "autoproperty" if isinstance(inspect.getattr_static(chainrule.Tensor, name), property) else "automethod"


def functions_page() -> str:
    parts = ["# Functions on tensors"]
    for family, title in FAMILIES.items():
        module = import_module(f"chainrule.functions.{family}")
        names = [n for n in getattr(module, "__all__", []) if documented(getattr(chainrule, n, None))]
        if names:
            parts += [f"## {title}", directives([("autofunction", f"chainrule.{n}") for n in names])]
    return "\n\n".join(parts) + "\n"


def room_page(title: str, rooms: list[str]) -> str:
    parts = [f"# {title}"]
    for room in rooms:
        module = import_module(f"chainrule.{room}")
        names = [n for n in offered(module) if documented(getattr(module, n, None))]
        if len(rooms) > 1:
            parts.append(f"## `{room}`")
        parts.append(directives([(kind(getattr(module, n)), f"chainrule.{room}.{n}") for n in names]))
    return "\n\n".join(parts) + "\n"


def offered(module: ModuleType) -> list[str]:
    names = getattr(module, "__all__", None) or dir(module)
    return sorted({n for n in names if not n.startswith("_")}, key=lambda n: (n[:1].islower(), n))


def documented(thing: object) -> bool:
    """Whether the reference has something to say of it: chainrule's own, with a docstring."""
    ours = (getattr(thing, "__module__", None) or "").startswith("chainrule") or isinstance(thing, property)
    return ours and (callable(thing) or isinstance(thing, property)) and bool(inspect.getdoc(thing))


def kind(thing: object) -> str:
    return "autoclass" if inspect.isclass(thing) else "autofunction"


def directives(entries: list[tuple[str, str]]) -> str:
    lines = []
    for directive, name in entries:
        lines.append(f".. {directive}:: {name}")
        if directive == "autoclass" and name != "chainrule.Tensor":
            lines.append("   :members:")
        lines.append("")
    return "```{eval-rst}\n" + "\n".join(lines) + "```"


def tidy(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text for readers of the source: keep stars and bars from being taken for marks of emphasis."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = "".join([part if k % 2 else re.sub(r"(?<!\\)([*|])", r"\\\1", part) for k, part in enumerate(split_code(line))])


def split_code(line: str) -> list[str]:
    """Text and code by turns, the code with its backticks."""
    return re.split(r"(`+[^`]+`+)", line)
