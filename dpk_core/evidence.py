"""A network's result on each validation picture, as text in a run's result: numbers whose mean is its score.

Two networks are compared picture by picture from it. Results that are right or wrong take a bit each; others, such as
the jackknife pseudo-values of a metric that is no mean over pictures, take 32 bits.
"""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from dpk_core.protocol import PackedEvidence

Values = NDArray[np.bool_] | NDArray[np.float32]


def pack(values_N: Values) -> PackedEvidence:
    """Booleans as bits, everything else as 32-bit floats."""
    is_bits = values_N.dtype == np.bool_
    raw = np.packbits(values_N.astype(np.bool_)).tobytes() if is_bits else values_N.astype("<f4").tobytes()
    return PackedEvidence(
        kind="bits" if is_bits else "floats", pictures=len(values_N), data=base64.b64encode(raw).decode()
    )


def unpack(evidence: PackedEvidence) -> Values:
    """What `pack` was given (N)."""
    raw = base64.b64decode(evidence.data)
    if evidence.kind == "bits":
        return np.unpackbits(np.frombuffer(raw, np.uint8), count=evidence.pictures).astype(np.bool_)
    return np.frombuffer(raw, "<f4", count=evidence.pictures).astype(np.float32)


def sampling_variance(values_N: Values) -> float:
    """Variance of the score over draws of its pictures: p(1−p)/N for an accuracy p."""
    return float(np.var(values_N, dtype=np.float64)) / len(values_N)
