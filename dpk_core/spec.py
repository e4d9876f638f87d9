"""What a run *is*: the frozen, JSON-able description that is stored with it and that decides its content key.

A training is one network learning one thing from start to finish. A run carries a training up to `stop_epoch`; a probe
and the full run after it are two runs of the same training, so the full run continues the probe's checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from dpk_core.codec import content_key
from dpk_core.detection_settings import DetectionSettings, PyramidSettings
from dpk_core.dpk_settings import DpkSettings, KdSettings
from dpk_core.preprocessing import ModelPreprocessing
from dpk_core.tasks import TaskName

TRAINING_VERSION = 3
"""Part of every content key. Raise it when a change alters the numbers a training produces by more than rounding."""

Role = Literal["teacher", "student"]
DpkName = Literal["dpk", "dpk_no_teacher_tokens", "dpk_features_only"]
TaughtMethodName = Literal[DpkName, "kd", "fitnet", "at", "sp", "rkd", "crd", "dkd", "dist", "reviewkd"]
"""The methods that need a teacher."""
MethodName = Literal["none", TaughtMethodName]
"""The methods of classification."""
DetectionMethodName = Literal["none", "dpk", "feature_mse", "fgd", "inherit"]
"""The methods of detection. `inherit`: the student starts from its teacher's neck and heads, and is taught no more."""
AskedMethodName = Literal[TaughtMethodName, "feature_mse", "fgd", "inherit"]
"""What a job can ask for, of either task."""
TAUGHT_METHODS: dict[TaskName, tuple[AskedMethodName, ...]] = {
    "classification": get_args(TaughtMethodName), "detection": ("dpk", "feature_mse", "fgd", "inherit"),
}  # fmt: skip
"""The methods of each task that need a teacher."""
DPK_METHODS: frozenset[str] = frozenset(get_args(DpkName))
"""The methods that measure CKA."""
LOGIT_METHODS: frozenset[str] = frozenset({"none", "kd", "dkd", "dist"})
"""The methods that look at logits alone; every other one taps feature maps of student and teacher."""
MODULE_METHODS: frozenset[str] = DPK_METHODS | {"fitnet", "crd", "reviewkd", "feature_mse", "fgd"}
"""The methods that train modules beside the student."""
LEAST_BATCH: dict[str, tuple[int, str]] = {
    "fitnet": (2, "its regressor has batch normalisation"),
    "reviewkd": (2, "its fusions have batch normalisation"),
    "sp": (2, "it compares the pictures of a batch in pairs"),
    "rkd": (3, "it compares the angles between three pictures of a batch"),
    "dist": (3, "it correlates over a batch, and two pictures are always fully correlated"),
    **dict.fromkeys(DPK_METHODS, (4, "unbiased CKA divides by n - 3 (method sheet, section 4)")),
}
"""Pictures that a batch, or each part of an accumulated one, must have for a method, and why; the others take one.
Networks with batch normalisation need `LEAST_NORMALISED` whatever the method."""
LEAST_NORMALISED = 2
"""One picture has no statistics of a batch. Where a map has one position torch refuses it; where it has more, training
would normalise each picture by itself, and judge by averages over many."""
ProfileName = Literal["probe", "paper"]
Augmentation = Literal["none", "shift", "crop_flip", "resized_crop_flip"]
Precision = Literal["float32", "tf32", "bfloat16", "float16"]
Compiled = Literal["no", "default", "reduce-overhead"]
"""`torch.compile`'s modes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained. Schedules are functions of `epochs`, so a run stopped early is a true prefix."""

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: Literal["cosine", "steps"]
    warmup_epochs: int = 0
    milestones: tuple[int, ...] = ()
    """Epochs at which `steps` multiplies the learning rate by `decay`."""
    decay: float = 0.1
    clip_norm: float | None = None
    """Largest allowed norm of the student's gradient and, apart from it, of the distillation modules'; None: no
    clipping."""
    augmentation: Augmentation = "none"
    module_learning_rate: float = 1e-4
    """Peak rate of the modules that train beside a student (DPK's); it falls to a tenth of this."""
    label_smoothing: float = 0.0
    """Part of each label that is spread evenly over all classes; 0: none."""
    mixup: float = 0.0
    """α of the Beta distribution that pictures and labels are mixed in pairs by; 0: no mixing."""
    cutmix: float = 0.0
    """α of the Beta distribution that the area of a pasted rectangle is drawn by (CutMix); 0: none. Where `mixup` is on
    too, each step takes one of the two with equal probability."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """What trains the network; `momentum` and `nesterov` are SGD's alone. AdamW decays no biases and no norms. Modules
    beside a student always have AdamW."""
    nesterov: bool = True
    """Whether SGD's momentum is Nesterov's; without momentum it means nothing."""
    accumulation: int = 1
    """Parts in which the `batch_size` pictures of an update go through the networks, their gradients added up. What is
    computed over a batch (batch normalisation, CKA, relations between pictures) is computed over a part."""
    precision: Precision = "float32"
    """Of the arithmetic of networks and modules while training; weights, losses and evaluation stay in float32. `tf32`:
    float32, with the factors of convolutions and matrix products rounded to 10 bits on a GPU."""
    channels_last: bool = False
    """Whether pictures and the network's weights lie in memory channel by channel last, which tensor cores like."""
    ema_decay: float | None = None
    """What the running average of the weights keeps of itself in each step. Where there is one, it is what is evaluated
    and kept; None: the weights themselves are."""
    randaugment: int | None = None
    """Magnitude, 0 … 30, of the two operations that each picture goes through after `augmentation`; None: none."""
    erasing: float = 0.0
    """Probability that a rectangle of a picture is covered with the mean colour."""
    compiled: Compiled = "no"
    """Whether student and teacher run through torch's compiler, which is faster on a GPU and rounds differently.
    `reduce-overhead` also replays them as CUDA graphs, which saves the time of launching many small operations."""
    detection: DetectionSettings | None = None
    """Canvas, detectors and augmentation, where networks are trained to find boxes; None: to tell classes."""

    def __post_init__(self) -> None:
        for name, (possible, words) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and not possible(value):
                raise ValueError(f"{name} must be {words}, not {value}")
        if not 1 <= self.accumulation <= self.batch_size:
            raise ValueError(f"accumulation must be in 1 … {self.batch_size}, the batch size, not {self.accumulation}")
        if (self.schedule == "steps") != bool(self.milestones):
            raise ValueError("milestones must name the epochs at which schedule 'steps' lowers the rate, and no other")
        if self.compiled == "reduce-overhead" and self.accumulation > 1:
            raise ValueError("compiled 'reduce-overhead' takes no accumulation: the parts would share one memory")
        if self.epochs and not self.learning_rate:
            raise ValueError("learning_rate must be above 0 where there are epochs")
        if self.detection is not None:
            for name, off in _NOT_WITH_BOXES.items():
                if getattr(self, name) != off:
                    raise ValueError(f"{name} must be {off!r} where boxes are trained, not {getattr(self, name)!r}")


_LIMITS: dict[str, tuple[Callable[[float], bool], str]] = {
    "epochs": (lambda value: value >= 0, "at least 0"),
    "batch_size": (lambda value: value >= 1, "at least 1"),
    "learning_rate": (lambda value: value >= 0, "at least 0"),
    "momentum": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "weight_decay": (lambda value: value >= 0, "at least 0"),
    "warmup_epochs": (lambda value: value >= 0, "at least 0"),
    "decay": (lambda value: value > 0, "above 0"),
    "clip_norm": (lambda value: value > 0, "above 0"),
    "module_learning_rate": (lambda value: value > 0, "above 0"),
    "label_smoothing": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "mixup": (lambda value: value >= 0, "at least 0"),
    "cutmix": (lambda value: value >= 0, "at least 0"),
    "ema_decay": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "randaugment": (lambda value: 0 <= value <= 30, "in 0 … 30"),
    "erasing": (lambda value: 0 <= value <= 1, "in 0 … 1"),
}
"""What the numbers of a recipe may be, where they are there."""

_NOT_WITH_BOXES: dict[str, object] = {
    "augmentation": "none", "label_smoothing": 0, "mixup": 0, "cutmix": 0, "randaugment": None, "erasing": 0,
    "compiled": "no",
}  # fmt: skip
"""What has no meaning, or moves no boxes; a detector's shapes change from step to step, so it is not compiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSpec:
    """How the student is taught. `none`: cross-entropy only. `profile` sets the sizes of DPK's modules.

    `dpk`: the choices of DPK and its control arms; None: the authors' for CIFAR-100. `kd`: those of KD; None: the
    literature's. `pyramid`: the choices of detection's methods; None: the defaults. `inherit`: whether a student
    detector also starts from its teacher's neck and heads.
    """

    name: MethodName | DetectionMethodName
    profile: ProfileName = "probe"
    dpk: DpkSettings | None = None
    kd: KdSettings | None = None
    pyramid: PyramidSettings | None = None
    inherit: bool = False

    def __post_init__(self) -> None:
        if self.inherit and self.name == "none":
            raise ValueError("inherit needs a teacher; the method that does nothing else is called 'inherit'")
        if self.kd is not None and self.name != "kd":
            raise ValueError(f"method {self.name!r} takes no settings of KD")
        if self.dpk is not None and self.name not in get_args(DpkName):
            raise ValueError(f"method {self.name!r} takes no settings of DPK")

    @property
    def inherits(self) -> bool:
        """Whether the student starts from its teacher's neck and heads."""
        return self.inherit or self.name == "inherit"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherReference:
    """A teacher by name and by the training that made its weights."""

    model: str
    training_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Trained weights that a training starts from, and what they are known by.

    | source | name | identity |
    |---|---|---|
    | `pretrained` | what the library publishes (`resnet18.a1_in1k`, `resnet18-f37072fd.pth`) | library and version |
    | `own` | an uploaded model | `sha256:` of the upload |
    | `file` | a weights file's path under the weights root, `/` as separator | `sha256:` and 64 hex digits |

    A file is what it holds: its name is where it is looked for, and no part of a content key.
    """

    source: Literal["pretrained", "own", "file"]
    name: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """One training from start to finish. A teacher's own training has method `none` and no teacher.

    Without epochs, the weights that it starts from are judged as they are.
    """

    role: Role
    model: str
    dataset: str
    data_fingerprint: str
    method: MethodSpec
    teacher: TeacherReference | None
    recipe: Recipe
    seed: int
    version: int = TRAINING_VERSION
    start: Start | None = None
    """None: random weights, drawn from the seed."""
    trains: Literal["all", "head"] = "all"
    """`head`: the layer that gives the class scores alone; the rest stays as it starts, in evaluation mode."""
    task: TaskName = "classification"
    preprocessing: ModelPreprocessing | None = None
    """How pictures were prepared for the weights that a teacher starts from; None: not known, so as the data set's."""
    class_map: tuple[int, ...] | None = None
    """For each class of the data the one of the weights that it is, of a detector also -1, none; None: in the same
    order, or of a detector whose weights have more classes or fewer, none."""

    def __post_init__(self) -> None:
        if (self.teacher is None) != (self.method.name == "none"):
            raise ValueError(f"method {self.method.name!r} {'needs a' if self.teacher is None else 'takes no'} teacher")
        if self.role == "teacher" and self.teacher is not None:
            raise ValueError("a teacher's own training takes no teacher")
        if self.start is None and (self.trains == "head" or self.recipe.epochs == 0):
            raise ValueError("random weights are no use without a training of all of them")
        if self.preprocessing is not None and (self.role == "student" or self.start is None):
            raise ValueError("only a teacher's weights have preprocessing of their own")
        mapped = self.role == "teacher" or self.task == "detection"
        if self.class_map is not None and (self.start is None or not mapped):
            raise ValueError("only a teacher's or a detector's weights have classes of their own (class_map)")
        if self.role == "student" and (self.trains == "head" or self.recipe.epochs == 0):
            raise ValueError("a student trains as a whole, for an epoch at least")
        self._check_task()

    def _check_task(self) -> None:
        is_detection = self.task == "detection"
        if is_detection != (self.recipe.detection is not None):
            raise ValueError(f"recipe {self.recipe.name} is not one of the task {self.task}")
        if self.method.name not in get_args(DetectionMethodName if is_detection else MethodName):
            raise ValueError(f"method {self.method.name!r} is not one of the task {self.task}")
        if is_detection and (self.trains == "head" or self.method.dpk is not None):
            raise ValueError("detectors train as a whole, and DPK's settings for them are those of the pyramid")
        own = self.preprocessing
        if is_detection and own is not None and (own.side is not None or own.measured):
            raise ValueError(
                "preprocessing of a detector is mean, std, scale and channel_order; its size is the canvas"
            )
        if not is_detection and (self.method.inherits or self.method.pyramid is not None):
            raise ValueError("inherit and pyramid are for detectors")

    def key(self) -> str:
        """Content key of the training: names its checkpoints and its weights."""
        return content_key(self.by_content())

    def by_content(self) -> TrainingSpec:
        """Without the name of a file, whose content has an identity: equal weights are equal under every name."""
        if self.start is None or self.start.source != "file":
            return self
        return replace(self, start=replace(self.start, name=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """A training carried up to and including epoch `stop_epoch` (1 … recipe.epochs; 0 where it has no epochs)."""

    training: TrainingSpec
    stop_epoch: int

    def __post_init__(self) -> None:
        epochs = self.training.recipe.epochs
        if not min(1, epochs) <= self.stop_epoch <= epochs:
            raise ValueError(f"stop_epoch must be in {min(1, epochs)} … {epochs}, not {self.stop_epoch}")

    @property
    def is_full(self) -> bool:
        """Whether the training ends with this run; only then is the test split read."""
        return self.stop_epoch == self.training.recipe.epochs

    def key(self) -> str:
        """Content key of the run: equal keys, equal results."""
        return content_key(replace(self, training=self.training.by_content()))
