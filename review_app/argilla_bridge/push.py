"""Push: what waits for an answer becomes records in Argilla, each once, and what waits no more goes from there again.

Nothing of a push is kept here: what lies on the server is asked for anew each time, records go by their external ids in
batches that the server stores whole or not at all, and a record is taken away only after its successor lies there. So a
push that was killed is run again and finds what is left to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from review_app.argilla_bridge.api import MOST_DELETED, ArgillaApi, Listing
from review_app.argilla_bridge.datasets import Dataset, Place, current_version, make_place, open_place, own_datasets
from review_app.argilla_bridge.plan import Lying, Plan, Waiting, make_plan, waiting_of
from review_app.argilla_bridge.record import record_of
from review_app.argilla_bridge.settings import DatasetSettings, settings_of
from review_app.argilla_bridge.target import Target
from storage.errors import UserError
from storage.progress_bar import Bar
from storage.session import read_scale
from storage.store import Store

BATCH = 100
MOST_BATCH_BYTES = 4_000_000
_READ = 500  # candidates whose texts are read at once


@dataclass(slots=True)
class Pushed:
    """What a push did. `n_lying` lay there already, `n_held` hold answers or drafts that are not pulled."""

    version: int
    is_new_version: bool
    n_sent: int = 0
    n_withdrawn: int = 0
    n_lying: int = 0
    n_held: int = 0
    n_over_limit: int = 0
    n_sent_back: int = 0
    by_dataset: dict[str, int] = field(default_factory=dict)
    # datasets of which the server's search misses records: name -> id
    unindexed: dict[str, str] = field(default_factory=dict)

    @property
    def is_idle(self) -> bool:
        return not (self.n_sent or self.n_withdrawn)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Stand:
    """What a push starts from: the settings, our datasets, the version to push to, the plan."""

    workspace_id: str
    settings: DatasetSettings
    datasets: Sequence[Dataset]
    version: int
    plan: Plan
    n_sent_back: int


def look(
    store: Store, api: ArgillaApi, target: Target, tell: Bar, *, limit: int | None = None, new_version: bool = False
) -> Stand:
    """Return what there is to push; UserError where the server cannot be pushed to."""
    api.check_version()
    workspace_id = api.find_workspace()
    settings = _settings(store)
    datasets = own_datasets(api.datasets(workspace_id), target.dataset)
    version = current_version(datasets, settings, is_new=new_version)
    names = api.usernames(workspace_id)
    user_ids = {target.account_of(name): user_id for user_id, name in names.items()}
    waiting, n_sent_back = waiting_of(
        store.read("waiting_for_answers").to_pylist(), store.read("answers_of_waiting").to_pylist(), user_ids
    )
    lying = [record for dataset in datasets if dataset.is_published for record in _lying(api, dataset, tell)]
    known = _known(store, {record.candidate_id for record in lying} - {one.candidate_id for one in waiting})
    plan = make_plan(waiting, lying, version=version, known=known, limit=limit)
    return Stand(workspace_id, settings, datasets, version, plan, n_sent_back)


def push(store: Store, api: ArgillaApi, target: Target, stand: Stand, tell: Bar) -> Pushed:
    """Send what is to be sent, then take away what is to be taken away; return what was done."""
    plan = stand.plan
    pushed = summary(stand)
    total = plan.n_send
    for overlap, waiting in sorted(plan.send.items()):
        place = _place(api, target, stand, overlap)
        for batch in _batches(_records(store, waiting, place)):
            tell("sending records", pushed.n_sent, total)
            api.send_records(place.dataset.dataset_id, batch)
            pushed.n_sent += len(batch)
            pushed.by_dataset[place.dataset.name] = pushed.by_dataset.get(place.dataset.name, 0) + len(batch)
        _note_unindexed(api, place.dataset, pushed)
    for dataset_id, record_ids in plan.withdraw.items():
        for start in range(0, len(record_ids), MOST_DELETED):
            tell("taking away records", pushed.n_withdrawn, plan.n_withdraw)
            # asked again at the last moment: somebody may have begun to answer since
            untouched = api.untouched(dataset_id, record_ids[start : start + MOST_DELETED])
            if untouched:
                api.delete_records(dataset_id, untouched)
            pushed.n_withdrawn += len(untouched)
    return pushed


def summary(stand: Stand) -> Pushed:
    """Return what a push that did nothing would report."""
    latest = max((one.version for one in stand.datasets), default=0)
    return Pushed(
        version=stand.version,
        is_new_version=stand.version > latest > 0,
        n_lying=stand.plan.n_lying,
        n_held=stand.plan.n_held,
        n_over_limit=stand.plan.n_over_limit,
        n_sent_back=stand.n_sent_back,
    )


def _settings(store: Store) -> DatasetSettings:
    guideline = store.read("instruction_in_force").to_pylist()
    return settings_of(read_scale(store), guideline[0]["text"] if guideline else "")


def _lying(api: ArgillaApi, dataset: Dataset, tell: Bar) -> Iterator[Lying]:
    listing = Listing()
    for page in api.records(dataset.dataset_id, listing):
        tell(f"reading {dataset.name}", len(listing.seen), max(listing.totals))
        for record in page:
            if record.get("external_id"):
                people = frozenset(str(one["user_id"]) for one in record.get("responses") or ())
                yield Lying(str(record["external_id"]), str(record["id"]), dataset, people)
    if not listing.is_whole:
        raise UserError(
            f"records of the Argilla dataset {dataset.name!r} came or went while they were read. "
            "Run it again: afrel argilla push"
        )


def _known(store: Store, candidate_ids: set[str]) -> frozenset[str]:
    asked, found = sorted(candidate_ids), set()
    for start in range(0, len(asked), _READ):
        rows = store.read("proposals", candidate_ids=asked[start : start + _READ])
        found.update(rows["candidate_id"].to_pylist())
    return frozenset(found)


def _place(api: ArgillaApi, target: Target, stand: Stand, overlap: int) -> Place:
    for dataset in stand.datasets:
        if (dataset.version, dataset.overlap) == (stand.version, overlap) and dataset.is_published:
            return open_place(api, dataset, stand.settings)
    return make_place(api, stand.workspace_id, target.dataset, stand.settings, version=stand.version, overlap=overlap)


def _records(store: Store, waiting: Sequence[Waiting], place: Place) -> Iterator[dict[str, Any]]:
    for start in range(0, len(waiting), _READ):
        part = waiting[start : start + _READ]
        asked = [one.candidate_id for one in part]
        rows = {row["candidate_id"]: row for row in store.read("argilla_records", candidate_ids=asked).to_pylist()}
        for one in part:
            if one.candidate_id in rows:
                yield record_of(rows[one.candidate_id], place.question_ids, one.carried)


def _batches(records: Iterator[dict[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    n_bytes = 0
    for record in records:
        size = len(json.dumps(record, ensure_ascii=False).encode())
        if batch and (len(batch) >= BATCH or n_bytes + size > MOST_BATCH_BYTES):
            yield batch
            batch, n_bytes = [], 0
        batch.append(record)
        n_bytes += size
    if batch:
        yield batch


def _note_unindexed(api: ArgillaApi, dataset: Dataset, pushed: Pushed) -> None:
    """Note a dataset whose search misses records: the server was killed between storing and indexing them."""
    listed = api.ask("GET", f"datasets/{dataset.dataset_id}/records", params={"limit": 1})["total"]
    if api.n_indexed(dataset.dataset_id) < int(listed or 0):
        pushed.unindexed[dataset.name] = dataset.dataset_id
