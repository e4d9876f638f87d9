"""Archives that mean harm, or lie: each is refused, and nothing in it runs."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dpk_core.exported import archive
from dpk_core.exported.archive import CONSTANTS, GRAPH, Refused
from dpk_core.models.vet import vet
from tests.unit.exported.archives import (
    ROOT,
    Change,
    batch_size,
    drop,
    edited,
    graph,
    members,
    node,
    put,
    renamed,
    signature,
    weight,
    write,
)


class Payload:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


EVIL = "__import__('pathlib').Path('{mark}').touch()"

INSIDE: dict[str, tuple[Change, str]] = {
    # What runs code in torch's own loader.
    "code for a batch size": (batch_size(EVIL), "is the expression"),
    "a call for a batch size": (batch_size("Max(1, Symbol('s0', positive=True, integer=True))"), "is the expression"),
    "a symbol with code": (batch_size(f"Symbol('s0', positive={EVIL})"), "is the expression"),
    "an endless expression": (batch_size("(" * 399), "is the expression"),
    "a long expression": (batch_size("1+" * 10_000 + "1"), "no text of an expression"),
    "a pickled parameter": (weight(lambda entry: entry.update(use_pickle=True)), "pickled or no plain tensor"),
    "a pickled constant": (put("data/constants/custom_obj_0", b"\x80\x04."), "no part of a program"),
    "a custom object": (
        signature(lambda found: found["input_specs"].append({"custom_obj": {"arg": {"name": "o"}}})),
        "custom objects and tokens",
    ),
    "compiled code": (put("data/aotinductor/model/evil.so", b"\x7fELF"), "no part of a program"),
    "a module of Python": (put("code/__torch__.py", b"import os"), "no part of a program"),
    # Operators.
    "a custom operator": (node("torch.ops.evil.run.default"), "no operator of torch.ops.aten"),
    "an operator of Python": (node("os.system", command={"as_string": "true"}), "no operator of torch.ops.aten"),
    "eval": (node("builtins.eval"), "no operator of torch.ops.aten"),
    "a higher-order operator": (node("torch.ops.higher_order.cond"), "no operator of torch.ops.aten"),
    "a dotted way out of aten": (node("torch.ops.aten.__class__.__init__.default"), "no operator of torch.ops.aten"),
    "a dunder of aten": (node("torch.ops.aten.__reduce__.default"), "not among the operators"),
    "a file mapped into memory": (
        node("torch.ops.aten.from_file.default", filename={"as_string": "x"}), "not among the operators",
    ),
    "foreign storage": (node("torch.ops.aten.as_strided.default"), "not among the operators"),
    "an overload that torch lacks": (node("torch.ops.aten.conv2d.evil"), "has no aten.conv2d.evil"),
    "a path as text": (
        node("torch.ops.aten.gelu.default", self={"as_tensor": {"name": "pictures"}}, a={"as_string": "../../x;"}),
        "as an argument",
    ),
    "a parameter changed in place": (
        node("torch.ops.aten.relu_.default", self={"as_tensor": {"name": "p_stem_0_weight"}}), "in place",
    ),
    "the pictures changed in place": (
        node("torch.ops.aten.relu_.default", self={"as_tensor": {"name": "pictures"}}), "the pictures in place",
    ),
    "a graph within": (node("torch.ops.aten.relu.default", self={"as_graph": {"name": "x"}}), "of the kind 'as_graph'"),
    "a value from nowhere": (
        node("torch.ops.aten.relu.default", self={"as_tensor": {"name": "nowhere"}}), "before anything gives it",
    ),
    # Shapes and numbers that lie.
    "more numbers than bytes": (
        weight(lambda entry: entry["tensor_meta"]["sizes"].__setitem__(0, {"as_int": 10**9})), "not as many bytes",
    ),
    "a negative size": (
        weight(lambda entry: entry["tensor_meta"]["sizes"].__setitem__(0, {"as_int": -10})), "natural numbers",
    ),
    "strides out of the tensor": (
        weight(lambda entry: entry["tensor_meta"]["strides"].__setitem__(0, {"as_int": 10**6})), "gaps or overlap",
    ),
    "an offset": (
        weight(lambda entry: entry["tensor_meta"].__setitem__("storage_offset", {"as_int": 64})), "not as many bytes",
    ),
    "a path out of the archive": (
        weight(lambda entry: entry.__setitem__("path_name", "../../../etc/passwd")), "no plain tensor",
    ),
    "weights that are not there": (weight(lambda entry: entry.__setitem__("path_name", "weight_999")), "it has no"),
    "weights for another graph": (
        weight(lambda entry: entry["tensor_meta"].update(sizes=[{"as_int": 24}, {"as_int": 10}],
                                                         strides=[{"as_int": 10}, {"as_int": 1}])),
        "it does not run",
    ),
    "numbers that are not finite": (put("data/weights/weight_1", b"\x00\x00\xc0\x7f" * 8), "not finite"),
    "a name with code": (
        signature(lambda found: found["input_specs"][0]["parameter"].update(parameter_name="stem.0.weight);import os")),
        "names are words",
    ),
    "one tensor under two names": (
        weight(lambda entry: entry.__setitem__("path_name", "weight_1"), "stem.1.bias"), "are one tensor",
    ),
    "a size of memory": (
        node("torch.ops.aten.upsample_nearest2d.default", self={"as_tensor": {"name": "pictures"}},
             output_size={"as_ints": [2**20, 2**20]}),
        "it does not run",
    ),
    # Networks that could not be trained.
    "a fixed batch": (
        graph(lambda found: found["tensor_values"]["pictures"]["sizes"].__setitem__(0, {"as_int": 2})),
        "fixed at 2 pictures; export it with dynamic_shapes={'pictures': {0:",
    ),
    "decomposed": (
        graph(
            renamed(
                "torch.ops.aten.batch_norm.default",
                "torch.ops.aten._native_batch_norm_legit_no_training.default",
            )
        ),
        "it was decomposed; save the program as torch.export.export returns it",
    ),
    "parameters without a gradient": (
        graph(renamed("torch.ops.aten.sigmoid.default", "torch.ops.aten.detach.default")),
        "no gradient reaches its parameter 'stages.0.squeeze.weight'",
    ),
    "two outputs": (
        signature(lambda found: found["output_specs"].append(found["output_specs"][0])), "it gives 2 outputs",
    ),
    "two inputs": (
        signature(lambda found: found["input_specs"].append({"user_input": {"arg": {"as_tensor": {"name": "y"}}}})),
        "it takes 2 inputs",
    ),
    # Documents.
    "no JSON": (put(GRAPH, b"{"), "no JSON"),
    "a deep document": (put(GRAPH, b"[" * 10**6 + b"]" * 10**6), "no JSON"),
    "a name twice in a document": (put(CONSTANTS, b'{"config": {}, "config": {}}'), "no JSON"),
    "another document": (put(GRAPH, b'{"schema_version": {"major": 8}}'), "not in the form that torch writes"),
    "a schema of tomorrow": (edited(GRAPH, lambda found: found["schema_version"].update(major=99)), "schema 99"),
    "no graph": (drop(GRAPH), "has no models/model.json"),
    "a second graph": (put("models/other.json", b"{}"), "no part of a program"),
    "big-endian numbers": (put("byteorder", b"big"), "little-endian"),
}  # fmt: skip


def refusal(file: Path) -> str:
    with pytest.raises(Refused) as raised:
        vet("own/evil-00000000", "sha256:0", file)
    return str(raised.value)


@pytest.mark.parametrize("name", INSIDE)
def test_what_it_says_is_not_believed(name: str, tmp_path: Path) -> None:
    change, words = INSIDE[name]
    content, mark = members(), tmp_path / "mark"
    change(content)
    content = {path: data.replace(b"{mark}", str(mark).encode()) for path, data in content.items()}
    assert words in refusal(write(tmp_path / "evil.pt2", content))
    assert not mark.exists()


def test_sample_inputs_are_never_opened(tmp_path: Path) -> None:
    content, mark = members(), tmp_path / "mark"
    content["data/sample_inputs/model.pt"] = pickle.dumps(Payload(mark))
    document, _ = vet("own/mine-00000000", "sha256:0", write(tmp_path / "payload.pt2", content))
    assert document.count > 0
    assert not mark.exists()
    pickle.loads(content["data/sample_inputs/model.pt"])  # noqa: S301 - ours: shows that the payload works
    assert mark.exists()


def test_a_huge_document_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_JSON_BYTES", 1000)
    assert "is larger than" in refusal(write(tmp_path / "evil.pt2", members()))


def test_too_many_nodes_or_members_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "evil.pt2", members())
    monkeypatch.setattr("dpk_core.exported.graph.MOST_STEPS", 10)
    assert "nodes; at most 10" in refusal(file)
    monkeypatch.setattr(archive, "MOST_MEMBERS", 10)
    assert "members; at most 10" in refusal(file)


def _entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.external_attr = mode << 16
    return found


ODD_ENTRIES: dict[str, tuple[zipfile.ZipInfo, str]] = {
    "a way up": (_entry(f"{ROOT}/../../evil"), "member with the name"),
    "a way from the root": (_entry("/etc/evil"), "member with the name"),
    "a backslash": (_entry(f"{ROOT}\\evil"), "member with the name"),
    "a name cut by a zero": (_entry(f"{ROOT}/extra/aZERO.py"), "member with the name"),
    "a link": (_entry(f"{ROOT}/extra/link", 0o120777), "is a link or a device"),
    "a device": (_entry(f"{ROOT}/extra/null", 0o020666), "is a link or a device"),
    "another folder": (_entry("other/extra/x"), "in several folders"),
    "a bare name": (_entry("evil"), "member with the name"),
}


@pytest.mark.parametrize("name", ODD_ENTRIES)
def test_odd_entries_of_the_directory(name: str, tmp_path: Path) -> None:
    info, words = ODD_ENTRIES[name]
    file = write(tmp_path / "evil.pt2", members())
    with zipfile.ZipFile(file, "a") as target:
        target.writestr(info, b"x")
    file.write_bytes(file.read_bytes().replace(b"aZERO.py", b"a\x00bcd.py"))
    assert words in refusal(file)


def test_a_member_twice(tmp_path: Path) -> None:
    file = write(tmp_path / "evil.pt2", members())
    with zipfile.ZipFile(file, "a") as target, pytest.warns(UserWarning, match="Duplicate name"):
        target.writestr(f"{ROOT}/{GRAPH}", b"{}")
    assert "twice" in refusal(file)


def test_a_bomb(tmp_path: Path) -> None:
    file = tmp_path / "evil.pt2"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(f"{ROOT}/{GRAPH}", b" " * 10**7)
    assert "claim more bytes than the file has" in refusal(file)


def test_members_that_share_their_bytes(tmp_path: Path) -> None:
    """A bomb of overlapping members: the directory names the same bytes again and again."""
    content = members()
    content["extra/large"] = bytes(10**5)
    file = write(tmp_path / "evil.pt2", content)
    with zipfile.ZipFile(file, "a") as target:
        large = target.getinfo(f"{ROOT}/extra/large")
        for index in range(20):
            again = _entry(f"{ROOT}/extra/large{index}")
            again.header_offset, again.CRC = large.header_offset, large.CRC
            again.compress_size = again.file_size = large.file_size
            target.filelist.append(again)
        target._didModify = True
    assert "claim more bytes than the file has" in refusal(file)


def test_a_member_whose_bytes_are_not_those_it_was_written_with(tmp_path: Path) -> None:
    file = write(tmp_path / "evil.pt2", members())
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"graph_module"', b'"graph_modulf"', 1))
    assert "cannot be read" in refusal(file)


@pytest.mark.parametrize("content", [b"", b"PK", pickle.dumps({}), b"PK\x05\x06" + struct.pack("<HHHHIIH", *[0] * 7)])
def test_what_is_no_program_at_all(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "evil.pt2"
    file.write_bytes(content)
    assert refusal(file)
