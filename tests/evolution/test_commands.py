"""The verbs as a user types them: mine, approve, mutate, label, and the second time nothing to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Afrel

COLOURS, KINDS = ("red", "blue", "green", "black"), ("mug", "lamp", "towel")


def shop_csv() -> str:
    lines = ["query,title,colour,kind,grade,split"]
    for n in range(24):
        colour, kind = COLOURS[n % 4], KINDS[n % 3]
        other, another = COLOURS[(n + 1) % 4], KINDS[(n + 1) % 3]
        for c, k, grade in ((colour, kind, 3), (other, kind, 1), (colour, another, 0)):
            lines.append(f"{colour} {kind} number {n},{c} {k},{c},{k},{grade},{'dev' if n % 6 == 5 else 'train'}")
    return "\n".join(lines)


@pytest.mark.slow
def test_the_machines_verbs_in_order(afrel: Afrel, tmp_path: Path) -> None:
    shop, source = tmp_path / "shop", tmp_path / "shop.csv"
    source.write_text(shop_csv())
    afrel("init", shop)
    afrel("account", "add", "root", "--role", "admin", workspace=shop)
    columns = "query=query,title=title,grade=grade,split=split,field.colour=colour,field.kind=kind"
    afrel("ingest", source, "--map", columns, workspace=shop)
    mined = json.loads(afrel("mine", "--max-rules", "8", "--json", workspace=shop).stdout)
    assert mined["new_rules"] == len(mined["rules"]) > 0
    assert afrel("mine", "--max-rules", "8", workspace=shop).stdout.startswith("nothing to do:")
    refused = afrel("approve", "--all", workspace=shop, ok=False)
    assert refused.returncode == 2 and "--as ACCOUNT" in refused.stderr
    assert "approved" in afrel("approve", "--all", workspace=shop, account="root").stdout
    assert afrel("approve", "--all", workspace=shop, account="root").stdout.startswith("nothing to do:")
    assert "verifier: out-of-fold accuracy" in afrel("mutate", workspace=shop).stdout
    assert afrel("mutate", workspace=shop).stdout.startswith("nothing to do:")
    assert "pairs labelled by lexical" in afrel("label", workspace=shop).stdout
    assert afrel("label", workspace=shop).stdout.startswith("nothing to do:")
    unnamed = afrel("label", "--provider", "openai", workspace=shop, ok=False)
    assert unnamed.returncode == 2 and "--model MODEL" in unnamed.stderr
