"""Nothing that came in as text ever runs: seventy payloads through queries, docs, reasons, rules, comments, names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, Request, expect

from review_app.server.pages import PAGES, is_open_to
from storage.people.accounts import Role
from storage.sql.saved_queries import save_query
from tests.conftest import stop_store_process
from tests.review_app.browser.shop import Shop, _stamp, add_candidate, log_in, make_shop
from tests.review_app.browser.xss_payloads import PAYLOADS

pytestmark = pytest.mark.browser
ROLE_ACCOUNTS = {"ana": Role.REVIEWER, "dora": Role.ADJUDICATOR, "cleo": Role.CURATOR, "root": Role.ADMIN}


@dataclass
class Watch:
    """What a page did that it should not have."""

    page: Page
    url: str
    done: list[str] = field(default_factory=list)

    def begin(self) -> Watch:
        self.page.expose_function("struck", lambda n: self.done.append(f"payload {n} ran: {PAYLOADS[n]}"))
        self.page.on("dialog", lambda dialog: (self.done.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("request", self._see)
        return self

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws"), "data:", "blob:", "about:")):
            self.done.append(f"asked {request.url}")


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop in which every text is a payload."""
    made = make_shop(tmp_path_factory.mktemp("poisoned"), n_pairs=0)
    with made.store() as store:
        for n, payload in enumerate(PAYLOADS):
            line = payload.replace("\n", " ")
            steps = [["intent", line], ["rules", f"[r_{n:016x}] {line}"]]
            candidate_id = add_candidate(store, n, query=payload, title=payload, body=payload * 3, steps=steps,
                                         fields={payload: payload}, terms=payload.split(),
                                         missing=[payload])  # fmt: skip
            stamp = _stamp()
            rule = {"rule_id": f"r_{n:016x}", "text": payload, "condition": "n_number_conflicts > 0", "grade": 2,
                    "origin": "mined", **stamp}  # fmt: skip
            vote = {
                "rule_vote_id": f"vx_{n}",
                "rule_id": rule["rule_id"],
                "pair_id": f"p_8{n:015x}",
                "grade": 2,
                **stamp,
            }
            comment = {"comment_id": f"a_c{n}", "candidate_id": candidate_id, "account": "ana", "text": payload,
                       "created_at": stamp["created_at"]}  # fmt: skip
            store.append({"rules": [rule], "rule_votes": [vote], "comments": [comment]})
            answers = [
                {"response_id": f"a_{account}{n}", "candidate_id": candidate_id, "pair_id": f"p_8{n:015x}",
                 "account": account, "act": "submitted", "grade": grade, "steps": None, "reason": payload,
                 "is_replayed": False, "session": "x", "sequence": n + 1, "created_at": stamp["created_at"]}
                for account, grade in (("bo", 0), ("eli", 3))
            ]  # fmt: skip
            store.append({"responses": answers if n % 2 else []})
        save_query(store, "all-texts", "select text from queries", account="cleo")
        store.append({"instructions": [{"instruction_id": "i_x", "text": "\n\n".join(PAYLOADS), "operator": "import",
                                        "generation": 0, **_stamp()}]})  # fmt: skip
    made.start()
    yield made
    made.stop()
    stop_store_process(made.root)


def test_no_payload_runs_on_the_review_card(browser: Browser, poisoned: Shop) -> None:
    page = log_in(browser, poisoned, "ana")
    watch = Watch(page, poisoned.url).begin()
    page.reload()
    expect(page.locator(".af-query")).to_be_visible()
    page.keyboard.press("g")
    seen = set()
    for _ in range(len(PAYLOADS)):
        if not page.locator(".af-query").is_visible():
            break
        seen.add(page.locator(".af-query").inner_text())
        page.keyboard.down("r")
        page.keyboard.press("1")
        page.keyboard.up("r")
        page.keyboard.press("e")
        page.keyboard.press("Escape")
        page.wait_for_timeout(120)
        page.keyboard.press("2")
        page.wait_for_timeout(50)
    page.wait_for_timeout(1000)
    assert len(seen) >= len(PAYLOADS) // 2
    assert watch.done == []
    for hostile in (
        "script",
        "iframe",
        "object",
        "embed",
        "svg",
        "img",
        "a[href^='javascript']",
        "form",
        "base",
        "meta",
    ):
        assert page.locator(f".af-page {hostile}").count() == 0, hostile
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("account", ROLE_ACCOUNTS)
def test_no_payload_runs_on_any_page(browser: Browser, poisoned: Shop, account: str) -> None:
    page = log_in(browser, poisoned, account)
    watch = Watch(page, poisoned.url).begin()
    page.reload()
    for name in [one for one in PAGES if is_open_to(one, ROLE_ACCOUNTS[account])]:
        page.goto(f"{poisoned.url}/{name}")
        page.get_by_role("main").wait_for()
        page.wait_for_timeout(2500)
        for key in ("j", "Enter", "2", "k"):
            page.keyboard.press(key)
            page.wait_for_timeout(100)
        page.wait_for_timeout(500)
        assert watch.done == [], name
        assert page.locator("a[href^='javascript' i], iframe, object, embed").count() == 0, name
    page.context.close()


def test_the_page_may_run_no_script_that_is_not_ours(browser: Browser, poisoned: Shop) -> None:
    page = log_in(browser, poisoned, "ana")
    expect(page.locator(".af-review")).to_be_visible()
    refused = page.evaluate(
        """() => new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            setTimeout(() => done(window.ran ? "it ran" : "nothing"), 1000);
        })"""
    )
    assert refused == "script-src-elem"
    page.context.close()
