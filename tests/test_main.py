"""`python -m chainrule`: what a program that says `import torch` finds, and that all else is as when Python runs it."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import torch


def run(*arguments, **options):
    """`python -m chainrule` in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "chainrule", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, **options)


def printed(*arguments, **options):
    done = run(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


# The names


def code(text):
    return textwrap.dedent(text)


def test_modules_are_the_same_objects():
    said = printed("-c", code("""
        import torch, torchvision, torch.optim as optim, torch.nn as nn
        import torch.nn.functional as F
        from torch.utils.data import DataLoader
        from torch.optim.lr_scheduler import StepLR
        from torchvision.models import resnet18
        import chainrule, chainrule.vision
        assert torch is chainrule and nn is chainrule.nn and optim is chainrule.optim and torchvision is chainrule.vision
        assert F is chainrule.nn.functional and torch.nn.functional is F
        assert DataLoader is chainrule.utils.data.DataLoader and resnet18 is chainrule.vision.models.resnet18
        assert StepLR is chainrule.optim.lr_scheduler.StepLR
        for module in (torch, nn, F, torchvision):
            print(module.__name__, module.__spec__.name)
    """))  # fmt: skip
    assert said.split() == [w for n in ("chainrule", "chainrule.nn", "chainrule.nn.functional", "chainrule.vision") for w in (n, n)]


def test_what_is_missing_is_said_under_the_name_that_was_asked():
    said = printed("-c", code("""
        from importlib.util import find_spec
        print(find_spec("torch.no_such_module"))
        for line in ("import torch.no_such_module", "from torch.nn.no_such import x", "import torch_no_such"):
            try:
                exec(line)
            except ModuleNotFoundError as error:
                print(error)
        try:
            from torch import no_such_name
        except ImportError as error:
            print(type(error).__name__)
    """))  # fmt: skip
    assert said.splitlines() == [
        "None", "No module named 'torch.no_such_module'", "No module named 'torch.nn.no_such'", "No module named 'torch_no_such'",
        "ImportError",
    ]  # fmt: skip


def test_other_processes_are_left_alone():
    """Nothing is written down: a child without `-m chainrule` finds what is installed as torch."""
    said = printed("-c", code("""
        import subprocess, sys, torch
        child = "import importlib.util; print(importlib.util.find_spec('torch').origin)"
        print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
    """))  # fmt: skip
    assert Path(said.strip()) == Path(torch.__file__)


# The program's surroundings


def test_script_has_its_own_argv_path_and_main(tmp_path):
    (tmp_path / "beside.py").write_text("import torch\nvalue = torch.ones(2).sum().item()\n")
    (tmp_path / "script.py").write_text(code("""
        import os, pickle, sys
        import beside, torch

        class Net(torch.nn.Linear):
            pass

        print(sys.argv, __name__, os.path.basename(__file__), beside.value, sys.path[0] == os.path.dirname(os.path.abspath(__file__)))
        print(type(pickle.loads(pickle.dumps(Net(1, 1)))) is Net)
    """))  # fmt: skip
    said = printed("script.py", "--lr", "1", "-c", cwd=tmp_path)
    assert said.splitlines() == ["['script.py', '--lr', '1', '-c'] __main__ script.py 2.0 True", "True"]


def test_module(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "part.py").write_text("import torch\nsize = 3\n")
    (tmp_path / "package" / "train.py").write_text(
        "import sys\nfrom . import part\nimport torch\nprint(torch.ones(part.size), sys.argv[1:], __name__, __package__)\n"
    )
    assert printed("-m", "package.train", "-x", cwd=tmp_path) == "tensor([1., 1., 1.]) ['-x'] __main__ package\n"


def test_code():
    said = printed("-c", "import sys, torch; print(sys.argv, sys.path[0] == '', __name__, torch.ones(1))", "a")
    assert said == "['-c', 'a'] True __main__ tensor([1.])\n"


def test_exit_status_and_errors(tmp_path):
    assert run("-c", "import sys; sys.exit(3)").returncode == 3
    failed = run("-c", "import torch; torch.ones(2) @ torch.ones(3)")
    assert failed.returncode == 1 and failed.stderr.splitlines()[-1].startswith("RuntimeError: inconsistent tensor size")
    missing = run(tmp_path / "none.py")
    assert missing.returncode == 2 and "can't open file" in missing.stderr
    for arguments, status in (([], 2), (["--no-such"], 2), (["--help"], 0)):
        done = run(*arguments)
        assert done.returncode == status and done.stderr.startswith("usage: python -m chainrule")


def test_workers_of_a_loader_see_the_same_names(tmp_path):
    (tmp_path / "script.py").write_text(code("""
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Squares(Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, i):
                import torch.nn.functional as F
                return F.relu(torch.tensor(float(i * i)))

        if __name__ == "__main__":
            print([batch.tolist() for batch in DataLoader(Squares(), batch_size=4, num_workers=2)])
    """))  # fmt: skip
    assert printed(tmp_path / "script.py") == "[[0.0, 1.0, 4.0, 9.0], [16.0, 25.0, 36.0, 49.0]]\n"
