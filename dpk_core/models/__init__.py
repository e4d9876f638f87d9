"""Architectures by name and the feature maps that can be tapped from them."""

from dpk_core.models.cpu_kernels import avoid_faulty_kernels

avoid_faulty_kernels()  # before the first convolution of the process
