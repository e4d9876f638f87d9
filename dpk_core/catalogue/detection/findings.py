"""What annotation faults mean, in the sentences that the data set check shows."""

from __future__ import annotations

from collections.abc import Iterable

from dpk_core.catalogue.detection.faults import Fault
from dpk_core.catalogue.detection.kinds import KINDS
from dpk_core.catalogue.finding import Finding, Level


def fault_findings(faults: Iterable[Fault]) -> tuple[Finding, ...]:
    """A finding for each fault, the worst first."""
    found = [fault_finding(fault) for fault in faults]
    return tuple(sorted(found, key=lambda each: ("refusal", "warning", "info").index(each.level)))


def fault_finding(fault: Fault) -> Finding:
    """What a fault means."""
    kind = KINDS[fault.kind]
    part = fault.count / max(1, fault.of)
    level: Level = "info"
    if kind.refusal is not None and part > kind.refusal:
        level = "refusal"
    elif kind.warning is not None and part > kind.warning:
        level = "warning"
    where = f"{fault.split}: " if fault.split else ""
    message = f"{where}{kind.text} in {fault.count} of {fault.of} {kind.unit}{_example(fault)}. {kind.advice}"
    message = message[0].upper() + message[1:]
    return Finding(code=fault.kind, level=level, message=message, caution=kind.caution and level == "warning")


def _example(fault: Fault) -> str:
    parts = [
        f"annotation {fault.annotation}" if fault.annotation else "",
        f"picture {fault.picture}" if fault.picture else "",
        fault.example,
    ]
    example = ", ".join(part for part in parts if part)
    return f", e.g. {example}" if example else ""
