"""Vision transformers (Dosovitskiy et al. 2020): a picture as a sequence of patches."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from chainrule import functions, nn
from chainrule.nn import functional as F
from chainrule.nn.modules.module import Module
from chainrule.tensor import Tensor
from chainrule.vision.models.weights import WeightsEnum, builder, demand, published
from chainrule.vision.ops.misc import MLP, Conv2dNormActivation

__all__ = [
    "ViT_B_16_Weights", "ViT_B_32_Weights", "ViT_H_14_Weights", "ViT_L_16_Weights", "ViT_L_32_Weights", "VisionTransformer", "vit_b_16",
    "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32",
]  # fmt: skip

Norm = Callable[..., Module]
layer_norm = partial(nn.LayerNorm, eps=1e-6)


class ConvStemConfig(NamedTuple):
    """A convolution that stands, with others, for the single one that cuts patches (Xiao et al. 2021)."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Norm = nn.BatchNorm2d
    activation_layer: Callable[..., Module] = nn.ReLU


class MLPBlock(MLP):
    """Two linear layers with GELU between."""

    _version = 2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, dropout=dropout)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                if m.bias is not None:
                    nn.init.normal_(m.bias, std=1e-6)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any) -> None:
        if local_metadata.get("version", 1) < 2:  # the layers had names once
            for i in range(2):
                for kind in ("weight", "bias"):
                    if (old := f"{prefix}linear_{i + 1}.{kind}") in state_dict:
                        state_dict[f"{prefix}{3 * i}.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class EncoderBlock(Module):
    """Attention, then an MLP, each after a normalisation and added to its input: (N, S, E) to (N, S, E)."""

    def __init__(
        self, num_heads: int, hidden_dim: int, mlp_dim: int, dropout: float, attention_dropout: float, norm_layer: Norm = layer_norm
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(hidden_dim, num_heads, dropout=attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Tensor) -> Tensor:
        x = self.ln_1(input)
        x = self.dropout(self.self_attention(x, x, x, need_weights=False)[0]) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(Module):
    """Add what is learnt for each position, then run the blocks: (N, seq_length, E) to the same."""

    def __init__(
        self, seq_length: int, num_layers: int, num_heads: int, hidden_dim: int, mlp_dim: int, dropout: float,
        attention_dropout: float, norm_layer: Norm = layer_norm,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pos_embedding = nn.Parameter(functions.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential()
        for i in range(num_layers):
            block = EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer)
            self.layers.add_module(f"encoder_layer_{i}", block)
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Tensor) -> Tensor:
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(Module):
    """Images (N, 3, image_size, image_size) to logits (N, num_classes).

    Args:
        image_size, patch_size: pixels a side; the second divides the first
        num_layers, num_heads, hidden_dim, mlp_dim: of the encoder
        dropout, attention_dropout: probabilities
        representation_size: width of a tanh layer before the last one; None leaves it out
        norm_layer: width -> normalisation
        conv_stem_configs: convolutions to use instead of the one that cuts patches
    """

    def __init__(
        self, image_size: int, patch_size: int, num_layers: int, num_heads: int, hidden_dim: int, mlp_dim: int, dropout: float = 0.0,
        attention_dropout: float = 0.0, num_classes: int = 1000, representation_size: int | None = None, norm_layer: Norm = layer_norm,
        conv_stem_configs: list[ConvStemConfig] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        assert image_size % patch_size == 0, "Input shape indivisible by patch size!"
        self.image_size, self.patch_size, self.hidden_dim, self.mlp_dim = image_size, patch_size, hidden_dim, mlp_dim
        self.dropout, self.attention_dropout, self.num_classes = dropout, attention_dropout, num_classes
        self.representation_size, self.norm_layer = representation_size, norm_layer
        self.conv_proj = nn.Conv2d(3, hidden_dim, patch_size, stride=patch_size) if conv_stem_configs is None else nn.Sequential()
        channels = 3
        for i, stem in enumerate(conv_stem_configs or ()):
            out, size, stride, norm, act = stem
            conv = Conv2dNormActivation(channels, out, size, stride, norm_layer=norm, activation_layer=act)
            self.conv_proj.add_module(f"conv_bn_relu_{i}", conv)
            channels = out
        if conv_stem_configs is not None:
            self.conv_proj.add_module("conv_last", nn.Conv2d(channels, hidden_dim, 1))
        self.class_token = nn.Parameter(functions.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer)
        self.heads = nn.Sequential()
        if representation_size is not None:
            self.heads.add_module("pre_logits", nn.Linear(hidden_dim, representation_size))
            self.heads.add_module("act", nn.Tanh())
        self.heads.add_module("head", nn.Linear(representation_size or hidden_dim, num_classes))
        self.draw_weights()

    def draw_weights(self) -> None:
        stem = self.conv_proj
        if isinstance(stem, nn.Conv2d):
            nn.init.trunc_normal_(stem.weight, std=math.sqrt(1 / (3 * self.patch_size**2)))
        else:
            stem = stem.conv_last
            nn.init.normal_(stem.weight, std=math.sqrt(2.0 / stem.out_channels))
        nn.init.zeros_(stem.bias)
        if self.representation_size is not None:
            nn.init.trunc_normal_(self.heads.pre_logits.weight, std=math.sqrt(1 / self.hidden_dim))
            nn.init.zeros_(self.heads.pre_logits.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        for side, pixels in (("height", h), ("width", w)):
            assert pixels == self.image_size, f"Wrong image {side}! Expected {self.image_size} but got {pixels}!"
        patches = self.conv_proj(x).flatten(2).permute(0, 2, 1)  # (N, hidden_dim, h, w) to (N, patches, hidden_dim)
        tokens = functions.cat([self.class_token.expand(n, -1, -1), patches], 1)
        return self.heads(self.encoder(tokens)[:, 0])


def vit(name: str, weights: type[WeightsEnum], patch: int, layers: int, heads: int, width: int, mlp: int) -> Callable[..., Any]:
    construct = lambda image_size=224, **kwargs: VisionTransformer(image_size, patch, layers, heads, width, mlp, **kwargs)
    return builder(__name__, name, weights, construct, fit=in_its_size)


def in_its_size(weights: WeightsEnum, kwargs: dict[str, Any]) -> None:
    demand(kwargs, "image_size", weights.meta["min_size"][0])


def interpolate_embeddings(
    image_size: int, patch_size: int, model_state: dict[str, Tensor], interpolation_mode: str = "bicubic", reset_heads: bool = False
) -> dict[str, Tensor]:
    """A state dict for pictures of another size: what was learnt for the positions is resampled.

    `reset_heads` leaves the last layers out where the size changes. Raises ValueError unless the state's patches form a square.
    """
    embedding = model_state["encoder.pos_embedding"]
    n, length, width = embedding.shape
    if n != 1:
        raise ValueError(f"Unexpected position embedding shape: {embedding.shape}")
    side, old = image_size // patch_size, math.isqrt(length - 1)
    if side * side == length - 1:
        return model_state
    if old * old != length - 1:
        raise ValueError(
            f"seq_length is not a perfect square! Instead got seq_length_1d * seq_length_1d = {old * old} and seq_length = {length - 1}"
        )
    grid = embedding[:, 1:].permute(0, 2, 1).reshape(1, width, old, old)
    grid = F.interpolate(grid, size=side, mode=interpolation_mode, align_corners=True)
    model_state["encoder.pos_embedding"] = functions.cat([embedding[:, :1], grid.flatten(2).permute(0, 2, 1)], 1)
    return {k: v for k, v in model_state.items() if not (reset_heads and k.startswith("heads"))}


ViT_B_16_Weights = published("ViT_B_16_Weights", __name__)
ViT_B_32_Weights = published("ViT_B_32_Weights", __name__)
ViT_L_16_Weights = published("ViT_L_16_Weights", __name__)
ViT_L_32_Weights = published("ViT_L_32_Weights", __name__)
ViT_H_14_Weights = published("ViT_H_14_Weights", __name__)
vit_b_16 = vit("vit_b_16", ViT_B_16_Weights, 16, 12, 12, 768, 3072)
vit_b_32 = vit("vit_b_32", ViT_B_32_Weights, 32, 12, 12, 768, 3072)
vit_l_16 = vit("vit_l_16", ViT_L_16_Weights, 16, 24, 16, 1024, 4096)
vit_l_32 = vit("vit_l_32", ViT_L_32_Weights, 32, 24, 16, 1024, 4096)
vit_h_14 = vit("vit_h_14", ViT_H_14_Weights, 14, 32, 16, 1280, 5120)
