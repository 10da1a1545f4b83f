"""Compiled kernels are found again by the next process, wherever that may write, and can all be compiled beforehand."""

import os
import subprocess
import sys

import pytest

from chainrule import warmup

STEP = """
import chainrule
x = chainrule.ones(100, 200)
print(float(chainrule.nn.functional.softmax(x, 1).sum().round(decimals=3)))
"""
NOTICE = "chainrule: compiling kernels, once"


def run(folder):
    return subprocess.run(
        [sys.executable, "-c", STEP], env={**os.environ, "NUMBA_CACHE_DIR": str(folder)}, capture_output=True, text=True, check=True
    )


def test_the_next_process_finds_what_one_compiled(tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert first.stdout == second.stdout == "100.0\n"
    assert first.stderr.count(NOTICE) == 1  # said once, however many are compiled
    assert second.stderr == ""
    assert list(tmp_path.rglob("*.nbi"))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder where nobody can write")
def test_kernels_work_where_nothing_can_be_written():
    assert run("/proc/self/nowhere").stdout == "100.0\n"


def test_nothing_is_compiled_at_import():
    code = "import sys, chainrule; chainrule.ones(8, 8).softmax(1); print(sorted({'numba', 'scipy'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_warm_up_compiles_all_that_is_stated_with_a_progress_bar(monkeypatch, capsys):
    compiled = []

    class Kernel:
        def compile(self, types):
            compiled.append(types)

    monkeypatch.setattr(warmup, "stated", lambda: [(Kernel(), types) for types in ("(f4,)", "(f8,)", "(i8,)")])
    warmup.warm_up()
    assert compiled == ["(f4,)", "(f8,)", "(i8,)"]
    shown = capsys.readouterr().err
    assert "chainrule: compiling kernels" in shown and "3/3" in shown


def test_every_kernel_says_what_the_warm_up_compiles():
    jobs = warmup.stated()
    from chainrule.kernels.compile_numba import STATED

    assert {id(kernel) for kernel, _ in jobs} == {id(kernel) for kernel, _ in STATED}
    assert {"softmax", "lstm", "adam", "attend"} <= {kernel.py_func.__name__ for kernel, _ in jobs}
