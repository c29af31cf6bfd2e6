"""Two snapshots apart: each kind of change is counted and named, and test rows show no more than they may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from storage.errors import UserError
from storage.snapshots.cutting import TierSpec
from storage.snapshots.diff import Difference, compare_snapshots
from tests.storage.conftest import RULE_BOOK, TIERS, Cut, sample_lineage, sample_rows

# of the sample: p_0, p_1, p_4, p_5 train, p_2 dev, p_3 test; p_4 was mutated; all rest on reviewer 1
ROWS = {row["pair_id"]: row for row in sample_rows().to_pylist()}


def lineage_of(rows: dict[str, dict[str, Any]], reviewers: dict[str, list[str]]) -> pa.Table:
    named = [reviewers.get(pair_id, ["reviewer 1"]) for pair_id in rows]
    return pa.table({"pair_id": list(rows), "reviewers": pa.array(named, pa.list_(pa.string()))})


@pytest.fixture
def differ(cut: Cut, tmp_path: Path) -> Any:
    """Compare the sample with one whose rows are changed; None as a change takes a row out."""

    def compare(
        changes: dict[str, dict[str, Any] | None],
        *,
        sees_test: bool = False,
        reviewers: dict[str, list[str]] | None = None,
        **more: Any,
    ) -> Difference:
        rows = dict(ROWS)
        for pair_id, change in changes.items():
            if change is None:
                del rows[pair_id]
            else:
                rows[pair_id] = {**rows.get(pair_id, ROWS["p_1"]), "pair_id": pair_id, **change}
        older = tmp_path / "snapshots" / cut(lineage=lineage_of(ROWS, {})).snapshot_id
        table = pa.Table.from_pylist(list(rows.values()))
        newer = cut(rows=table, lineage=lineage_of(rows, reviewers or {}), **more).snapshot_id
        return compare_snapshots(older, tmp_path / "snapshots" / newer, sees_test=sees_test)

    return compare


def split(found: Difference, name: str) -> dict[str, int]:
    """Return the counts of a split that are not zero."""
    (counts,) = [one for one in found.to_mapping()["splits"] if one["split"] == name]
    return {key: n for key, n in counts.items() if key not in ("split", "n_older", "n_newer") and n}


def test_a_snapshot_does_not_differ_from_itself(differ: Any) -> None:
    found = differ({})
    assert found.is_same and len(found.rows) == 0 and found.rules == ()
    assert [(one.split, one.n_older, one.n_newer) for one in found.splits] == [
        ("train", 4, 4),
        ("dev", 1, 1),
        ("test", 1, 1),
    ]
    assert (split(found, "train"), split(found, "dev"), split(found, "test")) == ({"same": 4}, {"same": 1}, {})


REWORDED = '[["verdict", "partly"]]'


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"grade": 0}, {"regraded": 1}),
        ({"steps": REWORDED}, {"reworded": 1}),
        ({"steps": None}, {"reworded": 1}),
        ({"tier": 3}, {"moved": 1}),
        ({"tier": 3, "grade": 0, "steps": REWORDED}, {"regraded": 1, "moved": 1}),
        ({"tier": 3, "steps": REWORDED}, {"moved": 1, "reworded": 1}),
        ({"evidence": "overlap 0.9"}, {"restated": 1}),
        ({"judgment_origin": "adjudicated"}, {"restated": 1}),
    ],
)
def test_a_changed_row_is_of_each_kind_that_it_is(differ: Any, change: dict[str, Any], kinds: dict[str, int]) -> None:
    found = differ({"p_1": change})
    assert split(found, "train") == {"same": 3, "changed": 1, **kinds}
    assert split(found, "dev") == {"same": 1}
    assert found.by_reviewer == {"reviewer 1": kinds} and found.by_operator == {"none": kinds}


def test_rows_that_came_and_went_are_counted_by_split_reviewer_and_operator(differ: Any) -> None:
    """The mutated p_4 goes, p_7 comes to train with bo's and ana's answers, p_8 to dev with nobody's."""
    found = differ(
        {"p_4": None, "p_7": {}, "p_8": {"split": "dev"}}, reviewers={"p_7": ["reviewer 2", "reviewer 3"], "p_8": []}
    )
    assert split(found, "train") == {"same": 3, "added": 1, "removed": 1}
    assert split(found, "dev") == {"same": 1, "added": 1}
    assert found.by_operator == {"drop_term": {"removed": 1}, "none": {"added": 2}}
    assert found.by_reviewer == {
        "nobody": {"added": 1},
        "reviewer 1": {"removed": 1},
        "reviewer 2": {"added": 1},
        "reviewer 3": {"added": 1},
    }
    told = found.rows.select("pair_id", "split", "tier", "tier_after", "grade", "grade_after").rows()
    assert told == [
        ("p_8", "dev", None, 1, None, 2),
        ("p_4", "train", 3, None, 1, None),
        ("p_7", "train", None, 1, None, 2),
    ]


def test_of_test_rows_only_their_number_is_told_to_who_may_not_see_their_grades(differ: Any) -> None:
    changes = {"p_3": {"grade": 1}, "p_9": {"split": "test"}}
    hidden, seen = differ(changes), differ(changes, sees_test=True)
    assert hidden.to_mapping()["splits"][2] == {"split": "test", "n_older": 1, "n_newer": 2}
    assert hidden.by_reviewer == {} and len(hidden.rows) == 0 and not hidden.is_same
    assert split(seen, "test") == {"added": 1, "changed": 1, "regraded": 1}
    assert seen.rows["pair_id"].to_list() == ["p_3", "p_9"]


def test_the_test_file_stays_shut_for_who_may_not_see_it(differ: Any, tmp_path: Path) -> None:
    found = differ({"p_1": {"grade": 0}})
    for path in (tmp_path / "snapshots").rglob("test-*.parquet"):
        path.write_bytes(b"x")
    older, newer = (tmp_path / "snapshots" / name for name in (found.older, found.newer))
    assert compare_snapshots(older, newer).splits == found.splits
    with pytest.raises(UserError, match=r"is altered: data/tier_1/test-\S+ cannot be read"):
        compare_snapshots(older, newer, sees_test=True)


def test_rules_that_came_went_or_changed_are_told_with_the_rows_that_cite_them(differ: Any) -> None:
    """r_aaaa is cited by p_1, p_2, p_4, p_5, of which all may be seen; r_bbbb by p_2 and p_5."""
    new = {"rule_id": "r_cccc", "text": "new", "condition": "true", "grade": 2}
    found = differ({}, rule_book=[RULE_BOOK[1] | {"grade": 1}, new])
    assert [(one.rule_id, one.what, one.n_rows) for one in found.rules] == [
        ("r_bbbb", "removed", 2),
        ("r_aaaa", "changed", 4),
        ("r_cccc", "added", 0),
    ]
    assert not found.is_same and len(found.rows) == 0


def test_a_lineage_without_reviewers_names_nobody(cut: Cut, tmp_path: Path) -> None:
    lineage = pa.table({"pair_id": list(ROWS)})
    older = cut(lineage=lineage)
    newer = cut(lineage=lineage, rows=sample_rows().set_column(9, "grade", pa.array([1, 2, 2, 0, 1, 2])))
    found = compare_snapshots(*(tmp_path / "snapshots" / one.snapshot_id for one in (older, newer)))
    assert found.by_reviewer == {"nobody": {"regraded": 1}}


def test_an_empty_snapshot_against_a_full_one_is_all_added(cut: Cut, tmp_path: Path) -> None:
    empty = cut(rows=sample_rows().slice(0, 0), lineage=pa.table({"pair_id": pa.array([], pa.string())}))
    full = cut()
    folders = [tmp_path / "snapshots" / one.snapshot_id for one in (empty, full)]
    assert split(compare_snapshots(*folders), "train") == {"added": 4}
    assert split(compare_snapshots(*folders[::-1], sees_test=True), "test") == {"removed": 1}


@pytest.mark.parametrize("path", ["lineage.parquet", "data/tier_1/train-00000-of-00001.parquet", "manifest.json"])
def test_an_altered_snapshot_is_a_plain_error(cut: Cut, tmp_path: Path, path: str) -> None:
    other = (
        tmp_path / "snapshots" / cut(rows=sample_rows().slice(0, 0), lineage=sample_lineage().slice(0, 0)).snapshot_id
    )
    folder = tmp_path / "snapshots" / cut().snapshot_id
    (folder / path).write_bytes(b"x")
    with pytest.raises(UserError, match=r"altered|cannot be read"):
        compare_snapshots(other, folder)
    (folder / path).unlink()
    with pytest.raises(UserError, match=r"altered|is no snapshot"):
        compare_snapshots(other, folder)


def test_a_row_taken_out_of_a_file_is_seen(cut: Cut, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / cut(tiers=[*TIERS, TierSpec(4, "none", "false")]).snapshot_id
    path = folder / "data/tier_1/train-00000-of-00001.parquet"
    pl.read_parquet(path).head(1).write_parquet(path)
    with pytest.raises(UserError, match="is altered"):
        compare_snapshots(folder, folder, sees_test=True)
