"""What a profile calls functions and primitives: as PyTorch's dispatcher does, `aten::` and the name of its op.

A primitive that PyTorch has no op for is `chainrule::` and its own name. Functions that are no ops there are not shown; what they
are made of is.
"""

from __future__ import annotations

from functools import cache

import chainrule
from chainrule.ops import pointwise
from chainrule.ops.pointwise_form import Pointwise
from chainrule.tensor import Tensor

# Python that calls ops, in PyTorch too
COMPOSED = (
    "backward grad multi_head_attention_forward checkpoint is_floating_point is_complex numel requires_grad_ recurrent new new_tensor cond "
    "while_loop function gaussian_nll_loss gumbel_softmax interpolate upsample upsample_bilinear upsample_nearest linear_cross_entropy "
    "lobpcg local_response_norm lp_pool1d lp_pool2d lp_pool3d max_unpool1d multilabel_soft_margin_loss normalize pca_lowrank softmin "
    "softsign svd_lowrank tanhshrink triplet_margin_with_distance_loss unravel_index"
)
LINALG = (
    "cholesky_ex eig eigh eigvals eigvalsh householder_product inv inv_ex ldl_factor ldl_factor_ex ldl_solve lstsq lu lu_factor "
    "lu_factor_ex matrix_norm matrix_rank multi_dot pinv solve solve_ex solve_triangular svdvals tensorinv tensorsolve vecdot vector_norm"
)
FFT = "fft fft2 fftn ifft ifft2 ifftn rfft rfft2 rfftn irfft irfft2 irfftn hfft hfft2 hfftn ihfft ihfft2 ihfftn fftshift ifftshift"
UNSEEN = frozenset(COMPOSED.split())
# Functions that have a quicker way as long as nothing watches: timed as one, on that way
WHOLE = {n for n, op in vars(pointwise).items() if isinstance(op, Pointwise)}
WHOLE |= {"cross_entropy", "nll_loss", "scaled_dot_product_attention"}
FUNCTIONS = {f: f"linalg_{f}" for f in LINALG.split()} | {f: f"fft_{f}" for f in FFT.split()} | {
    "cross_entropy": "cross_entropy_loss", "nll_loss": "nll_loss_nd", "pow_number": "pow", "reversed_division": "div", "slice_": "slice",
    "getitem": "select", "__getitem__": "select", "setitem": "index_put_", "__setitem__": "index_put_", "unique": "_unique2",
    "__iadd__": "add_", "__isub__": "sub_", "__imul__": "mul_", "__itruediv__": "div_", "__ipow__": "pow_", "__idiv__": "div_",
    "cpu": "to", "type_": "to", "affine_grid": "affine_grid_generator", "grid_sample": "grid_sampler", "fold": "col2im",
    "dropout1d": "feature_dropout", "dropout2d": "feature_dropout", "dropout3d": "feature_dropout", "matrix_transpose": "mT",
    "matrix_adjoint": "adjoint", "conjugate_transpose": "adjoint", "reversed_dims": "numpy_T",
}  # fmt: skip
PRIMITIVES = {f: f"linalg_{f}" for f in LINALG.split()} | {
    "affine": "addmm", "fold_affine": "addmm", "times_transposed": "mm", "fold_mm": "mm", "fold_times_transposed": "mm", "matmul": "bmm",
    "fold_mv": "mv", "vecmat": "mv", "conv": "convolution", "conv_input": "convolution_backward", "conv_weight": "convolution_backward",
    "softmax": "_softmax", "log_softmax": "_log_softmax", "unsoftmax": "_softmax_backward_data", "rnn": "rnn_tanh", "embed": "embedding",
    "unlog_softmax": "_log_softmax_backward_data", "cast": "_to_copy", "square": "pow", "pow_scalar": "pow", "sum_all": "sum",
    "mean_all": "mean", "prod_all": "prod", "norm": "native_layer_norm", "fixed_norm": "native_batch_norm",
    "constant_pad": "constant_pad_nd",
    "standardize": "native_batch_norm", "attend": "_scaled_dot_product_flash_attention_for_cpu", "c2c": "_fft_c2c", "c2r": "_fft_c2r",
    "r2c": "_fft_r2c", "r2c_whole": "_fft_r2c", "eigh": "_linalg_eigh", "pick": "nll_loss_forward", "nll": "nll_loss_forward",
    "gelu_tanh": "gelu", "bag_sum": "_embedding_bag", "bag_max": "_embedding_bag", "unpool": "max_unpool2d", "fold": "col2im",
    "affine_grid": "affine_grid_generator", "round_decimals": "round", "index_put_add": "index_put_", "index_fill_tensor": "index_fill",
    "scatter_value": "scatter", "scatter_combine": "scatter_reduce", "slice_dim": "slice", "spread": "expand", "crop": "constant_pad_nd",
    "alias": "alias", "copy": "copy_", "zero": "zero_", "index": "index", "slice": "slice", "log_sigmoid": "log_sigmoid",
}  # fmt: skip


def of_function(name: str) -> str:
    """The name of a public function's op.

    Example:
        >>> of_function("cross_entropy")
        'aten::cross_entropy_loss'
    """
    return f"aten::{FUNCTIONS.get(name, name)}"


@cache
def of_primitive(name: str) -> str:
    """The name of the op that a primitive is.

    Example:
        >>> of_primitive("affine"), of_primitive("exp"), of_primitive("pulled")
        ('aten::addmm', 'aten::exp', 'chainrule::pulled')
    """
    if name in PRIMITIVES:
        return f"aten::{PRIMITIVES[name]}"
    public = hasattr(chainrule, name) or hasattr(Tensor, name) or hasattr(chainrule.nn.functional, name)
    known = (public and name not in UNSEEN) or name.startswith("special_") or name.endswith("_backward")
    return f"aten::{name}" if known else f"chainrule::{name}"
