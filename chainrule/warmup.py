"""Compile every kernel now, so that no later call waits for it: `python -m chainrule.warmup`.

The compiled code is kept on disk, in the user's cache folder or NUMBA_CACHE_DIR.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm


def stated() -> list[tuple[Any, str]]:
    """Every compiled kernel with each of the types that it is stated for."""
    for room in sorted(p.stem for p in (Path(__file__).parent / "kernels").glob("*_numba.py")):
        import_module(f"chainrule.kernels.{room}")
    from chainrule.kernels.compile_numba import STATED

    return [(compiled, types) for compiled, signatures in STATED for types in signatures]


def warm_up() -> None:
    """Compile all kernels for all types that they are stated for."""
    jobs = stated()
    from chainrule.kernels.compile_numba import Notice

    Notice.said = True
    for compiled, types in tqdm(jobs, desc="chainrule: compiling kernels", unit="kernel"):
        compiled.compile(types)


if __name__ == "__main__":
    warm_up()
