"""`torch.backends`: the switches of libraries that are not there. What is set is remembered, and changes nothing."""

from __future__ import annotations

from chainrule.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum
