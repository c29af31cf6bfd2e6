"""`--schema` of every verb that reads a configuration prints a JSON Schema, wherever it is typed and whoever asks."""

import json

import jsonschema
import pytest
from typer.testing import CliRunner

from afrel import app

VERBS = {
    "pool": "pool", "screen": "screening", "tier": "tiers", "evolve": "llm", "mine": "llm", "mutate": "llm",
    "label": "llm", "batch submit": "llm", "judge card": "llm", "judge steps": "llm", "judge refine": "llm",
    "check": "SftConfig", "train sft": "SftConfig", "train dapt": "DaptConfig", "train dpo": "DpoConfig",
    "train grpo": "GrpoConfig",
}  # fmt: skip


@pytest.mark.parametrize("words", VERBS)
def test_a_verb_prints_the_schema_of_what_configures_it(words: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # no workspace here or above
    result = CliRunner().invoke(app, [*words.split(), "--schema"])
    assert result.exit_code == 0, result.output
    schema = json.loads(result.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == VERBS[words]
