"""`dpk demo`: the main job, end to end, through the real parts, on embedded defaults."""

from __future__ import annotations

from pathlib import Path

from client.demo_job import DEMO_JOB
from client.extras import need
from client.jobs import raise_if_ended
from client.options import HOME_DEFAULT, AsJson, Explain, Home, console, print_document
from client.processes import API, CONTROL, RUNS, claim_port, migrate
from client.progress import follow
from client.sdk import Client
from client.server import environment_for, stopping_on_term, up
from client.terminal import print_leaderboard, say
from service.wire.boards import Leaderboard

HOST = "127.0.0.1"
_PATIENCE = 3


def demo(home: Home = HOME_DEFAULT, as_json: AsJson = False, explain: Explain = False) -> None:
    """Choose a teacher for a tiny student on real digits.

    Starts a server of its own, asks which of five teachers to take, shows the answer and stops the server.

    For example: dpk demo --explain
    """
    need("dpk demo", "server")
    need("dpk demo", "runner")
    environment = environment_for(home, HOST, claim_port(HOST, 0))
    migrate(environment, quiet=True)
    with (
        stopping_on_term(),
        up([API, CONTROL, RUNS], environment, log_folder=home / "logs", patience=_PATIENCE) as (supervisor, client),
    ):
        job = client.submit(DEMO_JOB)
        out = console()
        if not as_json:
            teachers = len(DEMO_JOB.teachers)
            say(out, f"Which of {teachers} teachers should {DEMO_JOB.student} learn {DEMO_JOB.dataset} from?")
            say(out, f"Page while this runs: {client.base_url}{job.links.page}", whole=True)
            job = follow(out, client.watch(job.id, while_away=supervisor.tend), tend=supervisor.tend)
        else:
            for moment in client.watch(job.id, while_away=supervisor.tend):
                supervisor.tend()
                job = moment
        raise_if_ended(job)
        board = client.leaderboard(job.id)
        written = write_reports(client, board, home / "reports")
    if as_json:
        print_document(board)
        return
    say(out, "")
    print_leaderboard(out, board, explain=explain)
    say(out, "")
    for path in written:
        say(out, f"Report: {path}", whole=True)
    say(out, f"To keep the page up: make serve, then http://{HOST}:8000{board.job.links.page}", whole=True)


def write_reports(client: Client, board: Leaderboard, folder: Path) -> list[Path]:
    """The leaderboard as JSON and as a self-contained HTML file under `folder`; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    document, page = folder / f"{board.job.id}.json", folder / f"{board.job.id}.html"
    document.write_text(board.model_dump_json(indent=2) + "\n", encoding="utf-8")
    page.write_text(client.report(board.job.id), encoding="utf-8")
    return [document, page]
