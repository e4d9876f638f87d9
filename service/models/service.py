"""What can be done with models: list them, and add a network that somebody uploads."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dpk_core import artifacts
from dpk_core.catalogue.detection import parameters as detectors
from dpk_core.catalogue.detection.detectors import DETECTORS, kind_and_backbone
from dpk_core.catalogue.models import model_card, model_names
from dpk_core.catalogue.own_models import UPLOAD, OwnModel, make_known, own_model
from dpk_core.catalogue.parameters import model_parameters, weights_card
from dpk_core.catalogue.plugins import content_name
from dpk_core.catalogue.published import published_tags
from dpk_core.catalogue.weight_names import OWN, PRETRAINED
from dpk_core.codec import from_json, to_json
from dpk_core.detection_settings import DetectionSettings
from dpk_core.errors import DiskFault, InvalidRequest
from service.database.session import reading, transaction
from service.database.tables import UploadedModel
from service.database.types import utc_now
from service.models import repository, schemas
from service.models.receiving import Received, no_room
from service.models.vetting import KEPT, vetted
from service.problems import Conflict, Unavailable
from service.schemas import FieldError
from service.settings import settings

FIELD = "name"
_STATISTICS = ("running_mean", "running_var")


def look_up(name: str) -> OwnModel | None:
    """An upload as the database has it."""
    with reading() as session:
        found = repository.find(session, name)
        return None if found is None else from_json(OwnModel, found.document)


def read_uploads(session: Session, names: Iterable[str]) -> None:
    """Makes the uploads among these models known to this process, in the caller's transaction."""
    uploads = [name for name in names if name.startswith(f"{UPLOAD}/")]
    for document in repository.documents(session, uploads) if uploads else ():
        make_known(from_json(OwnModel, document))


def upload_names() -> list[str]:
    """The names of all uploads."""
    with reading() as session:
        return repository.names(session)


def added(member: str, upload: Received) -> schemas.ModelView | None:
    """The model, if the same bytes were added under the same name. Raises Conflict where another file has the name."""
    name = content_name(UPLOAD, member, upload.sha256)
    return view(name) if _is_there(name, upload.sha256) else None


def add(member: str, upload: Received) -> tuple[schemas.ModelView, bool]:
    """Checks an upload and keeps it; also whether it is new. The same bytes under the same name are one model.

    Raises Rejected for a file that is not taken, Conflict where another file has the name, Unavailable where the disk
    takes no more.
    """
    if (known := added(member, upload)) is not None:
        return known, False
    name = content_name(UPLOAD, member, upload.sha256)
    model = vetted(name, upload)
    path = f"models/{upload.sha256[:2]}/{upload.sha256}.safetensors"
    try:
        reference = artifacts.write(settings().resolved_artifact_root, path, (upload.folder / KEPT).read_bytes())
    except DiskFault as error:
        raise Unavailable(str(error), [FieldError(field="artifacts", message=str(error))]) from error
    except OSError as error:
        raise no_room(error, upload.folder.parent) from error
    document = {**to_json(model), "file": to_json(reference)}
    row = UploadedModel(
        name=name, sha256=upload.sha256, bytes=upload.bytes, document=document, created_at=utc_now()
    )  # fmt: skip
    try:
        with transaction() as session:
            session.add(row)
    except IntegrityError:
        _is_there(name, upload.sha256)  # the same file was sent twice at once
    make_known(from_json(OwnModel, document))
    return view(name), True


def list_models(
    *, search: str = "", source: schemas.Source | None = None, limit: int = 50, after: str = ""
) -> schemas.ModelList:
    """The models whose names have every word of `search`, by name, after the name `after`.

    Opens its own transactions: a plug-in may have to be measured, which must not happen while a connection waits.
    """
    words = search.casefold().split()
    found = [
        name
        for name in sorted((*model_names(), *upload_names()))
        if source in (None, name.partition("/")[0]) and all(word in name.casefold() for word in words)
    ]
    rest = [name for name in found if name > after]
    with reading() as session:
        read_uploads(session, rest[:limit])
    views = [view(name) for name in rest[:limit]]
    more = rest[limit - 1] if len(rest) > limit else None
    return schemas.ModelList(models=views, count=len(found), next_after=more)


def is_known(name: str) -> bool:
    """Whether there is such a model."""
    return name in model_names() or look_up(name) is not None


def view(name: str) -> schemas.ModelView:
    """What is known of a model; of a plug-in that cannot be used, why."""
    source: Any = name.partition("/")[0]
    assert source in get_args(schemas.Source), name
    try:
        card, own = model_card(name, FIELD), own_model(name)
    except InvalidRequest as error:
        any_size = schemas.PictureSizes(least=1, step=1, only=None)
        return schemas.ModelView(
            name=name, source=source, task="classification", parameters=None, taps=[], obstacle=error.message,
            pictures=any_size, channels=None, classes=None, weights=[], sha256=None,
        )  # fmt: skip
    sides = card.sides
    return schemas.ModelView(
        name=name, source=source, task=card.task, parameters=parameter_count(name),
        taps=[schemas.ModelTap(module=tap.module, channels=tap.channels, stride=tap.stride) for tap in card.taps],
        obstacle=card.obstacle if card.task == "classification" else None,
        pictures=schemas.PictureSizes(least=sides.least, step=sides.step, only=sides.only),
        channels=card.channels, classes=card.classes, weights=_weights(name, own),
        sha256=None if own is None else own.identity.removeprefix("sha256:"),
        notes=[] if own is None else list(own.notes),
    )  # fmt: skip


def _is_there(name: str, sha256: str) -> bool:
    with reading() as session:
        found = repository.find(session, name)
    if found is not None and found.sha256 != sha256:
        raise Conflict(f"Another file has the name {name}; choose another name for this one.")
    return found is not None


def parameter_count(name: str) -> int | None:
    """Numbers in a model's parameters without the head's; None where that is not known."""
    if name in DETECTORS:  # under the small recipe, for one class
        return detectors.parameter_count(name, DetectionSettings().of(kind_and_backbone(name, FIELD)[0]), classes=1)
    try:
        own = own_model(name)
        return _listed_count(name) if own is None else own.count
    except InvalidRequest:
        return None


@functools.lru_cache(maxsize=4096)
def _listed_count(name: str) -> int:
    """Of a library's model, from the list of its shapes. Raises InvalidRequest."""
    head = weights_card(name, FIELD).head
    shapes = model_parameters(name).items()
    return sum(
        math.prod(each.shape)
        for key, each in shapes
        if each.floating and key not in head and not key.endswith(_STATISTICS)
    )


def _weights(name: str, own: OwnModel | None) -> Sequence[str]:
    if own is not None:
        return [OWN] if own.source == "upload" else []
    try:
        tags = list(published_tags(name, FIELD))
    except InvalidRequest:
        return []
    return [PRETRAINED, *tags[1:]] if tags else []
