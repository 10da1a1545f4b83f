"""Run a program that was written for PyTorch, unchanged: `python -m chainrule script.py args...`.

In this process `import torch` gives chainrule and `import torchvision` its `vision`; what is installed under those names is not touched.
`-m module` and `-c code` do what they do for Python.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

USAGE = "usage: python -m chainrule (script.py | -m module | -c code) [arguments ...]"
NAMES = {"torch": "chainrule", "torchvision": "chainrule.vision"}


class Alias:
    """Finds `torch`, `torchvision` and all below them: the very modules of chainrule, not copies that run a second time."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        root, dot, rest = name.partition(".")
        if root not in NAMES:
            return None
        ours = NAMES[root] + dot + rest
        try:
            module = import_module(ours)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{ours}.".startswith(f"{error.name}."):  # something that the module itself needs is missing
                raise
            return None
        return ModuleSpec(name, Same(module), is_package=hasattr(module, "__path__"))


class Same:
    """The loader of a module that is there already: it keeps the names that the module was given when it was first loaded."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


def install() -> None:
    """From here on, `import torch` and `import torchvision` mean chainrule in this process."""
    if Alias not in sys.meta_path:
        sys.meta_path.insert(0, Alias)  # type: ignore[arg-type]


def run_code(code: str) -> None:
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    exec(compile(code, "<string>", "exec"), main.__dict__)


def main(arguments: list[str]) -> int | None:
    """Run what the command line names, as Python would: `sys.argv`, `sys.path[0]` and `__main__` are the program's own."""
    match arguments:
        case ["-m", name, *rest]:
            sys.argv = [name, *rest]
            run = lambda: runpy.run_module(name, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.argv, sys.path[0] = ["-c", *rest], ""
            run = lambda: run_code(code)
        case [script, *rest] if not script.startswith("-"):
            sys.argv, sys.path[0] = [script, *rest], os.path.dirname(os.path.abspath(script))
            run = lambda: runpy.run_path(script, run_name="__main__")
        case _:
            print(USAGE, file=sys.stderr)
            return 0 if arguments in (["-h"], ["--help"]) else 2
    install()
    run()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
