"""`dpk webhook`."""

from __future__ import annotations

import json
from collections.abc import Callable

from service.webhooks.examples import DELIVERY, DELIVERY_LIST, SECRET, WEBHOOK, WEBHOOK_LIST
from service.webhooks.schemas import Delivery, DeliveryList, WebhookList, WebhookSecret
from tests.unit.client.conftest import FakeServer, Outcome

Dpk = Callable[..., Outcome]
HOOK = f"/webhooks/{WEBHOOK['id']}"


def test_the_secret_is_shown_once(server: FakeServer, dpk: Dpk) -> None:
    server.answer("POST /webhooks", WebhookSecret.model_validate(SECRET), status=201)
    done = dpk("webhook", "add", WEBHOOK["url"], "--event", "finished")
    assert json.loads(server.asked[0].body) == {"url": WEBHOOK["url"], "description": "", "events": ["finished"]}
    assert f"Secret: {SECRET['secret']}\n" in done.out
    server.answer("GET /webhooks", WebhookList.model_validate(WEBHOOK_LIST))
    assert SECRET["secret"] not in dpk("webhook", "list").out


def test_a_test_message_and_the_log(server: FakeServer, dpk: Dpk) -> None:
    server.answer("GET /webhooks", WebhookList.model_validate(WEBHOOK_LIST))
    server.answer(f"POST {HOOK}/test", Delivery.model_validate(DELIVERY), status=202)
    server.answer(f"GET {HOOK}/deliveries", DeliveryList.model_validate(DELIVERY_LIST))
    server.answer(f"POST {HOOK}/deliveries/{DELIVERY['id']}/send", Delivery.model_validate(DELIVERY), status=202)
    short = WEBHOOK["id"][:6]
    assert DELIVERY["id"] in dpk("webhook", "test", short).out
    assert "\tfinished\tdelivered\t1\t204\t–" in dpk("webhook", "log", short).out
    assert dpk("webhook", "resend", short, DELIVERY["id"]).code == 0
    assert dpk("webhook", "test", "0000").err == "No webhook begins with 0000; `dpk webhook list` lists them.\n"
