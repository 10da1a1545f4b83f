"""Attention: the scaled dot product, and several heads of it between linear maps."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from chainrule._core import dtypes, modes
from chainrule.functions.arguments import require_tensor
from chainrule.kernels.random import CPP
from chainrule.nn._functional.activation import softmax
from chainrule.nn._functional.dropout import dropout
from chainrule.nn._functional.linear import linear
from chainrule.nn._functional.padding import pad
from chainrule.ops import attention as ops, joining, pointwise as elements
from chainrule.ops.overrides import public
from chainrule.tensor import Tensor, wrap

state = modes.state
FAST = frozenset((dtypes.float32.numpy, dtypes.float64.numpy))
BACKENDS = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True, "overrideable": True}  # what nn.attention allows
NO_BACKEND = (
    "No viable backend for scaled_dot_product_attention was found. This is likely due to turning off both the math kernel and the fused "
    "kernels."
)


@public
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(query @ key.mT * scale + mask) @ value: shapes (..., L, E), (..., S, E) and (..., S, V) give (..., L, V).

    A bool mask (..., L, S) is True where attention is allowed, a float one is added; `is_causal` lets place i see places up to i.
    `scale` is 1 / sqrt(E) if left out. A query that may see nothing gives zeros. `enable_gqa`: key and value heads (dimension -3)
    each serve several query heads.
    """
    check_attention(query, key, value, attn_mask)
    if not (BACKENDS["math"] or BACKENDS["flash"]):
        raise RuntimeError(NO_BACKEND)
    q: Any = query
    k: Any = key
    v: Any = value
    alone = not state.busy or (state.busy == 1 and not modes.local.grad)  # no mode but, perhaps, no_grad
    if alone and not enable_gqa and dropout_p <= 0.0 and one_kind(query, key, value, attn_mask):
        hidden = None
        if attn_mask is not None and attn_mask._data.dtype.kind == "b":
            hidden, attn_mask = ~attn_mask._data, None
        scale = 1 / math.sqrt(q._data.shape[-1]) if scale is None else scale
        return ops.attention(query, key, value, attn_mask, hidden, scale, is_causal)
    if enable_gqa:
        k, v = (t.repeat_interleave(q._data.shape[-3] // t._data.shape[-3], -3) for t in (k, v))
    size = q._data.shape[-1]
    root = math.sqrt(1 / math.sqrt(size) if scale is None and size else 1.0 if scale is None else abs(scale))
    k = k * (root if scale is None or scale >= 0 else -root)
    scores = (q * root) @ k.mT
    allowed = None
    if is_causal:
        allowed = np.tri(*scores._data.shape[-2:]).astype(bool)
    if attn_mask is not None:
        if attn_mask.dtype is dtypes.bool_:
            allowed = attn_mask._data if allowed is None else allowed & attn_mask._data
        else:
            scores = scores + (attn_mask if attn_mask._data.dtype == scores._data.dtype else attn_mask.to(scores.dtype))  # type: ignore[attr-defined]
    if allowed is not None:
        scores = elements.where(wrap(allowed), scores, wrap(np.full((), -np.inf, scores._data.dtype)))
    weights = visible_softmax(scores)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p)
    return weights @ v


def one_kind(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> bool:
    """Whether one batch of floats is attended to by another, nothing being empty and the mask, if any, no larger than the scores."""
    q, k, v = query._data, key._data, value._data
    if not (q.dtype in FAST and q.size and k.size and v.size and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]):
        return False
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        return False
    if mask is None:
        return True
    scores = (*q.shape[:-1], k.shape[-2])
    shape = (1,) * (len(scores) - mask._data.ndim) + mask._data.shape
    return (mask._data.dtype is q.dtype or mask._data.dtype.kind == "b") and all([m in (1, n) for m, n in zip(shape, scores, strict=False)])


def visible_softmax(scores: Any) -> Any:
    """softmax over the last dimension, zeros where all is -inf."""
    weights = softmax(scores, -1)
    if not scores._data.size or not np.isnan(weights._data[..., 0]).any():
        return weights
    blind = np.isneginf(scores._data).all(-1, keepdims=True)
    if not blind.any():
        return weights
    zero = wrap(np.zeros((), scores._data.dtype))
    return elements.where(wrap(blind), zero, softmax(elements.where(wrap(blind), zero, scores), -1))


def check_attention(query: Any, key: Any, value: Any, mask: Any) -> None:
    for i, (name, t) in enumerate((("query", query), ("key", key), ("value", value))):
        require_tensor("scaled_dot_product_attention", t, name, i + 1)
    names = [CPP[t.dtype.name] for t in (query, key, value)]
    if len(set(names)) > 1:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {names[0]} key.dtype: {names[1]} and "
            f"value.dtype: {names[2]} instead."
        )
    ndims = [t._data.ndim for t in (query, key, value)]
    if min(ndims) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {ndims[0]} key.dim: {ndims[1]} and "
            f"value.dim: {ndims[2]} instead."
        )
    if mask is not None and mask.dtype not in (dtypes.bool_, dtypes.float32, query.dtype):
        raise RuntimeError(
            f"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: {CPP[mask.dtype.name]} and  "
            f"query.dtype: {names[0]} instead."
        )


# Several heads


def expect(holds: Any, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def is_batched(query: Any, key: Any, value: Any, padding: Any, mask: Any, heads: int) -> bool:
    """Whether the inputs are (L, N, E); (L, E) is the other way. Everything else must agree with it."""
    ndim = query._data.ndim
    expect(ndim in (2, 3), f"query should be unbatched 2D or batched 3D tensor but received {ndim}-D query tensor")
    start = f"For {'batched (3-D)' if ndim == 3 else 'unbatched (2-D)'} `query`, expected"
    expect(
        key.ndim == value.ndim == ndim,
        f"{start} `key` and `value` to be {ndim}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively",
    )
    if padding is not None:
        expect(
            padding.ndim == ndim - 1, f"{start} `key_padding_mask` to be `None` or {ndim - 1}-D but found {padding.ndim}-D tensor instead"
        )
    if mask is not None:
        expect(mask.ndim in (2, 3), f"{start} `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead")
        if ndim == 2 and mask.ndim == 3:
            wanted = (heads, query.shape[0], key.shape[0])
            expect(mask.shape == wanted, f"Expected `attn_mask` shape to be {wanted} but got {mask.shape}")
    return ndim == 3


def additive(mask: Any, name: str, target: Any) -> Any:
    """A mask to be added: a bool one, True where attention is not allowed, becomes -inf there."""
    if mask is None or mask.dtype.is_floating_point:
        return mask
    expect(mask.dtype is dtypes.bool_, f"only bool and floating types of {name} are supported")
    return wrap(np.where(mask._data, -np.inf, 0).astype(target._data.dtype))


def projected(query: Any, key: Any, value: Any, weight: Any, bias: Any) -> tuple[Any, Any, Any]:
    """The three linear maps, whose weights are the thirds of one matrix: one product if the inputs are the same."""
    if key is value and query is key:
        packed: Any = linear(query, weight, bias)
        q, k, v = packed.chunk(3, -1)
        return q, k, v
    weights = weight.chunk(3)
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    q, k, v = (linear(t, w, b) for t, w, b in zip((query, key, value), weights, biases, strict=True))
    return q, k, v


def separately_projected(query: Any, key: Any, value: Any, weights: tuple, bias: Any) -> tuple[Any, Any, Any]:
    size = query._data.shape[-1]
    results = []
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    for name, letter, t, w, b in zip(("query", "key", "value"), "qkv", (query, key, value), weights, biases, strict=True):
        expect(w is not None, f"use_separate_proj_weight is True but {letter}_proj_weight is None")
        wanted = (size, t._data.shape[-1])
        expect(w._data.shape == wanted, f"expecting {name} weights shape of {wanted}, but got {w.shape}")
        results.append(linear(t, w, b))
    return results[0], results[1], results[2]


@public
def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None, static_k: Tensor | None = None,
    static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention of `num_heads` heads: query (L, N, E) or (L, E), key and value (S, N, E) or (S, E).

    Returns the result, of query's shape, and the weights (N, L, S), averaged over the heads or (N, heads, L, S), or None unless
    `need_weights`. Masks are True, or -inf, where attention is not allowed: `key_padding_mask` (N, S), `attn_mask` (L, S) or
    (N * heads, L, S). This is what `nn.MultiheadAttention` calls.
    """
    q: Any = query
    k: Any = key
    v: Any = value
    mask: Any = attn_mask
    padding: Any = key_padding_mask
    batched = is_batched(q, k, v, padding, mask, num_heads)
    if not batched:
        same_key, same_value = k is q, v is k
        q = q.unsqueeze(1)
        k = q if same_key else k.unsqueeze(1)
        v = k if same_value else v.unsqueeze(1)
        padding = padding if padding is None else padding.unsqueeze(0)
    (length, n, size), source = q._data.shape, k._data.shape[0]
    if padding is not None and mask is not None and padding.dtype is not mask.dtype:
        warnings.warn("Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both instead.", stacklevel=3)
    padding = additive(padding, "key_padding_mask", q)
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to "
            "create this mask."
        )
    if is_causal and padding is None and not need_weights:
        mask = None
    else:
        mask = additive(mask, "attn_mask", q)
        is_causal = is_causal and padding is None
    expect(size == embed_dim_to_check, f"was expecting embedding dimension of {embed_dim_to_check}, but got {size}")
    head = size // num_heads
    expect(head * num_heads == size, f"embed_dim {size} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        expect(k.shape[:2] == v.shape[:2], f"key's sequence and batch dims {k.shape[:2]} do not match value's {v.shape[:2]}")
        q, k, v = separately_projected(q, k, v, (q_proj_weight, k_proj_weight, v_proj_weight), in_proj_bias)
    else:
        expect(k.shape == v.shape, f"key shape {k.shape} does not match value shape {v.shape}")
        expect(in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = projected(q, k, v, in_proj_weight, in_proj_bias)
    if mask is not None:
        wanted = (length, source) if mask.ndim == 2 else (n * num_heads, length, source)
        if mask._data.shape != wanted:
            raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {wanted}.")
        mask = mask.unsqueeze(0) if mask.ndim == 2 else mask
    longer = 0
    if bias_k is not None or bias_v is not None:
        expect(bias_v is not None, "bias_k is set but bias_v is None")
        expect(bias_k is not None, "bias_v is set but bias_k is None")
        expect(static_k is None, "bias cannot be added to static key.")
        expect(static_v is None, "bias cannot be added to static value.")
        k, v = (joining.cat((t, b.repeat(1, n, 1)), 0) for t, b in ((k, bias_k), (v, bias_v)))
        longer += 1
    heads = n * num_heads
    q = q.reshape(length, heads, head).transpose(0, 1)
    k, v = (
        t.reshape(t._data.shape[0], heads, head).transpose(0, 1) if given is None else check_static(given, name, heads, head)
        for name, t, given in (("static_k", k, static_k), ("static_v", v, static_v))
    )
    if add_zero_attn:
        zero = wrap(np.zeros((heads, 1, head), q._data.dtype))
        k, v = (joining.cat((t, zero), 1) for t in (k, v))
        longer += 1
    source = k._data.shape[1]
    if longer:
        mask, padding = (t if t is None else pad(t, (0, longer)) for t in (mask, padding))
    if padding is not None:
        expect(padding.shape[0] == n, f"Expected key_padded_mask.shape[0] to be {n}, but got {padding.shape[0]}")
        expect(padding.shape[1] == source, f"Expected key_padded_mask.shape[1] to be {source}, but got {padding.shape[1]}")
        padding = padding.reshape(n, 1, 1, source).expand(-1, num_heads, -1, -1).reshape(heads, 1, source)
        mask = padding if mask is None else mask + padding
    p = dropout_p if training else 0.0
    if not need_weights:
        shapes = (n, num_heads, -1, head)
        if mask is not None:
            mask = mask.unsqueeze(0) if mask._data.shape[0] == 1 else mask.reshape(n, num_heads, -1, source)
        mixed: Any = scaled_dot_product_attention(q.reshape(shapes), k.reshape(shapes), v.reshape(shapes), mask, p, is_causal)
        return output(mixed.permute(2, 0, 1, 3), length, n, size, out_proj_weight, out_proj_bias, batched), None
    scores = (q * math.sqrt(1.0 / head)) @ k.mT
    if mask is not None:
        scores = scores + mask
    weights: Any = softmax(scores, -1)
    if p > 0.0:
        weights = dropout(weights, p)
    result = output((weights @ v).transpose(0, 1), length, n, size, out_proj_weight, out_proj_bias, batched)
    weights = weights.reshape(n, num_heads, length, source)
    if average_attn_weights:
        weights = weights.mean(1)
    return result, weights if batched else weights.squeeze(0)


def check_static(t: Any, name: str, heads: int, head: int) -> Any:
    expect(t.shape[0] == heads, f"expecting {name}.size(0) of {heads}, but got {t.shape[0]}")
    expect(t.shape[2] == head, f"expecting {name}.size(2) of {head}, but got {t.shape[2]}")
    return t


def output(mixed: Any, length: int, n: int, size: int, weight: Any, bias: Any, batched: bool) -> Any:
    """The last linear map, of the heads side by side."""
    y: Any = linear(mixed.reshape(length * n, size), weight, bias)
    y = y.view(length, n, y._data.shape[1])
    return y if batched else y.squeeze(1)


__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]
