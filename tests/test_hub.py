"""Downloads from a server on loopback that also breaks off, sends wrong bytes and knows nothing; models of a local hubconf."""

import hashlib
import io
import threading
import urllib.error
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from chainrule import hub

CONTENT = bytes(range(256)) * 2000


def checkpoint(**options):
    file = io.BytesIO()
    torch.save({"weight": torch.arange(6.0).view(2, 3), "step": 3}, file, **options)
    return file.getvalue()


def zipped(data):
    """A checkpoint packed by hand, as old weight files are."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("old.pth", data)
    return file.getvalue()


def digits(data):
    return hashlib.sha256(data).hexdigest()[:8]


@pytest.fixture
def server():
    """A server of `server.files`; what is in `server.lengths` is announced with that length instead of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.asked.append((self.path, self.headers["User-Agent"]))
            data = served.files.get(self.path.split("?")[0].lstrip("/"))
            if data is None:
                return self.send_error(404)
            self.send_response(200)
            length = served.lengths.get(self.path.lstrip("/"), len(data))
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.files, served.lengths, served.asked = {"data.bin": CONTENT}, {}, []
    served.url = f"http://127.0.0.1:{served.server_address[1]}/"
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_comes_whole(server, tmp_path, capsys):
    hub.download_url_to_file(server.url + "data.bin", str(tmp_path / "x"), hash_prefix=digits(CONTENT))
    assert (tmp_path / "x").read_bytes() == CONTENT and names(tmp_path) == ["x"]
    assert "100%" in capsys.readouterr().err
    hub.download_url_to_file(server.url + "data.bin", str(tmp_path / "x"), progress=False)
    assert capsys.readouterr().err == ""
    assert server.asked[0] == ("/data.bin", "torch.hub")


def test_length_need_not_be_announced(server, tmp_path):
    server.lengths["data.bin"] = None
    hub.download_url_to_file(server.url + "data.bin", str(tmp_path / "x"), progress=False)
    assert (tmp_path / "x").read_bytes() == CONTENT


def breaks_off(server):
    server.lengths["data.bin"] = len(CONTENT) + 1


def sends_wrong_bytes(server):
    server.files["data.bin"] = CONTENT[:-1] + b"!"


def knows_nothing(server):
    del server.files["data.bin"]


FAILURES = {
    breaks_off: (urllib.error.ContentTooShortError, "broke off after 512000 of 512001 bytes"),
    sends_wrong_bytes: (RuntimeError, rf'invalid hash value \(expected "{digits(CONTENT)}", got "[0-9a-f]{{64}}"\)'),
    knows_nothing: (urllib.error.HTTPError, "404"),
}


@pytest.mark.parametrize("happens", FAILURES, ids=lambda f: f.__name__)
def test_failure_leaves_what_was_there_and_a_second_try_starts_anew(happens, server, tmp_path):
    target = tmp_path / "x"
    happens(server)
    for before in (None, b"good"):
        if before:
            target.write_bytes(before)
        error, message = FAILURES[happens]
        with pytest.raises(error, match=message):
            hub.download_url_to_file(server.url + "data.bin", str(target), digits(CONTENT), progress=False)
        assert names(tmp_path) == (["x"] if before else [])
        assert not before or target.read_bytes() == before
    server.files["data.bin"] = CONTENT
    server.lengths.clear()
    hub.download_url_to_file(server.url + "data.bin", str(target), digits(CONTENT), progress=False)
    assert target.read_bytes() == CONTENT


def test_no_server(tmp_path):
    with pytest.raises(urllib.error.URLError):
        hub.download_url_to_file("http://127.0.0.1:9/x", str(tmp_path / "x"), progress=False)
    assert names(tmp_path) == []


STREAM = checkpoint(_use_new_zipfile_serialization=False)


@pytest.mark.parametrize("pack", [checkpoint(), STREAM, zipped(STREAM)], ids=["zip", "stream", "zipped stream"])
def test_state_dict_is_downloaded_once(pack, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = f"net-{digits(pack)}.pth"
    server.files[f"models/{name}"] = pack
    for _ in range(2):
        state = hub.load_state_dict_from_url(f"{server.url}models/{name}?version=1", check_hash=True, progress=False)
        assert state["weight"].tolist() == [[0, 1, 2], [3, 4, 5]] and state["step"] == 3
    cached = tmp_path / "hub" / "checkpoints" / name
    assert cached.read_bytes() == pack and len(server.asked) == 1
    assert capsys.readouterr().out == f'Downloading: "{server.url}models/{name}?version=1" to {cached}\n'


def test_name_and_folder_can_be_chosen(server, tmp_path):
    server.files["x"] = checkpoint()
    hub.load_state_dict_from_url(server.url + "x", str(tmp_path / "deep" / "er"), file_name="mine.pth", progress=False)
    assert names(tmp_path / "deep" / "er") == ["mine.pth"]


def test_hash_is_the_one_in_the_name(server, tmp_path):
    server.files["net-00000000.pth"] = checkpoint()
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.load_state_dict_from_url(server.url + "net-00000000.pth", str(tmp_path), check_hash=True, progress=False)
    assert names(tmp_path) == []
    assert hub.load_state_dict_from_url(server.url + "net-00000000.pth", str(tmp_path), progress=False)["step"] == 3


def test_hostile_weights_are_refused(server, tmp_path):
    import pickle

    file = io.BytesIO()
    torch.save({"x": pytest.fail}, file)
    server.files["x.pth"] = file.getvalue()
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        hub.load_state_dict_from_url(server.url + "x.pth", str(tmp_path), progress=False)


VARIABLES = ("TORCH_HOME", "XDG_CACHE_HOME", "TORCH_HUB")


@pytest.mark.parametrize("values", [{}, {"TORCH_HOME": "/t"}, {"TORCH_HOME": "~/t"}, {"XDG_CACHE_HOME": "/c"}, {"XDG_CACHE_HOME": "~/c"},
                                    {"XDG_CACHE_HOME": "/c", "TORCH_HOME": "/t"}, {"TORCH_HOME": ""}])  # fmt: skip
def test_folder_is_where_pytorch_has_it(values, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert hub.get_dir() == torch.hub.get_dir()


def test_folder_can_be_set(monkeypatch):
    monkeypatch.setattr(hub, "_hub_dir", None)
    hub.set_dir("~/weights")
    assert not hub.get_dir().startswith("~") and hub.get_dir().endswith("/weights")
    monkeypatch.setenv("TORCH_HUB", "/old")
    with pytest.warns(UserWarning, match="TORCH_HUB is deprecated, please use env TORCH_HOME instead"):
        assert hub.get_dir().endswith("/weights")


HUBCONF = '''
dependencies = ["math"]

from beside import scale


def double(x, times=2):
    """Twice what is given."""
    return scale(x, times)


def _hidden():
    pass
'''


def test_local_models(tmp_path):
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    (tmp_path / "beside.py").write_text("def scale(x, n):\n    return n * x\n")
    assert hub.list(tmp_path) == ["double", "scale"]
    assert hub.help(tmp_path, "double") == "Twice what is given."
    assert hub.load(tmp_path, "double", 4, source="local") == torch.hub.load(str(tmp_path), "double", 4, source="local") == 8
    assert hub.load(str(tmp_path), "double", 4, times=3, source="LOCAL") == 12


def test_local_errors(tmp_path):
    (tmp_path / "hubconf.py").write_text("dependencies = ['no_such_package']\ndef model(): pass\n")
    bad = {
        RuntimeError: lambda library: library.hub.load(str(tmp_path), "model", source="local"),
        ValueError: lambda library: library.hub.load(str(tmp_path), "model", source="web"),
        FileNotFoundError: lambda library: library.hub.load(str(tmp_path / "none"), "model", source="local"),
    }
    import chainrule

    for error, call in bad.items():
        with pytest.raises(error) as theirs:
            call(torch)
        with pytest.raises(error) as ours:
            call(chainrule)
        assert error is FileNotFoundError or str(ours.value) == str(theirs.value)
    (tmp_path / "hubconf.py").write_text("value = 3")
    with pytest.raises(RuntimeError, match="Cannot find callable value in hubconf"):
        hub.load(tmp_path, "value", source="local")
    with pytest.raises(NotImplementedError, match="clone pytorch/vision"):
        hub.load("pytorch/vision", "resnet18")
