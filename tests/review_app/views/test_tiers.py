"""The page of tiers and snapshots as each role sees it and as it is used."""

from __future__ import annotations

import json

import pytest

from review_app import snapshot_desk
from review_app.long_work import WORK
from storage.clock import now
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import stop_store_process
from tests.review_app.tier_shop import PASSWORD, Shop
from tests.review_app.views.drawn import button, drawn, field, source, words

SAVE, DISCARD = "Save tiers", "Discard changes"


@pytest.fixture
def counted(shop: Shop) -> Shop:
    """The shop with its tiers counted, which the first look begins."""
    drawn(shop, "tiers", "cleo")
    work = WORK.find(("count", shop.workspace.root))
    assert work is not None and work.wait(60) and work.refused is None
    return shop


def rows(app: object, place: int = 0) -> list[list[object]]:
    return [list(row) for row in app.dataframe[place].value.itertuples(index=False)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_curator_sees_what_each_tier_holds(counted: Shop, language: str) -> None:
    app = drawn(counted, "tiers", "cleo", language)
    assert not app.exception
    assert [row[:3] for row in rows(app)] == [["1 clear", 10, 3], ["2 ruled", 0, 0], ["3 hard", 2, 1]]
    assert len(rows(app)[0]) == 6  # no column of test rows


def test_who_adjudicates_sees_test_rows_by_tier_and_edits_nothing(counted: Shop) -> None:
    app = drawn(counted, "tiers", "dora")
    assert [row[3] for row in rows(app)] == [3, 0, 1]
    assert not app.text_area and SAVE not in [one.label for one in app.button]


def test_an_engineer_tries_predicates_and_cannot_save_them(counted: Shop) -> None:
    app = drawn(counted, "tiers", "eli")
    field(app, "Predicate of clear", "text_area").set_value("origin = 'import'").run()
    assert rows(app)[0][:5] == ["1 clear", 6, 2, 0, 5]
    assert SAVE not in [one.label for one in app.button]


def test_a_changed_predicate_is_tried_saved_and_then_is_what_the_page_starts_from(counted: Shop) -> None:
    app = drawn(counted, "tiers", "cleo")
    assert button(app, SAVE).disabled
    field(app, "Predicate of clear", "text_area").set_value("origin = 'import'").run()
    assert [row[:5] for row in rows(app)] == [["1 clear", 6, 2, 0, 5], ["2 ruled", 0, 0, 0, 0], ["3 hard", 2, 1, 0, 0]]
    assert rows(app, 1) == [["1", "none", 5]]
    button(app, SAVE).click().run()
    assert not app.exception and "saved in afrel.toml" in words(app)
    assert "where = \"origin = 'import'\"" in (counted.workspace.root / "afrel.toml").read_text()
    again = drawn(counted, "tiers", "cleo")
    assert field(again, "Predicate of clear", "text_area").value == "origin = 'import'"


def test_a_wrong_predicate_names_the_nearest_column_and_leaves_the_saved_figures(counted: Shop) -> None:
    app = drawn(counted, "tiers", "cleo")
    field(app, "Predicate of hard", "text_area").set_value("is_revize").run()
    assert "is_revised" in words(app)
    assert [row[:3] for row in rows(app)] == [["1 clear", 10, 3], ["2 ruled", 0, 0], ["3 hard", 2, 1]]
    assert button(app, SAVE).disabled
    button(app, DISCARD).click().run()
    assert field(app, "Predicate of hard", "text_area").value.startswith("is_revised or")


def test_a_tier_is_added_and_dropped_before_anything_is_saved(counted: Shop) -> None:
    app = drawn(counted, "tiers", "cleo")
    button(app, "Add a tier").click().run()
    assert [row[0] for row in rows(app)] == ["1 clear", "2 ruled", "3 hard", "4 tier_4"]
    field(app, "Predicate of tier\\_4", "text_area").set_value("origin = 'adjudicated'").run()
    assert [row[:3] for row in rows(app)][2:] == [["3 hard", 0, 0], ["4 tier_4", 2, 1]]
    [one for one in app.button if one.label == "Drop"][3].click().run()
    assert [row[0] for row in rows(app)] == ["1 clear", "2 ruled", "3 hard"]


def test_an_audit_is_drawn_marked_and_taken_up_again(counted: Shop, served_store: Store) -> None:
    app = drawn(counted, "tiers", "dora")
    app.segmented_control[0].set_value("audit").run()
    app.selectbox[0].set_value(3)
    button(app, "Draw 20 rows").click().run()
    assert not app.exception
    assert "3 rows drawn of 3" in words(app)
    for label in ("Right", "Wrong", "Right"):
        button(app, label).click().run()
    assert "2 of 3 are right: 67%" in words(app)
    assert served_store.read("audits").column("n_right").to_pylist() == [2]

    later = drawn(counted, "tiers", "dora")
    later.segmented_control[0].set_value("audit").run()
    button(later, "Open").click().run()
    assert "2 of 3 are right: 67%" in words(later)


def test_texts_of_rows_are_shown_and_never_read_as_markdown(counted: Shop, served_store: Store) -> None:
    """The query of a row is an image of a page elsewhere; it must not be asked for."""
    at = served_store.read("accounts").column("created_at").to_pylist()[0]
    evil = "![x](https://evil.example/a.png) <b>bold</b> $x$ :red[y]"
    stamp = {"run_id": "run_1", "created_at": at}
    whole = {"source": "s", "split": "train", **stamp}
    served_store.append(
        {
            "queries": [{"query_id": "q_x", "text": evil, "root_query_id": "q_x", **whole}],
            "docs": [{"doc_id": "d_x", "title": evil, "body": evil, "fields": "{}", "source": "s", **stamp}],
            "pairs": [{"pair_id": "p_x", "query_id": "q_x", "doc_id": "d_x", "origin": "import", **whole}],
            "judgments": [
                {"judgment_id": "j_x", "pair_id": "p_x", "grade": 1, "origin": "adjudicated", "response_ids": [],
                 "steps": json.dumps([["verdict", evil]]), "is_replayed": False, **stamp}
            ],
        }
    )  # fmt: skip
    app = drawn(counted, "tiers", "cleo")
    button(app, "Count again").click().run()
    work = WORK.find(("count", counted.workspace.root))
    assert work is not None and work.wait(60)
    app.run()
    app.segmented_control[0].set_value("audit").run()
    app.selectbox[0].set_value(3)
    button(app, "Draw 20 rows").click().run()
    seen = ""
    for _ in range(4):
        seen += source(app)
        button(app, "On").click().run()
    assert "evil" in seen
    marked = "\n".join(line for line in seen.splitlines() if line != evil)  # st.text shows the body as it is
    assert "![" not in marked and "](" not in marked and "<b>" not in marked and "https://" not in marked


def test_a_snapshot_is_cut_and_signed_from_the_page(counted: Shop, served_store: Store) -> None:
    app = drawn(counted, "tiers", "cleo")
    app.segmented_control[0].set_value("snapshots").run()
    assert "There is no snapshot yet" in words(app)
    assert "tier 1 clear: 10 train and 3 dev rows" in words(app)
    field(app, "Password of cleo").set_value("not it")
    button(app, "Cut").click().run()
    assert "not the password of cleo" in words(app)
    field(app, "Password of cleo").set_value(PASSWORD)
    button(app, "Cut").click().run()
    work = WORK.find(("cut", counted.workspace.root))
    assert work is not None and work.wait(120)
    app.run()
    assert "is cut: 20 rows" in words(app)
    assert not app.exception

    signer = drawn(counted, "tiers", "dora")
    signer.segmented_control[0].set_value("snapshots").run()
    assert "tiers 1, 3, rows 20" in words(signer)
    field(signer, "Password of dora").set_value(PASSWORD)
    button(signer, "Sign").click().run()
    snapshot_id = served_store.read("snapshots").column("snapshot_id").to_pylist()[0]
    work = WORK.find(("sign", counted.workspace.root, snapshot_id))
    assert work is not None and work.wait(120)
    signer.run()
    assert "Signed: tiers 1, 3." in words(signer)
    assert served_store.read("signatures").num_rows == 2


def test_two_snapshots_are_compared_on_the_page_and_test_rows_are_only_counted(
    counted: Shop, served_store: Store
) -> None:
    """The second snapshot lacks the adjudicated: two train rows, one dev row and one test row."""
    root = counted.workspace.root
    for where in ("true", "origin <> 'adjudicated'"):
        (root / "afrel.toml").write_text(f"[[tiers]]\ntier = 1\nname = 'all'\nwhere = \"{where}\"\n")
        begun = snapshot_desk.begin_cut(counted.people["cleo"], Workspace.open(root), PASSWORD)
        assert begun.wait(120) and begun.refused is None
    assert served_store.read("snapshots").num_rows == 2
    app = drawn(counted, "tiers", "cleo")
    app.segmented_control[0].set_value("snapshots").run()
    button(app, "Compare").click().run()
    work = snapshot_desk.compare_work(counted.people["cleo"], root)
    assert work is not None and work.wait(120)
    app.run()
    assert not app.exception
    assert "How test rows changed is not shown" in words(app)
    (table,) = [one.value for one in app.dataframe if one.value.iloc[:, 0].to_list() == ["train", "dev", "test"]]
    before, gone = table.iloc[:, 1], table.iloc[:, 5]
    assert before.to_list() == [12, 4, 4] and gone.to_list()[:2] == [2, 1]
    assert gone.isna().to_list() == [False, False, True]


def test_tiers_that_balance_say_that_their_counts_are_from_before(counted: Shop) -> None:
    toml = "[[tiers]]\ntier = 1\nname = 'all'\nwhere = 'true'\nbalance = 'grade'\n"
    (counted.workspace.root / "afrel.toml").write_text(toml)
    for account in ("cleo", "dora"):
        assert "as afrel.toml says: 1 all" in words(drawn(counted, "tiers", account))


def test_a_reviewer_is_told_who_may_look(counted: Shop) -> None:
    app = drawn(counted, "tiers", "ana")
    assert "may not run SQL" in words(app)
    assert not app.dataframe and not app.button


def test_an_empty_workspace_says_what_will_be_here(shop: Shop) -> None:
    root = shop.workspace.root.parent / "empty"
    root.mkdir()
    (root / "afrel.toml").write_text("")
    people = [
        {"account_event_id": name, "account": name, "role": pin.role.value, "public_key": pin.public_key,
         "pseudonym": pin.pseudonym, "created_at": now()}
        for name, pin in shop.people.items()
    ]  # fmt: skip
    grades = [{"grade_id": f"g_{n}", "grade": n, "name": name, "created_at": now()} for n, name in enumerate("ab")]
    with Store.embedded(root) as store:
        store.append({"grades": grades, "accounts": people})
    try:
        app = drawn(Shop(Workspace.open(root), shop.people), "tiers", "cleo")
        assert not app.exception
        assert "No pair is settled yet" in words(app)
        app.segmented_control[0].set_value("snapshots").run()
        assert "There is no snapshot yet" in words(app)
    finally:
        stop_store_process(root)
