"""Every policy by name."""

from __future__ import annotations

from dpk_core.selection.decide.policies.adaptive import Adaptive
from dpk_core.selection.decide.policies.exhaustive import Exhaustive
from dpk_core.selection.decide.policies.halving import Halving
from dpk_core.selection.decide.policies.policy import Policy
from dpk_core.selection.decide.policies.teacher_accuracy import TeacherAccuracy

POLICIES: dict[str, Policy] = {
    policy.name: policy for policy in (Adaptive(), Exhaustive(), Halving(), TeacherAccuracy())
}
"""Each is stateless, so one of each is enough."""
