"""chainrule: PyTorch's autograd engine and tensor library in Python, for the CPU.

    import chainrule as torch

is the only line that a script changes. Submodules (`nn`, `optim`, `autograd`, ...) load when they are first used.
"""

from __future__ import annotations

import typing as _typing
import warnings as _warnings
from importlib import import_module as _import_module
from math import e, inf, nan, pi

from chainrule import autograd
from chainrule._core.dtypes import (
    ALIASES as _ALIASES,
    ALL as _ALL,
    dtype,
    get_default_dtype,
    promote_types,
    set_default_dtype,
)
from chainrule._core.types import (
    Size,
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    layout,
    memory_format,
    preserve_format,
    sparse_coo,
    strided,
)
from chainrule.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from chainrule.functions import *  # noqa: F403
from chainrule.tensor import Tensor

globals().update({d.name: d for d in _ALL} | _ALIASES)
newaxis = None
__version__ = "0.1.0"

# NumPy warns of overflow, 1/0 and the like; PyTorch does not. Only warnings that come out of chainrule's own lines are silenced.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"chainrule\.|<chainrule ")

_SUBMODULES = (
    "nn", "optim", "linalg", "random", "distributions", "futures", "fx", "utils", "vision", "viz", "special", "fft", "signal", "masked",
    "_C", "_dynamo", "func", "functional", "overrides", "hub", "library", "return_types", "types", "testing", "serialization",
    "accelerator", "amp", "backends", "compiler", "cpu", "cuda", "distributed", "jit", "mps", "multiprocessing", "onnx", "profiler",
    "quasirandom", "settings", "storage", "torch_version", "version", "xpu",
)  # fmt: skip
_ROOMS = {  # functions of rooms that a first import need not pay for
    "serialization": "save load",
    "settings": "are_deterministic_algorithms_enabled get_deterministic_debug_mode get_float32_matmul_precision get_num_interop_threads "
    "get_num_threads is_deterministic_algorithms_warn_only_enabled is_warn_always_enabled set_deterministic_debug_mode "
    "set_float32_matmul_precision set_flush_denormal set_num_interop_threads set_num_threads set_warn_always use_deterministic_algorithms",
    "amp": "autocast GradScaler",
    "amp.autocast_mode": "clear_autocast_cache get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype is_autocast_cache_enabled "
    "is_autocast_cpu_enabled is_autocast_enabled set_autocast_cache_enabled set_autocast_dtype set_autocast_enabled",
    "compiler": "compile",
    "cuda": "OutOfMemoryError",
    "func": "vmap",
    "autograd.anomaly_mode": "is_anomaly_check_nan_enabled is_anomaly_enabled set_anomaly_enabled",
    "functions.checks": "_assert _check _check_index _check_is_size _check_not_implemented _check_tensor_all _check_tensor_all_with "
    "_check_type _check_value _check_with sym_float sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
    "functions.control": "cond while_loop",
    "random": "thread_safe_generator",
    "functions.fake_quantize": "fake_quantize_per_channel_affine fake_quantize_per_tensor_affine",
    "functions.segments": "segment_reduce",
    "nn.native_layers": "convolution embedding_renorm_ feature_dropout feature_dropout_ gru lstm max_pool1d_with_indices rnn_relu rnn_tanh "
    "rrelu_",
    "functions.concentrations": "_dirichlet_grad _sample_dirichlet _standard_gamma _standard_gamma_grad",
    "nn._functional.native": "grid_sampler_2d grid_sampler_3d native_batch_norm native_channel_shuffle native_dropout "
    "native_dropout_backward native_group_norm native_layer_norm",
    "nn.native": "adaptive_avg_pool1d adaptive_max_pool1d affine_grid_generator alpha_dropout alpha_dropout_ avg_pool1d batch_norm "
    "bilinear binary_cross_entropy_with_logits channel_shuffle conv1d conv2d conv3d conv_tbc conv_transpose1d "
    "conv_transpose2d conv_transpose3d cosine_embedding_loss cosine_similarity ctc_loss dropout dropout_ embedding "
    "feature_alpha_dropout feature_alpha_dropout_ grid_sampler group_norm gru_cell hinge_embedding_loss instance_norm "
    "kl_div layer_norm lstm_cell margin_ranking_loss max_pool1d max_pool2d max_pool3d norm_except_dim pairwise_distance "
    "pdist pixel_shuffle pixel_unshuffle poisson_nll_loss rms_norm rnn_relu_cell rnn_tanh_cell rrelu triplet_margin_loss",
}
_LAZY = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> _typing.Any:
    if name == "torch":  # `torch.torch`, which PyTorch has by accident and programs use by mistake
        return _import_module("chainrule")
    if name in _SUBMODULES:
        return _import_module(f"chainrule.{name}")
    if name in _LAZY:
        return getattr(_import_module(f"chainrule.{_LAZY[name]}"), name)
    if name.startswith("_foreach_"):
        return getattr(_import_module("chainrule.functions.foreach"), name)
    raise AttributeError(f"module 'torch' (chainrule) has no attribute {name!r}")


def __dir__() -> list:
    return [*globals(), *_SUBMODULES, *_LAZY]
