"""`stft`, `istft` and the windows beside them, against PyTorch."""

import warnings

import numpy as np
import pytest
import torch as oracle
from both import agree

import chainrule

WINDOWS = ["hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window"]


def signal(torch, *shape, dtype="float64"):
    made = np.random.RandomState(0).randn(*shape)
    return torch.tensor((made + 1j * made[..., ::-1] if dtype.startswith("complex") else made).tolist(), dtype=getattr(torch, dtype))


def analysed(torch, shape=(20,), dtype="float64", window=None, **options):
    """The spectra, and the gradients of a sum of their moduli with weights; then the signal again."""
    x = signal(torch, *shape, dtype=dtype).requires_grad_()
    w = None if window is None else signal(torch, window).abs().requires_grad_()
    y = torch.stft(x, 8, window=w, **options)
    weights = torch.arange(y.numel()).reshape(y.shape)
    grads = torch.autograd.grad((y.abs() * weights).sum(), [t for t in (x, w) if t is not None])
    return y, grads


OPTIONS = [
    {"return_complex": True, "window": 8},
    {"return_complex": False, "window": 8},
    {"return_complex": True, "shape": (3, 20), "window": 8, "hop_length": 3},
    {"return_complex": True, "window": 5, "win_length": 5},
    {"return_complex": True, "window": 6, "win_length": 6},
    {"return_complex": True, "center": False, "normalized": True, "window": 8},
    {"return_complex": True, "center": False, "window": 4, "win_length": 4, "align_to_window": True},
    {"return_complex": True, "onesided": False, "pad_mode": "constant", "window": 8},
    {"dtype": "complex128", "window": 8},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_stft(options):
    agree(lambda torch: analysed(torch, **options))


REFUSED = [
    {"n_fft": 8},
    {"n_fft": 0, "center": False},
    {"n_fft": 30, "center": False},
    {"n_fft": 100},
    {"n_fft": 8, "hop_length": 0},
    {"n_fft": 8, "win_length": 9},
    {"n_fft": 8, "win_length": 4, "window": 5},
    {"n_fft": 8, "align_to_window": True},
    {"n_fft": 8, "pad_mode": "mirror"},
    {"n_fft": 8, "dtype": "int64"},
    {"n_fft": 8, "shape": (2, 3, 9), "center": False},
    {"n_fft": 8, "dtype": "complex64", "onesided": True},
]


@pytest.mark.parametrize("options", REFUSED, ids=str)
def test_stft_refuses(options):
    def program(torch):
        given = dict(options)
        x = torch.ones(given.pop("shape", (20,))).to(getattr(torch, given.pop("dtype", "float32")))
        window = given.pop("window", None)
        given |= {"return_complex": True} if len(options) > 1 else {}
        return torch.stft(x, window=torch.ones(window or given.get("win_length", given["n_fft"])), **given)

    agree(program)


def returned(torch, complex_signal=False, shape=(20,), window=8, win_length=None, n_fft=8, **options):
    spectra = torch.stft(signal(torch, *shape, dtype="complex128" if complex_signal else "float64"), 8, return_complex=True,
                         window=torch.ones(8, dtype=torch.float64))  # fmt: skip
    s = spectra.detach().requires_grad_()
    w = (signal(torch, window).abs() + 0.5).requires_grad_()
    y = torch.istft(s, n_fft, window=w, win_length=win_length, **options)
    return y, torch.autograd.grad((y.abs() * torch.arange(y.numel()).reshape(y.shape)).sum(), [s, w])


SYNTHESES = [
    {},
    {"shape": (3, 20)},
    {"length": 13},
    {"length": 40},
    {"center": False},
    {"normalized": True, "window": 6, "win_length": 6},
    {"complex_signal": True, "return_complex": True},
    {"complex_signal": True},
    {"n_fft": 9},
    {"n_fft": 10},
    {"hop_length": 9},
    {"hop_length": 0},
    {"win_length": 9},
    {"win_length": 6},
    {"onesided": False},
    {"return_complex": True},
    {"window": 4, "win_length": 4, "hop_length": 4, "center": False},
]


@pytest.mark.parametrize("options", SYNTHESES, ids=str)
def test_istft(options):
    agree(lambda torch: returned(torch, **options))


def test_halves_are_refused():
    with pytest.raises(RuntimeError, match="tensors of type: Half"):
        chainrule.stft(chainrule.ones(20).half(), 8, window=chainrule.ones(8).half(), return_complex=True)


@pytest.mark.parametrize("shape", [(), (4,), (1, 2, 5, 3), (5, 0)], ids=str)
def test_istft_refuses(shape):
    agree(lambda torch: torch.istft(torch.ones(shape) * 1j, 8, window=torch.ones(8)))
    agree(lambda torch: torch.istft(torch.ones(shape), 8, window=torch.ones(8)))


def test_a_signal_comes_back():
    x = signal(chainrule, 2, 30)
    window = chainrule.hann_window(8, dtype=chainrule.float64)
    back = x.stft(8, window=window, return_complex=True).istft(8, window=window, length=30)
    np.testing.assert_allclose(back.numpy(), x.numpy(), atol=1e-14)
    assert chainrule.autograd.gradcheck(
        lambda t, w: t.stft(8, window=w, return_complex=True).istft(8, window=w), (x[0].requires_grad_(), window.add(0.5).requires_grad_())
    )


def test_second_derivatives():
    x = signal(chainrule, 12).requires_grad_()
    assert chainrule.autograd.gradgradcheck(lambda t: t.stft(4, 2, window=chainrule.ones(4), return_complex=True).abs().square(), x)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name, dtype):
    for length in (0, 1, 2, 7, 64):
        for periodic in (True, False):
            mine, theirs = [getattr(lib, name)(length, periodic, dtype=getattr(lib, dtype)).double().numpy() for lib in (chainrule, oracle)]
            limit = {"float32": 2e-6, "float64": 1e-14}.get(dtype, 0.0 if name != "kaiser_window" else 5e-4)
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=limit)


@pytest.mark.parametrize("name", WINDOWS)
def test_arguments_of_windows(name):
    agree(lambda torch: getattr(torch, name)(window_length=5, periodic=False, dtype=torch.float64, requires_grad=True).requires_grad)
    agree(lambda torch: getattr(torch, name)(-1))
    agree(lambda torch: getattr(torch, name)(4.5))
    for wrong in ({"dtype": chainrule.int64}, {"size": 3}, {"periodic": "yes"}):
        with pytest.raises((TypeError, RuntimeError)):
            getattr(chainrule, name)(5, **wrong)


def test_parameters_of_windows():
    agree(lambda torch: torch.hamming_window(6, True, 0.3, 0.2))
    agree(lambda torch: torch.kaiser_window(6, False, beta=3.0))


def test_missing_windows_warn_once():
    from chainrule._core import warn

    warn.given.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            chainrule.ones(20).stft(8, return_complex=True)
    assert [w.category for w in caught] == [UserWarning] and "spectral leakage" in str(caught[0].message)
