"""Every refusal that can reach a page is told in the page's language, and keeps to what is raised."""

from __future__ import annotations

import re

import pytest

from review_app.texts import texts
from review_app.texts.refusals import in_words, templates, why_not
from storage.errors import UnavailableError, UserError
from storage.people.accounts import Act, Pin, Role, require
from storage.people.accounts import in_words as act_in_words
from storage.sql.predicate_tokens import _OPENS
from storage.sql.predicate_words import NOT_ALLOWED
from storage.sql.predicates import check_predicate
from tests.conftest import ROOT
from tests.review_app.said_in_source import Said, reached, said_in, tidy

# Why what a module, or a function of it, says can reach no page, or needs no words of its own.
NOT_ON_A_PAGE = {
    "curation.balance:_problems": "the count of a grade, inside a sentence that is told",
    "curation.prompt_parts": "rows are rendered for export and training, not for a page",
    "review_app.afrel_process": "the sentence of the verb it runs",
    "review_app.review_desk:save_acts": "another error's own sentence",
    "review_app.review_desk:_without_others": "a receipt's own sentence, told already",
    "review_app.server.oidc": "read when the server starts, told in the terminal",
    "review_app.server.running": "the server could not start, told in the terminal",
    "review_app.server.site": "the server could not start, told in the terminal",
    "review_app.snapshot_work:run_apart": "the sentence of the process that does the work",
    "review_app.tier_desk:preview": "the page shows the mistakes and asks for no preview while there are some",
    "storage.grades": "a scale is read by `afrel init`; the pages read it from the store",
    "storage.people.accounts:pins_from_json": "a file of pins is read by `afrel verify --pins`",
    "storage.people.keys:read_password": "asked in the terminal; a page has fields",
    "storage.people.keys:_password_from_file": "asked in the terminal; a page has fields",
    "storage.people.keys:_ask": "asked in the terminal; a page has fields",
    "storage.process.admission": "rows are made by use cases, with every column",
    "storage.process.answering": "reads and their parameters are named by use cases",
    "storage.process.commit": "no page gives a query a split",
    "storage.process.journal": "read when the store opens: the pages are told that it is away",
    "storage.process.migrate": "read when the store opens: the pages are told that it is away",
    "storage.process.opening": "read when the store opens: the pages are told that it is away",
    "storage.process.owner": "no page hands files over or updates runs; replayed when the store opens",
    "storage.process.ownership": "read when the store opens: the pages are told that it is away",
    "storage.process.requests": "requests are made by the store's own client",
    "storage.process.server": "requests are made by the store's own client",
    "storage.safekeeping": "backup, restore and erasure are verbs of the command line",
    "storage.session:require": "a page's person is pinned, or the guard lets nobody in",
    "storage.snapshots.verify:glance_at": "what `_size_problem` returns",
    "storage.snapshots.verify:content_problems": "what `_file_problem` returns",
    "storage.snapshots.verify:_row_problems": "what a file's `problems` returns",
    "storage.snapshots.verify:require_trainable": "no page trains",
    "storage.snapshots.verify:_require_not_revoked": "no page trains",
    "storage.sql.console_child:_answer": "what `explain` returns, or DuckDB's own words",
    "storage.sql.predicate_tokens:refusal": "each of its callers is looked at",
    "storage.sql.saved_queries:find_query": "a page lists saved queries and names none",
    "storage.workspace:find": "a page's workspace is given",
}
# Modules of the room that no page imports: their errors are told in the terminal.
ONLY_TYPED = {"commands", "replay", "serve_command", "terminal"}
FOREIGN = ("duckdb_", "jsonschema_")  # the words of libraries, which no source of ours says
BAD_PREDICATES = [
    "tier = 1; drop table x",
    "split = 'train",
    'split = "',
    "split in ()",
    "split = 'train' and",
    "(n_people > 1",
    "splitt = 'train'",
    "zzzzqqqq = 1",
    "n_people > 1 > 0",
    "n_people is 3",
    "now() > 1",
    "exists (select 1)",
    "split like n_people",
    f"split like '{'%' * 80}'",
    "split like '%a_'",
    "n_people::json = 1",
    "coalesce() = 1",
    "abs(1, 2) = 1",
    "-- nothing",
    "  ",
    "split = 'a' + 1 +",
    "n_people = 12abc",
    f"n_people = {'9' * 40}",
    "n_people = 1\u200b",
    "{'a': 1}",
    "split ~ 'a'",
    "n_people = $1",
    "n_people + 1",
    "x" * 5000,
    "(" * 30 + "1" + ")" * 30,
    "n_people = 1\x01",
    "count(*) over () > 1",
    "/* open",
    "a.b = 1",
    "#1 = 2",
    "n_people ^ 2 = 4",
    "split || 'a' = 'b'",
    "list_filter([1], x -> x > 0)",
]
# three words of English in a row, outside of quotes
ENGLISH = re.compile(r"(?<![`'\"\w])[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}")


def fixed_words() -> dict[str, str]:
    return {tidy("\0".join(template.fixed)): template.key for template in templates()}


def is_listed(said: Said) -> bool:
    rooms = [said.module.rsplit(".", n)[0] for n in range(2)]
    return f"{said.module}:{said.function}" in NOT_ON_A_PAGE or any(room in NOT_ON_A_PAGE for room in rooms)


@pytest.fixture(scope="module")
def said() -> list[Said]:
    return [one for module in reached() for one in said_in(module)]


def test_whatever_can_reach_a_page_has_words_in_both_languages(said: list[Said]) -> None:
    known = fixed_words()
    unknown = [one for one in said if one.sentence not in known and not is_listed(one)]
    assert unknown == [], "give them words in review_app/texts/refused_*.toml, or say above why no page meets them"
    assert len(known.keys() & {one.sentence for one in said}) > 150


def test_no_reason_is_given_for_what_is_not_said_any_more(said: list[Said]) -> None:
    modules = {one.module for one in said}
    places = {f"{one.module}:{one.function}" for one in said} | modules | {m.rsplit(".", 1)[0] for m in modules}
    assert set(NOT_ON_A_PAGE) - places == set()


def test_modules_of_the_room_that_no_page_imports_are_known() -> None:
    names = {file.stem for file in (ROOT / "review_app").glob("*.py") if "UserError(" in file.read_text("utf-8")}
    assert {name for name in names if f"review_app.{name}" not in reached()} <= ONLY_TYPED


def test_no_words_are_kept_for_what_is_not_said_any_more(said: list[Said]) -> None:
    spoken = {one.sentence for one in said} | {*NOT_ALLOWED.values(), *_OPENS.values()}
    spoken |= {act_in_words(act) for act in Act} | {role.value for role in Role} | {"rule", "instruction"}
    spoken |= {tidy("tier \0 (\0): \0"), tidy("there is no column \0 in \0")}
    hints = {f"refused_predicates.{key}" for key in
             ("place", "its_end", "missing", "or_more", "like_limits", "nearest_column", "known_columns", "a_function",
              "no_function")}  # fmt: skip
    left = {key for words, key in fixed_words().items() if words not in spoken and key not in hints}
    assert {key for key in left if not any(of in key for of in FOREIGN)} == {"refused_app.at_place"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_sentence_takes_no_value_that_its_raised_form_lacks(language: str) -> None:
    for template in templates():
        values = {name: f"<{name}>" for name in template.names}
        told = texts(language)[template.key].format(**values)
        assert "{" not in told.replace("{ rare", "").replace("{ train", ""), template.key


@pytest.mark.parametrize("predicate", BAD_PREDICATES)
def test_what_is_wrong_with_a_predicate_is_told_in_chinese(predicate: str) -> None:
    columns = {"split": "VARCHAR", "n_people": "BIGINT"}
    with pytest.raises(UserError) as refused:
        check_predicate(predicate, columns=columns)
    told = in_words("zh", f"tier 2: where: {refused.value}")
    assert told.startswith("tier 2 · where：条件")
    words = told.replace(repr(predicate if len(predicate) <= 120 else f"{predicate[:119]}…"), "")
    assert "; the" not in words and "is missing" not in words and "(line" not in words
    assert ENGLISH.findall(re.sub("可用：.*|U[+].*?）", "", words)) == [], told
    assert in_words("en", str(refused.value)) == str(refused.value)


@pytest.mark.parametrize("act", list(Act))
def test_who_may_not_is_told_by_role_and_act(act: Act) -> None:
    able = [role for role in Role if role is not Role.ADMIN]
    for role in able:
        try:
            require(Pin("ana", role, "0" * 64, "person_ana"), act)
        except UserError as error:
            told = why_not("zh", error)
            assert told.startswith("账户 'ana'（") and not re.search(
                "[A-Za-z]{3,}", told.replace("ana", "").replace("SQL", "")
            )


def test_values_stay_as_they_are() -> None:
    raised = "grade 9 is off the scale [0, 1, 2]. Give one of them: --grade N"
    assert in_words("zh", raised) == "等级 9 不在量表中，可用的是 [0, 1, 2]。"
    assert in_words("en", raised) == "Grade 9 is not on the scale. Give one of [0, 1, 2]."
    raised = "there is no candidate 'reviewer. See {x} \\0 the' any more"
    assert in_words("zh", raised) == "候选 'reviewer. See {x} \\0 the' 已不存在，请继续下一条。"


def test_a_file_with_a_problem_and_several_lines_are_told_one_by_one() -> None:
    assert in_words("zh", "tier_1/train.parquet: this file is missing") == "tier_1/train.parquet：文件缺失"
    mistakes = "afrel.toml has 2 mistake(s); mend them and run the command again:\n  [[tiers]] 1: where is missing\n  x"
    assert (
        in_words("zh", mistakes) == "afrel.toml 中有 2 处错误，请工作区的维护者修正：\n  [[tiers]] 1：缺少 where\n  x"
    )


def test_an_unknown_table_and_column_are_told_with_the_nearest_name() -> None:
    refused = "the query was refused: there is no "
    table = f'{refused}table judgment. Did you mean judgments? Its columns: afrel sql "describe judgments"'
    assert in_words("zh", table) == "查询被拒绝：没有表 judgment。是否指 judgments？查看它的列：describe judgments"
    near = 'Did you mean judgments.grade? All of them: afrel sql "describe judgments"'
    column = f"{refused}column grad in judgments. {near}"
    told = "查询被拒绝：judgments 中没有列 grad。是否指 judgments.grade？查看全部：describe judgments"
    assert in_words("zh", column) == told


@pytest.mark.parametrize(
    "strange",
    ["", " ", "nobody foresaw this", ": : : :" * 20_000, "{0} {name}", "\n" * 500, "查询 🚀 \u202etxt: a: b"],
)
def test_a_sentence_nobody_foresaw_stays_as_it_is(strange: str) -> None:
    assert in_words("zh", strange) == strange


def test_a_store_that_is_away_is_told_as_such_whatever_its_words() -> None:
    assert why_not("zh", UnavailableError("the disk is full")) == texts("zh")["login.store_is_away"]
