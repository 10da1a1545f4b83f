"""Files of data sets: downloaded, measured against their MD5, unpacked."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
from urllib.error import URLError

from chainrule import hub

__all__ = ["calculate_md5", "check_integrity", "download_and_extract_archive", "download_url", "extract_archive"]

Path = str | os.PathLike[str]


def calculate_md5(fpath: Path) -> str:
    """The MD5 of a file, in hexadecimal."""
    with open(fpath, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check_integrity(fpath: Path, md5: str | None = None) -> bool:
    """Whether a file is there, and has that MD5 where one is given."""
    return os.path.isfile(fpath) and (md5 is None or calculate_md5(fpath) == md5)


def download_url(url: str, root: Path, filename: str | None = None, md5: str | None = None) -> None:
    """Download `url` into the folder `root`, unless the file is there with that MD5.

    Nothing is left where it does not fit: RuntimeError. Raises urllib's URLError where the server is not there or refuses.
    """
    folder = os.path.expanduser(root)
    target = os.path.join(folder, filename or os.path.basename(url))
    os.makedirs(folder, exist_ok=True)
    if check_integrity(target, md5):
        return
    received = f"{target}.received"
    try:
        hub.download_url_to_file(url, received)
        if not check_integrity(received, md5):
            raise RuntimeError("File not found or corrupted.")
        os.replace(received, target)
    finally:
        if os.path.exists(received):
            os.remove(received)


def extract_archive(from_path: Path, to_path: Path | None = None, remove_finished: bool = False) -> str:
    """Unpack a .tar, .tar.gz, .tgz, .zip or .gz file into a folder, its own by default; the folder, or the file for .gz.

    Nothing in an archive is written outside that folder. Raises RuntimeError for other kinds.
    """
    source = os.fspath(from_path)
    folder = os.path.dirname(source) if to_path is None else os.fspath(to_path)
    result = folder
    if source.endswith((".tar", ".tar.gz", ".tgz")):
        with tarfile.open(source) as tar:
            tar.extractall(folder, filter="data")
    elif source.endswith(".zip"):
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
    elif source.endswith(".gz"):
        result = os.path.join(folder, os.path.basename(source).removesuffix(".gz"))
        with gzip.open(source) as packed, open(f"{result}.unpacked", "wb") as plain:
            shutil.copyfileobj(packed, plain)
        os.replace(f"{result}.unpacked", result)
    else:
        raise RuntimeError(f"Unknown compression or archive type: '{os.path.splitext(source)[1]}'.")
    if remove_finished:
        os.remove(source)
    return result


def download_and_extract_archive(
    url: str, download_root: Path, extract_root: Path | None = None, filename: str | None = None, md5: str | None = None,
    remove_finished: bool = False,
) -> None:  # fmt: skip
    """`download_url`, then `extract_archive`."""
    name = filename or os.path.basename(url)
    download_url(url, download_root, name, md5)
    extract_archive(os.path.join(os.path.expanduser(download_root), name), extract_root or download_root, remove_finished)


def from_mirrors(mirrors: list[str], filename: str, root: Path, md5: str) -> None:
    """Download and unpack a file from the first mirror that has it; RuntimeError, with what each said, if none does."""
    failures = []
    for mirror in mirrors:
        try:
            return download_and_extract_archive(f"{mirror}{filename}", root, filename=filename, md5=md5)
        except (RuntimeError, URLError) as error:
            failures.append(f"Tried {mirror}, got:\n{error}\n")
    raise RuntimeError(f"Error downloading {filename}:\n" + "".join(failures))
