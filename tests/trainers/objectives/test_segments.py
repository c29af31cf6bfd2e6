import pytest

from trainers.objectives.segments import FORMAT, GRADE, NOWHERE, pad_segments, segment_tokens, step_part

RULES, VERDICT = step_part("rules"), step_part("verdict")


def ends_of(pieces: list[str]) -> list[int]:
    ends, at = [], 0
    for piece in pieces:
        at += len(piece)
        ends.append(at)
    return ends


def segments(pieces: list[str]) -> list[int]:
    return segment_tokens("".join(pieces), ends_of(pieces))


def test_each_token_belongs_to_its_line_and_labels_to_the_format() -> None:
    pieces = ["2", "\n", "rules", ": ", "brand", " [r_3fa9]", "\n", "verdict", ":", " partly", ""]
    assert segments(pieces) == [
        GRADE, FORMAT, FORMAT, FORMAT, RULES, RULES, FORMAT, FORMAT, FORMAT, VERDICT, FORMAT,
    ]  # fmt: skip


def test_a_token_that_spans_a_line_break_belongs_where_its_first_visible_character_stands() -> None:
    assert segments(["2", "\nrules", ": x\nverdict: y"]) == [GRADE, FORMAT, FORMAT]
    assert segments(["2\nru", "les: x"]) == [GRADE, FORMAT]


def test_a_line_that_is_no_step_is_format_as_a_whole() -> None:
    assert segments(["2", "\n", "because", " I", " say"]) == [GRADE, FORMAT, FORMAT, FORMAT, FORMAT]
    assert segments(["2", "\n", "reason", ": x"]) == [GRADE, FORMAT, FORMAT, FORMAT]


@pytest.mark.parametrize("pieces", [[""], [" ", "\n"], ["\u2028", ""]])
def test_a_blank_completion_is_format(pieces) -> None:
    assert set(segments(pieces)) == {FORMAT}


def test_blank_lines_before_the_grade_are_format_and_any_script_is_counted_in_characters() -> None:
    assert segments(["\n", "2", "\n", "rules: ", "品牌", "🙂", "مرحبا"]) == [
        FORMAT, GRADE, FORMAT, FORMAT, RULES, RULES, RULES,
    ]  # fmt: skip


def test_padding_belongs_nowhere() -> None:
    assert pad_segments([[GRADE, RULES], [GRADE]]).tolist() == [[GRADE, RULES], [GRADE, NOWHERE]]
