"""Data sets for pictures, laid out as torchvision's."""

from chainrule.vision import datasets

__all__ = ["datasets"]
