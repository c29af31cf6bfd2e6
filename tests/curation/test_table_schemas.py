"""The schemas that `--schema` prints say of each key what the code that reads `afrel.toml` accepts."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from curation.balance_config import BALANCE_KEYS
from curation.pool_config import PoolConfig, checked_pool
from curation.screening_config import ScreeningConfig, read_screening_config
from curation.table_schemas import pool_schema, screening_schema, tiers_schema
from curation.tiers import DEFAULT_TIERS, parse_tiers
from storage.errors import UserError

PROBES: list[Any] = [
    -1,
    0,
    1,
    2,
    3,
    4,
    7,
    50,
    1000,
    0.05,
    0.1,
    0.5,
    0.69,
    0.7,
    0.99,
    1.01,
    True,
    "",
    "word",
    [],
    [1],
    [0],
]
TIER = {"tier": 1, "name": "all", "where": "true"}


def _fits(schema: dict[str, Any], value: object) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def _is_taken(read: Any, value: object) -> bool:
    try:
        read(value)
    except UserError:
        return False
    return True


@pytest.mark.parametrize("key", [*PoolConfig.__dataclass_fields__, "depth"])
def test_pool_takes_what_its_schema_takes(key: str) -> None:
    """Of one key alone: 1000 as `top` is refused for the strata below it, which a schema cannot say."""
    for value in PROBES:
        if (key, value) in (("top", 50), ("top", 1000)) or (key, value) in (("strata", [1]), ("strata", [])):
            continue
        assert _fits(pool_schema(), {key: value}) == _is_taken(checked_pool, {key: value}), (key, value)


@pytest.mark.parametrize("key", [*ScreeningConfig.__dataclass_fields__, "near"])
def test_screening_takes_what_its_schema_takes(key: str, tmp_path: Path) -> None:
    for value in PROBES:
        if key == "tokenizer" and value == "word":
            continue  # there is no such file
        is_taken = _is_taken(lambda given: read_screening_config(given, root=tmp_path), {key: value})
        assert _fits(screening_schema(), {key: value}) == is_taken, (key, value)


@pytest.mark.parametrize("key", ["tier", "name", "max_cv", "max_tokens", "max_per_source", "balance", "weight"])
def test_a_tier_takes_what_its_schema_takes(key: str) -> None:
    for value in PROBES:
        table = TIER | {key: value}
        assert _fits(tiers_schema(), [table]) == _is_taken(parse_tiers, [table]), (key, value)


def test_the_share_of_slices_is_bounded_where_slices_are_named() -> None:
    for value in PROBES:
        table = TIER | {"slices": {"rare": "true"}, "min_share": value}
        assert _fits(tiers_schema(), [table]) == _is_taken(parse_tiers, [table]), value


def test_the_defaults_of_each_schema_are_those_of_the_code() -> None:
    for schema, config in ((pool_schema(), PoolConfig()), (screening_schema(), ScreeningConfig())):
        held = {name: key.get("default") for name, key in schema["properties"].items()}
        wanted = {name: getattr(config, name) for name in config.__dataclass_fields__}
        assert held == {name: list(value) if isinstance(value, tuple) else value for name, value in wanted.items()}
    assert _fits(tiers_schema(), [tier.to_table() for tier in DEFAULT_TIERS])
    assert {*BALANCE_KEYS} < {*tiers_schema()["items"]["properties"]}


@pytest.mark.parametrize("schema", [pool_schema(), screening_schema(), tiers_schema()["items"]])
def test_every_key_says_what_it_is(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert [name for name, key in schema["properties"].items() if not key["description"].endswith(".")] == []
