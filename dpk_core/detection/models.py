"""torchvision's Faster R-CNN and RetinaNet on a feature pyramid, for pictures that lie on a canvas already.

torchvision's own resizing, normalising and padding are taken out: the house does each once. Nothing is frozen, and the
norms of the backbone are trained: with the statistics of random weights frozen, a detector learns next to nothing.

Shapes: B pictures, C channels, H x W the canvas.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from dpk_core.catalogue.detection.detectors import kind_and_backbone
from dpk_core.catalogue.detection.postprocessing import DETECTIONS, EVALUATED_PROPOSALS, anchor_sizes
from dpk_core.detection_settings import DetectorSettings
from dpk_core.models.initialisation import own_randomness

BODY = "backbone.body."
"""Prefix of the parameters that a detector shares with the classifier of its backbone's name."""

_SETTINGS = "built_with"


class OnCanvas(nn.Module):
    """In place of torchvision's transform: pictures (BxCxHxW, normalised) and boxes pass as they are."""

    def forward(
        self, pictures_BCHW: Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[ImageList, list[dict[str, Tensor]] | None]:
        """As torchvision's detectors call it."""
        height, width = pictures_BCHW.shape[-2:]
        return ImageList(pictures_BCHW, [(height, width)] * len(pictures_BCHW)), targets

    def postprocess(self, found: list[dict[str, Tensor]], *_: object) -> list[dict[str, Tensor]]:
        """Detections stay in pixels of the canvas."""
        return found


def _as_float32(_: nn.Module, given: tuple[ImageList, list[Tensor]]) -> tuple[ImageList, list[Tensor]]:
    """For anchors, which take the type of the maps: bfloat16 would round them to 4 px on a canvas of 1,024.

    Of the maps only shapes and device are looked at.
    """
    pictures, maps = given
    return pictures, [each.new_empty((), dtype=torch.float32).expand(each.shape) for each in maps]


def _in_float32(_: nn.Module, __: object, made: tuple[list[Tensor], list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """For proposals, which take the type of the steps that lead to them from the anchors."""
    scores, steps = made
    return [each.float() for each in scores], [each.float() for each in steps]


def build_detector(name: str, *, classes: int, seed: int, settings: DetectorSettings) -> nn.Module:
    """The detector `name` in training mode on the CPU, with random weights; equal arguments give equal weights.

    Raises InvalidRequest on field `model` for an unknown name.
    """
    kind, backbone_name = kind_and_backbone(name, "model")
    with own_randomness(seed):
        backbone = _backbone(backbone_name, settings)
        build = _faster_rcnn if kind == "fasterrcnn" else _retinanet
        model = build(backbone, classes, settings)
    model.transform = OnCanvas()
    setattr(model, _SETTINGS, settings)
    return model


def settings_of(model: nn.Module) -> DetectorSettings:
    """How `build_detector` built the detector."""
    settings: DetectorSettings = getattr(model, _SETTINGS)
    return settings


def load_classifier(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Gives a detector's backbone the weights of the classifier of its name, whose own class layers are left out."""
    # A MobileNet's body is the classifier's `features`.
    body = {f"{BODY}{name.removeprefix('features.')}": each for name, each in weights.items()}
    own = model.state_dict()
    model.load_state_dict({name: each for name, each in body.items() if name in own}, strict=False)


def _backbone(name: str, settings: DetectorSettings) -> BackboneWithFPN:
    network = torchvision.models.get_model(name, weights=None, norm_layer=_norm(name))
    stages = _mobilenet_stages(network.features) if name.startswith("mobilenet") else _resnet_stages(network)
    chosen = {module: str(place) for place, module in enumerate(stages[level][0] for level in settings.levels)}
    channels = [stages[level][1] for level in settings.levels]
    width = settings.channels
    return BackboneWithFPN(
        network.features if name.startswith("mobilenet") else network, chosen, channels, width,
        extra_blocks=LastLevelMaxPool() if settings.pooled else LastLevelP6P7(width, width),
        norm_layer=nn.BatchNorm2d if settings.pyramid_norm else None,
    )  # fmt: skip


def _norm(name: str) -> Callable[[int], nn.Module]:
    """Batch norm whose running statistics follow in some ten steps, also in MobileNets, whose library follows in a
    hundred: detectors are trained for few steps. MobileNets keep the epsilon that their weights were trained with."""
    return functools.partial(nn.BatchNorm2d, eps=1e-3 if name.startswith("mobilenet") else 1e-5, momentum=0.1)


def _resnet_stages(network: Any) -> dict[int, tuple[str, int]]:
    """Module and channels of the last map of each level 2 … 5."""
    last = network.fc.in_features
    return {level: (f"layer{level - 1}", last // 2 ** (5 - level)) for level in range(2, 6)}


def _mobilenet_stages(features: nn.Sequential) -> dict[int, tuple[str, int]]:
    """As of `_resnet_stages`: the last block of each stride."""
    level, found = 1, {}
    for place, block in enumerate(features):
        level += int(getattr(block, "_is_cn", False))
        channels: Any = block.out_channels
        found[level] = (str(place), channels)
    return found


def _anchors(settings: DetectorSettings) -> AnchorGenerator:
    sizes = anchor_sizes(settings)
    anchors: AnchorGenerator = AnchorGenerator(sizes, (settings.ratios,) * len(sizes))
    anchors.register_forward_pre_hook(_as_float32)
    return anchors


def _faster_rcnn(backbone: BackboneWithFPN, classes: int, settings: DetectorSettings) -> nn.Module:
    """Class 0 is the background."""
    names = [str(place) for place in range(len(settings.levels))]
    most = min(settings.proposals, EVALUATED_PROPOSALS)
    model = FasterRCNN(
        backbone,
        rpn_anchor_generator=_anchors(settings),
        rpn_pre_nms_top_n_train=settings.proposals, rpn_pre_nms_top_n_test=most,
        rpn_post_nms_top_n_train=settings.proposals, rpn_post_nms_top_n_test=most,
        box_roi_pool=MultiScaleRoIAlign(names, settings.region_side, sampling_ratio=2),
        box_head=TwoMLPHead(settings.channels * settings.region_side**2, settings.region_width),
        box_predictor=FastRCNNPredictor(settings.region_width, classes + 1),
        box_batch_size_per_image=settings.regions, box_detections_per_img=DETECTIONS,
    )  # fmt: skip
    model.rpn.head.register_forward_hook(_in_float32)
    detector: nn.Module = model
    return detector


def _retinanet(backbone: BackboneWithFPN, classes: int, settings: DetectorSettings) -> nn.Module:
    """No class is the background."""
    model: nn.Module = RetinaNet(backbone, classes, anchor_generator=_anchors(settings), detections_per_img=DETECTIONS)
    return model
