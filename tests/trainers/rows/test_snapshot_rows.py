import pyarrow.parquet as pq
import pytest

from storage.errors import UserError
from trainers.rows.snapshot_rows import load


def test_every_row_of_every_tier_comes_out(snapshot) -> None:
    loaded = load(snapshot.directory, splits=["train", "dev"])
    train = [row["pair_id"] for row in snapshot.rows if row["split"] == "train"]
    assert sorted(loaded["train"]["pair_id"]) == sorted(train)
    assert len(loaded["dev"]) == 12
    assert len(load(snapshot.directory, splits=["train"], tiers=[2])["train"]) == 30


def test_prompt_and_completion_are_answer_first(cut) -> None:
    from tests.trainers.conftest import RULE, snapshot_row

    row = load(cut([snapshot_row(1)]).directory, splits=["train"])["train"][0]
    assert row["prompt"].startswith(
        "<query>\ncanvas belt\n</query>\n<document>\ntitle: canvas belt no 1\nmaterial: canvas"
    )
    assert row["prompt"].endswith("terms all\n</evidence>\nRelevance grade, then the reasons:\n")
    assert row["completion"] == f"2\nattributes: canvas is asked for [{RULE}]\nverdict: fully"


def test_a_row_without_steps_trains_on_the_grade_alone(cut) -> None:
    from tests.trainers.conftest import snapshot_row

    assert load(cut([snapshot_row(0)]).directory, splits=["train"])["train"][0]["completion"] == "0"


def test_evidence_and_rationale_can_be_left_out(snapshot) -> None:
    bare = load(snapshot.directory, splits=["train"], has_evidence=False, has_rationale=False)["train"]
    assert not any("<evidence>" in prompt for prompt in bare["prompt"])
    assert set(bare["completion"]) == {"0", "1", "2"}


def test_the_test_file_is_opened_only_when_asked_for(snapshot) -> None:
    for path in snapshot.directory.glob("data/tier_*/test-*"):
        path.write_bytes(b"no parquet")
    assert len(load(snapshot.directory, splits=["train", "dev"])["train"]) == 60
    with pytest.raises(Exception, match=r"(?i)parquet"):
        load(snapshot.directory, splits=["test"])


def test_a_row_that_cannot_be_rendered_stops_the_load(cut) -> None:
    from tests.trainers.conftest import snapshot_row

    made = cut([snapshot_row(1), snapshot_row(2, steps='[["mood","good"]]')], signed=False)
    with pytest.raises(UserError, match=r"p_train2.*'mood'"):
        load(made.directory, splits=["train"])


def test_a_missing_row_is_noticed(snapshot) -> None:
    path = next(snapshot.directory.glob("data/tier_1/train-*"))
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(UserError, match="has 29 rows, the manifest says 30"):
        load(snapshot.directory, splits=["train"])


def test_an_empty_split_is_told(cut) -> None:
    from tests.trainers.conftest import snapshot_row

    with pytest.raises(UserError, match="no dev rows"):
        load(cut([snapshot_row(1)]).directory, splits=["dev"])
