"""Data sets read the published formats as torchvision does, fetch and check their files, and run nothing that a file says."""

import gzip
import hashlib
import io
import pickle
import random
import re
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from pictures import plain, same, serve, torchvision
from PIL import Image

import chainrule
from chainrule.vision import datasets as ours, transforms
from chainrule.vision.datasets import utils

theirs = torchvision.datasets
PAIRS = [(chainrule, ours), (torch, theirs)]
RNG = np.random.default_rng(0)


def md5(data):
    return hashlib.md5(data).hexdigest()


def everything(dataset):
    """What a data set holds, gives and prints."""
    facts = [re.sub(r" at 0x\w+", "", repr(dataset)), len(dataset), *(getattr(dataset, name, None) for name in ("classes", "class_to_idx"))]
    return plain([*facts, [list(map(int, dataset.targets))], *(dataset[i] for i in range(len(dataset)))])


def agree(make):
    """Both libraries make the same of the same files, or refuse them in the same words."""
    results = []
    for _, datasets in PAIRS:
        try:
            results.append(everything(make(datasets)))
        except Exception as error:
            results.append([type(error).__name__, str(error)])
    same(*results)
    return results[0]


# MNIST's format


def idx(array):
    kind = {"u1": 8, "i4": 12, "f4": 13}[array.dtype.str[1:]]
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_files(count=5):
    files = {}
    for side, n in (("train", count), ("t10k", count - 2)):
        images, labels = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8), RNG.integers(0, 10, n, dtype=np.uint8)
        files[f"{side}-images-idx3-ubyte.gz"] = gzip.compress(idx(images))
        files[f"{side}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels))
    return files


MNISTS = ["MNIST", "FashionMNIST", "KMNIST"]


@pytest.fixture
def publish(monkeypatch):
    """Say that a data set's published files are these, in both libraries."""
    started = []

    def say(name, files):
        server = serve(files).__enter__()
        started.append(server)
        for _, datasets in PAIRS:
            monkeypatch.setattr(getattr(datasets, name), "mirrors", ["http://127.0.0.1:9/", server.url])
            monkeypatch.setattr(getattr(datasets, name), "resources", [(file, md5(data)) for file, data in files.items()])
        return server

    yield say
    for server in started:
        server.__exit__()


@pytest.mark.parametrize("name", MNISTS)
def test_mnist_is_fetched_and_read(publish, tmp_path, name):
    server = publish(name, mnist_files())
    for train in (True, False):
        made = agree(lambda d: getattr(d, name)(str(tmp_path), train, target_transform=lambda t: t + 1, download=d is ours))  # noqa: B023
        assert made[1] == (5 if train else 3)
    assert len(server.asked) == 4  # once
    data = getattr(ours, name)(tmp_path)
    assert (str(data.data.dtype), str(data.targets.dtype)) == ("torch.uint8", "torch.int64") and tuple(data.data.shape) == (5, 28, 28)
    loader = chainrule.utils.data.DataLoader(getattr(ours, name)(tmp_path, transform=transforms.ToTensor()), batch_size=2)
    batches = list(loader)
    assert tuple(batches[0][0].shape) == (2, 1, 28, 28) and len(batches) == 3


@pytest.mark.parametrize("name", [*MNISTS, "CIFAR10", "CIFAR100"])
def test_what_is_published_is_what_torchvision_knows(name):
    mine, reference = getattr(ours, name), getattr(theirs, name)
    for fact in ("mirrors", "resources", "classes", "base_folder", "url", "filename", "tgz_md5", "train_list", "test_list", "meta"):
        if not isinstance(getattr(reference, fact, property()), property):
            assert getattr(mine, fact) == getattr(reference, fact), fact


@pytest.mark.parametrize("name", [*MNISTS, "CIFAR10", "CIFAR100"])
def test_missing_files(tmp_path, name):
    made = agree(lambda d: getattr(d, name)(str(tmp_path)))
    assert made[0] == "RuntimeError" and "You can use download=True to download it" in made[1]


def test_wrong_files_are_not_kept(publish, tmp_path):
    files = mnist_files()
    publish("MNIST", files).files["train-images-idx3-ubyte.gz"] = b"something else"
    said = "(?s)Error downloading train-images.*Tried http://127.0.0.1:9/, got:.*File not found or corrupted"
    with pytest.raises(RuntimeError, match=said):
        ours.MNIST(tmp_path, download=True)
    assert list((tmp_path / "MNIST" / "raw").iterdir()) == []


@pytest.mark.parametrize("wrong", [
    b"", b"\0\0", b"\1\0\x08\1\0\0\0\1x", b"\0\0\x08\4", b"\0\0\x07\1\0\0\0\1x", b"\0\0\x08\1\0\0\0\2x",
    b"\0\0\x08\2\0\0\0\2", b"\0\0\x08\3" + b"\xff" * 12,
])  # fmt: skip
def test_files_that_are_cut_off_or_something_else(tmp_path, wrong):
    path = tmp_path / "labels"
    path.write_bytes(wrong)
    with pytest.raises(ValueError, match="labels (is not in the idx format|has .* bytes of numbers)"):
        ours.mnist.read_labels(str(path))


@pytest.mark.parametrize("array", [np.arange(6, dtype=">i4"), np.ones((2, 3), np.uint8), np.ones((1, 2, 3), ">f4")], ids=str)
def test_numbers_that_are_none_of_mnists(tmp_path, array):
    path = str(tmp_path / "numbers")
    with open(path, "wb") as file:
        file.write(idx(array))
    np.testing.assert_array_equal(ours.mnist.read_idx(path), array)
    for read in ("read_labels", "read_images"):
        with pytest.raises((TypeError, ValueError)) as mine:
            getattr(ours.mnist, read)(path)
        with pytest.raises((TypeError, ValueError)) as reference:
            getattr(theirs.mnist, read.removesuffix("s") + "_file")(path)
        assert str(mine.value) == str(reference.value)


# CIFAR's format: dictionaries pickled by Python 2


def short(text):
    return b"U" + bytes([len(text)]) + text


def ints(values):
    return b"](" + b"".join(b"K" + bytes([v]) for v in values) + b"e"


def array2(array):
    """An array of bytes as Python 2 and its NumPy pickled it, in protocol 2."""
    shape = b"".join(b"J" + struct.pack("<i", n) for n in array.shape)
    dtype = b"cnumpy\ndtype\n" + short(b"u1") + b"K\0K\1\x87R(K\3" + short(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    raw = array.tobytes()
    state = b"(K\1(" + shape + b"t" + dtype + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    return b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + short(b"b") + b"\x87R" + state


def pickle2(**entries):
    return b"\x80\2}(" + b"".join(short(key.encode()) + value for key, value in entries.items()) + b"u."


def pickle0(**names):
    """A dictionary of lists of names in protocol 0, as the names of the classes are kept."""
    lists = (f"S'{key}'\n(l" + "".join(f"S'{name}'\na" for name in value) + "s" for key, value in names.items())
    return ("(d" + "".join(lists) + ".").encode()


def cifar_files(name):
    """The files of a small set in the published layout."""
    batch = lambda labels: pickle2(batch_label=short(b"some batch"), **labels, data=array2(RNG.integers(0, 256, (2, 3072), dtype=np.uint8)))
    if name == "CIFAR10":
        files = {f"data_batch_{i}": batch({"labels": ints([i, 3])}) for i in range(1, 6)} | {"test_batch": batch({"labels": ints([7, 9])})}
        return files | {"batches.meta": pickle0(label_names=[f"name{i}" for i in range(10)])}
    files = {side: batch({"fine_labels": ints([41, 99]), "coarse_labels": ints([1, 2])}) for side in ("train", "test")}
    return files | {"meta": pickle0(coarse_label_names=["a"], fine_label_names=[f"name{i}" for i in range(100)])}


def publish_cifar(monkeypatch, name, files):
    """Say that these are the published files, in both libraries; the archive of them."""
    folder, packed = getattr(ours, name).base_folder, io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for file, data in files.items():
            entry = tarfile.TarInfo(f"{folder}/{file}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    for _, datasets in PAIRS:
        kind = getattr(datasets, name)
        for fact in ("train_list", "test_list"):
            monkeypatch.setattr(kind, fact, [[file, md5(files[file])] for file, _ in getattr(kind, fact)])
        monkeypatch.setattr(kind, "meta", kind.meta | {"md5": md5(files[kind.meta["filename"]])})
        monkeypatch.setattr(kind, "tgz_md5", md5(packed.getvalue()))
    return packed.getvalue()


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar_is_fetched_and_read(monkeypatch, tmp_path, name):
    archive = publish_cifar(monkeypatch, name, cifar_files(name))
    kind = getattr(ours, name)
    with serve({kind.filename: archive}) as server:
        monkeypatch.setattr(kind, "url", server.url + kind.filename)
        for train in (True, False):
            made = agree(lambda d: getattr(d, name)(str(tmp_path), train, lambda x: x.rotate(90), download=d is ours))  # noqa: B023
            assert made[1] == (2 if name == "CIFAR100" or not train else 10)
        assert server.asked == [kind.filename]
    data = kind(tmp_path)
    assert data.data.dtype == np.uint8 and data.data.shape[1:] == (32, 32, 3)
    (tmp_path / kind.base_folder / kind.meta["filename"]).write_bytes(b"changed")
    agree(lambda d: getattr(d, name)(str(tmp_path)))
    (tmp_path / kind.base_folder / kind.test_list[0][0]).write_bytes(b"changed")
    agree(lambda d: getattr(d, name)(str(tmp_path)))


class Evil:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


def hostile(path):
    """Pickles that would act: call, look up, or make arrays of objects."""
    yield pickle.dumps({"data": Evil((open, (str(path), "w")))}, 2)
    yield pickle.dumps({"data": Evil((eval, (f"open({str(path)!r}, 'w')",)))}, 4)
    yield pickle.dumps({"data": random.Random(0)}, 2)
    yield pickle.dumps({"data": np.array([Evil((open, (str(path), "w")))], dtype=object)}, 2)
    yield pickle.dumps({"data": np.array([1.5, 2.5])}, 2)
    yield b"cnumpy\nndarray\n(K\x05K\x05tR."[:-1] + b"}b."
    yield pickle2(data=array2(np.zeros((2, 5), np.uint8)))[:-20]


def test_hostile_batches_do_nothing(tmp_path):
    trace, file = tmp_path / "trace", tmp_path / "batch"
    for data in hostile(trace):
        file.write_bytes(data)
        with pytest.raises((pickle.UnpicklingError, ValueError, TypeError, EOFError, IndexError)):
            ours.cifar.read_pickle(file)
    assert not trace.exists()


def test_pickles_of_python_3_are_read_too(tmp_path):
    array = RNG.integers(0, 256, (4, 6), dtype=np.uint8)
    for data in (array, np.asfortranarray(array)):
        (tmp_path / "batch").write_bytes(pickle.dumps({"data": data, "labels": [1, 2]}, 2))
        read = ours.cifar.read_pickle(tmp_path / "batch")
        np.testing.assert_array_equal(read["data"].array, array)


def test_archives_stay_in_their_folder(tmp_path):
    target = tmp_path / "in"
    target.mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    (target / "a.tar.gz").write_bytes(packed.getvalue())
    with pytest.raises(tarfile.OutsideDestinationError):
        utils.extract_archive(target / "a.tar.gz")
    with zipfile.ZipFile(target / "b.zip", "w") as archive:
        archive.writestr("../outside", "x")
        archive.writestr("inside", "y")
    assert utils.extract_archive(str(target / "b.zip"), remove_finished=True) == str(target)
    assert not (tmp_path / "outside").exists() and (target / "inside").read_text() == "y" and not (target / "b.zip").exists()
    with pytest.raises(RuntimeError, match=r"Unknown compression or archive type: '.rar'"):
        utils.extract_archive("c.rar")


# Folders


@pytest.fixture
def pets(tmp_path):
    for name in ("dog", "cat", "bird/small"):
        (tmp_path / name).mkdir(parents=True)
    for i, path in enumerate(["dog/b.png", "dog/a.PNG", "cat/x.bmp", "bird/small/y.jpeg", "bird/z.tif"]):
        Image.fromarray(RNG.integers(0, 256, (4 + i, 5, 3), dtype=np.uint8)).convert("L" if i % 2 else "RGB").save(tmp_path / path)
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    (tmp_path / "readme").write_text("no class")
    return str(tmp_path)


def test_folders_are_classes(pets):
    made = agree(lambda d: d.ImageFolder(pets))
    assert made[1] == 5 and made[2] == ["bird", "cat", "dog"]
    agree(lambda d: d.ImageFolder(pets, transform=lambda x: x.size, target_transform=lambda t: str(t)))
    agree(lambda d: d.ImageFolder(pets, is_valid_file=lambda path: path.endswith("b.png")))
    agree(lambda d: d.ImageFolder(pets, is_valid_file=lambda path: path.endswith("b.png"), allow_empty=True))
    agree(lambda d: d.DatasetFolder(pets, lambda path: path[-9:], (".txt", ".bmp", ".jpeg")))
    agree(lambda d: d.DatasetFolder(pets, lambda path: path, "png"))
    agree(lambda d: d.DatasetFolder(pets, lambda path: path))
    agree(lambda d: d.DatasetFolder(pets, lambda path: path, (".txt",), is_valid_file=bool))
    agree(lambda d: d.ImageFolder(pets + "/cat"))
    agree(lambda d: d.ImageFolder(pets + "/nowhere"))
    for classes in ({"dog": 3, "fish": 1}, {}, None):
        agree(lambda d: d.DatasetFolder(pets, str) if classes is None else d.folder.make_dataset(pets, classes, ".png"))  # noqa: B023


def test_folders_in_a_loader(pets):
    whole = transforms.Compose([transforms.Resize((6, 6)), transforms.RandomHorizontalFlip(), transforms.ToTensor()])
    loader = chainrule.utils.data.DataLoader(ours.ImageFolder(pets, whole), 3, shuffle=True, num_workers=1)
    batches = list(loader)
    assert [tuple(x.shape) for x, _ in batches] == [(3, 3, 6, 6), (2, 3, 6, 6)]
    assert sorted(label for _, y in batches for label in y.tolist()) == [0, 0, 1, 2, 2]


# Noise, and what all share


def test_fake_data_is_torchvisions():
    results = []
    for lib, datasets in PAIRS:
        lib.manual_seed(5)
        made = datasets.FakeData(3, (3, 4, 5), 7, random_offset=2)
        results.append(plain([repr(made), *(made[i] for i in range(3)), lib.rand(2).tolist()]))
        with pytest.raises(IndexError, match="FakeData index out of range"):
            made[3]
    same(*results)


def test_how_transforms_print():
    texts = []
    for datasets, t in ((ours, transforms), (theirs, torchvision.transforms)):
        both = t.Compose([t.Pad(2), t.ToTensor()])
        for options in ({"transform": both, "target_transform": t.Lambda(str)}, {"transform": both}, {"target_transform": t.Lambda(str)}):
            texts.append(repr(datasets.FakeData(2, **options)))
        texts.append(repr(datasets.vision.StandardTransform() if datasets is theirs else datasets.StandardTransform()))
        with pytest.raises(ValueError, match="Only transforms or transform/target_transform"):
            datasets.VisionDataset(transforms=both, transform=both)
    assert texts[:4] == texts[4:]
