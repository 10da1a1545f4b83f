"""Signal processing, as `torch.signal`: the windows."""

from chainrule.signal import windows

__all__ = ["windows"]
