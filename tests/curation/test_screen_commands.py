"""The verb as a user types it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import Afrel

QUERIES = (
    "red desk lamp with clamp",
    "green wool rug for the hall",
    "steel kettle with a whistle",
    "oak chair for a child",
)


def shop_csv() -> str:
    lines = ["query,title,grade,split"]
    for n, query in enumerate(QUERIES):
        for k in range(3):
            lines.append(f"{query},title {k} about {query} of shelf {n * k + 7},{k},train")
    lines.append(f"{QUERIES[0]} new,another lamp,,test")
    lines.append(f"{QUERIES[1]},title 0 about {QUERIES[1]} of shelf 7!,,train")
    return "\n".join(lines)


@pytest.mark.slow
def test_screen_sets_aside_explains_and_is_idle_the_second_time(afrel: Afrel, tmp_path: Path) -> None:
    shop, source = tmp_path / "shop", tmp_path / "shop.csv"
    source.write_text(shop_csv())
    afrel("init", shop)
    assert "no candidates yet" in afrel("screen", workspace=shop).stdout
    afrel("ingest", source, "--map", "query=query,title=title,grade=grade,split=split", workspace=shop)
    afrel("label", workspace=shop)
    tried = json.loads(afrel("screen", "--dry-run", "--json", workspace=shop).stdout)
    assert not (shop / "sketches").exists()  # nothing is written
    done = json.loads(afrel("screen", "--json", workspace=shop).stdout)
    assert tried == done and done["screened"] == 14
    assert done["by_screen"]["leak"] == 3  # the first query's train pairs: 5 of 6 words
    assert sorted(path.name for path in (shop / "sketches").iterdir()) == ["doc", "query", "rationale"]
    assert afrel("screen", workspace=shop).stdout == "nothing to do: every candidate is screened\n"
    asked = "select candidate_id from screenings where screen = 'leak' order by candidate_id limit 1"
    candidate_id = re.findall("c_[0-9a-f]{16}", afrel("sql", asked, workspace=shop).stdout)[0]
    said = afrel("screen", "--explain", candidate_id, workspace=shop).stdout
    assert said.startswith("leak: failed [0.83]: its query is nearly the dev or test query q_")
    assert f"{QUERIES[0]} new" in said
    (told,) = map(json.loads, afrel("screen", "--explain", candidate_id, "--json", workspace=shop).stdout.splitlines())
    assert told["screen"] == "leak" and told["matched"]
    config = shop / "afrel.toml"
    config.write_text(config.read_text() + "\n[screening]\nleak = 0.9\n")
    assert "[leak = 0.9]" in afrel("screen", "--list", workspace=shop).stdout
    config.write_text(config.read_text().replace("0.9", "2") + "near = 1\n")
    refused = afrel("screen", workspace=shop, ok=False)
    assert refused.returncode == 2 and "2 mistake(s)" in refused.stderr
