"""Checkpoints: files made by PyTorch load here, ours load there, and hostile or broken files are refused."""

import contextlib
import io
import os
import pickle
import zipfile

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
