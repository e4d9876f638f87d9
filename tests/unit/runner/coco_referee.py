"""Average precision of a file of results by pycocotools and the data set's own annotation file, without this project.

python tests/unit/runner/coco_referee.py ANNOTATIONS RESULTS
"""

from __future__ import annotations

import contextlib
import io
import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def average_precision(annotations: str, results: str) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(annotations)
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return float(evaluator.stats[0])


if __name__ == "__main__":
    sys.stdout.write(f"{average_precision(*sys.argv[1:])}\n")
