"""Networks for pictures, with torchvision's structure, parameter names and initialisation, and the weights published for them.

    model = resnet18(weights="DEFAULT").eval()
"""

from types import FunctionType as _Function

from chainrule.vision.models.alexnet import *  # noqa: F403
from chainrule.vision.models.convnext import *  # noqa: F403
from chainrule.vision.models.densenet import *  # noqa: F403
from chainrule.vision.models.efficientnet import *  # noqa: F403
from chainrule.vision.models.googlenet import *  # noqa: F403
from chainrule.vision.models.inception import *  # noqa: F403
from chainrule.vision.models.mnasnet import *  # noqa: F403
from chainrule.vision.models.mobilenetv2 import *  # noqa: F403
from chainrule.vision.models.mobilenetv3 import *  # noqa: F403
from chainrule.vision.models.registry import (
    get_model,
    get_model_builder,
    get_model_weights,
    get_weight,
    list_models,
    register_model,
)
from chainrule.vision.models.regnet import *  # noqa: F403
from chainrule.vision.models.resnet import *  # noqa: F403
from chainrule.vision.models.shufflenetv2 import *  # noqa: F403
from chainrule.vision.models.squeezenet import *  # noqa: F403
from chainrule.vision.models.swin_transformer import *  # noqa: F403
from chainrule.vision.models.vgg import *  # noqa: F403
from chainrule.vision.models.vision_transformer import *  # noqa: F403
from chainrule.vision.models.weights import Weights, WeightsEnum

for _build in [f for f in globals().values() if isinstance(f, _Function) and f.__module__ != register_model.__module__]:
    register_model()(_build)
