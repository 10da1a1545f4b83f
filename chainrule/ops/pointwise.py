"""The pointwise ops: kernel and partial derivatives, a line each."""

from __future__ import annotations

import numpy as np

from chainrule.ops.pointwise_form import pointwise

add = pointwise("add", np.add, a=1, b=1)
sub = pointwise("sub", np.subtract, a=1, b=-1)
mul = pointwise("mul", np.multiply, a=lambda b: b, b=lambda a: a)
exp = pointwise("exp", np.exp, result="float", a=lambda y: y)
sin = pointwise("sin", np.sin, result="float", a=lambda a: cos(a))
cos = pointwise("cos", np.cos, result="float", a=lambda a: -sin(a))
