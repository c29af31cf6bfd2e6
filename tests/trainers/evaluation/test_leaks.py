import pytest

from storage.errors import UserError
from tests.trainers.conftest import cut_snapshot, snapshot_row
from trainers.evaluation.leaks import lineage, require_unleaked
from trainers.runs.directory import RunDirectory


@pytest.fixture
def foreign(tmp_path):
    """A snapshot of other splits: query 3 of the run's train rows is a test query here."""
    rows = [snapshot_row(at, pair_id=f"p_x{at}", query_id=f"q_x{at}") for at in range(6)]
    rows.append(snapshot_row(1, split="test", query_id="q_test99"))
    rows.append(snapshot_row(7, split="test", query_id="q_train3", query="oak lamp"))
    return cut_snapshot(tmp_path, rows).directory


def check(run, snapshot, trained, split="test"):
    require_unleaked(run, snapshot, split=split, snapshots_dir=trained.snapshot.directory.parent)


def test_a_run_may_be_measured_on_the_snapshot_it_was_trained_on(trained) -> None:
    for split in ("dev", "test"):
        check(trained.run, trained.snapshot.directory, trained, split)


def test_a_query_that_was_trained_on_is_named(trained, foreign) -> None:
    name = trained.snapshot.directory.name
    with pytest.raises(UserError, match=rf"trained on {name}.* hold 1 of the 2 test queries of .*'oak lamp'"):
        check(trained.run, foreign, trained)


def test_what_a_run_goes_on_from_counts_too(trained, foreign, tmp_path) -> None:
    later = RunDirectory(trained.run.path.parent / "run_later")
    later.describe(snapshot_id=foreign.name, started_from={"run_id": trained.run.run_id}, config={"model": "x"})
    try:
        assert [run.run_id for run in lineage(later)] == ["run_later", trained.run.run_id]
        with pytest.raises(UserError, match=r"run_later was trained on .* hold 1 of the 2 test queries"):
            check(later, foreign, trained)
    finally:
        (later.path / "run.json").unlink()
        later.path.rmdir()
    folder = RunDirectory(tmp_path / "run_sft")
    folder.describe(snapshot_id=foreign.name, config={"model": str(trained.run.model_dir)})
    assert [run.run_id for run in lineage(folder)] == ["run_sft", trained.run.run_id]


def test_a_snapshot_that_is_not_there_cannot_be_looked_at(trained, foreign, tmp_path) -> None:
    with pytest.raises(UserError, match=r"is not under .*Bring its folder there"):
        require_unleaked(trained.run, foreign, split="test", snapshots_dir=tmp_path / "empty")


def test_a_run_whose_start_is_gone_and_told_nothing_is_not_measured(trained, tmp_path) -> None:
    """Records of `inherited` tell what a start has seen even where its folder is gone; without, nobody can say."""
    later = RunDirectory(tmp_path / "runs" / "run_later")
    name = trained.snapshot.directory.name
    later.describe(snapshot_id=name, started_from={"run_id": "run_gone"}, config={"model": "run_gone"})
    with pytest.raises(UserError, match=r"run_later goes back to run_gone, whose folder is not under"):
        check(later, trained.snapshot.directory, trained)
    later.describe(inherited=[{"run_id": "run_gone", "snapshot_id": name, "texts": None}])
    check(later, trained.snapshot.directory, trained)
