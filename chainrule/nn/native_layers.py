"""Whole layers as `torch` itself names them: recurrent stacks with their weights in a list, convolution with all its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.functions import mul
from chainrule.nn import functional as F
from chainrule.nn._functional.embedding import renormalize
from chainrule.nn.modules.recurrence import recurrent
from chainrule.tensor import Tensor

CONVOLUTIONS = {False: (F.conv1d, F.conv2d, F.conv3d), True: (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)}


def _stack(name: str, mode: str) -> Callable:
    pair = mode == "LSTM"

    def padded(input: Tensor, state: tuple, params: Sequence, settings: tuple, batch_first: bool) -> tuple:
        output, state = recurrent(mode, input.transpose(0, 1) if batch_first else input, state, params, *settings, None)  # type: ignore[attr-defined]
        return (output.transpose(0, 1) if batch_first else output), *state  # type: ignore[attr-defined]

    def packed(data: Tensor, batch_sizes: Tensor, state: tuple, params: Sequence, settings: tuple) -> tuple:
        output, state = recurrent(mode, data, state, params, *settings, batch_sizes.tolist())
        return output, *state

    def call(*args: Any) -> tuple:
        is_packed = isinstance(args[2], Tensor) if not pair else isinstance(args[1], Tensor)
        start = 2 if is_packed else 1
        if len(args) != 9:
            raise TypeError(f"{name}() takes 9 arguments, but got {len(args)}")
        hx, params, settings = args[start], args[start + 1], args[start + 2 : start + 7]
        state = tuple(hx) if pair else (hx,)
        return packed(args[0], args[1], state, params, settings) if is_packed else padded(args[0], state, params, settings, args[8])

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""A stack of {mode} layers: (outputs, last state{", last cell" if pair else ""}).

    Arguments: (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or for packed sequences
    (data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional). `params` are the weights of the layers one
    after another, in the order of `nn.{mode.partition("_")[0]}`'s parameters{"; `hx` is (state, cell)" if pair else ""}.
    """
    return call


lstm, gru, rnn_tanh, rnn_relu = _stack("lstm", "LSTM"), _stack("gru", "GRU"), _stack("rnn_tanh", "RNN_TANH"), _stack("rnn_relu", "RNN_RELU")


def convolution(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    transposed: bool, output_padding: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    """`nn.functional.conv1d`, 2d or 3d, or, if `transposed`, `conv_transpose1d`, 2d or 3d, as the weight has 3, 4 or 5 dimensions."""
    function = CONVOLUTIONS[transposed][weight.ndim - 3]
    if transposed:
        return function(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return function(input, weight, bias, stride, padding, dilation, groups)


def max_pool1d_with_indices(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Tensor, Tensor]:
    """`nn.functional.max_pool1d` and the places of the largest elements."""
    return F.max_pool1d(input, kernel_size, stride or None, padding, dilation, ceil_mode, return_indices=True)


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Whole channels (N, C, ...) dropped with probability `p` if `train`, the others divided by 1 - p."""
    return mul(input, _channels(input, p) if train and p else 1)


def feature_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`feature_dropout` in place."""
    return input.mul_(_channels(input, p)) if train and p else input  # type: ignore[attr-defined]


def _channels(input: Tensor, p: float) -> Tensor:
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    kept = input.new_zeros((*input.shape[:2], *[1] * (input.ndim - 2)))  # type: ignore[attr-defined]
    return kept.bernoulli_(1 - p).div_(1 - p) if p < 1 else kept


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """`nn.functional.rrelu` in place."""
    return F.rrelu(input, lower, upper, training, True)


def embedding_renorm_(input: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Shorten, in place and unrecorded, the rows of `input` at `indices` that are longer than `max_norm`; returns it."""
    renormalize(input, indices._data.reshape(-1), max_norm, norm_type)
    return input
