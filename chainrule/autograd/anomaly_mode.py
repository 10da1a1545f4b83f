"""Anomaly detection: a backward that fails shows the forward call that it belongs to, and NaNs raise."""

from __future__ import annotations

import warnings

from chainrule._core import modes


class detect_anomaly:
    """Watch the ops inside: an error in their backward, or a NaN if `check_nan`, comes with the traceback of the forward call.

    Example:
        >>> with detect_anomaly():
        ...     x = tensor(0., requires_grad=True)
        ...     (x.sqrt() * 0).backward()
        Traceback (most recent call last):
        RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.prev, self.prev_check_nan, self.check_nan = modes.local.anomaly, modes.local.check_nan, check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        modes.set_anomaly(True, self.check_nan)

    def __exit__(self, *args: object) -> None:
        modes.set_anomaly(self.prev, self.prev_check_nan)


class set_detect_anomaly:
    """Switch anomaly detection on or off, from the call on; as a context manager, until its end.

    Example:
        >>> with set_detect_anomaly(True):
        ...     is_anomaly_enabled()
        True
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.prev, self.prev_check_nan = modes.local.anomaly, modes.local.check_nan
        modes.set_anomaly(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *args: object) -> None:
        modes.set_anomaly(self.prev, self.prev_check_nan)


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Switch anomaly mode of this thread on or off."""
    modes.set_anomaly(mode, check_nan)


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return modes.local.anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection looks for NaNs."""
    return modes.local.check_nan
