"""Instance normalisation: each channel of each sample normalised over its own positions."""

from __future__ import annotations

import warnings
from typing import Any

from chainrule.nn import functional as F
from chainrule.nn.modules.batchnorm import _LazyNormBase, _NormBase
from chainrule.tensor import Tensor

__all__ = [
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d",
]  # fmt: skip
OLD_STATISTICS = (
    "Unexpected running stats buffer(s) {names} for {klass} with track_running_stats=False. If state_dict is a checkpoint saved before "
    "0.4.0, this may be expected because {klass} does not track running stats by default since 0.4.0. Please remove these keys from "
    "state_dict. If the running stats are actually needed, instead set track_running_stats=True in {klass} to enable them. See the "
    "documentation of {klass} for details."
)
UNUSED_FEATURES = (
    "input's size at dim={} does not match num_features. You can silence this warning by not passing in num_features, which is not used "
    "because affine=False"
)


class _InstanceNorm(_NormBase):
    """Normalises each channel of each sample over its spatial dimensions.

    Shape: (N, C, *size) or (C, *size) to the same.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False, track_running_stats: bool = False,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict, strict: bool, missing_keys: list, unexpected_keys: list, error_msgs: list
    ) -> None:
        if local_metadata.get("version") is None and not self.track_running_stats:
            old = [key for key in (f"{prefix}running_mean", f"{prefix}running_var") if key in state_dict]
            if old:
                names = " and ".join([f'"{key}"' for key in old])
                error_msgs.append(OLD_STATISTICS.format(names=names, klass=type(self).__name__))
                for key in old:
                    state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        channel = input.dim() - self._ranks[0]
        if input.shape[channel] != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={channel} to match num_features ({self.num_features}), but got: {input.shape[channel]}."
                )
            warnings.warn(UNUSED_FEATURES.format(channel), stacklevel=2)
        if channel == 0:
            return self._normalized(input.unsqueeze(0)).squeeze(0)
        return self._normalized(input)

    def _normalized(self, input: Tensor) -> Tensor:
        return F.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L)."""

    _ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W)."""

    _ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W)."""

    _ranks = (4, 5)


class LazyInstanceNorm1d(_LazyNormBase, _InstanceNorm):
    """InstanceNorm1d that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm1d
    _ranks = (2, 3)


class LazyInstanceNorm2d(_LazyNormBase, _InstanceNorm):
    """InstanceNorm2d that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm2d
    _ranks = (3, 4)


class LazyInstanceNorm3d(_LazyNormBase, _InstanceNorm):
    """InstanceNorm3d that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm3d
    _ranks = (4, 5)
