"""The layers of `nn`, by subject; each room lists its classes in `__all__`."""

from __future__ import annotations

from chainrule.nn.modules import lazy, utils
from chainrule.nn.modules.activation import *  # noqa: F403
from chainrule.nn.modules.adaptive import *  # noqa: F403
from chainrule.nn.modules.attention import *  # noqa: F403
from chainrule.nn.modules.batchnorm import *  # noqa: F403
from chainrule.nn.modules.channelshuffle import *  # noqa: F403
from chainrule.nn.modules.container import *  # noqa: F403
from chainrule.nn.modules.conv import *  # noqa: F403
from chainrule.nn.modules.distance import *  # noqa: F403
from chainrule.nn.modules.dropout import *  # noqa: F403
from chainrule.nn.modules.flatten import *  # noqa: F403
from chainrule.nn.modules.fold import *  # noqa: F403
from chainrule.nn.modules.instancenorm import *  # noqa: F403
from chainrule.nn.modules.linear import *  # noqa: F403
from chainrule.nn.modules.linear_cross_entropy_options import LinearCrossEntropyOptions
from chainrule.nn.modules.loss import *  # noqa: F403
from chainrule.nn.modules.module import (
    Module,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from chainrule.nn.modules.normalization import *  # noqa: F403
from chainrule.nn.modules.padding import *  # noqa: F403
from chainrule.nn.modules.pixelshuffle import *  # noqa: F403
from chainrule.nn.modules.pooling import *  # noqa: F403
from chainrule.nn.modules.rnn import *  # noqa: F403
from chainrule.nn.modules.sparse import *  # noqa: F403
from chainrule.nn.modules.transformer import *  # noqa: F403
from chainrule.nn.modules.upsampling import *  # noqa: F403

__all__ = ["LinearCrossEntropyOptions"]
__all__ += sorted(
    name for name, value in globals().items() if isinstance(value, type) and issubclass(value, Module) and not name.startswith("_")
)
