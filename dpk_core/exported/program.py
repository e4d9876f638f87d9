"""A checked program: what is kept of an uploaded file, as plain data.

Values are numbered: the picture is 0, then parameters, buffers and constants, then what the steps give. An argument of
a step is a list of its kind and its content:

| argument | meaning |
|---|---|
| `["value", n]` | value n |
| `["plain", x]` | a number, truth value, text or None |
| `["list", […]]` | a list of arguments |
| `["dtype", name]`, `["memory_format", name]` | torch's constants of these names |
| `["device"]` | where the pictures are |
| `["training", p]` | p in training, 0 in evaluation |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FORMAT = 1
PICTURES = 0
"""Value of the picture batch."""

Draw = Literal["convolution", "linear", "linear_transposed", "one", "zero", "quarter", "small"]
"""How a parameter is drawn anew; `drawing.py` says from what it follows."""

DRAWING_RULE = (
    "Its first weights are drawn anew from each seed, by layer: convolutions from He's normal distribution by outputs, "
    "linear layers uniformly within 1/√inputs, embeddings, tables and tokens from a normal distribution of deviation "
    "0.02; norms and scales begin at 1, the biases of convolutions and norms at 0."
)
OWN_START = (
    "Every seed starts from the weights in the uploaded file, so seeds differ in batch order and augmentation alone."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A tensor that the file holds. `name`: dotted, as in the network's `state_dict`.

    `draw`: of a parameter. `fan_of`: the weight whose inputs a bias is drawn by.
    """

    name: str
    role: Literal["parameter", "buffer", "constant"]
    value: int
    shape: tuple[int, ...]
    dtype: str
    draw: Draw = "small"
    fan_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation. `outputs`: numbers of the values it gives; a list stands for a list of tensors, None for what is
    not used.

    | kind | does |
    |---|---|
    | `aten` | `torch.ops.aten.<name>`, with its overload |
    | `python` | Python's operator `name` on numbers |
    | `norm` | the batch normalisation module `name`; `named` has momentum and eps |
    | `dropout` | dropout of the first argument with the probability in the second, in training only |
    | `tap` | the module `name` ends here, and the first argument is what it gives |
    """

    kind: Literal["aten", "python", "norm", "dropout", "tap"]
    name: str
    inputs: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The sides of pictures that are taken: factor · s + offset for whole s in least … most; factor 0: offset alone."""

    factor: int
    offset: int
    least: int = 0
    most: int | None = None

    def takes(self, side: int) -> bool:
        """Whether pictures of this side are taken."""
        if self.factor == 0:
            return side == self.offset
        steps, rest = divmod(side - self.offset, self.factor)
        return rest == 0 and self.least <= steps and (self.most is None or steps <= self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A network. `height`, `width`: of its pictures. `modules`: class names of its modules by dotted name.

    `head`: the parameters of the linear layer that gives the scores; empty where the last layer is another one.
    """

    format: int = FORMAT
    channels: int
    height: Side
    width: Side
    leaves: tuple[Leaf, ...]
    steps: tuple[Step, ...]
    output: int
    modules: dict[str, str]
    head: tuple[str, ...] = ()
