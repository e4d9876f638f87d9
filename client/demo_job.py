"""The question that `dpk demo` asks: a tiny student, real handwritten digits, five teachers trained equally briefly."""

from __future__ import annotations

from service.wire.jobs import Budget, SelectionJobRequest

DEMO_JOB = SelectionJobRequest(
    student="cifar/resnet8w4",
    dataset="digits",
    teachers=["cifar/mobilenetv2", "cifar/resnet8w8", "cifar/resnet14w8", "cifar/resnet20", "cifar/resnet8x4"],
    method="dpk",
    seeds=5,
    # Short trainings, of which `make bench-demo` measures how far they differ: longer ones would look alike on these
    # data. 539 validation pictures tell differences below a point no better: a higher chance would take too long.
    budget=Budget(epochs=12, teacher_epochs=4, margin=0.003, chance=0.8),
)
