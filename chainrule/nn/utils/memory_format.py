"""Weights of convolutions in another memory format."""

from __future__ import annotations

from typing import Any

from chainrule.nn.modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def convert(module: Any, memory_format: Any, kinds: tuple) -> Any:
    for m in module.modules():
        if isinstance(m, kinds):
            m.weight.data = m.weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Give the weights of all 2d convolutions in a module a memory format; returns the module."""
    return convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Give the weights of all 3d convolutions in a module a memory format; returns the module."""
    return convert(module, memory_format, (Conv3d, ConvTranspose3d))
