"""A rule written anew: what the next version would cover and get right, and the version itself with its votes.

A rule is content and is never edited. The next version names its parent, votes on every pair, and is approved by
whoever wrote it; the old one is rejected with the reason. Both decisions come last, in one commit: a save that is cut
short leaves the old rule in force and a proposed one, whose votes are completed by saving again or approving it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from curation.approvals import Decision, approval_rows, last_decisions
from curation.features import FEATURE_SCHEMA
from curation.rule_votes import cast_votes
from curation.rules import EDITED, Rule, RuleStatistics, make_rule, rule_statistics, vote_matrix
from review_app.long_work import WORK, Work
from review_app.rule_review import RuleLine
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Act, Pin, require
from storage.progress import Watch, unwatched
from storage.runs import start_run
from storage.session import read_scale
from storage.store import Store
from storage.workspace import Workspace

N_DRAWN = 20_000  # pairs a preview looks at: more would not say more, and would take longer than a glance
MOST_CHARACTERS = 2_000  # of a sentence or a reason


@dataclass(frozen=True, slots=True)
class Draft:
    """A next version as it is written."""

    text: str
    condition: str
    grade: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a next version would do beside the version it follows, on the same pairs.

    Coverage is over `n_pairs` pairs and accuracy over `n_judged` settled train and dev pairs: all there are, or a
    fixed draw of them. `held` is the rule that says just this already, None when nobody wrote it before.
    """

    rule: Rule
    before: RuleStatistics
    after: RuleStatistics
    n_gained: int
    n_lost: int
    is_drawn: bool
    held: RuleLine | None


@dataclass(frozen=True, slots=True)
class Saved:
    """A version that votes now, and how many votes of it are new."""

    rule: Rule
    n_votes: int


def preview_version(person: Pin, store: Store, lines: tuple[RuleLine, ...], parent_id: str, draft: Draft) -> Preview:
    """Return what a next version of a rule would do; UserError says what is wrong with its condition, and where."""
    require(person, Act.APPROVE)
    parent = _line_of(lines, parent_id)
    rule = checked(store, parent.rule, draft)
    pairs = store.frame("features_draw", n=N_DRAWN)
    judged = store.frame("judged_features_draw", n=N_DRAWN)
    votes = vote_matrix([parent.rule, rule], pairs.select(list(FEATURE_SCHEMA)))
    on_judged = vote_matrix([parent.rule, rule], judged.select(list(FEATURE_SCHEMA)))
    covers = rule_statistics(votes, None)
    is_right = rule_statistics(on_judged, judged["grade"].to_list())
    before, after = (_joined(covered, accurate) for covered, accurate in zip(covers, is_right, strict=True))
    has_vote = votes >= 0
    return Preview(
        rule,
        before,
        after,
        n_gained=int((has_vote[:, 1] & ~has_vote[:, 0]).sum()),
        n_lost=int((has_vote[:, 0] & ~has_vote[:, 1]).sum()),
        is_drawn=len(pairs) == N_DRAWN or len(judged) == N_DRAWN,
        held=next((line for line in lines if line.rule.rule_id == rule.rule_id), None),
    )


def save_version(
    person: Pin,
    store: Store,
    parent_id: str,
    draft: Draft,
    *,
    reason: str,
    watch: Watch = unwatched,
) -> Saved:
    """Save a rule's next version, cast its votes on every pair, approve it and reject the old one, with the reason.

    Saved twice, the second time adds nothing. `watch` is told of how many pairs it has voted on.
    """
    require(person, Act.APPROVE)
    reason = " ".join(reason.split())
    if not reason or len(reason) > MOST_CHARACTERS:
        raise UserError(f"a next version needs a reason of 1 to {MOST_CHARACTERS} characters: say why the old one goes")
    lines = {row["rule_id"]: row for row in store.read("rule_standing").to_pylist()}
    if parent_id not in lines:
        raise UserError(f"there is no rule {parent_id!r}. See what there is: afrel approve --list")
    row = lines[parent_id]
    parent = Rule(row["rule_id"], row["text"], row["condition"], row["grade"])
    rule = checked(store, parent, draft)
    statuses = {rule_id: one["status"] for rule_id, one in lines.items()}
    if statuses.get(rule.rule_id) == "approved" and statuses[parent_id] == "rejected":
        return Saved(rule, 0)
    config = {"kind": "rule", "decision": "edit", "parent_id": parent_id, "rule_id": rule.rule_id}
    with start_run(store, verb="approve", config=config, account=person.account) as run:
        stamp = {"run_id": run.run_id, "created_at": now()}
        said = {"rule_id": rule.rule_id, "text": rule.text, "condition": rule.condition, "grade": rule.grade}
        n_new = store.append({"rules": [{**said, "parent_id": parent_id, "origin": EDITED, **stamp}]}).get("rules", 0)
        n_votes = cast_votes(store, rule, run.run_id, watch)
        decided = last_decisions(store, "rule")
        approve = Decision("rule", "approve", person.account, reason)
        reject = Decision("rule", "reject", person.account, f"superseded by {rule.rule_id}: {reason}")
        to_approve = [rule.rule_id] if statuses.get(rule.rule_id) != "approved" else []
        to_reject = [parent_id] if statuses[parent_id] != "rejected" else []
        rows = approval_rows(to_approve, approve, before=decided, run_id=run.run_id)
        rows += approval_rows(to_reject, reject, before=decided, run_id=run.run_id)
        n_decided = store.append({"approvals": rows}).get("approvals", 0)
        run.counts.update(rules=n_new, approvals=n_decided, new_votes=n_votes)
    return Saved(rule, n_votes)


def begin_version(person: Pin, workspace: Workspace, store: Store, parent: Rule, draft: Draft, *, reason: str) -> Work:
    """Begin to save a next version beside the page: leaving it does not cut the save short."""
    require(person, Act.APPROVE)
    checked(store, parent, draft)

    def save(watch: Watch, _stop: threading.Event) -> Saved:
        return save_version(person, store, parent.rule_id, draft, reason=reason, watch=watch)

    return WORK.begin(_key(person, workspace, parent.rule_id), person.account, save)


def version_work(person: Pin, workspace: Workspace, parent_id: str) -> Work | None:
    """Return the save of a person's next version of a rule, under way or over."""
    require(person, Act.APPROVE)
    return WORK.find(_key(person, workspace, parent_id))


def forget_work(person: Pin, workspace: Workspace, parent_id: str) -> None:
    """Forget what came of a save that is over."""
    WORK.put_away(_key(person, workspace, parent_id))


def _key(person: Pin, workspace: Workspace, parent_id: str) -> tuple[object, ...]:
    return ("version", workspace.root, parent_id, person.account)


def checked(store: Store, parent: Rule, draft: Draft) -> Rule:
    """Return a next version as a rule; UserError where it is none, or says what its parent says."""
    scale = read_scale(store)
    if draft.grade not in scale:
        raise UserError(f"grade {draft.grade} is off the scale {list(scale.values)}. Vote one of them")
    if len(draft.text) > MOST_CHARACTERS:
        raise UserError(f"the rule's sentence has {len(draft.text)} characters; at most {MOST_CHARACTERS} are taken")
    rule = make_rule(draft.text, draft.condition, draft.grade)
    if rule.rule_id == parent.rule_id:
        raise UserError("nothing is changed: this is the rule as it stands. Change its sentence, condition or grade")
    return rule


def _joined(covered: RuleStatistics, judged: RuleStatistics) -> RuleStatistics:
    """Return one rule's statistics: coverage over the pairs drawn, accuracy over the judged ones drawn."""
    return RuleStatistics(
        n_pairs=covered.n_pairs,
        n_votes=covered.n_votes,
        coverage_rate=covered.coverage_rate,
        overlap_rate=None,  # beside the rest of the book: counted once the version votes
        conflict_rate=None,
        n_judged=judged.n_judged,
        accuracy=judged.accuracy,
        accuracy_interval=judged.accuracy_interval,
    )


def _line_of(lines: tuple[RuleLine, ...], rule_id: str) -> RuleLine:
    for line in lines:
        if line.rule.rule_id == rule_id:
            return line
    raise UserError(f"there is no rule {rule_id!r}. See what there is: afrel approve --list")
