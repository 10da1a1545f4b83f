"""`python -m chainrule`: what a program that says `import torch` finds, and that all else is as when Python runs it."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
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
    rooms = ("chainrule.nn", "chainrule.nn.functional", "chainrule.vision")
    assert said.split() == ["torch", "chainrule", *[word for name in rooms for word in (name, name)]]


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


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_workers_of_a_loader_see_the_same_names(start, tmp_path):
    (tmp_path / "script.py").write_text(code("""
        import sys
        import torch
        from torch.utils.data import DataLoader, Dataset

        assert torch.__file__.endswith("chainrule/__init__.py"), torch

        class Squares(Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, i):
                import torch.nn.functional as F
                return F.relu(torch.tensor(float(i * i)))

        if __name__ == "__main__":
            print([batch.tolist() for batch in DataLoader(Squares(), batch_size=4, num_workers=2, multiprocessing_context=sys.argv[1])])
    """))  # fmt: skip
    assert printed(tmp_path / "script.py", start) == "[[0.0, 1.0, 4.0, 9.0], [16.0, 25.0, 36.0, 49.0]]\n"


def test_processes_of_torch_multiprocessing(tmp_path):
    (tmp_path / "script.py").write_text(code("""
        import torch
        import torch.multiprocessing as mp

        def work(rank, weights):
            assert torch.__file__.endswith("chainrule/__init__.py")
            if weights.sum() != 3:
                raise SystemExit(rank + 5)

        if __name__ == "__main__":
            mp.spawn(work, args=(torch.ones(3),), nprocs=2)
            try:
                mp.spawn(work, args=(torch.ones(2),), nprocs=1)
            except RuntimeError as error:
                print(error)
    """))  # fmt: skip
    assert printed(tmp_path / "script.py") == "process 0 terminated with exit code 5\n"


def test_traceback_begins_with_the_program(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import torch\n\ndef f(x):\n    return x @ torch.ones(3)\n\nf(torch.ones(2))\n")
    said = run(script).stderr
    first = f'Traceback (most recent call last):\n  File "{script}", line 6, in <module>\n    f(torch.ones(2))\n'
    assert said.startswith(first + f'  File "{script}", line 4, in f')
    script.write_text("x = (\n")
    assert run(script).stderr.startswith(f'  File "{script}", line 1\n')


def test_version_is_that_of_the_interface():
    said = printed("-c", code("""
        import torch
        from packaging.version import parse
        v = torch.__version__
        print(v.split("+")[0], v >= "2.9", v > "2.13.1", v < (3, 0), v == torch.version.__version__, parse(v) >= parse("2.0"))
        print([int(n) for n in v.split("+")[0].split(".")], torch.version.cuda)
    """))  # fmt: skip
    assert said == f"{torch.__version__.split('+')[0]} True False True True True\n[2, 13, 0] None\n"


EINOPS = """
    import torch
    from einops import einsum, pack, rearrange, reduce, repeat
    from einops.layers.torch import EinMix, Rearrange, Reduce
    torch.manual_seed(0)
    x = torch.arange(24.0).view(2, 3, 4).requires_grad_()
    print(rearrange(x, "b c d -> (b c) d").shape, reduce(x, "b c d -> b", "mean").tolist(), repeat(x, "b c d -> b c d k", k=2).shape)
    print(einsum(x, x, "b c d, b c d -> b").tolist(), reduce(x, "b c d -> c", "max").tolist(), pack([x, x], "* c d")[0].shape)
    net = torch.nn.Sequential(Rearrange("b c d -> b (c d)"), torch.nn.Linear(12, 2), Reduce("b k -> b", "sum"))
    net(x).sum().backward()
    print(net, net(x).tolist(), x.grad.sum().item())
    mix = EinMix("b c d -> b c e", weight_shape="d e", bias_shape="e", d=4, e=5)
    print(mix, mix(x).shape)
"""


def test_einops():
    """A package that supports PyTorch by its names supports this, too."""
    ours = printed("-c", code(EINOPS))
    theirs = subprocess.run([sys.executable, "-c", code(EINOPS)], capture_output=True, text=True, check=True).stdout
    assert ours.count("\n") == theirs.count("\n") > 5
    number = re.compile(r"-?\d+\.\d+")
    assert number.sub("#", ours) == number.sub("#", theirs)
    assert [float(n) for n in number.findall(ours)] == pytest.approx([float(n) for n in number.findall(theirs)], rel=1e-5)


def test_private_names_that_packages_ask_for():
    assert printed("-c", code("""
        import sys, torch
        from torch.distributed.optim import ZeroRedundancyOptimizer
        from torch.distributed.tensor import DTensor
        from torch.utils.data._utils.collate import default_collate
        from torch.utils.data.dataloader import _DatasetKind
        torch._C._log_api_usage_once("a package")
        torch._dynamo.config.suppress_errors = True
        layer = torch._dynamo.disable(torch.nn.Linear(1, 1))
        torch._dynamo.reset()
        print(isinstance(layer.weight, DTensor), isinstance(layer, torch.jit.ScriptModule), default_collate([1, 2]), _DatasetKind.Map)
        print(sys.getsizeof(torch.zeros(1000).untyped_storage()) - sys.getsizeof(torch.zeros(10).untyped_storage()))
        class Old(torch.jit.ScriptModule):
            pass
        print(Old().original_name)
        for make in (lambda: DTensor(), lambda: ZeroRedundancyOptimizer([], torch.optim.SGD)):
            try:
                make()
            except ValueError as error:
                print(error)
    """)) == "False False tensor([1, 2]) 0\n3960\nOld\n" + 2 * (
        "Default process group has not been initialized, please make sure to call init_process_group.\n"
    )  # fmt: skip
