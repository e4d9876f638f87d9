"""In which order the parts of a worker start and stop."""

from __future__ import annotations

from worker.app import Parts


class Recorded:
    """A part that writes down what is asked of it."""

    def __init__(self, name: str, asked: list[str]) -> None:
        self._name, self._asked = name, asked

    def start(self) -> None:
        self._asked.append(f"start {self._name}")

    def stop(self) -> None:
        self._asked.append(f"stop {self._name}")

    def terminate(self) -> None:
        self._asked.append(f"terminate {self._name}")


def test_the_heartbeat_starts_first_and_stops_last_and_runs_are_given_back_first() -> None:
    asked = list[str]()
    heartbeat, sweeper, sender, slots = (Recorded(name, asked) for name in ("heartbeat", "sweeper", "sender", "slots"))
    parts = Parts(heartbeat, (sweeper, sender), slots)
    parts.start()
    assert asked == ["start heartbeat", "start sweeper", "start sender", "start slots"]
    asked.clear()
    parts.stop()
    assert asked == [
        "terminate sweeper", "terminate sender", "stop slots", "stop sweeper", "stop sender", "stop heartbeat",
    ]  # fmt: skip
    asked.clear()
    parts.terminate()
    assert sorted(asked) == ["terminate heartbeat", "terminate sender", "terminate slots", "terminate sweeper"]


def test_a_worker_without_runs_has_no_slots() -> None:
    asked = list[str]()
    Parts(Recorded("heartbeat", asked), (Recorded("sweeper", asked),), None).start()
    assert asked == ["start heartbeat", "start sweeper"]
