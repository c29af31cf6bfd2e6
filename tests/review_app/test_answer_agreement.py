"""Agreement counted from patterns of answers: what it is over single answers, and who is counted where."""

from __future__ import annotations

from datetime import timedelta

from curation.agreement import krippendorff_alpha
from curation.intervals import wilson
from review_app.answer_agreement import count_agreement
from review_app.decisions import Response, ResponseAct, Turn, cannot_tell, discard, save, submit
from storage.clock import now
from storage.grades import Scale
from storage.store import Store
from tests.review_app.review_rows import STAMP, add_pair, pair_id_of

SCALE = Scale((0, 1, 2, 3), ("irrelevant", "partly", "substantially", "fully"))
GIVEN = {1: [2, 2], 2: [1, 3], 3: [0, 0, 1], 4: [3]}


def fill(store: Store) -> None:
    """Pairs 1 to 4 with the grades above; on 5 one of two could not tell, on 6 both discarded."""
    store.append(
        {
            "grades": [
                {"grade_id": f"g_{grade}", "grade": grade, "name": SCALE.name(grade), "created_at": now()}
                for grade in SCALE.values
            ]
        }
    )
    for n in range(1, 7):
        add_pair(store, n)
    turns = {n: [Turn(f"c_{n}", pair_id_of(n), account, "s", n) for account in ("ana", "bo", "chen")] for n in (5, 6)}
    acts = [
        submit(Turn(f"c_{n}", pair_id_of(n), account, "s", n), grade)
        for n, grades in GIVEN.items()
        for account, grade in zip(("ana", "bo", "chen"), grades, strict=False)
    ]
    acts += [submit(turns[5][0], 2), cannot_tell(turns[5][1]), discard(turns[6][0], "twice"), discard(turns[6][1], "x")]
    save(store, acts, proposals={f"c_{n}": (2, "[]") for n in range(1, 7)})


def test_alpha_is_that_of_the_answers_one_by_one(store: Store) -> None:
    fill(store)
    overall = count_agreement(store).overall
    assert overall.alpha == krippendorff_alpha(GIVEN.values(), scale=SCALE)
    assert overall.alpha.n == 3


def test_an_answer_without_a_grade_is_of_another_mind_than_any(store: Store) -> None:
    fill(store)
    overall = count_agreement(store).overall
    # two or more answered pairs 1, 2, 3, 5 and 6; only on 1 they are of one mind
    assert (overall.n_pairs, overall.n_disputed, overall.disputed_rate) == (5, 4, 4 / 5)
    assert overall.disputed_interval == wilson(4, 5)


def vote(store: Store, rule_id: str, *pairs: int, approved: bool = True) -> None:
    rule = {"rule_id": rule_id, "text": f"says {rule_id}", "condition": "true", "grade": 1, "origin": "mined", **STAMP}
    votes = [
        {"rule_vote_id": f"v_{rule_id}_{n}", "rule_id": rule_id, "pair_id": pair_id_of(n), "grade": 1, **STAMP}
        for n in pairs
    ]
    approval = {"approval_id": f"a_{rule_id}", "kind": "rule", "content_id": rule_id, "decision": "approve"}
    said = {"account": "dora", "sequence": 1, "created_at": now()}
    store.append({"rules": [rule], "rule_votes": votes, "approvals": [{**approval, **said}] if approved else []})


def test_rules_people_surely_disagree_on_come_first_and_only_approved_ones_are_told(store: Store) -> None:
    fill(store)
    vote(store, "r_one", 1)
    vote(store, "r_disputed", 2, 3, 5, 6)
    vote(store, "r_alone", 4)  # one answer is no agreement
    vote(store, "r_proposed", 2, approved=False)
    found = count_agreement(store)
    assert [(rule.rule_id, rule.agreed.n_pairs, rule.agreed.n_disputed) for rule in found.rules] == [
        ("r_disputed", 4, 4),
        ("r_one", 1, 0),
    ]
    assert found.n_rules == 2
    assert found.rules[0].text == "says r_disputed"


def test_the_blind_audit_is_counted_by_itself(store: Store) -> None:
    cause = {"review_cause_id": "rc_1", "cause": "blind_audit", "predicate": "confidence > 0.95", "n_required": 2}
    store.append({"review_causes": [{**cause, "created_at": now()}]})
    fill(store)
    add_pair(store, 7, confidence=0.99)
    answers = [submit(Turn("c_7", pair_id_of(7), account, "s", 7), 1) for account in ("ana", "bo")]
    save(store, answers, proposals={"c_7": (2, "[]")})
    found = count_agreement(store)
    assert (found.audit.n_pairs, found.audit.n_disputed, found.overall.n_pairs) == (1, 0, 6)


def test_an_audit_counts_what_people_said_before_they_saw_the_suggestion(store: Store) -> None:
    cause = {"review_cause_id": "rc_1", "cause": "blind_audit", "predicate": "true", "n_required": 2}
    store.append({"review_causes": [{**cause, "created_at": now()}]})
    fill(store)
    at = now()

    def earlier(account: str) -> Turn:
        return Turn("c_1", pair_id_of(1), account, "earlier", 1, acted_at=at - timedelta(hours=1))

    # before the answers of `fill`, which agree on pair 1: ana had said something else first, bo had put it off
    before = [submit(earlier("ana"), 0), Response(earlier("bo"), ResponseAct.LATER)]
    save(store, before, proposals={"c_1": (2, "[]")})
    assert [2, 2] in store.read("answer_patterns")["grades"].to_pylist()
    audited = store.read("audit_patterns")["grades"].to_pylist()
    assert [0, 2] in audited and [2, 2] not in audited
    found = count_agreement(store)
    assert found.audit.n_disputed == found.overall.n_disputed + 1


def test_nothing_answered_twice_is_no_agreement_at_all(store: Store) -> None:
    store.append({"grades": [{"grade_id": "g_0", "grade": 0, "name": "bad", "created_at": now()}]})
    found = count_agreement(store)
    assert (found.overall.n_pairs, found.overall.disputed_rate, found.overall.alpha.coefficient) == (0, None, None)
