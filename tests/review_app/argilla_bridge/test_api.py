"""The bridge's errors: whatever answers, or does not, is said in words with what to do; the key is in none of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from review_app.argilla_bridge.api import ArgillaApi, Listing
from review_app.argilla_bridge.target import Target
from storage.errors import UserError

KEY = "a-secret-key"


class Served:
    """What a server answers: (status, body) by path, a list being answered in turn."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, str]]] = {}
        self.asked: list[tuple[str, str | None]] = []


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Served, ArgillaApi]]:
    told = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/api/v1/").split("?")[0]
            told.asked.append((path, self.headers["X-Argilla-Api-Key"]))
            answers = told.answers.get(path, [(404, '{"detail": "Not Found"}')])
            status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("TEST_KEY", KEY)
    target = Target(f"http://127.0.0.1:{server.server_port}", "review", "TEST_KEY")
    with ArgillaApi(target, waits=(0.0, 0.0)) as api:
        yield told, api
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, '{"detail": "Could not validate credentials"}', "does not know the key in TEST_KEY.*export TEST_KEY="),
        (403, '{"detail": "Operation not permitted"}', "an admin of workspace 'review', may"),
        (404, '{"detail": "Dataset not found"}', "somebody deleted it meanwhile.*afrel argilla push"),
        (422, '{"detail": "too long"}', r"refuses me \(status 422\): \"too long\""),
        (200, "<html>hello</html>", "is no Argilla server"),
        (500, "Internal Server Error", "is no Argilla server|refuses"),
        (301, "", "is no Argilla server"),
    ],
)
def test_what_is_refused_is_said_in_words(served: tuple[Served, ArgillaApi], status: int, body: str, said: str) -> None:
    told, api = served
    told.answers["me"] = [(status, body)]
    with pytest.raises(UserError, match=said) as error:
        api.ask("GET", "me")
    assert KEY not in str(error.value)
    assert told.asked == [("me", KEY)]


@pytest.mark.parametrize("version", ["1.29.0", "2.7.1", "3.0.0", "", "two"])
def test_another_argilla_is_refused_by_its_version(served: tuple[Served, ArgillaApi], version: str) -> None:
    told, api = served
    told.answers["version"] = [(200, json.dumps({"version": version}))]
    with pytest.raises(UserError, match=r"the bridge speaks to 2.8"):
        api.check_version()


def test_the_versions_it_speaks_to_are_taken(served: tuple[Served, ArgillaApi]) -> None:
    told, api = served
    for version in ("2.8.0", "2.9.0dev1", "2.10.3"):
        told.answers["version"] = [(200, json.dumps({"version": version}))]
        assert api.check_version() == version


def test_what_may_be_sent_twice_is_tried_again_while_the_server_is_busy(served: tuple[Served, ArgillaApi]) -> None:
    told, api = served
    told.answers["me"] = [(503, ""), (502, ""), (200, '{"username": "ana"}')]
    assert api.ask("GET", "me") == {"username": "ana"}
    told.answers["datasets"] = [(503, "{}"), (200, "{}")]
    with pytest.raises(UserError, match="status 503"):
        api.ask("POST", "datasets", body={})  # a second one could make a second dataset


def test_a_user_without_the_workspace_is_told_which_there_are(served: tuple[Served, ArgillaApi]) -> None:
    told, api = served
    told.answers["me"] = [(200, '{"username": "idle", "role": "admin"}')]
    told.answers["me/workspaces"] = [(200, '{"items": []}')]
    with pytest.raises(UserError, match="'idle' has no workspace 'review'; it has none"):
        api.find_workspace()
    told.answers["me/workspaces"] = [(200, '{"items": [{"name": "other", "id": "1"}]}')]
    with pytest.raises(UserError, match="it has other"):
        api.find_workspace()


def test_a_server_that_is_down_is_said_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    with (
        ArgillaApi(Target("http://127.0.0.1:9", "review", "TEST_KEY")) as api,
        pytest.raises(UserError, match=r"no Argilla answers at http://127.0.0.1:9 .*nothing is sent or stored twice"),
    ):
        api.check_version()


def test_a_walk_tells_whether_records_came_or_went_meanwhile(served: tuple[Served, ArgillaApi]) -> None:
    told, api = served

    def page(total: int, *ids: str) -> tuple[int, str]:
        return 200, json.dumps({"items": [{"id": one} for one in ids], "total": total})

    told.answers["datasets/d/records"] = [page(3, "a", "b"), page(3, "c")]
    listing = Listing()
    assert [[one["id"] for one in part] for part in api.records("d", listing)] == [["a", "b"], ["c"]]
    assert listing.is_whole
    # one was deleted between the pages: c slid into the first page's place and was not seen
    told.answers["datasets/d/records"] = [page(4, "a", "b"), page(3, "d"), page(3)]
    listing = Listing()
    assert len(list(api.records("d", listing))) == 2 and not listing.is_whole
    told.answers["datasets/d/records"] = [page(0)]
    listing = Listing()
    assert list(api.records("d", listing)) == [] and listing.is_whole
