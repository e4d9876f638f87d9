"""Does a selection job find a detector's teacher in 25 minutes? The real service, worker and runners on BCCD.

    DPK_DATA_ROOT=… python -m benchmarks.detection_job [--home FOLDER]

One job: Faster R-CNN on MobileNetV3-small under DPK, from the three teachers of `benchmarks.detection` (V3-large,
ResNet-18, and a ResNet-18 whose training was stopped early, which is taken as it is from a file), three seeds, two
trainings side by side. A new home folder is used, so nothing is found in a store; the early ResNet-18 is trained first,
a minute that is not the job's.

The verdict is compared with the exhaustive table of `benchmarks.detection` where that is there: does it name the
teacher whose students are best there, alone or in a tie? On some hundred pictures teachers within ± 1.5 points are not
distinguishable, so a tie is the honest answer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks import detection, record
from client.demo import write_reports
from client.processes import API, CONTROL, RUNS, claim_port, migrate
from client.server import environment_for, stopping_on_term, up
from dpk_core.catalogue.datasets import box_dataset_card
from dpk_core.detection_settings import DetectionSettings
from dpk_core.training.training import make_deterministic
from service.wire.boards import Leaderboard
from service.wire.jobs import SelectionJobRequest

COMMAND = "python -m benchmarks.detection_job"
MOST_SECONDS = 25 * 60.0
SLOTS = 2
EARLY = "ResNet-18, stopped early"
EARLY_FILE = "resnet18-stopped-early.safetensors"
HOST = "127.0.0.1"


def request(dataset: str) -> SelectionJobRequest:
    """The job. Teachers that are trained in it train as those of `benchmarks.detection`."""
    trained = [
        {"model": model, "epochs": epochs} for label, (model, epochs, _) in detection.TEACHERS.items() if label != EARLY
    ]
    early = {"model": detection.TEACHERS[EARLY][0], "weights": f"file:{EARLY_FILE}", "preparation": "as_is"}
    return SelectionJobRequest.model_validate(
        {
            "student": detection.STUDENT, "dataset": dataset, "teachers": [*trained, early], "method": "dpk",
            "seeds": detection.SEEDS, "budget": {"epochs": detection.EPOCHS, "audit": 0, "slots": SLOTS},
        }
    )  # fmt: skip


def early_weights(dataset: str, data_root: Path, weights_root: Path) -> None:
    """The early ResNet-18 as a file, trained where `benchmarks.detection` did not keep it."""
    made = detection.plan(box_dataset_card(dataset, data_root, "--dataset", DetectionSettings()))
    run = made.teachers[EARLY]
    trained = detection.weights_path(run.key())
    if not trained.exists():
        print(detection.carry_out(run, data_root), flush=True)
    weights_root.mkdir(parents=True)
    shutil.copy(trained, weights_root / EARLY_FILE)


def run(asked: SelectionJobRequest, home: Path, data_root: Path) -> Leaderboard:
    """The board of the finished job; it is also written to the home folder as JSON and as a page."""
    environment = environment_for(home, HOST, claim_port(HOST, 0)) | {
        "DPK_DATA_ROOT": str(data_root.absolute()), "DPK_WEIGHTS_ROOT": str(home / "weights"), "DPK_SLOTS": str(SLOTS),
        "DPK_DEVICE": "cpu", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    migrate(environment, quiet=True)
    with (
        stopping_on_term(),
        up([API, CONTROL, RUNS], environment, log_folder=home / "logs", patience=3) as (parts, client),
    ):
        job = client.submit(asked)
        print(f"{client.base_url}{job.links.page}", flush=True)
        said = ""
        for moment in client.watch(job.id, while_away=parts.tend):
            parts.tend()
            if moment.headline != said:
                said = moment.headline
                print(said, flush=True)
        board = client.leaderboard(job.id)
        print(*write_reports(client, board, home / "reports"), sep="\n")
    return board


def exhaustive_best() -> str | None:
    """The teacher of the best students under DPK in the exhaustive table, as the job calls it; None without a table."""
    path = record.RESULTS / "detection.json"
    if not path.exists():
        return None
    rows = [row for row in json.loads(path.read_text())["rows"] if row["method"] == "dpk"]
    best = max(rows, key=lambda row: row["validation"])["teacher"]
    model = detection.TEACHERS[best][0]
    return f"{model}@file:{EARLY_FILE}" if best == EARLY else model


def result(board: Leaderboard) -> dict[str, Any]:
    """What is kept."""
    assert board.verdict is not None, board.job.failure
    wall, best = board.ledger.wall or 0.0, exhaustive_best()
    named = [each for each in (board.verdict.best, *board.verdict.tied) if each is not None]
    return {
        "command": COMMAND, "machine": record.machine(torch.device("cpu")), "versions": record.versions(),
        "request": board.job.request.model_dump(mode="json"), "fingerprint": board.setup.data_fingerprint,
        "verdict": board.verdict.sentence, "named": named, "exhaustive_best": best,
        "agrees": None if best is None else best in named, "wall_seconds": round(wall, 1),
        "training_seconds": round(board.ledger.spent, 1),
        "rows": [
            {
                "teacher": row.teacher, "teacher_ap": _points(row.teacher_accuracy), "status": row.status,
                "student_ap": _points(None if row.full is None else row.full.mean),
                "test_ap": _points(None if row.test is None else row.test.mean),
            }
            for row in board.rows
        ],
        "targets": [record.target("a selection job of three teachers", wall, MOST_SECONDS, "s")],
    }  # fmt: skip


def _points(score: float | None) -> float | None:
    return None if score is None else round(100 * score, 2)


def main() -> None:
    """Runs the job and keeps what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="boxes/bccd")
    parser.add_argument("--home", type=Path, help="an empty folder for database, weights and logs; default: a new one")
    options = parser.parse_args()
    data_root = Path(os.environ["DPK_DATA_ROOT"])
    home = options.home or Path(tempfile.mkdtemp(prefix="dpk-detection-"))
    make_deterministic(1)
    early_weights(options.dataset, data_root, home / "weights")
    found = result(run(request(options.dataset), home, data_root))
    print(json.dumps(found["rows"], indent=1), found["verdict"], found["targets"], sep="\n")
    record.write("detection_job", found)


if __name__ == "__main__":
    main()
