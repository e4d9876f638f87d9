"""How many cells of a feature map make a token of DPK, known before anything is built."""

from __future__ import annotations

import math

from dpk_core.spec import ProfileName

MOST_TOKENS: dict[ProfileName, int] = {"probe": 64, "paper": 256}
"""Tokens of a map under each profile, where a patch size tiles it in so few."""


LEAST_TOKENS = 4
"""Tokens of a map below which no share of 1/4 … 3/4 can be given of them."""


def check_patches(patch: int, size: tuple[int, int], of: str) -> None:
    """Raises ValueError where square patches do not tile a map of height x width, `of` something, or leave too few."""
    height, width = size
    if height % patch or width % patch:
        raise ValueError(f"Patches of {patch}x{patch} do not tile the {height}x{width} map of {of}.")
    if (tokens := (height // patch) * (width // patch)) < LEAST_TOKENS:
        raise ValueError(
            f"Patches of {patch}x{patch} leave {tokens} of the {height}x{width} map of {of}; DPK needs {LEAST_TOKENS} "
            "or more to share them."
        )


def patch_side(size: tuple[int, int], most_tokens: int) -> int:
    """The smallest patch size that tiles a map of height x width in `LEAST_TOKENS` … `most_tokens` patches; failing
    that, the one that tiles it in the fewest patches from there up."""
    height, width = size
    tiling = [p for p in range(1, math.gcd(height, width) + 1) if height % p == 0 == width % p]
    enough = [p for p in tiling if (height // p) * (width // p) >= LEAST_TOKENS] or [1]
    return next((p for p in enough if (height // p) * (width // p) <= most_tokens), enough[-1])


def tokens_of(size: tuple[int, int], profile: ProfileName) -> int:
    """Tokens that a map of height x width is cut into."""
    patch = patch_side(size, MOST_TOKENS[profile])
    return (size[0] // patch) * (size[1] // patch)
