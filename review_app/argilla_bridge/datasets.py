"""The datasets that are ours on a server: found by what they say of themselves, made whole or made again.

Argilla asks the same number of people of every record of a dataset, afrel of each pair as many as its causes say: so a
version is one dataset for each number of people. What a dataset is stands in its metadata, under `afrel`; one that a
killed push left unpublished holds nothing and is made anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from review_app.argilla_bridge.api import ArgillaApi
from review_app.argilla_bridge.settings import DatasetSettings, edited_by_hand
from storage.errors import UserError

_OURS = "afrel"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset of ours: which version, how many people it asks of each record, what its settings were."""

    dataset_id: str
    name: str
    version: int
    overlap: int
    settings_digest: str
    is_published: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset of the current version, with its questions' ids by name."""

    dataset: Dataset
    question_ids: Mapping[str, str]


def dataset_name(base: str, version: int, overlap: int) -> str:
    """Return a dataset's name: `afrel-v2`, or `afrel-v2-x3` where each record is for three people."""
    return f"{base}-v{version}" + (f"-x{overlap}" if overlap > 1 else "")


def own_datasets(rows: Sequence[Mapping[str, Any]], base: str) -> list[Dataset]:
    """Return which of a workspace's datasets are ours under this name, the earliest version first."""
    found = []
    for row in rows:
        told = (row.get("metadata") or {}).get(_OURS)
        if not isinstance(told, dict) or told.get("dataset") != base:
            continue
        version, overlap = told.get("version"), told.get("overlap")
        if isinstance(version, int) and isinstance(overlap, int):
            found.append(
                Dataset(
                    dataset_id=str(row["id"]),
                    name=str(row["name"]),
                    version=version,
                    overlap=overlap,
                    settings_digest=str(told.get("settings")),
                    is_published=row["status"] == "ready",
                )
            )
    return sorted(found, key=lambda one: (one.version, one.overlap, one.name))


def current_version(found: Sequence[Dataset], settings: DatasetSettings, *, is_new: bool = False) -> int:
    """Return the version to push to: the latest where its settings are these ones, else the next."""
    latest = max((one.version for one in found), default=0)
    same = any(one.version == latest and one.settings_digest == settings.digest for one in found)
    return latest if same and not is_new else latest + 1


def open_place(api: ArgillaApi, dataset: Dataset, settings: DatasetSettings) -> Place:
    """Return a published dataset as a place for records; UserError when somebody edited it by hand."""
    fields = api.ask("GET", f"datasets/{dataset.dataset_id}/fields")["items"]
    questions = api.ask("GET", f"datasets/{dataset.dataset_id}/questions")["items"]
    edits = edited_by_hand(settings, fields, questions)
    if edits:
        raise UserError(
            f"the Argilla dataset {dataset.name!r} was edited by hand: {'; '.join(edits)}. "
            "Start a new version of it; answers given are kept: afrel argilla push --new-version"
        )
    return Place(dataset, {one["name"]: str(one["id"]) for one in questions})


def make_place(
    api: ArgillaApi, workspace_id: str, base: str, settings: DatasetSettings, *, version: int, overlap: int
) -> Place:
    """Make and publish a dataset, which asks `overlap` people of each record."""
    name = dataset_name(base, version, overlap)
    taken = [one for one in api.datasets(workspace_id) if one["name"] == name]
    for one in taken:
        if not own_datasets([one], base) or one["status"] == "ready":
            raise UserError(
                f"Argilla has another dataset named {name!r}, not made by a push. Rename or delete it there, or "
                "name another dataset under [argilla] in afrel.toml, then: afrel argilla push"
            )
        api.ask("DELETE", f"datasets/{one['id']}")  # a push was killed before it was published
    told = {"dataset": base, "version": version, "overlap": overlap, "settings": settings.digest}
    made = api.ask(
        "POST",
        "datasets",
        body={
            "name": name,
            "guidelines": settings.guidelines,
            "allow_extra_metadata": True,
            "distribution": {"strategy": "overlap", "min_submitted": overlap},
            "metadata": {_OURS: told},
            "workspace_id": workspace_id,
        },
    )
    here = f"datasets/{made['id']}"
    for field in settings.fields:
        api.ask("POST", f"{here}/fields", body=field)
    questions = [api.ask("POST", f"{here}/questions", body=question) for question in settings.questions]
    for measure in settings.metadata:
        api.ask("POST", f"{here}/metadata-properties", body=measure)
    for vectors in settings.vectors:
        api.ask("POST", f"{here}/vectors-settings", body=vectors)
    published = api.ask("PUT", f"{here}/publish")
    (dataset,) = own_datasets([published], base)
    return Place(dataset, {one["name"]: str(one["id"]) for one in questions})
