"""Checkpoints: files made by PyTorch load here, ours load there, and hostile or broken files are refused."""

import contextlib
import io
import os
import pickle
import re
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import chainrule

LAYOUTS = {
    "parameter": torch.nn.Parameter(torch.rand(2, 3)),
    "bfloat16": torch.randn(3).bfloat16(),
    "strided": torch.arange(10.0)[2:8:2],
    "transposed": torch.rand(2, 3).t(),
    "expanded": torch.rand(3, 1).expand(3, 4),
    "complex": torch.randn(2, dtype=torch.complex64),
    "empty": torch.empty(0, 3),
    "scalar": torch.tensor(3),
    "bool": torch.tensor([True, False]),
    "leaf": torch.rand(2, requires_grad=True),
    "half": torch.rand(2).half(),
}
PLAIN = {
    "size": torch.Size([1, 2]), "dtype": torch.float32, "device": torch.device("cpu"),
    "list": [1, 2.5, None, True, "z", (1,), {1}, 2**70, 1j],
}  # fmt: skip


def network():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


def bytes_of(obj, library=torch, **options):
    file = io.BytesIO()
    library.save(obj, file, **options)
    return file.getvalue()


def values(t):
    array = t.detach()
    return array.float().numpy() if str(t.dtype) == "torch.bfloat16" else array.numpy()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream of old"])
def test_files_of_pytorch_load(zipped):
    obj = {**LAYOUTS, **PLAIN, "state": network().state_dict()}
    got = chainrule.load(io.BytesIO(bytes_of(obj, _use_new_zipfile_serialization=zipped)))
    for name, expected in LAYOUTS.items():
        t = got[name]
        assert (str(t.dtype), tuple(t.shape), t.stride(), t.requires_grad) == (
            str(expected.dtype), tuple(expected.shape), expected.stride(), expected.requires_grad,
        ), name  # fmt: skip
        np.testing.assert_array_equal(values(t), values(expected), err_msg=name)
    assert isinstance(got["parameter"], chainrule.nn.Parameter)
    assert repr({k: got[k] for k in PLAIN}) == repr(PLAIN)
    assert got["state"]._metadata == obj["state"]._metadata
    assert list(got["state"]) == list(obj["state"])


def test_our_files_load_in_pytorch(tmp_path):
    mine = chainrule.load(io.BytesIO(bytes_of({**LAYOUTS, **PLAIN})))
    path = tmp_path / "model.pt"
    chainrule.save(mine, path)
    got = torch.load(path)
    for name, expected in LAYOUTS.items():
        assert got[name].dtype == expected.dtype and got[name].stride() == expected.stride(), name
        assert torch.equal(got[name], expected), name
    assert type(got["parameter"]) is torch.nn.Parameter
    assert {k: got[k] for k in PLAIN} == PLAIN
    assert os.listdir(tmp_path) == ["model.pt"]


def test_state_dict_both_ways():
    model = network()
    ours = chainrule.nn.Sequential(chainrule.nn.Linear(2, 3), chainrule.nn.BatchNorm1d(3))
    assert str(ours.load_state_dict(chainrule.load(io.BytesIO(bytes_of(model.state_dict()))))) == "<All keys matched successfully>"
    back = torch.load(io.BytesIO(bytes_of(ours.state_dict(), chainrule)))
    assert back._metadata == model.state_dict()._metadata
    for name, value in model.state_dict().items():
        assert torch.equal(back[name], value)


@pytest.mark.parametrize(("writer", "reader"), [(torch, chainrule), (chainrule, torch), (chainrule, chainrule)])
def test_shared_memory_stays_shared(writer, reader):
    x = writer.zeros(4)
    got = reader.load(io.BytesIO(bytes_of([x, x[1:3], x], writer)))
    got[1].fill_(7)
    assert got[0].tolist() == got[2].tolist() == [0, 7, 7, 0]


class Evil:
    def __reduce__(self):
        return os.putenv, ("HACKED", "1")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream of old"])
def test_code_is_refused(zipped):
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        chainrule.load(io.BytesIO(bytes_of({"x": Evil()}, _use_new_zipfile_serialization=zipped)))
    assert "HACKED" not in os.environ


class Settings:
    def __init__(self):
        self.rate = 0.1


def test_safe_globals():
    data = bytes_of(Settings(), chainrule)
    with pytest.raises(pickle.UnpicklingError, match="Settings"):
        chainrule.load(io.BytesIO(data))
    with chainrule.serialization.safe_globals([Settings]):
        assert chainrule.load(io.BytesIO(data)).rate == 0.1
    assert chainrule.serialization.get_safe_globals() == []
    assert chainrule.load(io.BytesIO(data), weights_only=False).rate == 0.1


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream of old"])
def test_cut_files_are_refused(share, zipped):
    data = bytes_of({"w": torch.rand(50)}, _use_new_zipfile_serialization=zipped)
    with pytest.raises((EOFError, RuntimeError, pickle.UnpicklingError)):
        chainrule.load(io.BytesIO(data[: int(share * len(data))]))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream of old"])
def test_damaged_pickles_are_refused_or_read(zipped):
    """Whatever bytes the pickle has, the outcome is data or one of the errors for a damaged file, and no torn-open memory."""
    if zipped:
        source = io.BytesIO(bytes_of({"a": torch.rand(4), "b": [torch.rand(2, 2).t()], "m": network().state_dict()}))
        with zipfile.ZipFile(source) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
        name = next(n for n in records if n.endswith("data.pkl"))
        data = records[name]
    else:
        data = bytes_of({"a": torch.rand(4), "b": [torch.rand(2, 2).t()]}, _use_new_zipfile_serialization=False)
    rng = np.random.default_rng(5)
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            broken[rng.integers(len(broken))] = rng.integers(256)
        file = io.BytesIO()
        if zipped:
            with zipfile.ZipFile(file, "w") as archive:
                for record, content in records.items():
                    archive.writestr(record, bytes(broken) if record == name else content)
            file.seek(0)
        else:
            file = io.BytesIO(bytes(broken))
        with contextlib.suppress(EOFError, RuntimeError, pickle.UnpicklingError):
            chainrule.load(file)


def test_a_tensor_cannot_look_beyond_its_storage():
    from chainrule.serialization.loading import rebuild_tensor

    memory = np.zeros(4, np.float32)
    beyond = (0, (5,), (1,)), (2, (2, 2), (1, 2)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (2,), ()), (0, (2**62, 2**62), (0, 1))
    for offset, size, stride in beyond:
        with pytest.raises((RuntimeError, ValueError)):
            rebuild_tensor(memory, offset, size, stride)


def test_a_crash_leaves_the_old_file(tmp_path):
    path = tmp_path / "w.pt"
    chainrule.save([1], path)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        chainrule.save([lambda: 1], path)
    assert chainrule.load(path) == [1] and os.listdir(tmp_path) == ["w.pt"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda m: m.load("/nowhere/x.pt"), FileNotFoundError), (lambda m: m.save({}, "/nowhere/x.pt"), RuntimeError),
        (lambda m: m.save({}, 3), AttributeError), (lambda m: m.load(3), AttributeError), (lambda m: m.load(io.BytesIO(b"")), EOFError),
    ],
)  # fmt: skip
def test_misuse(call, error):
    for library in (torch, chainrule):
        with pytest.raises(error):
            call(library)


# Whole modules


MODULES = {
    "Linear": lambda nn: nn.Linear(4, 3), "MultiheadAttention": lambda nn: nn.MultiheadAttention(4, 2), "LSTM": lambda nn: nn.LSTM(4, 5, 2),
    "GRU": lambda nn: nn.GRU(4, 5, bidirectional=True), "RNN": lambda nn: nn.RNN(4, 5, nonlinearity="relu"),
    "LSTMCell": lambda nn: nn.LSTMCell(4, 5), "Embedding": lambda nn: nn.Embedding(9, 3, padding_idx=0),
    "EmbeddingBag": lambda nn: nn.EmbeddingBag(9, 3), "TransformerEncoderLayer": lambda nn: nn.TransformerEncoderLayer(4, 2, 8),
    "gelu encoder": lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, activation=nn.functional.gelu), 2, None, False),
    "convolutions": lambda nn: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(4), nn.PReLU(4), nn.MaxPool2d(2),
        nn.InstanceNorm2d(4, affine=True), nn.ConvTranspose2d(4, 2, 2), nn.Upsample(scale_factor=2), nn.GroupNorm(2, 2),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LazyLinear(3),
    ),
    "activations": lambda nn: nn.Sequential(
        nn.GELU("tanh"), nn.SiLU(), nn.Softplus(2), nn.ELU(), nn.Hardtanh(), nn.Threshold(0.1, 0.2), nn.LogSoftmax(-1), nn.Identity()
    ),
    "norms": lambda nn: nn.Sequential(nn.LayerNorm(4), nn.RMSNorm(4), nn.Dropout(0.2), nn.Tanh()),
    "containers": lambda nn: nn.ModuleDict({"a": nn.ModuleList([nn.Linear(2, 2)]), "b": nn.ParameterList([nn.Linear(1, 2).weight])}),
    "ParameterDict": lambda nn: nn.ParameterDict({"a": nn.Linear(2, 2).weight}),
    "DataParallel": lambda nn: nn.DataParallel(nn.Linear(4, 3)),
    "losses": lambda nn: nn.ModuleList([nn.CrossEntropyLoss(label_smoothing=0.1), nn.CTCLoss(), nn.HuberLoss()]),
    "spectral norm": lambda nn: nn.utils.spectral_norm(nn.Linear(4, 3)),
}  # fmt: skip
INPUTS = {"LSTM": (3, 2, 4), "GRU": (3, 2, 4), "RNN": (3, 2, 4), "Embedding": None, "EmbeddingBag": None, "containers": None,
          "losses": None,
          "ParameterDict": None, "convolutions": (2, 1, 6, 6), "MultiheadAttention": None, "gelu encoder": (3, 2, 4),
          "TransformerEncoderLayer": (3, 2, 4)}  # fmt: skip


@pytest.mark.parametrize(("writer", "reader"), [(torch, chainrule), (chainrule, torch), (chainrule, chainrule)])
@pytest.mark.parametrize("name", MODULES)
def test_whole_modules(name, writer, reader):
    """A pickled network arrives as the reader's own classes, computes the same and can be trained on."""
    shape = INPUTS.get(name, (2, 4))
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) if shape else None
    model = MODULES[name](writer.nn)
    if shape:
        model(writer.from_numpy(x))
    model.eval()
    got = reader.load(io.BytesIO(bytes_of(model, writer)), weights_only=False)
    assert all(type(m).__module__.startswith(reader.__name__) for m in got.modules()) and repr(got) == repr(model)
    assert list(got.state_dict()) == list(model.state_dict())
    if shape:
        first = lambda y: y[0] if isinstance(y, tuple) else y
        expected = first(model(writer.from_numpy(x))).detach().numpy()
        np.testing.assert_allclose(first(got(reader.from_numpy(x))).detach().numpy(), expected, atol=1e-5)
        y = first(got.train()(reader.from_numpy(x)))
        if y.requires_grad:
            y.sum().backward()
            assert any(p.grad is not None for p in got.parameters())


def test_names_are_those_of_pytorch():
    """Every class and function that a pickle may name is found there under the name that is written."""
    from importlib import import_module
    from types import FunctionType

    from chainrule.serialization.names import theirs

    rooms = ("nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "nn.utils.prune", "optim", "optim.lr_scheduler", "utils.data")
    checked = 0
    for room in rooms:
        for name, thing in vars(import_module(f"chainrule.{room}")).items():
            there = getattr(import_module(f"torch.{room}"), name, None)
            if there is None or name.startswith("_") or not isinstance(thing, (type, FunctionType)) or (place := theirs(thing)) is None:
                continue
            found = import_module(place[0])
            for part in place[1].split("."):
                found = getattr(found, part)
            assert found is there, (room, name, place)
            assert not isinstance(thing, type) or place == (there.__module__, there.__qualname__), (name, place)
            checked += 1
    assert checked > 400


@pytest.mark.parametrize(("writer", "reader"), [(torch, chainrule), (chainrule, torch), (chainrule, chainrule)])
def test_functions_and_attributes(writer, reader):
    """Functions travel by name; a tensor keeps the attributes that it was given."""
    t, p = writer.ones(2), writer.nn.Parameter(writer.zeros(2))
    t.note, p.note = "mine", [1]
    functions = [writer.relu, writer.nn.functional.gelu, writer.nn.functional.cross_entropy, writer.nn.init.xavier_uniform_, writer.add]
    got = reader.load(io.BytesIO(bytes_of([t, p, functions, writer.strided], writer)), weights_only=False)
    assert got[0].note == "mine" and got[1].note == [1] and isinstance(got[1], reader.nn.Parameter)
    x = reader.tensor([-1.0, 2.0])
    assert got[2][0](x).tolist() == [0, 2] and got[2][1](x).tolist() == reader.nn.functional.gelu(x).tolist()
    assert got[3] is reader.strided and got[2][3] is reader.nn.init.xavier_uniform_ and got[2][4](x, x).tolist() == [-2, 4]
    plain = reader.load(io.BytesIO(bytes_of([t, p], writer)))
    assert plain[0].note == "mine" and plain[1].note == [1]


def test_attributes_cannot_replace_what_a_tensor_is_made_of():
    class Loose:
        def __reduce__(self):
            from torch._tensor import _rebuild_from_type_v2
            from torch._utils import _rebuild_tensor_v2

            storage = torch.ones(1).untyped_storage()
            typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
            return _rebuild_from_type_v2, (_rebuild_tensor_v2, torch.Tensor, (typed, 0, (1,), (1,), False, {}), {"_data": "broken"})

    with pytest.raises(pickle.UnpicklingError, match="no attribute '_data' to set"):
        chainrule.load(io.BytesIO(bytes_of(Loose())))


# safetensors


SAFE = {
    "a": torch.arange(6.0).view(2, 3), "bfloat16": torch.tensor([1.5, -2]).bfloat16(), "int": torch.tensor([1, -2]),
    "empty": torch.empty(0, 3),
    "scalar": torch.tensor(2.5), "bool": torch.tensor([True, False]), "half": torch.tensor([0.5]).half(),
    "byte": torch.tensor([7], dtype=torch.uint8),
    "double": torch.tensor([0.1], dtype=torch.double), "uint16": torch.tensor([9], dtype=torch.uint16), "complex": torch.tensor([1 + 2j]),
}  # fmt: skip


def test_safetensors_both_ways(tmp_path):
    from safetensors import safe_open, torch as theirs

    from chainrule.utils import safetensors as ours

    theirs.save_file(SAFE, tmp_path / "theirs", metadata={"format": "pt"})
    for got in (ours.load_file(tmp_path / "theirs"), ours.load((tmp_path / "theirs").read_bytes())):
        assert {k: (str(t.dtype), tuple(t.shape), t.tolist()) for k, t in got.items()} == {
            k: (str(t.dtype), tuple(t.shape), t.tolist()) for k, t in SAFE.items()
        }
        got["a"].add_(1)  # its memory is its own
    ours.save_file(ours.load_file(tmp_path / "theirs"), tmp_path / "ours", metadata={"format": "pt", "step": "3"})
    assert ours.load(ours.save({"x": chainrule.ones(2)}))["x"].tolist() == [1, 1]
    back = theirs.load_file(tmp_path / "ours")
    assert back.keys() == SAFE.keys() and all(torch.equal(back[k], SAFE[k]) and back[k].dtype == SAFE[k].dtype for k in SAFE)
    with safe_open(tmp_path / "ours", framework="np") as file:
        assert file.metadata() == {"format": "pt", "step": "3"}


def test_safetensors_of_a_model_with_tied_weights(tmp_path):
    from safetensors import torch as theirs

    from chainrule.utils import safetensors as ours

    def tied(nn):
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[1].weight = model[0].weight
        return model

    model, other = tied(chainrule.nn), tied(torch.nn)
    ours.save_model(model, str(tmp_path / "x"))
    assert theirs.load_model(other, str(tmp_path / "x")) == (set(), [])
    assert other[0].weight.tolist() == model[0].weight.tolist() and other[1].bias.tolist() == model[1].bias.tolist()
    theirs.save_model(other, str(tmp_path / "y"))
    fresh = tied(chainrule.nn)
    assert ours.load_model(fresh, tmp_path / "y") == (set(), [])
    assert fresh[1].weight is fresh[0].weight and fresh[0].weight.tolist() == other[0].weight.tolist()
    for library, save, load in ((chainrule, ours.save_model, ours.load_model), (torch, theirs.save_model, theirs.load_model)):
        save(library.nn.Linear(3, 3), str(tmp_path / "z"))
        wide = library.nn.Sequential(library.nn.Linear(3, 3))
        with pytest.raises(RuntimeError) as raised:
            load(wide, str(tmp_path / "z"))
        assert str(raised.value).splitlines() == [
            "Error(s) in loading state_dict for Sequential:", '    Missing key(s) in state_dict: "0.bias", "0.weight"',
            '    Unexpected key(s) in state_dict: "bias", "weight"',
        ]  # fmt: skip
        assert load(wide, str(tmp_path / "z"), strict=False) == ({"0.bias", "0.weight"}, ["bias", "weight"])


@pytest.mark.parametrize(
    "make",
    [
        lambda t: {"a": t.ones(2, 3).t()},
        lambda t: (lambda x: {"a": x, "b": x})(t.ones(2)),
        lambda t: (lambda x: {"a": x[:3], "b": x[2:]})(t.ones(4)),
        lambda t: [t.ones(1)],
        lambda t: {"a": 3},
    ],
)
def test_safetensors_refuse(make, tmp_path):
    from safetensors import torch as theirs

    from chainrule.utils import safetensors as ours

    with pytest.raises((RuntimeError, ValueError)) as expected:
        theirs.save_file(make(torch), tmp_path / "x")
    with pytest.raises(type(expected.value)):
        ours.save_file(make(chainrule), tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_parts_of_one_tensor_are_two(tmp_path):
    from chainrule.utils import safetensors as ours

    x = chainrule.arange(4)
    ours.save_file({"a": x[:2], "b": x[2:]}, tmp_path / "x")
    assert {k: t.tolist() for k, t in ours.load_file(tmp_path / "x").items()} == {"a": [0, 1], "b": [2, 3]}


def test_damaged_safetensors_are_refused(tmp_path):
    from safetensors import SafetensorError

    from chainrule.utils import safetensors as ours

    data = ours.save({"x": chainrule.ones(5)})
    for broken in (data[:-1], data[:4], b"", b"\xff" * 8 + data[8:]):
        (tmp_path / "x").write_bytes(broken)
        with pytest.raises((SafetensorError, OSError)):
            ours.load_file(tmp_path / "x")


# Where memory comes from and goes to


@pytest.mark.parametrize("writer", [torch, chainrule])
def test_mapped_files(writer, tmp_path):
    path = tmp_path / "big.pt"
    whole = writer.arange(1000, dtype=writer.float64).reshape(10, 100)
    writer.save({"a": whole, "part": whole[3:5, 7:], "b": writer.tensor([True]), "none": writer.zeros(0)}, path)
    before = path.read_bytes()
    loaded = chainrule.load(path, mmap=True)
    for name, theirs in torch.load(path, mmap=True).items():
        assert loaded[name].dtype == getattr(chainrule, str(theirs.dtype)[6:]) and loaded[name].tolist() == theirs.tolist()
        assert loaded[name]._data.flags.aligned
        assert loaded[name].untyped_storage().nbytes() == theirs.untyped_storage().nbytes()
    loaded["part"].zero_()
    assert loaded["a"][3, 7] == 0 and loaded["a"][3, 6] == 306
    assert path.read_bytes() == before


def test_map_location(tmp_path):
    torch.save(torch.ones(2), tmp_path / "x.pt")

    def outcome(library, place):
        try:
            return library.load(tmp_path / "x.pt", map_location=place(library)).tolist()
        except (RuntimeError, TypeError) as error:
            return type(error), str(error)

    places = ["cpu", "cuda", "cuda:1", "xyz", 5, {"cpu": "cpu"}, {"cuda:0": "cpu"}, {"cpu": "cuda"}, lambda storage, place: storage, None]
    for place in [*(lambda _, p=p: p for p in places), lambda library: library.device("cpu")]:
        assert outcome(chainrule, place) == outcome(torch, place)


def test_misuse_of_mapping_and_trust(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(torch.ones(2), path)
    torch.save(torch.ones(2), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for call in (
        lambda lib: lib.load(tmp_path / "old.pt", mmap=True),
        lambda lib: lib.load(str(tmp_path / "old.pt"), mmap=True),
        lambda lib: lib.load(io.BytesIO(path.read_bytes()), mmap=True),
        lambda lib: lib.load(path, pickle_module=pickle, weights_only=True),
    ):
        with pytest.raises((RuntimeError, ValueError)) as theirs:
            call(torch)
        with pytest.raises(theirs.type, match=re.escape(str(theirs.value))):
            call(chainrule)


def test_names_that_load_would_refuse(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"own": Evil(), "path": Path("x"), "w": torch.ones(1), "state": torch.nn.Linear(1, 1).state_dict()}, path)
    names = chainrule.serialization.get_unsafe_globals_in_checkpoint(path)
    assert sorted(names) == sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)) and len(names) == 2
    with pytest.raises(ValueError, match="Expected input to be a checkpoint"):
        chainrule.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(b"no zip"))


def test_links_devices_and_modes_stay(tmp_path):
    target, link, pipe = tmp_path / "target.pt", tmp_path / "link.pt", tmp_path / "pipe"
    chainrule.save(1, target)
    target.chmod(0o640)
    link.symlink_to(target)
    chainrule.save({"x": chainrule.ones(2)}, link)
    assert link.is_symlink() and torch.load(target)["x"].tolist() == [1, 1] and target.stat().st_mode & 0o777 == 0o640
    os.mkfifo(pipe)
    read = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    received = []
    read.start()
    chainrule.save(chainrule.ones(2), pipe)
    read.join()
    assert torch.load(io.BytesIO(received[0])).tolist() == [1, 1] and pipe.is_fifo()
