"""The graph of an exported program: from torch.export's JSON to a `Program`, or a refusal that says what to export.

Batch normalisation and dropout become steps of their own, so that the network can be trained whatever mode it was
exported in. Shapes that the file states for values inside the graph are never read: they are found by running it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dpk_core.exported import operators
from dpk_core.exported.archive import CONSTANTS, EXPORT_AGAIN, GRAPH, WEIGHTS, Archive, Refused, never_learned
from dpk_core.exported.arguments import argument, output_names
from dpk_core.exported.drawing import drawn
from dpk_core.exported.hierarchy import Place, places, silent_norms, values_in, with_taps
from dpk_core.exported.program import PICTURES, Leaf, Program, Step
from dpk_core.exported.symbols import linear, side_of
from dpk_core.exported.tensors import FLOATING, Stored, stored_tensors

MOST_STEPS = 50_000
SCHEMA = 8
"""Major version of torch.export's JSON."""
LARGEST_BATCH = 4096
"""A graph must take batches up to this; a smaller limit would meet somebody's recipe."""

_PART = re.compile(r"[A-Za-z0-9_]{1,80}")
_NORM_LEAVES = ("weight", "bias", "running_mean", "running_var")
_COUNTER = "num_batches_tracked"
PLUG_IN = "a network with it can come as a plug-in"


@dataclass(slots=True)
class _Reading:
    """What is known while the nodes are read in their order. `views`: by value, the one in whose memory it may lie."""

    ranges: Mapping[str, Any]
    values: dict[str, int] = field(default_factory=dict)
    leaves: dict[int, Leaf] = field(default_factory=dict)
    counters: set[int] = field(default_factory=set)
    norms: dict[str, dict[str, Any]] = field(default_factory=dict)
    views: dict[int, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    places: list[tuple[Place, ...]] = field(default_factory=list)

    def number(self, name: str) -> int:
        """The number of a new value."""
        if name in self.values:
            raise Refused(f"two values in its graph are called {name[:80]!r}")
        self.values[name] = len(self.values)
        return self.values[name]

    def owner(self, given: Sequence[Any]) -> int | None:
        """The value whose memory an argument of a step may share; None: it is no value."""
        return self.views.get(given[1], given[1]) if given[0] == "value" else None


def read_program(archive: Archive) -> tuple[Program, Mapping[str, Stored]]:
    """The program of an archive, and where the numbers of its leaves lie, by name. Raises Refused."""
    try:
        return _read(archive)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise Refused(
            f"its graph is not in the form that torch writes ({type(error).__name__}); {EXPORT_AGAIN}"
        ) from None


def _read(archive: Archive) -> tuple[Program, Mapping[str, Stored]]:
    if archive.content("archive_format") != b"pt2" or archive.content("byteorder") != b"little":
        raise Refused(f"it is no little-endian pt2 archive; {EXPORT_AGAIN}")
    document = archive.document(GRAPH)
    if document["schema_version"]["major"] != SCHEMA:
        raise Refused(f"its graph is of schema {document['schema_version']['major']}, not {SCHEMA}; {EXPORT_AGAIN}")
    module = document["graph_module"]
    graph, signature = module["graph"], module["signature"]
    stored = dict(stored_tensors(archive, CONSTANTS, "data/constants"))
    stored.update(stored_tensors(archive, WEIGHTS, "data/weights"))
    reading = _Reading(ranges=document["range_constraints"])
    pictures = _inputs(reading, signature["input_specs"], stored)
    if len(graph["nodes"]) > MOST_STEPS:
        raise Refused(f"its graph has {len(graph['nodes'])} nodes; at most {MOST_STEPS} are read")
    for node in graph["nodes"]:
        _node(reading, node)
    output = _output(reading, signature["output_specs"])
    _check_norms(reading, module["module_call_graph"])
    steps, modules = with_taps(reading.steps, reading.places, output, set(reading.norms))
    leaves = _used(reading, steps)
    height, width, channels = _pictures(pictures, graph["tensor_values"][pictures], reading.ranges)
    program = Program(
        channels=channels, height=height, width=width, leaves=tuple(drawn(leaves, steps)), steps=tuple(steps),
        output=output, modules=modules, head=scoring_layer(steps, output, leaves),
    )  # fmt: skip
    return program, {leaf.name: stored[leaf.name] for leaf in leaves}


def _inputs(reading: _Reading, specs: list[Any], stored: Mapping[str, Stored]) -> str:
    """Numbers the graph's inputs; returns the name of the pictures."""
    users = [spec["user_input"]["arg"]["as_tensor"]["name"] for spec in specs if "user_input" in spec]
    if len(users) != 1:
        raise Refused(f"it takes {len(users)} inputs; a network here takes one batch of pictures")
    reading.number(users[0])
    paths: dict[str, str] = {}
    for spec in specs:
        ((kind, content),) = spec.items()
        if kind == "user_input":
            continue
        if kind not in ("parameter", "buffer", "tensor_constant"):
            raise Refused(f"it has an input of the kind {kind[:40]!r}: custom objects and tokens are not taken")
        name = content[f"{kind}_name"]
        _check_name(name)
        if name not in stored:
            raise Refused(f"it holds no numbers of {name!r}")
        if (other := paths.setdefault(stored[name].path, name)) != name:
            raise Refused(f"{other!r} and {name!r} in it are one tensor; {PLUG_IN}")
        role: Literal["parameter", "buffer", "constant"] = "parameter" if kind == "parameter" else "buffer"
        if kind == "tensor_constant" or content.get("persistent") is False:
            role = "constant"
        if role == "parameter" and stored[name].dtype not in FLOATING:
            raise Refused(f"its parameter {name!r} is of type {stored[name].dtype}, which cannot be trained")
        number = reading.number(content["arg"]["name"])
        reading.leaves[number] = Leaf(
            name=name, role=role, value=number, shape=stored[name].shape, dtype=stored[name].dtype
        )
        if name.rpartition(".")[2] == _COUNTER:
            reading.counters.add(number)
    return str(users[0])


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or len(name) > 400 or not all(map(_PART.fullmatch, name.split("."))):
        raise Refused(
            f"a tensor in it is called {str(name)[:80]!r}; names are words of letters, digits and _ with dots"
        )


def _node(reading: _Reading, node: Mapping[str, Any]) -> None:
    target = node["target"]
    found = operators.aten(target)
    name, overload = found or ("", "")
    if found is not None and name in operators.CHECKS:
        return
    if found is None and operators.python(target) is None:
        raise Refused(f"it uses {str(target)[:80]}, which is no operator of torch.ops.aten; {PLUG_IN}")
    by_name = {each["name"]: each["arg"] for each in node["inputs"]}
    where = places(node["metadata"].get("nn_module_stack"))
    if name in ("add", "add_") and _is_counter(reading, by_name.get("self")):
        reading.counters.add(reading.number(str(output_names(node["outputs"][0]))))
        return
    if name == "batch_norm":
        step = _norm(reading, by_name, node["outputs"])
    elif name in ("dropout", "dropout_"):
        step = Step(
            kind="dropout", name="dropout", outputs=_outputs(reading, node["outputs"]),
            inputs=tuple(argument(each["arg"], reading.values) for each in node["inputs"][:2]),
        )  # fmt: skip
    else:
        step = _plain_step(reading, node, name, overload)
    may_share = step.kind in ("aten", "dropout") and (name in operators.VIEWS or operators.is_in_place(name))
    if may_share and (owner := reading.owner(step.inputs[0])) is not None:
        reading.views.update(dict.fromkeys(_numbers(step.outputs), owner))
    reading.steps.append(step)
    reading.places.append(where)


def _numbers(outputs: Iterable[Any]) -> Iterator[int]:
    """Of the values that a step gives."""
    for each in outputs:
        if isinstance(each, list):
            yield from _numbers(each)
        elif each is not None:
            yield each


def _is_counter(reading: _Reading, given: Any) -> bool:
    return isinstance(given, dict) and reading.values.get(given.get("as_tensor", {}).get("name")) in reading.counters


def _plain_step(reading: _Reading, node: Mapping[str, Any], name: str, overload: str) -> Step:
    if name and not operators.is_allowed(name):
        if operators.DECOMPOSED.fullmatch(name):
            raise Refused(f"it uses aten.{name}: it was decomposed; save the program as torch.export.export returns it")
        raise Refused(f"it uses aten.{name}, which is not among the operators of vision networks; {PLUG_IN}")
    positional = [argument(each["arg"], reading.values) for each in node["inputs"] if each.get("kind") != 2]
    named = {each["name"]: argument(each["arg"], reading.values) for each in node["inputs"] if each.get("kind") == 2}
    if not all(map(_PART.fullmatch, named)):
        raise Refused("an argument in its graph has no plain name")
    if operators.is_in_place(name) and (target := reading.owner(positional[0])) in (PICTURES, *reading.leaves):
        what = "the pictures" if target == PICTURES else repr(reading.leaves[target].name)
        raise Refused(f"it changes {what} in place (aten.{name})")
    if name == "scaled_dot_product_attention" and len(positional) > 4:
        positional[4] = ["training", positional[4][1]]
    outputs = _outputs(reading, node["outputs"])
    if not name:
        return Step(
            kind="python", name=str(operators.python(node["target"])), inputs=tuple(positional), outputs=outputs
        )
    return Step(kind="aten", name=f"{name}.{overload}", inputs=tuple(positional), named=named, outputs=outputs)


def _outputs(reading: _Reading, given: list[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for each in given:
        names = output_names(each)
        found.append(
            [reading.number(str(name)) for name in names]
            if isinstance(names, list)
            else names and reading.number(names)
        )
    return tuple(found)


def _norm(reading: _Reading, by_name: Mapping[str, Any], outputs: list[Any]) -> Step:
    """A call of batch normalisation, as one of the module that its parameters belong to."""
    given = {key: argument(by_name[key], reading.values) for key in _NORM_LEAVES}
    names = {
        key: reading.leaves[each[1]].name
        for key, each in given.items()
        if each[0] == "value" and each[1] in reading.leaves
    }
    modules = {name.rpartition(".")[0] for name in names.values()}
    if len(modules) != 1 or any(name.rpartition(".")[2] != key for key, name in names.items()):
        raise Refused("a batch normalisation in it has parameters that are not one module's own; " + PLUG_IN)
    (module,) = modules
    if not {"running_mean", "running_var"} <= names.keys():
        raise Refused(f"its batch normalisation {module!r} keeps no running statistics")
    settings = {key: argument(by_name[key], reading.values)[1] for key in ("momentum", "eps")}
    if not settings["momentum"]:
        raise never_learned(module)
    known = reading.norms.setdefault(module, {"leaves": sorted(names), **settings})
    if known != {"leaves": sorted(names), **settings} or not all(type(each) is float for each in settings.values()):
        raise Refused(f"its batch normalisation {module!r} is used in two ways")
    return Step(
        kind="norm", name=module, inputs=(argument(by_name["input"], reading.values),), named=settings,
        outputs=_outputs(reading, outputs),
    )  # fmt: skip


def _output(reading: _Reading, specs: list[Any]) -> int:
    scores = [spec["user_output"]["arg"] for spec in specs if "user_output" in spec]
    if len(scores) != 1 or "as_tensor" not in scores[0]:
        raise Refused(f"it gives {len(scores)} outputs; a network here gives one tensor, a score for each class")
    for spec in specs:
        if "buffer_mutation" in spec and spec["buffer_mutation"]["buffer_name"].rpartition(".")[2] not in (
            *_NORM_LEAVES,
            _COUNTER,
        ):
            raise Refused("it changes a buffer that is no statistic of batch normalisation")
        if not {"user_output", "buffer_mutation"} & spec.keys():
            raise Refused(f"it has an output of the kind {next(iter(spec))[:40]!r}")
    return int(argument(scores[0], reading.values)[1])


def _check_norms(reading: _Reading, call_graph: list[Any]) -> None:
    """Refuses a network whose batch normalisation was folded into its convolutions: it would train without any."""
    normalising = ("layer_norm", "group_norm", "rms_norm")
    if reading.norms or any(step.name.partition(".")[0] in normalising for step in reading.steps):
        return
    silent = silent_norms([entry["fqn"] for entry in call_graph], reading.places)
    if silent is not None:
        raise Refused(
            f"its module {silent!r} does nothing, and no other normalises: batch normalisation was folded into the "
            "convolutions. Export the network before it is fused or optimised for inference"
        )


def _used(reading: _Reading, steps: list[Step]) -> list[Leaf]:
    """The leaves that a step reads, and those of the batch normalisations."""
    read = {number for step in steps for number in values_in(step.inputs)} | {
        number for step in steps for number in values_in(step.named.values() if step.kind == "aten" else ())
    }
    of_norms = {f"{module}.{key}" for module, found in reading.norms.items() for key in (*found["leaves"], _COUNTER)}
    return [leaf for number, leaf in reading.leaves.items() if number in read or leaf.name in of_norms]


def _pictures(name: str, stated: Mapping[str, Any], ranges: Mapping[str, Any]) -> tuple[Any, Any, int]:
    """Which heights and widths are taken, and the channels."""
    sizes = stated["sizes"]
    if len(sizes) != 4 or stated["dtype"] != 7:
        raise Refused("its input is no float32 batch of pictures, B x C x H x W")
    again = f"export it with dynamic_shapes={{{name!r}: {{0: torch.export.Dim('batch')}}}}"
    symbol, factor, offset = linear(sizes[0])
    if symbol is None:
        raise Refused(f"its batch is fixed at {offset} pictures; {again}")
    limits = ranges.get(symbol) or {}
    most = limits.get("max_val")
    if (factor, offset) != (1, 0) or (limits.get("min_val") or 0) > 2 or (most is not None and most < LARGEST_BATCH):
        raise Refused(f"its batch is limited; {again}")
    fixed, _, channels = linear(sizes[1])
    if fixed is not None or channels not in (1, 3):
        raise Refused("its pictures have neither one channel nor three")
    height, width = side_of(sizes[2], ranges), side_of(sizes[3], ranges)
    if height.factor == width.factor == 0 and height.offset != width.offset:
        raise Refused(f"its pictures are {height.offset}x{width.offset}; pictures here are square")
    return height, width, channels


def scoring_layer(steps: list[Step], output: int, leaves: list[Leaf]) -> tuple[str, ...]:
    """The parameters of the linear layer that gives the scores, if one does."""
    last = next(step for step in steps if step.kind != "tap" and output in step.outputs)
    if last.name != "linear.default":
        return ()
    names = {leaf.value: leaf.name for leaf in leaves if leaf.role == "parameter"}
    used = [each[1] for each in last.inputs[1:] if each[0] == "value"]
    uses = [number for step in steps for number in values_in(step.inputs) if number in used]
    return tuple(names[number] for number in used) if set(used) <= names.keys() and len(uses) == len(used) else ()
