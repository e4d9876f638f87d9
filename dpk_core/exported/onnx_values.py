"""What stands behind a name of an ONNX graph while it is translated, and the steps that are made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dpk_core.exported.archive import Refused
from dpk_core.exported.hierarchy import Place
from dpk_core.exported.onnx_file import EXPORT_ONNX, Array, Node, OnnxGraph
from dpk_core.exported.program import PICTURES, Leaf, Step


@dataclass(frozen=True, slots=True)
class Computed:
    """A tensor that a step gives. `rank`: its number of dimensions."""

    number: int
    rank: int


@dataclass(frozen=True, slots=True)
class Stored:
    """Numbers of the file. `source`: the initialiser that they are from; None: from a node."""

    numbers: Array
    name: str
    source: str | None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Whole numbers that may depend on the pictures, as arguments of steps. `scalar`: one number, not a list of one."""

    entries: tuple[list[Any], ...]
    scalar: bool = False


Value = Computed | Stored | Sizes
_PART = re.compile(r"[A-Za-z0-9_]{1,80}")
_PARAMETER = re.compile(r"((?:[A-Za-z0-9_]{1,80}\.){1,30})weight")


@dataclass(slots=True)
class Translation:
    """A graph on its way to a program."""

    graph: OnnxGraph
    values: dict[str, Value] = field(default_factory=dict)
    readers: dict[str, int] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)
    numbers: dict[str, Array] = field(default_factory=dict)
    trained: set[str] = field(default_factory=set)
    """Initialisers that became parameters or running statistics."""
    weights: set[str] = field(default_factory=set)
    """Those that are weights of convolutions or linear layers: a second use is a layer that shares them."""
    steps: list[Step] = field(default_factory=list)
    places: list[tuple[Place, ...]] = field(default_factory=list)
    here: tuple[Place, ...] = ()
    known: int = 1
    made: int = 0
    """Numbers that nodes made from shapes."""
    notes: list[str] = field(default_factory=list)

    def value(self, name: str) -> Value:
        """What a name stands for. Raises Refused where nothing gives it before it is used."""
        if name not in self.values:
            raise Refused(f"its graph uses {name[:80]!r} before anything gives it")
        return self.values[name]

    def tensor(self, name: str, kind: str) -> Computed:
        """A tensor that depends on the pictures."""
        found = self.value(name)
        if not isinstance(found, Computed):
            raise Refused(f"its {kind} works on constants, not on pictures; {EXPORT_ONNX}")
        return found

    def stored(self, name: str, kind: str) -> Stored:
        """Numbers that the file holds."""
        found = self.value(name)
        if not isinstance(found, Stored):
            raise Refused(f"its {kind} takes weights or settings that are computed from pictures")
        return found

    def whole(self, name: str, kind: str) -> list[int]:
        """A constant list of whole numbers."""
        numbers = self.stored(name, kind).numbers
        if numbers.dtype.kind != "i" or numbers.size > 64:
            raise Refused(f"its {kind} takes a list of whole numbers")
        return [int(each) for each in numbers.ravel()]

    def give(self, name: str, value: Value) -> None:
        """What a name stands for from here on. Raises Refused where it stands for something already."""
        if name in self.values:
            raise Refused(f"two values in its graph are called {name[:80]!r}")
        self.values[name] = value

    def step(self, name: str, *inputs: Any, rank: int = 4, kind: Literal["aten", "norm", "dropout"] = "aten",
             **named: Any) -> Computed:  # fmt: skip
        """Adds a step that gives one tensor; plain values among its arguments become arguments."""
        return Computed(self._add(Step(
            kind=kind, name=name, inputs=tuple(map(as_argument, inputs)), outputs=(self._new(),), named=named
        )), rank)  # fmt: skip

    def size(self, name: Literal["sym_size.int"] | str, *inputs: Any, python: bool = False) -> list[Any]:
        """Adds a step that gives a whole number, as an argument."""
        kind: Literal["aten", "python"] = "python" if python else "aten"
        step = Step(kind=kind, name=name, inputs=tuple(map(as_argument, inputs)), outputs=(self._new(),))
        return ["value", self._add(step)]

    def leaf(self, stored: Stored, module: str, part: str, numbers: Array, *, statistic: bool = False) -> list[Any]:
        """Makes a parameter or running statistic of stored numbers, as an argument.

        The same numbers may be there for several layers, as exporters keep equal ones once: each has its own copy.
        Raises Refused where the weight of another layer is used again.
        """
        is_weight = part == "weight" and numbers.ndim > 1
        if is_weight and stored.source in self.weights:
            raise Refused(f"the weights {stored.source!r} in it belong to several layers; bring it as a plug-in")
        if stored.source is not None:
            self.trained.add(stored.source)
            if is_weight:
                self.weights.add(stored.source)
        name = f"{module}.{part}"
        if name in self.numbers:
            raise Refused(f"two layers in it are called {module!r}")
        if numbers.dtype.kind != "f":
            raise Refused(f"its weights {stored.name[:80]!r} are whole numbers, which cannot be trained")
        self.numbers[name] = numbers
        leaf = Leaf(
            name=name, role="buffer" if statistic else "parameter", value=self._new(), shape=numbers.shape,
            dtype="float32",
        )  # fmt: skip
        self.leaves.append(leaf)
        return ["value", leaf.value]

    def module(self, node: Node, weight: Stored | None) -> str:
        """The name of a layer: that of its weight without its last part, else one of its own."""
        found = None if weight is None else _PARAMETER.fullmatch(weight.name)
        name = found[1][:-1] if found is not None else f"{node.kind.lower()}_{node.place}"
        return f"{name}_{node.place}" if f"{name}.weight" in self.numbers else name

    def _new(self) -> int:
        self.known += 1
        return self.known - 1

    def _add(self, step: Step) -> int:
        self.steps.append(step)
        self.places.append(self.here)
        return int(step.outputs[0])


def as_argument(given: Any) -> list[Any]:
    """A tensor, a plain value, a list of whole numbers, or what is an argument already."""
    if isinstance(given, Computed):
        return ["value", given.number]
    if isinstance(given, list) and given and given[0] in ("value", "plain", "list"):
        return given
    return ["list", [["plain", each] for each in given]] if isinstance(given, list) else ["plain", given]


def pictures() -> Computed:
    """The batch of pictures."""
    return Computed(PICTURES, 4)


def modules_around(node: Node) -> tuple[Place, ...]:
    """The modules of a node, from the outermost. torch names nodes `/stages.0/conv1/Conv`; another node is a module of
    its own."""
    if not node.name.startswith("/"):
        name = f"{node.kind.lower()}_{node.place}"
        return (Place(name, name, node.kind if node.kind != "Conv" else "Conv2d"),)
    found: list[Place] = []
    parts: list[str] = []
    for scope in node.name.split("/")[1:-1]:
        names = scope.split(".")
        if not all(map(_PART.fullmatch, names)) or len(found) > 30:
            return ()
        # `/layer1/layer1.0`: the member of a sequence that is called is named with the sequence.
        parts += names[1:] if len(names) > 1 and parts[-1:] == names[:1] else names
        path = ".".join(parts)
        found.append(Place(path, path, ""))
    return tuple(found)


def as_sequences(around: Sequence[tuple[Place, ...]]) -> list[tuple[Place, ...]]:
    """The places with classes: a module whose children are all numbers is a sequence."""
    children: dict[str, set[str]] = {}
    for found in around:
        for place in found:
            parent, _, name = place.module.rpartition(".")
            children.setdefault(parent, set()).add(name)
    kinds = {
        module: "Sequential" if all(name.isdecimal() for name in names) else "Module"
        for module, names in children.items()
    }
    return [tuple(_of_kind(place, kinds.get(place.module, "Module")) for place in found) for found in around]


def _of_kind(place: Place, kind: str) -> Place:
    return place if place.kind else Place(place.call, place.module, kind)
