"""Batches against a provider that speaks the protocol: each request once, each reply kept, the rest sent again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, chat_server, completion
from evolution.calls.budget import Limits
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_batches import OpenAIBatches
from evolution.calls.openai_llm import OpenAILLM
from evolution.calls.paid_calls import drain_calls
from evolution.calls.prices import Price
from evolution.calls.server_access import ServerAccess
from evolution.labelling.batch_files import open_batches
from evolution.labelling.batch_run import CollectReport, SubmitReport, collect_batches, submit_labels
from evolution.labelling.run import LabelPlan, LabelReport, label_pairs
from storage.errors import UserError
from storage.safekeeping import doctor_files
from storage.safekeeping.erasure_calls import Wording, clean_spools
from storage.store import Store
from tests.evolution.conftest import KEY, SCALE, fill, label_text
from tests.evolution.labelling.batch_provider import BatchProvider, answered, expired

PRICES = {"m": Price(prompt=1.0, completion=10.0, batch_rate=0.5)}


class Shop:
    """A store of 12 pairs, a provider of batches and a chat server at one address."""

    def __init__(self, store: Store, folder: Path, service: ChatService, provider: BatchProvider) -> None:
        self.store, self.provider, self.service = store, provider, service
        self.folder = folder / "spool"
        self.config = LlmConfig("m", base_url=service.url, key_variable="LOCAL_KEY", max_retries=0)
        self.environment = {"LOCAL_KEY": KEY}
        self.batches = OpenAIBatches(ServerAccess(self.config, self.environment))

    def plan(self, **changed: Any) -> LabelPlan:
        llm = OpenAILLM(self.config, self.environment)
        fixed = {"scale": SCALE, "llm": llm, "model": "m", "parameters": {"max_completion_tokens": 50}, "limit": None}
        return LabelPlan(**{**fixed, "concurrency": 4, "spool_dir": self.folder, "prices": PRICES, **changed})

    def submit(self, **changed: Any) -> SubmitReport:
        return submit_labels(self.store, self.plan(**changed), self.batches, with_logprobs=True, account=None)

    def collect(self) -> CollectReport:
        return collect_batches(self.store, self.folder, self.batches, PRICES)

    def label(self) -> LabelReport:
        return label_pairs(self.store, self.plan(), account=None)

    def n_calls(self) -> int:
        return sum(row["n"] for row in self.store.read("counts").to_pylist() if row["what"] == "llm calls")


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Iterator[Shop]:
    fill(store, n_queries=3)
    provider = BatchProvider()

    def answer(request: HttpRequest) -> HttpReply:
        if request.path == "/v1/chat/completions":
            return HttpReply(body=completion(label_text(1)))
        return provider(request)

    with chat_server(answer) as service:
        yield Shop(store, tmp_path, service, provider)


def test_what_a_batch_answered_is_found_held_by_label_and_paid_at_the_batch_price(shop: Shop) -> None:
    """A reply of 300 and 60 tokens costs (300 + 600) / 1e6, half of it in a batch."""
    sent = shop.submit()
    assert (sent.n_sent, sent.batches) == (12, ["batch0"])
    shop.provider.finish(lambda one: [answered(one)])
    collected = shop.collect()
    assert (collected.n_good, collected.n_new, dict(collected.failures)) == (12, 12, {})
    report = shop.label()
    assert (report.n_new, report.n_held_replies, report.n_exchanges) == (12, 12, 0)
    rows = shop.store.read("why_call", id=shop.provider.custom_ids()[0]).to_pylist()
    assert rows[0]["cost"] == pytest.approx(0.00045)
    assert list(shop.folder.iterdir()) == []


def test_submitted_twice_nothing_is_sent_twice_and_label_leaves_it_to_the_batch(shop: Shop) -> None:
    assert shop.submit(limit=5).n_sent == 5
    again = shop.submit(limit=5)
    assert (again.n_sent, again.n_waiting) == (0, 5)
    report = shop.label()
    assert (report.n_in_batch, report.n_new, report.n_exchanges) == (5, 7, 7)
    assert len(shop.provider.custom_ids()) == len(set(shop.provider.custom_ids())) == 5


def test_collected_twice_nothing_is_stored_twice(shop: Shop) -> None:
    """The second time as after a crash that came before the batch's file was removed."""
    shop.submit()
    (batch,) = open_batches(shop.folder)
    kept = batch.path.read_bytes()
    shop.provider.finish(lambda one: [answered(one)])
    assert shop.collect().n_new == 12
    batch.path.write_bytes(kept)
    assert shop.collect().n_new == 0
    assert shop.n_calls() == 12
    assert shop.collect().n_batches == 0


def test_what_expired_is_sent_again_and_what_was_finished_is_kept(shop: Shop) -> None:
    shop.submit()
    first = shop.provider.custom_ids()
    late = set(first[:4])
    shop.provider.finish(lambda one: [expired(one) if one in late else answered(one)], status="expired")
    collected = shop.collect()
    assert (collected.n_good, dict(collected.failures)) == (8, {"batch_expired": 4})
    again = shop.submit()
    assert (again.n_sent, again.n_held) == (4, 8)
    assert set(shop.provider.custom_ids()[12:]) == late
    shop.provider.finish(lambda one: [answered(one)])
    assert shop.collect().n_good == 4
    assert shop.label().n_held_replies == 12


def test_lines_that_are_wrong_are_counted_by_reason_and_cost_no_other_pair(shop: Shop) -> None:
    """Of 12: not JSON, off the scale, an http error, no line at all, answered twice; and a reply to nobody's call."""
    shop.submit()
    ids = shop.provider.custom_ids()
    lines = {
        ids[0]: [answered(ids[0], "grade two")],
        ids[1]: [answered(ids[1], label_text(9))],
        ids[2]: [{"custom_id": ids[2], "response": {"status_code": 500, "body": {"error": "x"}}, "error": None}],
        ids[3]: [],
        ids[4]: [answered(ids[4]), answered(ids[4], label_text(0))],
        ids[5]: [answered(ids[5]), answered("l_00000000deadbeef")],
    }
    shop.provider.finish(lambda one: lines.get(one, [answered(one)]))
    collected = shop.collect()
    assert collected.n_good == 8
    assert dict(collected.failures) == {
        "not JSON": 1,
        "off the scale": 1,
        "http 500": 1,
        "not done by the batch": 1,
        "answered twice": 1,
        "about another call: it was not sent": 1,
    }
    report = shop.label()
    assert (report.n_held_replies, report.n_exchanges, report.n_new) == (8, 4, 12)


def test_a_file_of_html_gives_reasons_and_the_calls_are_free_again(shop: Shop) -> None:
    shop.submit(limit=2)
    shop.provider.finish(lambda one: [answered(one)])
    (name,) = [batch["output_file_id"] for batch in shop.provider.batches.values()]
    shop.provider.files[name] = b"<html>\nplease log in</html>\n"
    collected = shop.collect()
    assert (collected.n_good, collected.failures["not a line of a batch"]) == (0, 2)
    assert collected.failures["not done by the batch"] == 2
    assert shop.submit(limit=2).n_sent == 2


def test_a_batch_that_is_not_over_is_left_alone(shop: Shop) -> None:
    shop.submit()
    collected = shop.collect()
    assert ([state.status for state in collected.open], collected.n_batches) == (["in_progress"], 0)
    assert len(open_batches(shop.folder)) == 1
    assert doctor_files.spools(shop.folder.parent) == []  # nothing that a dead worker left


def test_a_batch_a_crash_left_at_the_provider_is_found_again_by_its_name(shop: Shop) -> None:
    """The provider began it, and its answer was lost."""
    shop.provider.loses_replies_to_creation = True
    with pytest.raises(UserError, match="Nothing is lost"):
        shop.submit()
    shop.provider.loses_replies_to_creation = False
    assert [batch.batch_id for batch in open_batches(shop.folder)] == [None]
    again = shop.submit()
    assert (again.n_sent, again.n_waiting) == (0, 12)
    shop.provider.finish(lambda one: [answered(one)])
    assert shop.collect().n_good == 12


@pytest.mark.parametrize("status", [401, 404, 413])
def test_a_server_that_takes_no_batch_leaves_everything_free(shop: Shop, status: int) -> None:
    shop.submit(limit=1)  # so that there is nothing to find out first
    shop.provider.refuses = status
    with pytest.raises(UserError, match=f"{status} from 127") as refused:
        shop.submit()
    assert KEY not in str(refused.value)
    shop.provider.refuses = None
    assert shop.submit().n_sent == 11


def test_a_budget_holds_for_a_batch_as_well(shop: Shop) -> None:
    sent = shop.submit(limits=Limits(n_requests=5))
    assert (sent.n_sent, sent.is_budget_spent) == (5, True)


def test_erasing_a_text_reaches_what_lies_in_a_batch(shop: Shop) -> None:
    """Four of the twelve pairs are of the query; their replies are not taken in, and no drain takes the file."""
    shop.submit()
    n_blanked, _ = clean_spools(shop.folder, erased_ids=frozenset(), wording=Wording(frozenset({"red mug number 0"})))
    assert n_blanked == 4
    drain_calls(shop.store, shop.folder)
    (batch,) = open_batches(shop.folder)
    assert b"red mug number 0" not in batch.path.read_bytes()
    shop.provider.finish(lambda one: [answered(one)])
    assert shop.collect().n_good == 8
