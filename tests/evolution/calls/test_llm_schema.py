"""The schema that `label --schema` prints says of each key of `[llm]` what the code that reads it accepts."""

from typing import Any

import jsonschema
import pytest

from evolution.calls.llm_config import KNOWN_KEYS, ROLES, LlmConfig, read_llm_config
from evolution.calls.llm_schema import llm_schema
from storage.errors import UserError

PROBES: list[Any] = [-1, 0, 1, 40, -0.5, 0.5, True, False, "", "word", "http://host:1/v1", "ftp://host", []]


def _fits(value: object) -> bool:
    return bool(jsonschema.Draft202012Validator(llm_schema()).is_valid(value))


def _is_taken(table: dict[str, Any]) -> bool:
    try:
        read_llm_config(table)
    except UserError:
        return False
    return True


@pytest.mark.parametrize("key", sorted({*KNOWN_KEYS, "modle"}))
def test_llm_takes_what_its_schema_takes(key: str) -> None:
    """Which key may go to which host a schema cannot say. 1.0 is whole to it alone: no probe."""
    beside = {"key_variable": "HOST_KEY"} if key == "base_url" else {}
    for value in PROBES:
        if key == "key_variable" and value == "":
            continue
        table = {key: value, **beside}
        assert _fits(table) == _is_taken(table), (key, value)


def test_prices_and_roles_are_tables_of_known_keys() -> None:
    for table in (
        {"prices": {"large": {"prompt": 1, "completion": 2.5, "batch_rate": 0.5}}},
        {"prices": {"large": {"prompt": 1}}},
        {"prices": {"large": {"prompt": -1, "completion": 2}}},
        {"roles": {"judge": {"model": "large"}}},
        {"roles": {"juge": {"model": "large"}}},
        {"roles": {"judge": {"modle": "large"}}},
        {"roles": {"judge": "large"}},
    ):
        assert _fits(table) == _is_taken(table), table


def test_the_schema_knows_every_key_and_role_and_the_code_s_defaults() -> None:
    schema = llm_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {*schema["properties"]} == {*KNOWN_KEYS, "roles", "prices"}
    assert {*schema["properties"]["roles"]["properties"]} == {*ROLES}
    default = LlmConfig(model=None)
    held = {name: key["default"] for name, key in schema["properties"].items() if "default" in key}
    assert held == {name: getattr(default, name) for name in held}
