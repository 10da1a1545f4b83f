"""The examples run, and print what PyTorch prints when the import is the only line that changes."""

import io
import re
import types
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parent.parent / "examples"
RESNET = Path(__file__).parent.parent / "chainrule" / "vision" / "models" / "resnet.py"
EXACT = ["one_layer", "jacobian_products", "leaves", "graph_walk"]
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?")


def printed(source, **names):
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(source, "example", "exec"), {"__name__": "__main__", **names})
    return re.sub(r"0x[0-9a-f]+", "0x", out.getvalue())


def in_pytorch(source):
    """The same program on PyTorch; its ResNet is ours, line by line, over torch.nn."""
    changed = source.replace("import chainrule as torch\n", "import torch\n").replace("from chainrule import vision as torchvision\n", "")
    assert "chainrule" not in changed
    return changed


def torchvision():
    source = RESNET.read_text().replace("chainrule.nn", "torch.nn").replace("from chainrule import", "from torch import")
    models = types.ModuleType("models")
    exec(source.replace("chainrule.tensor", "torch"), models.__dict__)
    return types.SimpleNamespace(models=models)


@pytest.mark.parametrize("name", EXACT)
def test_prints_what_pytorch_prints(name):
    source = (EXAMPLES / f"{name}.py").read_text()
    ours, reference = printed(source), printed(in_pytorch(source))
    assert ours == reference and reference.count("\n") > 10


def test_resnet_step():
    source = (EXAMPLES / "resnet_step.py").read_text()
    ours, reference = printed(source), printed(in_pytorch(source), torchvision=torchvision())
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", reference)
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (ours, reference)]
    assert len(numbers[0]) > 5 and numbers[0] == pytest.approx(numbers[1], rel=1e-4)


def test_resnets_have_the_published_parameters():
    """Parameter counts as published, and the names that weight files use."""
    import chainrule

    counts = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}
    for name, count in counts.items():
        model = getattr(chainrule.vision.models, name)()
        state = model.state_dict()
        assert sum(p.numel() for p in model.parameters()) == count
        names = {"conv1.weight", "bn1.running_mean", "layer2.0.downsample.1.num_batches_tracked", "layer4.1.bn2.weight", "fc.bias"}
        assert names <= set(state)


def test_weights_of_a_pytorch_resnet_load():
    import chainrule

    torch.manual_seed(0)
    theirs = torchvision().models.resnet18(num_classes=7).eval()
    ours = chainrule.vision.models.resnet18(num_classes=7).eval()
    ours.load_state_dict({k: chainrule.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(torch.tensor(ours(chainrule.tensor(x.numpy())).detach().numpy()), theirs(x).detach(), rtol=1e-4, atol=1e-5)
