"""Functions of layers as `torch` itself names them, `torch.layer_norm` and the like: as in `nn.functional`, but for the order of arguments.

Reductions are numbers here: 0 for none, 1 for the mean, 2 for the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.nn import functional as F
from chainrule.tensor import Tensor

SAME = """
    adaptive_avg_pool1d avg_pool1d bilinear channel_shuffle conv1d conv2d conv3d conv_tbc conv_transpose1d
    conv_transpose2d conv_transpose3d cosine_similarity max_pool1d max_pool2d max_pool3d pairwise_distance pdist pixel_shuffle
    pixel_unshuffle rms_norm rrelu
""".split()  # noqa: SIM905
globals().update({name: getattr(F, name) for name in SAME})
REDUCTIONS = ("none", "mean", "sum")
GRID_MODES, GRID_PADDING = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


# Dropout: whether to drop is said, not assumed


def _dropout(name: str, inplace: bool) -> Callable:
    function = getattr(F, name)

    def call(input: Tensor, p: float, train: bool) -> Tensor:
        return function(input, p, train, inplace)

    call.__name__ = call.__qualname__ = name + "_" * inplace
    call.__doc__ = f"`nn.functional.{name}`{', in place' * inplace}; `train` says whether anything is dropped."
    return call


dropout, dropout_ = _dropout("dropout", False), _dropout("dropout", True)
alpha_dropout, alpha_dropout_ = _dropout("alpha_dropout", False), _dropout("alpha_dropout", True)
feature_alpha_dropout, feature_alpha_dropout_ = _dropout("feature_alpha_dropout", False), _dropout("feature_alpha_dropout", True)


# Normalization


def batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None, training: bool,
    momentum: float, eps: float, cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    """`nn.functional.batch_norm`."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None, running_var: Tensor | None,
    use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    """`nn.functional.instance_norm`."""
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """`nn.functional.layer_norm`."""
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5, cudnn_enabled: bool = True
) -> Tensor:
    """`nn.functional.group_norm`."""
    return F.group_norm(input, num_groups, weight, bias, eps)


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm over all dimensions but `dim`, kept; over all of them for `dim=-1`."""
    if dim == -1:
        return v.norm(pow)
    return v.norm(pow, [d for d in range(v.dim()) if d != dim % v.dim()], keepdim=True) if v.dim() > 1 else v.abs()


# Embeddings, grids, maxima and where they are


def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """`nn.functional.embedding`, the weight first; `padding_idx` -1 is none."""
    return F.embedding(indices, weight, None if padding_idx < 0 else padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)


def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """`nn.functional.adaptive_max_pool1d` with the indices of the maxima."""
    return F.adaptive_max_pool1d(input, output_size, return_indices=True)


def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """`nn.functional.affine_grid`."""
    return F.affine_grid(theta, size, align_corners)


def grid_sampler(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Tensor:
    """`nn.functional.grid_sample`; mode 0 is bilinear, 1 nearest, 2 bicubic, padding 0 zeros, 1 border, 2 reflection."""
    return F.grid_sample(input, grid, GRID_MODES[interpolation_mode], GRID_PADDING[padding_mode], align_corners)


# Losses, their reduction a number


def _loss(name: str, arguments: str) -> Callable:
    function, names = getattr(F, name), arguments.split()

    def call(*args: Any, **kwargs: Any) -> Tensor:
        given = dict(zip(names, args)) | kwargs
        return function(**given | {"reduction": REDUCTIONS[given.get("reduction", 1)]})

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`nn.functional.{name}` of {', '.join(names)}; the reduction is a number."
    return call


cosine_embedding_loss = _loss("cosine_embedding_loss", "input1 input2 target margin reduction")
ctc_loss = _loss("ctc_loss", "log_probs targets input_lengths target_lengths blank reduction zero_infinity")
hinge_embedding_loss = _loss("hinge_embedding_loss", "input target margin reduction")
kl_div = _loss("kl_div", "input target reduction")
margin_ranking_loss = _loss("margin_ranking_loss", "input1 input2 target margin reduction")
triplet_margin_loss = _loss("triplet_margin_loss", "anchor positive negative margin p eps swap reduction")


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: int = 1
) -> Tensor:
    """`nn.functional.binary_cross_entropy_with_logits`."""
    return F.binary_cross_entropy_with_logits(input, target, weight, reduction=REDUCTIONS[reduction], pos_weight=pos_weight)


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Tensor:
    """`nn.functional.poisson_nll_loss`."""
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=REDUCTIONS[reduction])


# One step of a recurrent network


def _gates(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None) -> tuple[Tensor, Tensor]:
    return F.linear(input, w_ih, b_ih), F.linear(hx, w_hh, b_hh)


def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """The next state (batch, hidden) of `nn.RNNCell`."""
    a, b = _gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    return (a + b).tanh()


def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """The next state (batch, hidden) of `nn.RNNCell` with ReLU."""
    a, b = _gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    return (a + b).relu()


def gru_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None) -> Tensor:
    """The next state (batch, hidden) of `nn.GRUCell`."""
    a, b = _gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    (reset_a, update_a, new_a), (reset_b, update_b, new_b) = a.chunk(3, 1), b.chunk(3, 1)
    update = (update_a + update_b).sigmoid()
    new = (new_a + (reset_a + reset_b).sigmoid() * new_b).tanh()
    return new + update * (hx - new)


def lstm_cell(
    input: Tensor, hx: tuple[Tensor, Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The next state and cell (batch, hidden) of `nn.LSTMCell`."""
    a, b = _gates(input, hx[0], w_ih, w_hh, b_ih, b_hh)
    take, forget, new, give = (a + b).chunk(4, 1)
    cell = forget.sigmoid() * hx[1] + take.sigmoid() * new.tanh()
    return give.sigmoid() * cell.tanh(), cell
