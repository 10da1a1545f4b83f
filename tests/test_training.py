"""The training code of the examples gives the same loss, step for step, under chainrule and under PyTorch."""

import io
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import chainrule

ROOT = Path(__file__).parent.parent
LIBRARIES = {"chainrule": chainrule, "torch": torch}
STEPS = 20


def loaded(path, library, **names):
    """The names that a file of ours defines, its own imports read as imports of a library."""
    source = (ROOT / path).read_text()
    if library == "torch":
        for ours in ("vision.datasets", "vision.models.weights"):
            source = source.replace(f"from chainrule.{ours} import", f"from CHAINRULE.{ours} import")
        source = source.replace("from chainrule.vision.models import resnet18\n", "").replace("import chainrule as torch", "import torch")
        source = source.replace("from chainrule", "from torch").replace("CHAINRULE", "chainrule")
        source = source.replace("from torch.tensor import", "from torch import")
    made = {"__name__": path, **names}
    exec(compile(source, path, "exec"), made)
    return SimpleNamespace(**made)


def agree(losses):
    """The losses of the two libraries, `STEPS` of each, to four digits."""
    ours, theirs = (list(islice(losses(name), STEPS)) for name in LIBRARIES)
    assert len(ours) == STEPS and ours[-1] < ours[0]
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_char_gpt():
    def losses(name):
        example, library = loaded("examples/char_gpt.py", name), LIBRARIES[name]
        library.manual_seed(0)
        text = example.read(20_000)
        letters = sorted(set(text))
        data = library.tensor([letters.index(c) for c in text])
        return example.train(example.GPT(len(letters)), data, STEPS)

    agree(losses)


def test_lstm():
    """Which letter comes next, by two layers of LSTM with dropout between, gradients clipped and the rate falling."""

    def losses(name):
        lib, example = LIBRARIES[name], loaded("examples/char_gpt.py", name)
        nn, letters = lib.nn, sorted(set(text := example.read(2000)))
        lib.manual_seed(0)
        embedding, lstm = nn.Embedding(len(letters), 32), nn.LSTM(32, 64, 2, batch_first=True, dropout=0.2)
        out = nn.Linear(64, len(letters))
        parts = nn.ModuleList([embedding, lstm, out])
        optimizer = lib.optim.Adam(parts.parameters(), 0.01)
        scheduler = lib.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        data = lib.tensor([letters.index(c) for c in text])
        for _ in range(STEPS):
            starts = lib.randint(len(data) - 33, (8,))
            x = lib.stack([data[i : i + 32] for i in starts])
            y = lib.stack([data[i + 1 : i + 33] for i in starts])
            scores, _ = lstm(embedding(x))
            loss = nn.functional.cross_entropy(out(scores).flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parts.parameters(), 0.5)
            optimizer.step()
            scheduler.step()
            yield loss.item()

    agree(losses)


def finetuning(name):
    """The example, a ResNet-18 for it, and its data."""
    resnet18 = loaded("chainrule/vision/models/resnet.py", name).resnet18
    example = loaded("examples/finetune.py", name, resnet18=resnet18)
    if name == "torch":
        own = example.Digits
        example.pictures.__globals__["Digits"] = lambda train: SimpleNamespace(
            data=torch.from_numpy(own(train).data.numpy()), targets=torch.from_numpy(own(train).targets.numpy())
        )
    example.train.__globals__.update(SIDE=16, BATCH=16)  # a sixteenth of the work
    LIBRARIES[name].manual_seed(0)
    return example, example.resnet18(num_classes=5)


def from_one_start(name, dtype, lr, trunk):
    """Losses from PyTorch's first weights and pictures, to the bit: a ResNet that starts to learn triples a difference at every step."""
    example, model = finetuning("torch")
    pictures = example.pictures(True, range(2)).tensors[0].numpy()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    example, model = finetuning(name)
    library = LIBRARIES[name]
    model.load_state_dict(library.load(file))
    model.to(dtype=getattr(library, dtype))
    data = example.pictures(True, range(2))
    data.tensors = library.tensor(pictures).to(getattr(library, dtype)), data.tensors[1]
    library.manual_seed(1)
    return example.train(model, data, 5, lr, trunk)


def test_finetuning_all_layers():
    agree(lambda name: from_one_start(name, "float64", 0.01, trunk=True))


def test_finetuning_all_layers_but_the_statistics():
    agree(lambda name: from_one_start(name, "float32", 1e-4, trunk=False))


def test_finetuning_last_layer():
    def losses(name):
        example, model = finetuning(name)
        return example.train(example.freeze(model, 5), example.pictures(True, range(5, 10)), 2, 0.05, trunk=False)

    agree(losses)
