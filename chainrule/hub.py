"""Files from the net: weights by URL, downloaded whole or not at all, and models that a local `hubconf.py` offers.

A download goes to a temporary file beside its target, is measured and hashed on the way, and only then takes the target's name.
"""

from __future__ import annotations

import builtins
import hashlib
import os
import re
import sys
import uuid
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from io import BytesIO
from types import ModuleType
from typing import Any
from urllib.error import ContentTooShortError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")  # bfd8deac of resnet18-bfd8deac.pth
CHUNK = 128 * 1024
SILENCE = 60  # seconds without a byte after which a server counts as gone

_hub_dir: str | None = None


def get_dir() -> str:
    """The folder for what is downloaded: what `set_dir` said, else `$TORCH_HOME/hub`.

    `TORCH_HOME` is `$XDG_CACHE_HOME/torch` where it is not set, and `XDG_CACHE_HOME` is `~/.cache`.

    Example:
        >>> set_dir("/tmp/weights")
        >>> get_dir()
        '/tmp/weights'
    """
    if os.getenv("TORCH_HUB"):
        warnings.warn("TORCH_HUB is deprecated, please use env TORCH_HOME instead", stacklevel=2)
    if _hub_dir is not None:
        return _hub_dir
    cache = os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "torch")
    return os.path.join(os.path.expanduser(os.getenv("TORCH_HOME", cache)), "hub")


def set_dir(d: str | os.PathLike) -> None:
    """Keep downloads in the folder `d` from now on."""
    global _hub_dir
    _hub_dir = os.path.expanduser(d)  # type: ignore[assignment]


# Downloads


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Download `url` to the file `dst`, with a progress bar on stderr.

    `dst` is written only when all has come and its SHA256, in hexadecimal, starts with `hash_prefix`; a file that was there before stays
    otherwise, and nothing else is left behind. Raises urllib's HTTPError or URLError when the server refuses or is not there, its
    ContentTooShortError when the connection breaks off, RuntimeError when the hash is wrong.

    Example:
        >>> download_url_to_file("https://download.pytorch.org/models/resnet18-f37072fd.pth", "resnet18.pth", "f37072fd")
    """
    dst = os.path.expanduser(dst)
    partial = f"{dst}.{uuid.uuid4().hex}.partial"
    try:
        digest = receive(url, partial, progress)
        if hash_prefix is not None and not digest.startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest}")')
        os.replace(partial, dst)
    finally:
        with suppress(FileNotFoundError):
            os.remove(partial)


def receive(url: str, path: str, progress: bool) -> str:
    """Write what a server sends to a new file; the SHA256 of all of it."""
    from tqdm import tqdm

    sha256, received = hashlib.sha256(), 0
    with open(path, "xb") as file, urlopen(Request(url, headers={"User-Agent": "torch.hub"}), timeout=SILENCE) as response:
        announced = response.headers.get("Content-Length")
        size = None if announced is None else int(announced)
        with tqdm(total=size, disable=not progress, unit="B", unit_scale=True, unit_divisor=1024) as bar:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                sha256.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
        if size is not None and received != size:
            raise ContentTooShortError(f"the download of {url} broke off after {received} of {size} bytes; nothing was kept", b"")  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    return sha256.hexdigest()


def load_state_dict_from_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True, check_hash: bool = False,
    file_name: str | None = None, weights_only: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """The checkpoint at `url`, read from `model_dir` if it was downloaded before.

    `model_dir` is `get_dir()/checkpoints` by default, `file_name` the last part of the URL. With `check_hash` the name must end as in
    `resnet18-f37072fd.pth`, in the first digits of the file's SHA256. Unlike in PyTorch, `weights_only` is True by default: a file from
    the net makes tensors and containers only. Errors as `download_url_to_file` and `load`.

    Example:
        >>> load_state_dict_from_url("https://download.pytorch.org/models/resnet18-f37072fd.pth", check_hash=True)["fc.bias"].shape
        torch.Size([1000])
    """
    if os.getenv("TORCH_MODEL_ZOO"):
        warnings.warn("TORCH_MODEL_ZOO is deprecated, please use env TORCH_HOME instead", stacklevel=2)
    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(urlparse(url).path) if file_name is None else file_name
    cached = os.path.join(folder, name)
    if not os.path.exists(cached):
        sys.stdout.write(f'Downloading: "{url}" to {cached}\n')
        digits = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, cached, digits and digits[1], progress)
    return read(cached, map_location, weights_only)


def read(path: str, map_location: Any, weights_only: bool) -> Any:
    """A checkpoint, which may be the only file of a zip, as people packed the streams that PyTorch wrote before 1.6."""
    from chainrule.serialization import load

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) == 1 and not members[0].is_dir():
                return load(BytesIO(archive.read(members[0])), map_location, weights_only=weights_only)
    return load(path, map_location, weights_only=weights_only)


# Models that a folder offers


@contextmanager
def hubconf(repo: str | os.PathLike) -> Iterator[ModuleType]:
    """The `hubconf.py` of a folder, run with the folder on `sys.path`."""
    folder = os.fspath(repo)
    path = os.path.join(folder, "hubconf.py")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no {path}: chainrule.hub takes a folder that holds a hubconf.py; it fetches no repositories")
    spec = spec_from_file_location("hubconf.py", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(folder)


def entry_point(module: ModuleType, model: str) -> Callable:
    """A function of a hubconf, once all that the hubconf depends on is there."""
    if not isinstance(model, str):
        raise ValueError("Invalid input: model should be a string of function name")
    missing = [package for package in getattr(module, "dependencies", ()) if find_spec(package) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    entry = getattr(module, model, None)
    if not callable(entry):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return entry


def list(repo: str | os.PathLike) -> builtins.list[str]:
    """The models that the `hubconf.py` in the folder `repo` offers: its callables without a leading underscore."""
    with hubconf(repo) as module:
        return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]


def help(repo: str | os.PathLike, model: str) -> str | None:
    """The docstring of one of the models in the folder `repo`."""
    with hubconf(repo) as module:
        return entry_point(module, model).__doc__


def load(repo_or_dir: str | os.PathLike, model: str, *args: Any, source: str = "github", **kwargs: Any) -> Any:
    """What the function `model` of a `hubconf.py` returns for `args` and `kwargs`.

    Folders only: `source="local"`. Raises FileNotFoundError without a `hubconf.py`, RuntimeError for a model that it does not have or
    packages that are missing, NotImplementedError for repositories on GitHub.

    Example:
        >>> model = load("/home/me/vision", "resnet18", source="local", weights=None)
    """
    if source.lower() not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source.lower()}". Allowed values: "github" | "local".')
    if source.lower() == "github":
        raise NotImplementedError(f'code is not fetched from GitHub: clone {repo_or_dir} and pass its folder with source="local"')
    with hubconf(repo_or_dir) as module:
        return entry_point(module, model)(*args, **kwargs)
