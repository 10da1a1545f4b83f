"""Training scripts in the style that people write for PyTorch print the same under `python script` and `python -m chainrule script`."""

import io
import multiprocessing
import os
import re
import runpy
import subprocess
import sys
import traceback
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).parent / "scripts"
ROOT = Path(__file__).parent.parent
ARGUMENTS = {"mnist_cnn": [str(ROOT / "chainrule" / "vision" / "_data" / "digits.npz")]}
multiprocessing.set_forkserver_preload(["torch", "test_scripts"])
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?(?!\w)")


def under_chainrule(script, arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "chainrule", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_main(script, arguments, pipe):
    out = io.StringIO()
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        with redirect_stdout(out):
            runpy.run_path(str(script), run_name="__main__")
    except BaseException:
        pipe.send(traceback.format_exc())
        raise
    pipe.send(out.getvalue())


def under_pytorch(script, arguments):
    """In a process forked off one that has only imported PyTorch: its settings die with it, and it has no threads to lose."""
    context = multiprocessing.get_context("forkserver")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=run_main, args=(script, arguments, theirs))
    process.start()
    theirs.close()
    said = mine.recv()
    process.join()
    assert process.exitcode == 0, said
    return said


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_script_prints_what_it_prints_under_pytorch(script):
    """The same text, and the same numbers to four digits."""
    arguments = ARGUMENTS.get(script.stem, [])
    ours, theirs = (re.sub(r"0x[0-9a-f]+", "0x", run(script, arguments)) for run in (under_chainrule, under_pytorch))
    assert NUMBER.sub("#", ours).replace("chainrule", "torch") == NUMBER.sub("#", theirs)
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (ours, theirs)]
    assert len(numbers[1]) >= 10
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4, abs=1e-6)
