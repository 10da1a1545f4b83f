"""Fourier transforms of a moving window: `stft` and its inverse."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from chainrule._core import dtypes
from chainrule._core.warn import warn_once
from chainrule.functions.arguments import require_tensor
from chainrule.functions.placing import view_as_real
from chainrule.functions.shape import squeeze, transpose, unsqueeze, view
from chainrule.ops import fft
from chainrule.ops.overrides import public
from chainrule.ops.padding import constant_pad
from chainrule.ops.shape import slice_dim, unfold, unfold_backward
from chainrule.tensor import Tensor, wrap

NO_WINDOW = (
    "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. Other windows such as "
    "torch.hann_window or torch.hamming_window are recommended to reduce spectral leakage.To suppress this warning and use a rectangular "
    "window, explicitly set `window=torch.ones(n_fft, device=<device>)`."
)
REAL_RESULT = (
    "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors for all inputs, and "
    "return_complex=False will raise an error.\nNote: you can still call torch.view_as_real on the complex output to recover the old "
    "return format."
)
COMPLEX_NEEDED = (
    "stft requires the return_complex parameter be given for real inputs, and will further require that return_complex=True in a future "
    "PyTorch release."
)
ONESIDED_COMPLEX = "Cannot have onesided output if window or input is complex"
TOO_SHORT = (
    "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. Please check your center "
    "and hop_length settings."
)


@public
def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """The spectra of pieces of `n_fft` elements, `hop_length` (n_fft // 4) apart, of signals (length,) or (batch, length).

    The result is (batch, bins, frames): n_fft // 2 + 1 bins if `onesided` (the default for real signals), else n_fft. Each piece is
    multiplied by `window`, of `win_length` (n_fft) elements, ones if there is none. `center` pads the signal, so that the middle of
    frame t is at t * hop_length; without it `align_to_window` lets the window, not the piece, start with the signal. `normalized`
    divides by the root of n_fft. `return_complex` has to be given for real signals; False gives (..., 2) real and imaginary parts.

    Example: `stft(ones(8), 4, window=ones(4), return_complex=True).shape` is `torch.Size([3, 9])`.
    """
    require_tensor("stft", input)
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        input = centered(input, n_fft // 2, pad_mode)
    if window is None:
        warn_once(NO_WINDOW)
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    real = not (input.dtype.is_complex or (window is not None and window.dtype.is_complex))
    if real and not return_complex:
        if return_complex is None:
            raise RuntimeError(COMPLEX_NEEDED)
        warn_once(REAL_RESULT)
    problem = unfit(input, n_fft, hop, width, window)
    if problem:
        refuse("stft", input, n_fft, hop, width, window, problem, normalized=normalized, onesided=onesided,
               return_complex=return_complex, align_to_window=align_to_window)  # fmt: skip
    x = input if input._data.ndim == 2 else unsqueeze(input, 0)
    left = (n_fft - width) // 2
    if align_to_window:
        x = constant_pad(x, ((0, 0), (left, n_fft - width - left)), 0)
    pieces = unfold(x, 1, n_fft, hop)
    shape = full_window(window, n_fft, width, input._data.dtype)
    if shape is not None:
        pieces = pieces * shape
    if pieces._data.dtype.itemsize < 4:
        raise RuntimeError(f"MKL FFT doesn't support tensors of type: {dtypes.LEGACY[pieces.dtype]}")
    scale = "root" if normalized else "one"
    if not real:
        if onesided:
            raise RuntimeError(ONESIDED_COMPLEX)
        spectra = fft.c2c(pieces, (2,), scale, True)
    elif onesided is None or onesided:
        spectra = fft.r2c(pieces, 2, scale, True)
    else:
        spectra = fft.r2c_whole(pieces, (2,), scale, True)
    spectra = transpose(spectra, 1, 2)
    if input._data.ndim == 1:
        spectra = squeeze(spectra, 0)
    return spectra if return_complex or (return_complex is None and not real) else view_as_real(spectra)


def centered(input: Tensor, count: int, mode: str) -> Tensor:
    """The signals with `count` elements more at either end."""
    from chainrule.nn._functional.padding import pad  # a room above this one, needed for this alone

    shape = input._data.shape
    padded = pad(view(input, (*[1] * (3 - len(shape)), *shape)), [count, count], mode)
    return view(padded, padded._data.shape[3 - len(shape) :]) if shape else view(padded, padded._data.shape[-1:])


def unfit(input: Tensor, n_fft: int, hop: int, width: int, window: Tensor | None) -> str:
    """What is wrong with the arguments of `stft`; "" if nothing is."""
    shape, kind = input._data.shape, input._data.dtype
    if kind.kind not in "fc" and input.dtype is not dtypes.bfloat16:
        return "expected a tensor of floating point or complex values"
    if len(shape) not in (1, 2):
        return "expected a 1D or 2D tensor"
    if not 0 < n_fft <= shape[-1]:
        return f"expected 0 < n_fft < {shape[-1]}, but got n_fft={width}"
    if hop <= 0:
        return f"expected hop_length > 0, but got hop_length={hop}"
    if not 0 < width <= n_fft:
        return f"expected 0 < win_length <= n_fft, but got win_length={width}"
    if window is not None and window._data.shape != (width,):
        size = list(window._data.shape)
        return f"expected a 1D window tensor of size equal to win_length={width}, but got window with size {size}"
    return ""


def refuse(
    function: str, input: Tensor, n_fft: int, hop: int, width: int, window: Tensor | None, problem: str, joint: str = " : ", **options: Any
) -> NoReturn:
    """The error that names the whole call."""
    kinds = [f"torch.{dtypes.LEGACY[t.dtype]}Tensor" if t is not None else "" for t in (input, window)]
    if input.dtype.is_complex or input.dtype is dtypes.bool_:
        kinds[0] = f"CPU{dtypes.LEGACY[input.dtype]}Type"
    shapes = [list(t._data.shape) if t is not None else [] for t in (input, window)]
    given = {"n_fft": n_fft, "hop_length": hop, "win_length": width, "window": f"{kinds[1]}{{{shapes[1]}}}" if window is not None else None}
    given |= {name: int(value) if isinstance(value, bool) else value for name, value in options.items()}
    call = ", ".join([f"{function}({kinds[0]}{shapes[0]}", *[f"{name}={value}" for name, value in given.items()]])
    raise RuntimeError(f"{call}){joint}{problem}")


def full_window(window: Tensor | None, n_fft: int, width: int, dtype: np.dtype) -> Tensor | None:
    """The window between zeros, n_fft elements; None for ones alone."""
    if width == n_fft:
        return window
    left = (n_fft - width) // 2
    return constant_pad(wrap(np.ones(width, dtype)) if window is None else window, ((left, n_fft - width - left),), 0)


@public
def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None, return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signals (batch, length) whose `stft` is nearest to `input` (batch, bins, frames), its arguments having been these.

    Pieces are added where they were and divided by the sum of the squared windows, which must not be 0 anywhere. `length` cuts the
    result or fills it with zeros. `return_complex` is for signals that were complex.

    Example: `istft(stft(arange(8.), 4, window=ones(4), return_complex=True), 4, window=ones(4))` is `arange(8.)`, nearly.
    """
    require_tensor("istft", input)
    if not input.dtype.is_complex:
        raise RuntimeError("istft requires a complex-valued input tensor matching the output from stft with return_complex=True.")
    if window is None:
        warn_once(NO_WINDOW)
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length

    def fail(problem: str, joint: str = " : ") -> NoReturn:
        refuse("istft", input, n_fft, hop, width, window, problem, joint, center=center, normalized=normalized, onesided=onesided,
               length=length, return_complex=return_complex)  # fmt: skip

    shape = input._data.shape
    if len(shape) < 2:
        n = len(shape)
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n - 1}, {n}], but got {-n - 2})")
    bins, frames = shape[-2:]
    half = bins != n_fft if onesided is None else onesided
    if not input._data.size:
        fail("input tensor cannot be empty.")
    if len(shape) > 3:
        fail(f"expected a tensor with 3 or 4 dimensions, but got {len(shape) + 1}")
    if bins != (n_fft // 2 + 1 if half else n_fft):
        wanted = "n_fft / 2 + 1 when onesided=True" if half else "n_fft when onesided=False"
        fail(f"expected the frequency dimension (3rd to the last) of the input tensor to match {wanted}, but got {bins}")
    if not 0 < hop <= width:
        fail("expected 0 < hop_length <= win_length")
    if not 0 < width <= n_fft:
        fail("expected 0 < win_length <= n_fft")
    if window is not None and window._data.shape != (width,):
        fail("Invalid window shape. window has to be 1D and length of `win_length`")
    x = transpose(input if len(shape) == 3 else unsqueeze(input, 0), 1, 2)
    scale = "root" if normalized else "n"
    if return_complex:
        if half:
            raise RuntimeError(ONESIDED_COMPLEX)
        pieces = fft.c2c(x, (2,), scale, False)
    else:
        if window is not None and window.dtype.is_complex:
            raise RuntimeError("Complex windows are incompatible with return_complex=False")
        pieces = fft.c2r(x if half else slice_dim(x, 2, 0, n_fft // 2 + 1, 1), 2, n_fft, scale, False)
    part = full_window(window, n_fft, width, input._data.real.dtype)
    if part is None:
        part = wrap(np.ones(n_fft, input._data.real.dtype))
    whole = n_fft + hop * (frames - 1)
    start = n_fft // 2 if center else 0
    stop = start + length if length is not None else whole - (n_fft // 2) * center
    sums = unfold_backward(pieces * part, (x._data.shape[0], whole), 1, n_fft, hop)
    weights = unfold_backward((part * part).expand(1, frames, n_fft), (1, whole), 1, n_fft, hop)
    sums, weights = [slice_dim(t, 1, start, max(start, min(stop, whole)), 1) for t in (sums, weights)]
    if not (np.abs(weights._data) >= 1e-11).all():
        fail("window overlap add min: 1\n[ CPUBoolType{} ]", " ")
    signal = sums / weights
    if len(shape) == 2:
        signal = squeeze(signal, 0)
    if stop > whole:
        warn_once(TOO_SHORT)
        signal = constant_pad(signal, (*[(0, 0)] * (len(shape) - 2), (0, stop - whole)), 0)
    return signal


__all__ = METHODS = ["istft", "stft"]
