"""`dpk webhook`: other servers that are notified of what happens to jobs."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from client.completing import one_of
from client.errors import InputFault
from client.options import SERVER_DEFAULT, AsJson, Server, console, print_document
from client.sdk import Client
from client.tables import print_table
from client.terminal import say
from service.presentation.numbers import NOTHING, clock
from service.webhooks.schemas import WebhookEvent, WebhookSecret

app = typer.Typer(
    name="webhook",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Servers that are notified of what happens to jobs.",
)
WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook, as `dpk webhook list` shows it.")]
EVENTS: tuple[str, ...] = get_args(WebhookEvent)


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where messages are sent, as https://HOST/PATH.")],
    event: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What it is notified of; may be repeated. One of: {', '.join(EVENTS)}. Default: all but verdict.",
            autocompletion=one_of(EVENTS),
        ),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Tell another server what happens to jobs.

    Prints the secret that signs its messages, this once.

    For example: dpk webhook add https://ci.example.org/hooks/dpk --event finished
    """
    if wrong := [each for each in event or [] if each not in EVENTS]:
        raise InputFault(f"--event: {wrong[0]!r} is none of {', '.join(EVENTS)}.")
    with Client(server) as client:
        made = client.add_webhook(url, events=event, description=description)
    print_document(made) if as_json else _print_secret(made)


@app.command("list")
def list_webhooks(server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """List the webhooks.

    For example: dpk webhook list
    """
    with Client(server) as client:
        found = client.webhooks()
    if as_json:
        print_document(found)
        return
    rows = [
        [each.id, ",".join(each.events), "active" if each.active else "ended", each.url, each.description]
        for each in found.webhooks
    ]
    print_table(("id", "events", "state", "address", "description"), rows)


@app.command("test")
def send_test(webhook_id: WebhookId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Send a webhook a message of type `test`.

    For example: dpk webhook test 4c2a0d9e
    """
    with Client(server) as client:
        sent = client.test_webhook(client.full_webhook_id(webhook_id))
    if as_json:
        print_document(sent)
    else:
        say(console(), f"Message {sent.id} is on its way; `dpk webhook log {webhook_id}` shows how that went.")


@app.command()
def log(webhook_id: WebhookId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Show a webhook's newest messages and their tries.

    For example: dpk webhook log 4c2a0d9e
    """
    with Client(server) as client:
        found = client.deliveries(client.full_webhook_id(webhook_id))
    if as_json:
        print_document(found)
        return
    rows = [
        [
            each.id, clock(each.created_at), each.kind, each.state, str(each.attempts),
            NOTHING if each.status is None else str(each.status), each.error or NOTHING,
        ]
        for each in found.deliveries
    ]  # fmt: skip
    print_table(("message", "made", "kind", "state", "tries", "answer", "error"), rows, numbers=("tries", "answer"))


@app.command()
def resend(
    webhook_id: WebhookId,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="As `dpk webhook log` shows it.")],
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Send a message once more.

    For example: dpk webhook resend 4c2a0d9e msg_9d1f0c2b9a8e4f35a6c7d8e9f0a1b2c3
    """
    with Client(server) as client:
        sent = client.resend_delivery(client.full_webhook_id(webhook_id), message)
    print_document(sent) if as_json else say(console(), f"Message {sent.id} is on its way.")


@app.command()
def secret(webhook_id: WebhookId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Make a new secret for a webhook.

    The one before signs nothing any more.

    For example: dpk webhook secret 4c2a0d9e
    """
    with Client(server) as client:
        made = client.renew_webhook_secret(client.full_webhook_id(webhook_id))
    print_document(made) if as_json else _print_secret(made)


@app.command()
def remove(webhook_id: WebhookId, server: Server = SERVER_DEFAULT) -> None:
    """Tell a webhook nothing any more.

    For example: dpk webhook remove 4c2a0d9e
    """
    with Client(server) as client:
        client.remove_webhook(client.full_webhook_id(webhook_id))
    say(console(), f"The webhook {webhook_id} is removed.")


def _print_secret(made: WebhookSecret) -> None:
    say(console(), f"Webhook {made.webhook.id} to {made.webhook.url}", whole=True)
    say(console(), f"Secret: {made.secret}", whole=True)
    say(console(), "Give it to the receiver now: it is not shown again.")
