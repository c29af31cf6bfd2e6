import pytest

from tests.trainers.conftest import SCALE
from trainers.models.tiny_model import train_tokenizer
from trainers.preflight.chat_template import ChatForm, check_chat

PROMPTS = ["oak chair\nRelevance grade, then the reasons:\n", "lamp\nRelevance grade, then the reasons:\n"]
COMPLETIONS = ["2\nverdict: fully", "0"]
PLAIN = (
    "{% for m in messages %}<{{ m.role }}>\n{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)
# as some models do: a thought, empty when it is switched off, stands before every answer
THINKING = (
    "{% for m in messages %}<{{ m.role }}>\n"
    "{% if m.role == 'assistant' %}<think>\n</think>\n{% endif %}{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n</think>\n{% endif %}{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([*PROMPTS, *COMPLETIONS], vocab_size=300)


def check(tokenizer, template):
    tokenizer.chat_template = template
    return check_chat(tokenizer, PROMPTS, COMPLETIONS, SCALE)


def test_without_a_template_there_is_nothing_to_check(tokenizer) -> None:
    assert check(tokenizer, None) is None


def test_a_plain_template_carries_the_rows(tokenizer) -> None:
    assert check(tokenizer, PLAIN) == ChatForm({}, ())


def test_a_thought_before_the_grade_is_found_and_switched_off(tokenizer) -> None:
    assert check(tokenizer, THINKING) == ChatForm({"enable_thinking": False}, ())
    form = check(tokenizer, THINKING.replace("enable_thinking is defined", "false"))
    assert form.problems == ("something stands between the cue and the grade, e.g. '<think>\\n</think>'",)


def test_a_template_that_fails_or_rewrites_is_told(tokenizer) -> None:
    (problem,) = check(tokenizer, "{{ raise_exception('system first') }}").problems
    assert problem == "the template fails on a question and its answer: system first"
    problems = check(tokenizer, PLAIN.replace("m.content", "m.content | upper")).problems
    assert any(problem.startswith("the template changes the prompt") for problem in problems)
