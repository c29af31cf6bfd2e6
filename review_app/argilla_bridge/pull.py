"""Pull: what people answered in Argilla becomes acts of their accounts, each once, at the time it was given.

All versions of the dataset are read. How far a pull came stands in its run, and is believed only of runs that
finished: after a kill all is taken again, and what is stored already is known by its id. All records are listed,
for Argilla's time of last activity passes over answers written in bulk; of them only the answers changed since
are taken. What is refused is asked for again each time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from review_app.argilla_bridge.answer import (
    Given,
    Heard,
    check_text,
    find_person,
    hear,
    is_sent_along,
    moment,
    read_given,
)
from review_app.argilla_bridge.api import ArgillaApi, Listing
from review_app.argilla_bridge.conflicts import Conflict, find_conflicts
from review_app.argilla_bridge.datasets import Dataset, own_datasets
from review_app.argilla_bridge.settings import lacks_grade
from review_app.argilla_bridge.target import Target
from review_app.decisions import Response, ResponseAct, save
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.people.accounts import Pin
from storage.progress_bar import Bar
from storage.runs import start_run
from storage.session import read_scale
from storage.store import Store

VERB = "argilla pull"
BATCH = 500
# An answer is stamped before it is committed: what was changed this long before the last one seen is read again.
SAME_MOMENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that was not taken, and why, with what mends it."""

    dataset: str
    candidate_id: str
    record_id: str
    username: str
    reason: str


@dataclass(slots=True)
class Pulled:
    """What a pull found. `n_new` acts were stored; `n_known` answers were stored before, or sent along by a push."""

    n_new: int = 0
    n_known: int = 0
    n_drafts: int = 0
    n_comments: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    cursors: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Circle:
    """Who and what answers are held against: the Argilla users, the accounts, the scale."""

    target: Target
    usernames: Mapping[str, str]
    pins: Mapping[str, Pin]
    scale: Scale


def pull(
    store: Store,
    api: ArgillaApi,
    target: Target,
    pins: Mapping[str, Pin],
    tell: Bar,
    *,
    account: str,
    is_dry: bool = False,
) -> Pulled:
    """Take in what was answered since the last pull; UserError where the server cannot be read."""
    api.check_version()
    workspace_id = api.find_workspace()
    datasets = [one for one in own_datasets(api.datasets(workspace_id), target.dataset) if one.is_published]
    if not datasets:
        raise UserError(
            f"Argilla's workspace {target.workspace!r} has no dataset {target.dataset!r} of ours: it was deleted, or "
            "nothing was pushed yet. Push: afrel argilla push"
        )
    pulled = Pulled(cursors=_cursors(store))
    circle = Circle(target, api.usernames(workspace_id), pins, read_scale(store))
    if is_dry:
        for dataset in datasets:
            _pull_dataset(store, api, dataset, circle, pulled, tell, run_id=None)
        return pulled
    config = {"dataset": target.dataset, "workspace": target.workspace}
    with start_run(store, verb=VERB, config=config, account=account) as run:
        for dataset in datasets:
            _pull_dataset(store, api, dataset, circle, pulled, tell, run_id=run.run_id)
        run.counts.update(
            new=pulled.n_new, drafts=pulled.n_drafts, refused=len(pulled.refused), conflicts=len(pulled.conflicts)
        )
        run.counts["cursors"] = {one.dataset_id: pulled.cursors.get(one.dataset_id, {}) for one in datasets}
    return pulled


def _cursors(store: Store) -> dict[str, dict[str, str]]:
    rows = store.read("last_counts", verb=VERB).to_pylist()
    return dict(json.loads(rows[0]["counts"] or "{}").get("cursors", {})) if rows else {}


def _pull_dataset(
    store: Store, api: ArgillaApi, dataset: Dataset, circle: Circle, pulled: Pulled, tell: Bar, *, run_id: str | None
) -> None:
    lacking = lacks_grade(circle.scale, api.ask("GET", f"datasets/{dataset.dataset_id}/questions")["items"])
    if lacking:
        pulled.unreadable.append(f"{dataset.name}: {lacking}")
        return
    cursor = pulled.cursors.get(dataset.dataset_id, {})
    since = moment(cursor["since"]) - SAME_MOMENT if "since" in cursor else datetime.min
    n_refused = len(pulled.refused)
    latest, listing = datetime.min, Listing()
    waiting: list[tuple[Mapping[str, Any], Given]] = []
    for page in api.records(dataset.dataset_id, listing):
        tell(f"reading {dataset.name}", len(listing.seen), max(listing.totals))
        for record in page:
            for given in _answers(record, dataset, circle, pulled):
                if given.status == "draft":
                    pulled.n_drafts += 1
                elif given.updated_at >= since:
                    latest = max(latest, given.updated_at)
                    waiting.append((record, given))
        while len(waiting) >= BATCH:
            _take(store, waiting[:BATCH], dataset, circle, pulled, run_id=run_id)
            del waiting[:BATCH]
    if waiting:
        _take(store, waiting, dataset, circle, pulled, run_id=run_id)
    if not listing.is_whole or len(pulled.refused) > n_refused:
        pulled.cursors.pop(dataset.dataset_id, None)  # all of it again next time
    elif latest > datetime.min:
        reached = max(latest, moment(cursor["since"])) if "since" in cursor else latest
        pulled.cursors[dataset.dataset_id] = {"since": reached.isoformat()}


def _answers(record: Mapping[str, Any], dataset: Dataset, circle: Circle, pulled: Pulled) -> Iterator[Given]:
    for response in record.get("responses") or ():
        try:
            yield read_given(response)
        except UserError as error:
            _refuse(pulled, dataset, record, circle.usernames.get(str(response.get("user_id"))), str(error))


def _take(
    store: Store,
    answers: Sequence[tuple[Mapping[str, Any], Given]],
    dataset: Dataset,
    circle: Circle,
    pulled: Pulled,
    *,
    run_id: str | None,
) -> None:
    """Store one batch of answers; what cannot be stored is named and the rest is stored."""
    asked = sorted({str(record["external_id"]) for record, _ in answers if record.get("external_id")})
    rows = {row["candidate_id"]: row for row in store.read("argilla_records", candidate_ids=asked).to_pylist()}
    clock = now()
    heard: list[Heard] = []
    for record, given in answers:
        if is_sent_along(given, record):
            pulled.n_known += 1
            continue
        username = circle.usernames.get(given.user_id)
        account = circle.target.account_of(username or "")
        try:
            row = rows.get(str(record.get("external_id")))
            if row is None:
                raise UserError("it is no candidate of this workspace. Delete the record in Argilla")
            check_text(record, row)
            person = find_person(username, account, circle.pins, given.updated_at)
            heard.append(hear(given, row, person.account, circle.scale, clock))
        except UserError as error:
            _refuse(pulled, dataset, record, username, str(error))
    if heard:
        _save(store, heard, rows, pulled, run_id=run_id)


def _save(
    store: Store, heard: Sequence[Heard], rows: Mapping[str, Mapping[str, Any]], pulled: Pulled, *, run_id: str | None
) -> None:
    fresh = _unknown(store, [one.response for one in heard])
    pulled.n_known += len(heard) - len(fresh)
    asked = sorted({one.turn.candidate_id for one in fresh})
    if fresh:
        standing = store.read("standing_of_candidates", candidate_ids=asked).to_pylist()
        pulled.conflicts += find_conflicts(fresh, rows, standing)
        pulled.acts.update(one.act.value for one in fresh)
    names = {one.response_id for one in fresh}
    pulled.left_out += [
        f"{one.response.turn.candidate_id}: {one.left_out}"
        for one in heard
        if one.left_out is not None and one.response.response_id in names
    ]
    if run_id is None:
        pulled.n_new += len(fresh)
        return
    comments = [one.comment for one in heard if one.comment is not None]
    pulled.n_comments += store.append({"comments": comments}).get("comments", 0)
    graded = {one.turn.candidate_id for one in fresh if one.act is ResponseAct.SUBMITTED}
    proposals = {one: (int(rows[one]["grade"]), str(rows[one]["steps"])) for one in graded}
    if fresh:
        pulled.n_new += save(store, fresh, proposals=proposals, run_id=run_id)


def _unknown(store: Store, responses: Sequence[Response]) -> list[Response]:
    """Return the acts that are not stored yet."""
    names = [one.response_id for one in responses]
    held = set(store.read("candidates_of_responses", response_ids=names)["response_id"].to_pylist())
    return [one for one in responses if one.response_id not in held]


def _refuse(pulled: Pulled, dataset: Dataset, record: Mapping[str, Any], username: str | None, reason: str) -> None:
    named = str(record.get("external_id"))
    pulled.refused.append(Refused(dataset.name, named, str(record["id"]), username or "(unknown)", reason))
