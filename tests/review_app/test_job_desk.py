"""Jobs as the page sees them: who may cancel and resume one is who may ask for it, and only they read its log."""

from __future__ import annotations

import pytest

from review_app import job_desk
from storage.errors import UserError
from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.store import Store
from tests.review_app.tier_shop import Shop


@pytest.fixture
def line(shop: Shop, shop_store: Store) -> JobLine:
    """A line whose training lane is taken by this process, so that nothing starts."""
    line = JobLine(shop.workspace, shop_store)
    line.queue(JobCommand("check"), account=None, job_id="job_0")
    assert line.claim() is not None
    return line


def test_a_waiting_training_is_cancelled_and_resumed_by_who_may_train(
    shop: Shop, shop_store: Store, line: JobLine
) -> None:
    eli, cleo = shop.people["eli"], shop.people["cleo"]
    line.queue(JobCommand("train", ("sft",)), account="eli", job_id="job_1")
    for act in (job_desk.begin_cancel, job_desk.resume):
        with pytest.raises(UserError, match="may not train"):
            act(cleo, shop.workspace, shop_store, "job_1")
        with pytest.raises(UserError, match="may not prepare"):
            act(shop.people["dora"], shop.workspace, shop_store, "job_0")
    work = job_desk.begin_cancel(eli, shop.workspace, shop_store, "job_1")
    assert work.wait(20) and work.outcome == "cancelled"
    assert job_desk.cancel_work(shop.workspace, "job_1") is work
    view = job_desk.see_job(eli, shop.workspace, shop_store, "job_1")
    assert (view.is_resumable, view.is_open, view.command) == (True, False, "train sft")
    assert job_desk.resume(eli, shop.workspace, shop_store, "job_1") is True
    assert job_desk.resume(eli, shop.workspace, shop_store, "job_1") is False
    assert job_desk.see_job(eli, shop.workspace, shop_store, "job_1").job.status == "queued"
    assert job_desk.cancel_work(shop.workspace, "job_1") is None


def test_what_a_job_said_is_for_who_may_ask_for_it(shop: Shop, shop_store: Store, line: JobLine) -> None:
    line.queue(JobCommand("evaluate", ("run_1",), {"--split": "test"}), account="eli", job_id="job_2")
    line.folder("job_2").log.write_text("measuring 40 test pairs\n")
    shop_store.update_job("job_2", status="failed", exit_status=-9)
    line.folder("job_2").result.write_text("accuracy 0.5\n")
    seen = job_desk.see_job(shop.people["eli"], shop.workspace, shop_store, "job_2")
    assert (seen.log, seen.result) == (("measuring 40 test pairs",), ("accuracy 0.5",))
    assert seen.why is not None and seen.why.startswith("killed by signal 9")
    hidden = job_desk.see_job(shop.people["cleo"], shop.workspace, shop_store, "job_2")
    assert (hidden.log, hidden.result, hidden.may_act) == ((), (), False)


def test_a_failed_job_says_what_it_refused_with_to_who_may_read_it(
    shop: Shop, shop_store: Store, line: JobLine
) -> None:
    line.queue(JobCommand("train", ("sft",)), account="eli", job_id="job_1")
    line.folder("job_1").log.write_text("60 train rows\nafrel: model nobody/nothing cannot be loaded. Give another.\n")
    shop_store.update_job("job_1", status="failed", exit_status=2)
    whys = [job_desk.see_job(shop.people[one], shop.workspace, shop_store, "job_1").why for one in ("eli", "cleo")]
    assert whys == ["model nobody/nothing cannot be loaded. Give another", "exit status 2"]


def test_jobs_are_listed_the_latest_first_for_who_may_look(shop: Shop, shop_store: Store, line: JobLine) -> None:
    line.queue(JobCommand("status"), account=None, job_id="job_1")
    jobs = job_desk.see_jobs(shop.people["cleo"], shop.workspace, shop_store, starts=False)
    assert [job.job_id for job in jobs] == ["job_1", "job_0"]
    assert job_desk.command_of(jobs[0]) == "status"
    with pytest.raises(UserError, match="may not prepare"):
        job_desk.see_jobs(shop.people["ana"], shop.workspace, shop_store, starts=False)
    with pytest.raises(UserError, match="there is no job"):
        job_desk.see_job(shop.people["cleo"], shop.workspace, shop_store, "job_9")
