"""How many cells of a feature map make a token of DPK, known before anything is built."""

from __future__ import annotations

import math

from dpk_core.spec import ProfileName

MOST_TOKENS: dict[ProfileName, int] = {"probe": 64, "paper": 256}
"""Tokens of a map under each profile, where a patch size tiles it in so few."""


def patch_side(size: tuple[int, int], most_tokens: int) -> int:
    """The smallest patch size that tiles a map of height x width in 4 … `most_tokens` patches; failing that, the one
    that tiles it in the fewest patches from 4 up."""
    height, width = size
    tiling = [p for p in range(1, math.gcd(height, width) + 1) if height % p == 0 == width % p]
    enough = [p for p in tiling if (height // p) * (width // p) >= 4] or [1]
    return next((p for p in enough if (height // p) * (width // p) <= most_tokens), enough[-1])


def tokens_of(size: tuple[int, int], profile: ProfileName) -> int:
    """Tokens that a map of height x width is cut into."""
    patch = patch_side(size, MOST_TOKENS[profile])
    return (size[0] // patch) * (size[1] // patch)
