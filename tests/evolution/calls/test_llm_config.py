"""Keys go where they belong, and a wrong `[llm]` table is told in full."""

from __future__ import annotations

import pytest

from evolution.calls.llm import Usage
from evolution.calls.llm_config import DEFAULT_BASE_URL, is_default_host, read_llm_config
from storage.errors import UserError


def test_the_default_host_takes_the_default_key() -> None:
    config = read_llm_config({"model": "m"})
    assert (config.base_url, config.key_variable) == (DEFAULT_BASE_URL, "OPENAI_API_KEY")


def test_another_host_must_name_its_own_key_variable() -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1:8000.*key_variable must name"):
        read_llm_config({"base_url": "http://127.0.0.1:8000/v1"})


def test_the_default_key_is_refused_for_another_host() -> None:
    with pytest.raises(UserError, match="OPENAI_API_KEY, which goes only to"):
        read_llm_config({"base_url": "https://llm.example/v1", "key_variable": "OPENAI_API_KEY"})


@pytest.mark.parametrize(
    "url",
    ["http://api.openai.com/v1", "https://api.openai.com.evil.example/v1", "https://api.openai.com:444/v1"],
)
def test_a_look_alike_of_the_default_host_is_another_host(url: str) -> None:
    assert not is_default_host(read_llm_config({"base_url": url, "key_variable": "OTHER"}))


def test_an_empty_key_variable_means_no_key() -> None:
    assert read_llm_config({"base_url": "http://127.0.0.1:1/v1", "key_variable": ""}).key_variable is None


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UserError) as refused:
        read_llm_config({"base_url": "https://user:hunter2@llm.example/v1", "key_variable": "K"})
    assert "hunter2" not in str(refused.value)


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(UserError) as refused:
        read_llm_config({"base_ulr": "x", "max_retries": "many", "base_url": "llm.example"})
    assert all(part in str(refused.value) for part in ("base_ulr", "max_retries", "full http"))


def test_a_role_overrides_what_all_roles_share() -> None:
    table = {"model": "small", "temperature": 0.2, "roles": {"judge": {"model": "large", "seed": 7}}}
    judge, labeller = read_llm_config(table, "judge"), read_llm_config(table, "labeller")
    assert (judge.model, judge.temperature, judge.seed) == ("large", 0.2, 7)
    assert (labeller.model, labeller.seed) == ("small", None)


def test_a_role_with_a_host_of_its_own_inherits_no_key() -> None:
    table = {
        "base_url": "http://one.example/v1",
        "key_variable": "ONE",
        "roles": {"judge": {"base_url": "http://two.example/v1"}},
    }
    with pytest.raises(UserError, match=r"\[llm.roles.judge\]: base_url names two.example, so key_variable must name"):
        read_llm_config(table, "labeller")
    table["roles"] = {"judge": {"base_url": DEFAULT_BASE_URL}}
    assert read_llm_config(table, "judge").key_variable == "OPENAI_API_KEY"


def test_prices_are_of_models_and_wrong_ones_are_told() -> None:
    config = read_llm_config({"prices": {"m": {"prompt": 0.15, "completion": 0.6, "batch_rate": 0.5}}})
    usage = Usage(1_000_000, 500_000)
    assert config.prices["m"].cost(usage) == pytest.approx(0.45)
    assert config.prices["m"].cost(usage, is_batch=True) == pytest.approx(0.225)
    assert config.prices["m"].cost(Usage(1, None)) is None
    with pytest.raises(UserError) as refused:
        read_llm_config({"prices": {"a": {"prompt": -1, "cached": 2}, "b": 3}})
    told = str(refused.value)
    assert all(
        part in told for part in ("prompt has the wrong type or is negative", "'cached'", "completion is missing")
    )
    assert '[llm.prices."b"] must be a table' in told


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"roles": {"painter": {}}}, "unknown role"),
        ({"roles": 3}, "must hold tables"),
        ({"timeout_seconds": 0}, "timeout_seconds is 0, which is too small"),
        ({"max_retries": -1}, "max_retries is -1"),
        ({"temperature": float("nan")}, "temperature has the wrong type"),
        ({"base_url": "http://llm.example:99999/v1", "key_variable": ""}, "full http"),
        ({"base_url": 7}, "full http"),
        ({"logprobs": 1}, "logprobs has the wrong type"),
    ],
)
def test_wrong_values_are_told(table: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_llm_config(table)


def test_what_a_request_carries_follows_the_table() -> None:
    assert read_llm_config({}).parameters == {"temperature": 0.0, "max_completion_tokens": 2000}
    assert read_llm_config({"max_reply_tokens": 0, "temperature": 1}).parameters == {"temperature": 1}
