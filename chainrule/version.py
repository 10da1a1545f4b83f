"""`torch.version`: the PyTorch whose interface this is, and that no accelerator is behind it.

`chainrule.__version__` is chainrule's own version; under `python -m chainrule` a program that asks for `torch.__version__` gets this one.
"""

from __future__ import annotations

from chainrule import __version__ as _own
from chainrule.torch_version import TorchVersion

__version__ = TorchVersion(f"2.13.0+chainrule.{_own}")
debug = False
cuda: str | None = None
git_version = "Unknown"
hip: str | None = None
rocm: str | None = None
xpu: str | None = None
