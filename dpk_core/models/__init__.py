"""Architectures by name and the feature maps that can be tapped from them."""
