"""Run a program that was written for PyTorch, unchanged: `python -m chainrule script.py args...`.

In this process, and in those that it starts through `multiprocessing`, `import torch` gives chainrule, `import torchvision` its
`vision`; what is installed under those names is not touched. `-m module` and `-c code` do what they do for Python.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType, TracebackType
from typing import Any

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


class Same(Loader):
    """The loader of a module that is there already: it keeps the names that the module was given when it was first loaded."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class Installed:
    """What a new process is sent first: unpickling it installs the names there, before the program's own module is loaded."""

    def __reduce__(self) -> tuple:
        return install, ()


def install() -> None:
    """From here on, `import torch` and `import torchvision` mean chainrule in this process and in those that it starts."""
    if Alias in sys.meta_path:
        return
    sys.meta_path.insert(0, Alias)  # type: ignore[arg-type]
    import chainrule
    from chainrule.version import __version__

    chainrule.__version__ = __version__  # programs compare it with the versions of PyTorch
    chainrule.__name__ = chainrule.Tensor.__module__ = "torch"  # by which some know a tensor
    from multiprocessing import forkserver, spawn

    describe: Callable[[str], dict[str, Any]] = spawn.get_preparation_data
    spawn.get_preparation_data = lambda name: {"torch": Installed(), **describe(name)}  # type: ignore[assignment]
    forkserver.set_forkserver_preload([])  # else that process loads the program before it is told


def hide_own_frames() -> None:
    """Let tracebacks begin where the program does."""
    show, own = sys.excepthook, {__file__, runpy.__file__, "<frozen runpy>"}

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        inner = trace
        while inner is not None and inner.tb_frame.f_code.co_filename in own:
            inner = inner.tb_next
        if inner is not None or isinstance(error, SyntaxError):
            error.__traceback__ = trace = inner
        show(kind, error, trace)

    sys.excepthook = excepthook


def run_code(code: str) -> None:
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    exec(compile(code, "<string>", "exec"), main.__dict__)


def main(arguments: list[str]) -> int | None:
    """Run what the command line names, as Python would: `sys.argv`, `sys.path[0]` and `__main__` are the program's own."""
    match arguments:
        case ["-m", _, *_] | ["-c", _, *_]:
            pass
        case [script, *_] if not script.startswith("-"):
            if not os.path.exists(script):
                path = os.path.abspath(script)
                print(f"python -m chainrule: can't open file {path!r}: [Errno 2] No such file or directory", file=sys.stderr)
                return 2
        case _:
            print(USAGE, file=sys.stderr)
            return 0 if arguments in (["-h"], ["--help"]) else 2
    install()
    hide_own_frames()
    match arguments:
        case ["-m", name, *rest]:
            sys.argv = [name, *rest]
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.argv, sys.path[0] = ["-c", *rest], ""
            run_code(code)
        case [script, *rest]:
            sys.argv, sys.path[0] = [script, *rest], os.path.dirname(os.path.abspath(script))
            runpy.run_path(script, run_name="__main__")
    return None


if __name__ == "__main__":
    from chainrule.__main__ import main  # the one whose `Installed` another process finds under that name

    sys.exit(main(sys.argv[1:]))
