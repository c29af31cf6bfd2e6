"""The report of a run: for whoever may look at runs, and unable to do anything in the browser that shows it."""

from __future__ import annotations

import httpx
import pytest

from review_app.server.report_page import ACT, POLICY, report_path
from storage.people.accounts import Role, may
from tests.review_app.run_shop import add_run
from tests.review_app.server.served_app import PEOPLE, ServedApp, Shop

HTML = "<!doctype html><title>run</title><script>document.title = 'ran'</script><p>沙发 sofa"


@pytest.fixture(scope="module")
def path(shop: Shop) -> str:
    """Where the report of a run is."""
    (add_run(shop.root, "run_5", at="10:00") / "report.html").write_text(HTML, encoding="utf-8")
    return report_path("run_5").removeprefix("/")


@pytest.mark.parametrize("role", list(Role))
def test_a_report_is_for_who_may_look_at_runs(app: ServedApp, path: str, role: Role) -> None:
    account = next(name for name, held in PEOPLE.items() if held is role)
    answer = app.logged_in(account).get(path)
    if not may(role, ACT):
        assert answer.status_code == 403
        assert answer.json()["error"] == f"Your account ({role.value}) may not do this."
        return
    assert (answer.status_code, answer.text) == (200, HTML)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == POLICY


def test_the_policy_of_a_report_lets_nothing_run_and_nothing_be_fetched() -> None:
    told = dict(part.partition(" ")[::2] for part in POLICY.split("; "))
    assert told["default-src"] == "'none'" and told["form-action"] == "'none'" and told["frame-ancestors"] == "'none'"
    assert told["sandbox"] == ""  # no scripts, no forms, an origin of its own
    assert "script-src" not in told and "connect-src" not in told and "http" not in POLICY


def test_nobody_who_is_logged_out_gets_a_report(app: ServedApp, path: str) -> None:
    for client in (app.client(), app.client(cookie=f"{app.cookie}=made-up")):
        assert client.get(path).status_code == 401
        sent = client.get(path, headers={"accept": "text/html"})
        assert (sent.status_code, sent.text) == (303, "")


@pytest.mark.parametrize(
    "run_id",
    ["run_6", "..%2f..%2fafrel.toml", "run_5%2f..%2frun_5", "run_5%00", "%2fetc%2fpasswd", "run_5/report.html"],
)
def test_what_is_no_report_of_a_run_is_not_served(app: ServedApp, path: str, run_id: str) -> None:
    engineer = app.logged_in("eli")
    answer = engineer.get(path.replace("run_5", run_id))
    assert answer.status_code in (400, 404), answer.text  # Streamlit refuses strange paths before we are asked
    assert "Traceback" not in answer.text and "sofa" not in answer.text


def test_a_report_is_only_read(app: ServedApp, path: str) -> None:
    engineer = app.logged_in("eli")
    assert {engineer.request(method, path).status_code for method in ("POST", "PUT", "DELETE")} <= {404, 405}


def test_no_other_answer_takes_the_policy_of_reports(app: ServedApp) -> None:
    client: httpx.Client = app.logged_in("eli")
    for place in ("runs", "api/me", "app/report", "app/api.js"):
        assert client.get(place).headers["content-security-policy"] != POLICY, place
