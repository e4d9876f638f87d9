"""The rivals' losses written out again: numpy, float64, loops over pictures and classes, from the papers' formulas.

Nothing of the library is used, so that a value both give is a value twice derived. Maps are B x C x H x W.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def inputs(seed: int, *shape: int, positive: bool = False) -> Array:
    """The same numbers on every machine: no generator, a formula."""
    places = np.arange(math.prod(shape), dtype=np.float64)
    values = np.sin(places * 12.9898 + 78.233 * (seed + 1)) * 43758.5453
    values = 4 * (values - np.floor(values)) - 2
    return np.maximum(values, 0).reshape(shape) if positive else values.reshape(shape)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    result: Array = e / e.sum()
    return result


def huber(a: float, b: float) -> float:
    return 0.5 * (a - b) ** 2 if abs(a - b) < 1 else abs(a - b) - 0.5


def kd(student: Array, teacher: Array, temperature: float) -> float:
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        p, q = softmax(t / temperature), softmax(s / temperature)
        total += sum(p[c] * math.log(p[c] / q[c]) for c in range(len(p)))
    return total / len(student) * temperature**2


def hint(hinted: Array, teacher: Array) -> float:
    return float(np.mean((hinted - teacher) ** 2))


def at(student: Array, teacher: Array) -> float:
    total, count = 0.0, 0
    for s, t in zip(student, teacher, strict=True):
        qs, qt = (sum(channel**2 for channel in m).ravel() for m in (s, t))
        qs, qt = (q / math.sqrt(float((q**2).sum())) for q in (qs, qt))
        total += float(((qs - qt) ** 2).sum())
        count += qs.size
    return total / count


def sp(student: Array, teacher: Array) -> float:
    n = len(student)
    grams = []
    for maps in (student, teacher):
        G = np.array([[float((maps[i] * maps[j]).sum()) for j in range(n)] for i in range(n)])
        grams.append(np.array([row / math.sqrt(float((row**2).sum())) for row in G]))
    return float(((grams[0] - grams[1]) ** 2).sum()) / n**2


def rkd_distance(student: Array, teacher: Array) -> float:
    n = len(student)
    tables = []
    for maps in (student, teacher):
        v = maps.mean(axis=(2, 3))
        d = {(i, j): math.dist(v[i], v[j]) for i in range(n) for j in range(n)}
        apart = [value for value in d.values() if value > 0]
        tables.append({pair: value / (sum(apart) / len(apart)) for pair, value in d.items()})
    return sum(huber(tables[0][pair], tables[1][pair]) for pair in tables[0]) / n**2


def rkd_angle(student: Array, teacher: Array) -> float:
    n = len(student)

    def cosine(v: Array, i: int, j: int, k: int) -> float:
        """At vertex j."""
        a, b = v[i] - v[j], v[k] - v[j]
        size = math.sqrt(float((a**2).sum() * (b**2).sum()))
        return float((a * b).sum()) / size if size else 0.0

    vs, vt = (maps.mean(axis=(2, 3)) for maps in (student, teacher))
    triples = [(i, j, k) for i in range(n) for j in range(n) for k in range(n)]
    return sum(huber(cosine(vs, *triple), cosine(vt, *triple)) for triple in triples) / n**3


def dkd(student: Array, teacher: Array, labels: list[int], temperature: float) -> tuple[float, float]:
    target = others = 0.0
    for s, t, label in zip(student, teacher, labels, strict=True):
        p, q = softmax(t / temperature), softmax(s / temperature)
        pt, qt = p[label], q[label]
        target += pt * math.log(pt / qt) + (1 - pt) * math.log((1 - pt) / (1 - qt))
        for c in range(len(p)):
            if c != label:
                ph, qh = p[c] / (1 - pt), q[c] / (1 - qt)
                others += ph * math.log(ph / qh)
    scale = temperature**2 / len(student)
    return target * scale, others * scale


def dist(student: Array, teacher: Array, temperature: float) -> tuple[float, float]:
    def correlation(a: Array, b: Array) -> float:
        return float(np.corrcoef(a, b)[0, 1])

    ps, pt = (np.array([softmax(row / temperature) for row in z]) for z in (student, teacher))
    inter = 1 - float(np.mean([correlation(a, b) for a, b in zip(ps, pt, strict=True)]))
    intra = 1 - float(np.mean([correlation(a, b) for a, b in zip(ps.T, pt.T, strict=True)]))
    return inter * temperature**2, intra * temperature**2


def hierarchical(reviewed: Array, teacher: Array) -> float:
    """For maps whose sides 4, 2 and 1 divide."""
    side = teacher.shape[2]
    loss, total, weight = float(np.mean((reviewed - teacher) ** 2)), 1.0, 1.0
    for parts in (4, 2, 1):
        if parts < side:
            weight /= 2
            total += weight
            block = side // parts
            r, t = (
                np.array([[[[
                    plane[i * block:(i + 1) * block, j * block:(j + 1) * block].mean()
                    for j in range(parts)] for i in range(parts)] for plane in m] for m in maps])
                for maps in (reviewed, teacher)
            )  # fmt: skip
            loss += weight * float(np.mean((r - t) ** 2))
    return loss / total


def crd(
    student: Array, teacher: Array, banks: tuple[Array, Array], contrasted: list[list[int]], temperature: float
) -> float:
    """With Z from this batch. `banks`: the student's, the teacher's; a row of `contrasted` begins with its anchor."""
    pictures, total = len(banks[0]), 0.0
    for one, bank in ((student, banks[1]), (teacher, banks[0])):
        scores = [
            [math.exp(float(v @ bank[j]) / temperature) for j in row] for v, row in zip(one, contrasted, strict=True)
        ]
        z = pictures * sum(map(sum, scores)) / sum(map(len, scores))
        for row in scores:
            noise = (len(row) - 1) / pictures
            chances = [score / z / (score / z + noise) for score in row]
            total -= math.log(chances[0]) + sum(math.log(1 - chance) for chance in chances[1:])
    return total / len(student)
