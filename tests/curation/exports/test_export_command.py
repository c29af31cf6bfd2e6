"""`afrel export` as it is typed: into a folder named after the snapshot, idle the second time, refused for test."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Afrel


def test_a_workspace_exports_what_it_cut_and_says_what_it_refuses(afrel: Afrel, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    afrel("init", shop, "--scale", "0-2")
    afrel("account", "add", "root", "--role", "admin", workspace=shop)
    rows = ["qid,did,query,title,grade,split"]
    for n, split in enumerate(("train", "train", "dev", "test")):
        rows += [f"{n},{n}a,query {n},Sofa {n},2,{split}", f"{n},{n}b,query {n},Lamp {n},0,{split}"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    mapped = "query_id=qid,doc_id=did,query=query,title=title,grade=grade,split=split"
    afrel("ingest", tmp_path / "pairs.csv", "--map", mapped, workspace=shop)
    afrel("snapshot", workspace=shop, account="root")
    with (shop / "afrel.toml").open("a") as file:
        file.write('\n[sources.pairs]\nlicence = "CC0"\n')

    told = json.loads(afrel("export", "qrels", "--json", workspace=shop).stdout)
    assert told["rows"] == {"qrels": {"train": 4, "dev": 2}} and told["is_new"]
    (place,) = tmp_path.glob("snap_*-qrels")
    lines = (place / "train.qrels").read_text().splitlines()
    assert sorted(lines) == ["0 0 0a 2", "0 0 0b 0", "1 0 1a 2", "1 0 1b 0"]
    card = (place / "README.md").read_text()
    assert "| pairs | 3 | 6 | CC0 |" in card and "3 of 3 queries and 6 of 6 docs go by the id their source gave" in card
    assert "nothing to do" in afrel("export", "qrels", workspace=shop).stdout
    assert "--split test is refused" in afrel("export", "hf", "--split", "test", workspace=shop, ok=False).stderr
