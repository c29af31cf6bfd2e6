"""Keys go where they belong, and a wrong `[llm]` table is told in full."""

from __future__ import annotations

import pytest

from evolution.llm_config import DEFAULT_BASE_URL, is_default_host, read_llm_config
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
