"""Webhooks over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response

from service.database.dependencies import Reading, Writing
from service.parameters import NO_PARAMETERS
from service.problems import responses
from service.webhooks import service
from service.webhooks.schemas import Delivery, DeliveryList, WebhookList, WebhookRequest, WebhookSecret

router = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=NO_PARAMETERS)
WebhookId = Annotated[str, Path(max_length=32, description="A webhook's id.")]
MessageId = Annotated[str, Path(max_length=40, description="A message's id.")]


@router.get("", operation_id="list_webhooks", summary="Who is notified of what happens to jobs")
def every(session: Reading) -> WebhookList:
    """The oldest first; without their secrets."""
    return service.every(session)


@router.post("", operation_id="add_webhook", summary="Tell another server", status_code=201, responses=responses(409))
def add(session: Writing, asked: WebhookRequest) -> WebhookSecret:
    """Messages are signed as standardwebhooks.com says and sent until the receiver answers 2xx, for three days. The
    secret is shown this once. Private addresses are refused, also where a name leads there; redirects are not followed.
    """
    return service.add(session, asked)


@router.delete(
    "/{webhook_id}", operation_id="remove_webhook", summary="Tell it nothing any more", status_code=204,
    response_class=Response, responses=responses(404),
)  # fmt: skip
def remove(session: Writing, webhook_id: WebhookId) -> Response:
    """Its messages go with it, the unsent ones too."""
    service.remove(session, webhook_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post(
    "/{webhook_id}/secret", operation_id="renew_webhook_secret", summary="A new secret", responses=responses(404, 409)
)
def renew(session: Writing, webhook_id: WebhookId) -> WebhookSecret:
    """The one before signs nothing any more. A webhook that had ended with 410 is active again."""
    return service.renew(session, webhook_id)


@router.post(
    "/{webhook_id}/test", operation_id="test_webhook", summary="Send a message of type `test`", status_code=202,
    responses=responses(404),
)  # fmt: skip
def test(session: Writing, webhook_id: WebhookId) -> Delivery:
    """It goes the way of all others; the log says how that went."""
    return service.test(session, webhook_id)


@router.get(
    "/{webhook_id}/deliveries", operation_id="list_deliveries", summary="Its newest messages", responses=responses(404)
)
def log(session: Reading, webhook_id: WebhookId) -> DeliveryList:
    """At most 50, with the number of tries and the receiver's last answer. Settled ones are kept for 30 days."""
    return service.log(session, webhook_id)


@router.post(
    "/{webhook_id}/deliveries/{message_id}/send", operation_id="resend_delivery", summary="Send a message once more",
    status_code=202, responses=responses(404, 409),
)  # fmt: skip
def again(session: Writing, webhook_id: WebhookId, message_id: MessageId) -> Delivery:
    """With the same id and body, and all tries before it again."""
    return service.again(session, webhook_id, message_id)
