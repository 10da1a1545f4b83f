"""PyTorch's private name for what a DataLoader is made of, under which programs find the functions that collate."""

from chainrule.utils.data import worker
from chainrule.utils.data._utils import collate

__all__ = ["collate", "worker"]
