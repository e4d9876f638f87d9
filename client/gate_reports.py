"""What `dpk gate` leaves for a pipeline: a summary in Markdown and the checks as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from client.compare import accuracy
from client.exit_codes import ExitCode
from client.gate_checks import Check
from service.presentation.metric_words import words_of
from service.wire.boards import Leaderboard


def markdown(
    title: str, code: ExitCode, found: Sequence[Check], page: str | None, board: Leaderboard | None = None
) -> str:
    """The summary of a pipeline's step, with a chart of the leaderboard, which GitHub and GitLab draw."""
    rows = [f"| {each.name} | {'passed' if each.passed else '**failed**'} | {each.message} |" for each in found]
    link = [] if page is None else ["", f"[Leaderboard]({page})"]
    state = "passed" if code == ExitCode.FINE else f"failed (exit code {code:d}: {code.meaning.rstrip('.')})"
    return "\n".join(
        [f"## Teacher gate {state}", "", title, "", "| check | | |", "|---|---|---|", *rows, *_chart(board), *link, ""]
    )


def _chart(board: Leaderboard | None) -> list[str]:
    """The students' scores as a Mermaid chart; nothing where none is known."""
    if board is None:
        return []
    known = {row.label: score for row in board.rows if (score := accuracy(row)) is not None}
    if not known:
        return []
    title = f"Student {board.metric.name} by teacher, in {words_of(board.metric).scale}"
    low, high = min(known.values()), max(known.values())
    room = max(0.1 * (high - low), 0.005)
    names = ", ".join(f'"{label.replace(chr(34), chr(39))}"' for label in known)
    return [
        "", "```mermaid", "xychart-beta", f'    title "{title}"',
        f"    x-axis [{names}]", f"    y-axis {100 * (low - room):.1f} --> {100 * (high + room):.1f}",
        f"    bar [{', '.join(f'{100 * score:.2f}' for score in known.values())}]", "```",
    ]  # fmt: skip


def junit_xml(title: str, found: Sequence[Check]) -> str:
    """A test case for each check."""
    failures = sum(not each.passed for each in found)
    suite = ElementTree.Element("testsuite", name="dpk gate", tests=str(len(found)), failures=str(failures))
    for each in found:
        case = ElementTree.SubElement(suite, "testcase", classname=title, name=each.name)
        if each.passed:
            ElementTree.SubElement(case, "system-out").text = each.message
        else:
            ElementTree.SubElement(case, "failure", message=each.message)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
