"""Tiers are written into `afrel.toml` and every other byte of it stays."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.tier_config import read_tiers, save_tiers, with_tiers
from curation.tiers import DEFAULT_TIERS, Tier, parse_tiers
from storage.errors import UserError

TEXT = """\
# An afrel workspace.
[llm]   # the model
model = "a # b"

[[tiers]]  # trained first
# the easy ones
name = 'easy'   # a name
tier = 1
where = "is_unanimous"  # nobody objects

# trained last
[[ tiers ]]
tier = 3
where = '''
is_revised
  or grade = 1'''
name = "hard"
# the end of the tiers

[[review_causes]]
cause = "x"
predicate = "confidence < 0.3"
n_required = 2
"""
EASY = Tier(1, "easy", "is_unanimous")
HELD = (EASY, Tier(3, "hard", "is_revised\n  or grade = 1"))


def test_the_same_tiers_change_nothing() -> None:
    assert with_tiers(TEXT, HELD) == TEXT
    assert with_tiers(TEXT, HELD[::-1]) == TEXT


def test_a_predicate_is_changed_where_it_stands() -> None:
    changed = with_tiers(TEXT, (Tier(1, "easy", "is_unanimous and grade <> 1"), HELD[1]))
    assert changed == TEXT.replace('"is_unanimous"', '"is_unanimous and grade <> 1"')


def test_a_predicate_of_several_lines_is_replaced_whole_and_a_new_one_stays_readable() -> None:
    one_line = with_tiers(TEXT, (EASY, Tier(3, "hard", "is_revised")))
    assert one_line == TEXT.replace("'''\nis_revised\n  or grade = 1'''", '"is_revised"')
    assert with_tiers(one_line, HELD) == TEXT


def test_a_name_with_quotes_and_comments_around_it_is_changed_alone() -> None:
    assert with_tiers(TEXT, (Tier(1, "clear", "is_unanimous"), HELD[1])) == TEXT.replace("'easy'", '"clear"')


def test_a_dropped_tier_takes_its_lines_and_no_others() -> None:
    assert with_tiers(TEXT, (EASY,)) == (
        TEXT.split("[[ tiers ]]", maxsplit=1)[0] + "# the end of the tiers" + TEXT.split("# the end of the tiers")[1]
    )


def test_a_new_tier_stands_behind_the_others() -> None:
    changed = with_tiers(TEXT, (*HELD, Tier(4, "more", "n_answers > 2")))
    added = '\n[[tiers]]\ntier = 4\nname = "more"\nwhere = "n_answers > 2"\n'
    assert changed == TEXT.replace('name = "hard"\n', f'name = "hard"\n{added}')


@pytest.mark.parametrize("text", ["", "# only words", '[llm]\nmodel = "m"', '[llm]\nmodel = "m"\n', "[llm]\r\n\r\n"])
def test_the_first_tiers_are_written_at_the_end(text: str) -> None:
    changed = with_tiers(text, DEFAULT_TIERS[:2])
    assert changed.startswith(text)
    assert parse_tiers(tomllib.loads(changed)["tiers"]) == DEFAULT_TIERS[:2]
    assert ("\r\n" in changed) == ("\r\n" in text)


def test_line_ends_stay_as_they_are() -> None:
    text = TEXT.replace("\n", "\r\n")
    changed = with_tiers(text, (Tier(1, "easy", "grade = 0"), HELD[1]))
    assert changed == text.replace('"is_unanimous"', '"grade = 0"')


@pytest.mark.parametrize(
    "text",
    [
        'tiers = [{tier = 1, name = "a", where = "true"}]',
        '[[tiers]]\ntier = 1\n"na\\u006de" = "a"\nwhere = "true"',
    ],
)
def test_a_form_that_is_not_understood_is_left_to_the_hand(text: str) -> None:
    with pytest.raises(UserError, match=r"each under a line \[\[tiers\]\]"):
        with_tiers(text, (Tier(1, "b", "grade = 1"),))


def test_a_header_inside_a_text_is_no_table() -> None:
    text = "[llm]\nmodel = '''\n[[tiers]]\nname = 1\n'''\n" + '[[tiers]]\ntier = 1\nname = "a"\nwhere = "true"\n'
    changed = with_tiers(text, (Tier(1, "a", "false"),))
    assert changed == text.replace('where = "true"', 'where = "false"')


COMMENTS = st.sampled_from(["", "# a comment", "  # [[tiers]]", "# where = 'x'", "#'''"])
PREDICATES = st.sampled_from(
    [
        "true",
        "grade = 1",
        "source = 'a\"b'",
        "source = 'it''s'",
        "grade = 1\nor grade = 2",
        "source = '\\ \"'",
        "is_revised\tor true",
    ]
)


@given(
    st.lists(st.tuples(PREDICATES, COMMENTS, COMMENTS), min_size=1, max_size=4),
    st.lists(PREDICATES, min_size=1, max_size=5),
    st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_the_file_looks_like_the_new_tiers_are_read_back_and_other_lines_stay(
    held: list[tuple[str, str, str]], wanted: list[str], newline: str
) -> None:
    text = "# first\n[llm]\nmodel = 'm' # it\n"
    for number, (where, comment, after) in enumerate(held, start=1):
        literal = where.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        text += f'[[tiers]]{comment}\n{after}\ntier = {number}\nname = "t{number}" {comment}\n'
        text += f'where = "{literal}"{after}\n\n'
    text = (text + "[[review_causes]]\n# last\ncause = 'c'\n").replace("\n", newline)
    tiers = tuple(Tier(number, f"t{number}", where) for number, where in enumerate(wanted, start=1))
    changed = with_tiers(text, tiers)
    said = tomllib.loads(changed)
    assert parse_tiers(said["tiers"]) == tiers
    assert said["llm"] == {"model": "m"}
    assert said["review_causes"] == [{"cause": "c"}]
    if len(wanted) >= len(held):
        assert comments_of(changed) == comments_of(text)
    else:
        assert comments_of(changed)[0] == "# first" and comments_of(changed)[-1] == "# last"


def comments_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.lstrip().startswith("#")]


def test_saving_is_refused_when_the_file_was_changed_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "afrel.toml"
    path.write_text(TEXT)
    mark = read_tiers(tmp_path).mark
    path.write_text(TEXT + "# somebody else\n")
    with pytest.raises(UserError, match="changed meanwhile"):
        save_tiers(tmp_path, [EASY], mark=mark)
    assert path.read_text() == TEXT + "# somebody else\n"


def test_saving_keeps_the_mode_of_the_file_and_the_place_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    real = tmp_path / "shared.toml"
    real.write_bytes(TEXT.encode())
    real.chmod(0o640)
    (tmp_path / "shop" / "afrel.toml").symlink_to(real)
    saved = save_tiers(tmp_path / "shop", [EASY], mark=read_tiers(tmp_path / "shop").mark)
    assert saved.tiers == (EASY,)
    assert (tmp_path / "shop" / "afrel.toml").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "hard" not in real.read_text()


def test_wrong_tiers_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "afrel.toml").write_text(TEXT)
    with pytest.raises(UserError, match="given twice"):
        save_tiers(tmp_path, [EASY, EASY], mark=read_tiers(tmp_path).mark)
    assert (tmp_path / "afrel.toml").read_text() == TEXT
