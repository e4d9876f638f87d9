"""Makes the documentation: the reference from the code, a check of every link, and the site.

python -m docs.site reference   write docs/reference anew
python -m docs.site check       what is wrong with links, anchors and the reference; builds the site strictly
python -m docs.site build       the site alone, into build/site
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from docs import from_code

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
STAGE = ROOT / "build" / "docs"
"""Where the site is built from: `docs`, with names in place of links to files that the site does not hold, and
copies of pictures from elsewhere."""
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
IMAGE = re.compile(r"(!\[[^\]]*\])\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```", re.DOTALL)
_INLINE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def documents() -> list[Path]:
    """Every document of the repository."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])


def broken_links(file: Path) -> Iterator[str]:
    """What is wrong with a document's links to files and headings of this repository, a sentence each."""
    text = _INLINE.sub("", _CODE.sub("", file.read_text(encoding="utf-8")))
    for target in [match[2] for match in _LINK.finditer(text)] + [match[2] for match in IMAGE.finditer(text)]:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (file.parent / path).resolve() if path else file
        where = f"{file.relative_to(ROOT)}: {target}"
        if not found.exists():
            yield f"{where} leads nowhere."
        elif anchor and found.suffix == ".md" and anchor not in anchors(found):
            yield f"{where} names a heading that is not there."


def anchors(file: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = _HEADING.findall(_CODE.sub("", file.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).replace(" ", "-") for heading in headings}


def stage() -> None:
    """Copies `docs` for the site."""
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(DOCS, STAGE, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for file in STAGE.rglob("*.md"):
        original = DOCS / file.relative_to(STAGE)

        def inside(match: re.Match[str], original: Path = original) -> str:
            path = match[2].partition("#")[0]
            outside = (
                path and not re.match(r"[a-z]+:", path) and not (original.parent / path).resolve().is_relative_to(DOCS)
            )
            return match[0] if not outside else f"{match[1]} (`{(original.parent / path).resolve().relative_to(ROOT)}`)"

        def shown(match: re.Match[str], original: Path = original, file: Path = file) -> str:
            picture = (original.parent / match[2]).resolve()
            if re.match(r"[a-z]+:", match[2]) or picture.is_relative_to(DOCS):
                return match[0]
            copied = shutil.copy(picture, STAGE / "images" / picture.name)
            return f"{match[1]}({os.path.relpath(copied, file.parent)})"

        text = file.read_text(encoding="utf-8")
        file.write_text(IMAGE.sub(shown, _LINK.sub(inside, text)), encoding="utf-8")


def build() -> int:
    """The site, strictly: a link or anchor that leads nowhere ends it."""
    stage()
    return subprocess.run(  # noqa: S603 - our own files
        [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(ROOT / "zensical.toml")],
        cwd=ROOT, check=False,
    ).returncode  # fmt: skip


def faults() -> list[str]:
    """Everything that is wrong, without building."""
    old = [f"docs/reference/{name} is not what the code says; run `make docs`." for name in from_code.outdated()]
    return [*old, *(fault for file in documents() for fault in broken_links(file))]


def main(action: str) -> int:
    """Carries out one action; gives the exit status."""
    if action == "reference":
        from_code.write()
        return 0
    if action == "check" and (found := faults()):
        sys.stderr.write("\n".join(found) + "\n")
        return 1
    return build()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
