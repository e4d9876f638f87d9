"""Seeds derived by hashing, so every use of chance has its own and none depends on the order of use."""

import hashlib


def derive(seed: int, *labels: str | int) -> int:
    """A 63-bit seed for one use of chance, the same on every machine and version.

    The labels name the use (``derive(seed, "mask", step, stage)``). Because it is counter-based, a resumed run
    needs no stored generator state. A label's type counts: ``1`` and ``"1"`` give different seeds.
    """
    words = [f"{type(label).__name__}:{label}" for label in (seed, *labels)]
    text = "".join(f"{len(word)}:{word}," for word in words)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
