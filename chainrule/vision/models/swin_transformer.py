"""Swin Transformers (Liu et al. 2021; V2: 2022): attention within windows of a picture, which every other layer shifts by half."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from chainrule import functions, nn
from chainrule._core.dtypes import float32
from chainrule.nn import functional as F
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, published
from chainrule.vision.ops.misc import MLP, Permute, StochasticDepth

__all__ = [
    "SwinTransformer", "Swin_B_Weights", "Swin_S_Weights", "Swin_T_Weights", "Swin_V2_B_Weights", "Swin_V2_S_Weights", "Swin_V2_T_Weights",
    "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t",
]  # fmt: skip

Layer = Callable[..., Module]


def in_fours(x: Tensor) -> Tensor:
    """(..., H, W, C) to (..., H/2, W/2, 4C): each square of 2x2 pixels as one, zeros beyond an odd edge."""
    height, width, _ = x.shape[-3:]
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    return functions.cat([x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)], -1)


class PatchMerging(Module):
    """(..., H, W, C) to (..., H/2, W/2, 2C)."""

    def __init__(self, dim: int, norm_layer: Layer = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.norm(in_fours(x)))


class PatchMergingV2(Module):
    """`PatchMerging` that normalises what it gives, not what it takes."""

    def __init__(self, dim: int, norm_layer: Layer = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(2 * dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.reduction(in_fours(x)))


@lru_cache(maxsize=64)
def strangers(height: int, width: int, window: tuple[int, int], shift: tuple[int, int]) -> np.ndarray:
    """(windows, n, n): -100 for two pixels of one window that come from opposite edges of the shifted picture, else 0."""
    rows, columns = (
        (np.arange(size) >= size - w).astype(int) + (np.arange(size) >= size - s if s else 0)
        for size, w, s in zip((height, width), window, shift)
    )
    regions = rows[:, None] * 3 + columns
    tiles = regions.reshape(height // window[0], window[0], width // window[1], window[1]).swapaxes(1, 2).reshape(-1, window[0] * window[1])
    return np.where(tiles[:, None, :] == tiles[:, :, None], 0.0, -100.0)


def shifted_window_attention(
    input: Tensor, qkv_weight: Tensor, proj_weight: Tensor, relative_position_bias: Tensor, window_size: list[int], num_heads: int,
    shift_size: list[int], attention_dropout: float = 0.0, dropout: float = 0.0, qkv_bias: Tensor | None = None,
    proj_bias: Tensor | None = None, logit_scale: Tensor | None = None, training: bool = True,
) -> Tensor:  # fmt: skip
    """Attention of the pixels of (N, H, W, C) to those of their window.

    Args:
        qkv_weight, proj_weight: of the layers before, (3C, C), and after, (C, C)
        relative_position_bias: added to the scores, (1, num_heads, n, n) for windows of n pixels
        shift_size: by how many pixels the windows are moved, where the picture is larger than one
        logit_scale: (num_heads, 1, 1) for scores that are cosines, as in V2
    """
    batch, height, width, channels = input.shape
    (tall, wide), n = window_size, window_size[0] * window_size[1]
    x = F.pad(input, (0, 0, 0, -width % wide, 0, -height % tall))
    padded = (x.shape[1], x.shape[2])
    shift = tuple([0 if window >= size else s for window, size, s in zip(window_size, padded, shift_size)])
    if any(shift):
        x = functions.roll(x, (-shift[0], -shift[1]), (1, 2))
    down, across = padded[0] // tall, padded[1] // wide
    x = x.reshape(batch, down, tall, across, wide, channels).permute(0, 1, 3, 2, 4, 5).reshape(-1, n, channels)
    if logit_scale is not None and qkv_bias is not None:  # keys have no bias
        qkv_bias = functions.cat([qkv_bias[:channels], functions.zeros_like(qkv_bias[:channels]), qkv_bias[2 * channels :]])
    qkv = F.linear(x, qkv_weight, qkv_bias).reshape(-1, n, 3, num_heads, channels // num_heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv[0], qkv[1], qkv[2]
    if logit_scale is None:
        scores = (q * (channels // num_heads) ** -0.5) @ k.transpose(-2, -1)
    else:
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        scores = scores * functions.clamp(logit_scale, max=math.log(100.0)).exp()
    scores = scores + relative_position_bias
    if any(shift):
        apart = functions.from_numpy(strangers(*padded, (tall, wide), shift)).to(scores.dtype)  # type: ignore[arg-type]
        scores = (scores.reshape(batch, -1, num_heads, n, n) + apart[:, None]).reshape(-1, num_heads, n, n)
    scores = F.dropout(F.softmax(scores, dim=-1), attention_dropout, training)
    x = F.linear((scores @ v).transpose(1, 2).reshape(-1, n, channels), proj_weight, proj_bias)
    x = F.dropout(x, dropout, training)
    x = x.reshape(batch, down, across, tall, wide, channels).permute(0, 1, 3, 2, 4, 5).reshape(batch, *padded, channels)
    if any(shift):
        x = functions.roll(x, shift, (1, 2))
    return x[:, :height, :width].contiguous()


class ShiftedWindowAttention(Module):
    """`shifted_window_attention` with its weights; the bias of two pixels is read from a table of their distances."""

    relative_position_index: Tensor

    def __init__(
        self, dim: int, window_size: list[int], shift_size: list[int], num_heads: int, qkv_bias: bool = True, proj_bias: bool = True,
        attention_dropout: float = 0.0, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if len(window_size) != 2 or len(shift_size) != 2:
            raise ValueError("window_size and shift_size must be of length 2")
        self.window_size, self.shift_size, self.num_heads = window_size, shift_size, num_heads
        self.attention_dropout, self.dropout = attention_dropout, dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.define_relative_position_bias_table()
        self.define_relative_position_index()

    def define_relative_position_bias_table(self) -> None:
        tall, wide = self.window_size
        self.relative_position_bias_table = nn.Parameter(functions.zeros((2 * tall - 1) * (2 * wide - 1), self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def define_relative_position_index(self) -> None:
        """For each two pixels of a window the row of the table."""
        tall, wide = self.window_size
        i, j = (v.reshape(-1) for v in np.indices((tall, wide)))
        rows = (i[:, None] - i + tall - 1) * (2 * wide - 1) + j[:, None] - j + wide - 1
        self.register_buffer("relative_position_index", functions.tensor(rows.reshape(-1)))

    def table(self) -> Tensor:
        return self.relative_position_bias_table

    def get_relative_position_bias(self) -> Tensor:
        """(1, num_heads, n, n)."""
        n = self.window_size[0] * self.window_size[1]
        return self.table()[self.relative_position_index].reshape(n, n, -1).permute(2, 0, 1).contiguous().unsqueeze(0)

    def forward(self, x: Tensor) -> Tensor:
        return shifted_window_attention(
            x, self.qkv.weight, self.proj.weight, self.get_relative_position_bias(), self.window_size, self.num_heads, self.shift_size,
            self.attention_dropout, self.dropout, self.qkv.bias, self.proj.bias, getattr(self, "logit_scale", None), self.training,
        )  # fmt: skip


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """The same with cosines for scores, and a small network in place of the table, so that windows may have any size."""

    relative_coords_table: Tensor

    def __init__(
        self, dim: int, window_size: list[int], shift_size: list[int], num_heads: int, qkv_bias: bool = True, proj_bias: bool = True,
        attention_dropout: float = 0.0, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(dim, window_size, shift_size, num_heads, qkv_bias, proj_bias, attention_dropout, dropout)
        self.logit_scale = nn.Parameter(functions.log(10 * functions.ones((num_heads, 1, 1))))
        self.cpb_mlp = nn.Sequential(nn.Linear(2, 512), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False))
        if qkv_bias:
            self.qkv.bias.data[dim : 2 * dim].zero_()

    def define_relative_position_bias_table(self) -> None:
        steps = [functions.arange(1 - size, size, dtype=float32) / (size - 1) * 8 for size in self.window_size]
        places = functions.stack(functions.meshgrid(*steps, indexing="ij"), -1).unsqueeze(0)
        self.register_buffer("relative_coords_table", places.sign() * functions.log2(places.abs() + 1.0) / 3.0)

    def table(self) -> Tensor:
        return self.cpb_mlp(self.relative_coords_table).reshape(-1, self.num_heads)

    def get_relative_position_bias(self) -> Tensor:
        return 16 * functions.sigmoid(super().get_relative_position_bias())


class SwinTransformerBlock(Module):
    """Attention, then two linear layers for each pixel of (N, H, W, C); both are added to their normalised input."""

    def __init__(
        self, dim: int, num_heads: int, window_size: list[int], shift_size: list[int], mlp_ratio: float = 4.0, dropout: float = 0.0,
        attention_dropout: float = 0.0, stochastic_depth_prob: float = 0.0, norm_layer: Layer = nn.LayerNorm,
        attn_layer: Layer = ShiftedWindowAttention,
    ) -> None:  # fmt: skip
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = attn_layer(dim, window_size, shift_size, num_heads, attention_dropout=attention_dropout, dropout=dropout)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for m in self.mlp.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                if m.bias is not None:
                    nn.init.normal_(m.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """The same, but what is added is normalised."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attn_layer": ShiftedWindowAttentionV2} | kwargs)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


class SwinTransformer(Module):
    """Images (N, 3, H, W) to logits (N, num_classes).

    Args:
        patch_size: of the squares that are the first pixels
        embed_dim: their channels; each stage doubles them and halves the sides
        depths, num_heads: blocks, and heads of their attention, for each stage
        window_size: of the attention
        mlp_ratio: how much wider the blocks are inside
        stochastic_depth_prob: with which the last block is left out of a sample in training; earlier ones with less
        norm_layer, block, downsample_layer: make modules
    """

    def __init__(
        self, patch_size: list[int], embed_dim: int, depths: list[int], num_heads: list[int], window_size: list[int],
        mlp_ratio: float = 4.0, dropout: float = 0.0, attention_dropout: float = 0.0, stochastic_depth_prob: float = 0.1,
        num_classes: int = 1000, norm_layer: Layer | None = None, block: Layer | None = None, downsample_layer: Layer = PatchMerging,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_classes = num_classes
        block, norm = block or SwinTransformerBlock, norm_layer or partial(nn.LayerNorm, eps=1e-5)
        patches = nn.Conv2d(3, embed_dim, tuple(patch_size), tuple(patch_size))
        layers: list[Module] = [nn.Sequential(patches, Permute([0, 2, 3, 1]), norm(embed_dim))]
        made = 0
        for stage, (depth, heads) in enumerate(zip(depths, num_heads)):
            dim, blocks = embed_dim * 2**stage, []
            for i in range(depth):
                options = {"mlp_ratio": mlp_ratio, "dropout": dropout, "attention_dropout": attention_dropout, "norm_layer": norm}
                left_out = stochastic_depth_prob * made / (sum(depths) - 1)
                shift = [w // 2 if i % 2 else 0 for w in window_size]
                blocks.append(
                    block(dim, heads, window_size=window_size, shift_size=shift, stochastic_depth_prob=left_out, **options)  # type: ignore[arg-type]
                )
                made += 1
            layers.append(nn.Sequential(*blocks))
            if stage < len(depths) - 1:
                layers.append(downsample_layer(dim, norm))
        self.features = nn.Sequential(*layers)
        self.norm = norm(embed_dim * 2 ** (len(depths) - 1))
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(embed_dim * 2 ** (len(depths) - 1), num_classes)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flatten(self.avgpool(self.permute(self.norm(self.features(x))))))


def swin(name: str, weights: type[WeightsEnum], width: int, deep: int, prob: float) -> Callable[..., SwinTransformer]:
    """Four stages; the third has `deep` blocks, the others 2."""
    newer = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if "v2" in name else {}
    side, heads = 8 if newer else 7, [width // 32 * 2**i for i in range(4)]
    construct = partial(
        SwinTransformer, patch_size=[4, 4], embed_dim=width, depths=[2, 2, deep, 2], num_heads=heads, window_size=[side, side],
        stochastic_depth_prob=prob, **newer,
    )  # fmt: skip
    return builder(__name__, name, weights, construct)


Swin_T_Weights = published("Swin_T_Weights", __name__)
Swin_S_Weights = published("Swin_S_Weights", __name__)
Swin_B_Weights = published("Swin_B_Weights", __name__)
Swin_V2_T_Weights = published("Swin_V2_T_Weights", __name__)
Swin_V2_S_Weights = published("Swin_V2_S_Weights", __name__)
Swin_V2_B_Weights = published("Swin_V2_B_Weights", __name__)
swin_t = swin("swin_t", Swin_T_Weights, 96, 6, 0.2)
swin_s = swin("swin_s", Swin_S_Weights, 96, 18, 0.3)
swin_b = swin("swin_b", Swin_B_Weights, 128, 18, 0.5)
swin_v2_t = swin("swin_v2_t", Swin_V2_T_Weights, 96, 6, 0.2)
swin_v2_s = swin("swin_v2_s", Swin_V2_S_Weights, 96, 18, 0.3)
swin_v2_b = swin("swin_v2_b", Swin_V2_B_Weights, 128, 18, 0.5)
