"""`nn.functional`: the functions that networks are made of, without state. Each comes from its room in `nn._functional`."""

from __future__ import annotations

from chainrule.nn._functional.activation import *  # noqa: F403
from chainrule.nn._functional.attention import *  # noqa: F403
from chainrule.nn._functional.conv import *  # noqa: F403
from chainrule.nn._functional.distance import *  # noqa: F403
from chainrule.nn._functional.dropout import *  # noqa: F403
from chainrule.nn._functional.embedding import *  # noqa: F403
from chainrule.nn._functional.extremes import *  # noqa: F403
from chainrule.nn._functional.linear import *  # noqa: F403
from chainrule.nn._functional.loss import *  # noqa: F403
from chainrule.nn._functional.margin import *  # noqa: F403
from chainrule.nn._functional.norm import *  # noqa: F403
from chainrule.nn._functional.padding import *  # noqa: F403
from chainrule.nn._functional.pool import *  # noqa: F403
from chainrule.nn._functional.probability import *  # noqa: F403
from chainrule.nn._functional.sampling import *  # noqa: F403
from chainrule.nn._functional.shuffle import *  # noqa: F403
