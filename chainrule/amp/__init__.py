"""Mixed precision: `autocast` computes the expensive functions in bfloat16, `GradScaler` keeps small float16 gradients from vanishing."""

from __future__ import annotations

from chainrule.amp import autocast_mode, grad_scaler
from chainrule.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from chainrule.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
