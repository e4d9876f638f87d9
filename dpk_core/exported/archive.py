"""The file that `torch.export.save` writes: a zip archive of JSON and raw numbers, opened as if it were hostile.

`torch.export.load` unpickles the sample inputs and evaluates symbolic shapes, which runs whatever a file says. Here
nothing is unpickled, evaluated or written to disk; a member that such a file need not have is a refusal.

    <root>/models/model.json                       the graph
    <root>/data/weights/model_weights_config.json  names, types and shapes of parameters and buffers
    <root>/data/weights/weight_<n>                 their numbers, raw
    <root>/data/constants/…                        the same for constants
    <root>/data/sample_inputs/…, <root>/extra/…    never opened
"""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpk_core.codec import strict_json

MOST_MEMBERS = 20_000
MOST_JSON_BYTES = 64 * 2**20
"""A ResNet-152 has 4 MiB, nearly all of it stack traces."""
GRAPH, WEIGHTS, CONSTANTS = (
    "models/model.json", "data/weights/model_weights_config.json", "data/constants/model_constants_config.json",
)  # fmt: skip
EXPORT_AGAIN = "save it with torch.export.save of torch 2.9 or newer"

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,100}(?:/[A-Za-z0-9_.\-]{1,100}){1,8}")
_EXPECTED = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/[a-z_]+|models/model\.json"
    r"|data/weights/(?:weight_\d+|model_weights_config\.json)"
    r"|data/constants/(?:tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt|extra/.+"
)


class Refused(Exception):
    """Why a file is not taken, as the end of a sentence about it."""


def never_learned(module: str) -> Refused:
    """Of a batch normalisation whose running statistics stay as they are."""
    return Refused(
        f"its batch normalisation {module!r} has no momentum, so its statistics would never be learned; give it one, "
        "like 0.1, and export again"
    )


@dataclass(frozen=True, slots=True)
class Archive:
    """An open archive whose directory was checked. Paths are without the root folder."""

    file: zipfile.ZipFile
    members: Mapping[str, zipfile.ZipInfo]

    def content(self, path: str) -> bytes:
        """The bytes of a member. Raises Refused where it is missing or broken."""
        if path not in self.members:
            raise Refused(f"it has no {path}; {EXPORT_AGAIN}")
        try:
            return self.file.read(self.members[path])
        except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
            raise Refused(f"its {path} cannot be read ({error})") from None

    def document(self, path: str) -> Any:
        """A member's JSON. Raises Refused."""
        if path in self.members and self.members[path].file_size > MOST_JSON_BYTES:
            raise Refused(f"its {path} is larger than {MOST_JSON_BYTES // 2**20} MiB")
        try:
            return strict_json(self.content(path).decode())
        except (ValueError, RecursionError):
            raise Refused(f"its {path} is no JSON that torch writes") from None


def open_archive(path: Path) -> Archive:
    """Opens the file and checks its directory; no member is read. The caller closes `file`. Raises Refused, OSError."""
    size = path.stat().st_size
    try:
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        raise Refused("it is neither a zip archive, as torch.export.save writes one, nor ONNX") from None
    try:
        return Archive(file, _checked(file.infolist(), size))
    except BaseException:
        file.close()
        raise


def _checked(infos: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    if len(infos) > MOST_MEMBERS:
        raise Refused(f"it has {len(infos)} members; at most {MOST_MEMBERS} are read")
    if sum(info.file_size for info in infos) > size:
        raise Refused("its members claim more bytes than the file has")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        _check_member(info)
        root, _, path = info.filename.partition("/")
        if path in members or root != infos[0].filename.partition("/")[0]:
            raise Refused(f"it holds {_shown(path)} twice, or in several folders")
        members[path] = info
    if "serialized_exported_program.json" in members:
        raise Refused(f"it was written by an older torch; {EXPORT_AGAIN}")
    for path in members:
        if not _EXPECTED.fullmatch(path):
            raise Refused(f"it holds {_shown(path)}, which is no part of a program's weights and graph")
    return members


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.filename
    if info.orig_filename != name or not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise Refused(f"it holds a member with the name {_shown(info.orig_filename)}")
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise Refused(f"its {_shown(name)} is a link or a device, no plain file")
    if info.flag_bits & 0x1:
        raise Refused(f"its {_shown(name)} is encrypted")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise Refused(f"its {_shown(name)} is compressed, which torch.export.save does not do")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}…")
