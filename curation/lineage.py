"""Where a candidate, judgment or prediction comes from: the chain back to source, rules, people, snapshot and run.

`why` gives a list of links, each one plain sentence with the ids it names, in the order things happened; what it all
took, in money and time, comes last. A prediction is told with the training rows most like its pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curation.completion import steps_from_json
from curation.nearest_rows import NearRow, nearest_rows
from storage.errors import UserError
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain: what kind of thing, its id, what happened."""

    kind: str
    link_id: str
    text: str

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


# The read that finds the pair of an id, by how the id begins; an act's `a_` and a pair's `p_` are told apart by it too.
_PAIR_READS = {
    "c": "why_candidate",
    "j": "why_judgment",
    "pr": "why_prediction",
    "a": "why_response",
    "s": "why_screening",
    "p": "why_pair",
}


@dataclass(slots=True)
class _Spent:
    """What the links of a chain took, as far as it is known."""

    n_calls: int = 0
    n_priced: int = 0
    n_tokens: int = 0
    cost: float = 0.0
    call_seconds: float = 0.0
    n_answers: int = 0
    people_seconds: float = 0.0

    def told(self) -> str:
        priced = (
            f"cost {self.cost:.6g}" if self.n_priced == self.n_calls else f"{self.n_calls - self.n_priced} unpriced"
        )
        calls = f"{_counted(self.n_calls, 'model call')}: {self.n_tokens:,} tokens, {self.call_seconds:.1f} s, {priced}"
        people = f"{_counted(self.n_answers, 'answer')}: {self.people_seconds:.0f} s of looking"
        return "; ".join([calls] * bool(self.n_calls) + [people] * bool(self.n_answers)) or "no call, no answer"


def why(store: Store, asked_id: str) -> list[Link]:
    """Return the chain of a candidate, judgment, prediction, answer, screening or pair.

    UserError for an id the store does not hold.
    """
    pair_id = _pair_of(store, asked_id)
    spent = _Spent()
    (pair,) = store.read("why_pair", id=pair_id).to_pylist()
    links = _source_links(store, pair)
    links += _candidate_links(store, pair_id, spent)
    links += _review_links(store, pair_id, spent)
    members = store.read("why_members", id=pair_id).to_pylist()
    links += _snapshot_links(members)
    links += _prediction_links(store, pair, snapshot_ids=[row["snapshot_id"] for row in members], asked_id=asked_id)
    return [*links, Link("spent", pair_id, spent.told())]


def _pair_of(store: Store, asked_id: str) -> str:
    """Return the pair an id belongs to."""
    named = _PAIR_READS.get(asked_id.partition("_")[0])
    for name in [named] if named else _PAIR_READS.values():
        found = store.read(name, id=asked_id).to_pylist()
        if found:
            return str(found[0]["pair_id"])
    raise UserError(
        f"the store holds no candidate, judgment, prediction, answer, screening or pair {asked_id!r}. "
        'Find one: afrel sql "select candidate_id from candidates limit 5"'
    )


def _source_links(store: Store, pair: Mapping[str, Any]) -> list[Link]:
    pair_id = pair["pair_id"]
    links = []
    for mutation in store.read("why_mutation", id=pair_id).to_pylist():
        (parent,) = store.read("why_pair", id=mutation["parent_pair_id"]).to_pylist()
        links += _source_links(store, parent)
        verdict = {True: "confirmed", False: "not confirmed", None: "not checked"}[mutation["is_confirmed"]]
        aim = mutation["effect"] + ("" if mutation["effect_grade"] is None else f" to {mutation['effect_grade']}")
        by = f" by {mutation['verifier']} ({mutation['reason']})" if mutation["verifier"] else ""
        links.append(
            Link(
                "mutation",
                mutation["pair_mutation_id"],
                f"{mutation['operator']} by {mutation['proposer']} on {mutation['parent_pair_id']}: "
                f"{mutation['change']}; declared effect: {aim}; {verdict}{by}; {mutation['run_id']}",
            )
        )
    names = "; ".join(f"{x['kind']} {x['external_id']} of {x['source']}" for x in pair["external_ids"] or [])
    links.append(
        Link(
            "pair",
            pair_id,
            f"{pair['query']!r} with {pair['title']!r}, {pair['split']}, from {pair['origin']} "
            f"{pair['source']}{f' ({names})' if names else ''}, {pair['run_id']}",
        )
    )
    return links


def _candidate_links(store: Store, pair_id: str, spent: _Spent) -> list[Link]:
    links = []
    for row in store.read("why_candidates", id=pair_id).to_pylist():
        confidence = "" if row["confidence"] is None else f" (confidence {row['confidence']:.2f})"
        under = f" under instruction {row['instruction_id']}" if row["instruction_id"] else ""
        links.append(
            Link(
                "candidate",
                row["candidate_id"],
                f"grade {row['grade']}{confidence} proposed by {row['proposer']}{under}, {row['run_id']}",
            )
        )
        if row["instruction_id"]:
            found = store.read("why_instruction", id=row["instruction_id"]).to_pylist()
            links += [Link("instruction", row["instruction_id"], _instruction_text(one)) for one in found]
        links += _call_links(store, row["llm_call_id"], spent)
        links += _rule_links(store, row["rule_ids"])
        for screening in store.read("why_screenings", id=row["candidate_id"]).to_pylist():
            verdict = "flagged by" if screening["is_passed"] else "set aside by"
            passed = "passed every screen" if screening["screen"] == "all" else f"{verdict} {screening['screen']}"
            matched = f", matched {screening['matched_id']}" if screening["matched_id"] else ""
            text = f"{passed}: {screening['reason']}{matched}, {screening['run_id']}"
            links.append(Link("screening", screening["screening_id"], text))
        links += _verdict_links(store, row, spent)
    return links


def _verdict_links(store: Store, candidate: Mapping[str, Any], spent: _Spent) -> list[Link]:
    """Return what judges found of each step of a candidate's rationale, and the calls they said it in."""
    rows = store.read("why_step_verdicts", id=candidate["candidate_id"]).to_pylist()
    labels = dict(enumerate((step.label for step in steps_from_json(candidate["steps"])), 1)) if rows else {}
    links = [Link("verdict", row["step_verdict_id"], _verdict_text(row, labels.get(row["step"], ""))) for row in rows]
    calls = dict.fromkeys(row["llm_call_id"] for row in rows if row["llm_call_id"])
    return [*links, *(link for call in calls for link in _call_links(store, call, spent))]


def _verdict_text(row: Mapping[str, Any], label: str) -> str:
    error = f" ({row['error_type']})" if row["verdict"] < 0 and row["error_type"] else ""
    said = f": {row['explanation']}" if row["explanation"] else ""
    against = f" against {row['reference']}" if row["reference"] else ""
    card = "has no card" if row["is_passed"] is None else "has a card that passes"
    if row["is_passed"] is False:
        card = f"has a card that fails: {', '.join(row['failed'])}"
    return (
        f"step {row['step']}{f' {label}' if label else ''} {'right' if row['verdict'] > 0 else 'wrong'}{error}{said}; "
        f"by {row['verifier']}{against}, who {card}, {row['run_id']}"
    )


def _rule_links(store: Store, rule_ids: Sequence[str]) -> list[Link]:
    if not rule_ids:
        return []
    rules = {row["rule_id"]: row for row in store.read("why_rules", ids=list(rule_ids)).to_pylist()}
    return [Link("rule", one, _rule_text(rules[one])) for one in rule_ids if one in rules]


def _call_links(store: Store, llm_call_id: str | None, spent: _Spent) -> list[Link]:
    if llm_call_id is None:
        return []
    links = []
    for row in store.read("why_call", id=llm_call_id).to_pylist():
        spent.n_calls += 1
        spent.n_priced += row["cost"] is not None
        spent.n_tokens += row["n_tokens"] or 0
        spent.cost += row["cost"] or 0.0
        spent.call_seconds += row["seconds"] or 0.0
        took = "" if row["seconds"] is None else f", {row['seconds']:.1f} s"
        tokens = "" if row["n_tokens"] is None else f", {row['n_tokens']:,} tokens"
        cost = "" if row["cost"] is None else f", cost {row['cost']:.6g}"
        text = (
            f"{row['provider']} {row['model']} ({row['operator']}, prompt {row['template_digest'][:12]}), "
            f"{row['failure'] or 'answered'}{took}{tokens}{cost}"
        )
        links.append(Link("call", row["llm_call_id"], text))
    return links


def _instruction_text(row: dict[str, Any]) -> str:
    after = f" after {row['parent_id']}" if row["parent_id"] else ""
    return f"generation {row['generation']} by {row['operator']}{after}, {row['run_id']}"


def _rule_text(row: dict[str, Any]) -> str:
    return f"votes {row['grade']}, {row['status']}: {row['text']} [{row['condition']}], {row['run_id']}"


def _review_links(store: Store, pair_id: str, spent: _Spent) -> list[Link]:
    links = []
    for row in store.read("why_responses", id=pair_id).to_pylist():
        grade = "" if row["grade"] is None else f" grade {row['grade']}"
        is_answer = row["act"] not in ("withdrawn", "later")
        spent.n_answers += is_answer
        spent.people_seconds += row["seconds"] or 0.0
        standing = ", no longer stands" if is_answer and not row["is_standing"] else ""
        replayed = ", replayed" if row["is_replayed"] else ""
        links.append(
            Link(
                "response",
                row["response_id"],
                f"{row['pseudonym']} {row['act']}{grade} on {row['candidate_id']}{replayed}{standing}, "
                f"{row['created_at']:%Y-%m-%d %H:%M}",
            )
        )
    for row in store.read("why_send_backs", id=pair_id).to_pylist():
        reason = "for a reason not shown, of a test pair" if row["reason"] is None else row["reason"]
        back = f"{row['pseudonym']} sent {_counted(row['n_sent_back'], 'answer')} back"
        text = f"{back} and asks for {row['n_required']}: {reason}, {row['created_at']:%Y-%m-%d %H:%M}"
        links.append(Link("send_back", row["send_back_id"], text))
    for row in store.read("why_judgments", id=pair_id).to_pylist():
        grade = "a test grade, not shown" if row["grade"] is None else f"grade {row['grade']}"
        by = f" by {row['pseudonym']}" if row["pseudonym"] else ""
        current = "" if row["is_current"] else ", no longer current"
        text = f"{grade}, {row['origin']}{by}{', replayed' if row['is_replayed'] else ''}{current}, {row['run_id']}"
        links.append(Link("judgment", row["judgment_id"], text))
    return links


def _snapshot_links(members: Sequence[Mapping[str, Any]]) -> list[Link]:
    links = []
    for row in members:
        signed = f"signed by {', '.join(row['signed_by'])}" if row["signed_by"] else "not signed"
        revoked = ", revoked" if row["is_revoked"] else ""
        text = f"{row['tier_told']}, {signed}{revoked}"
        links.append(Link("snapshot", row["snapshot_id"], text))
    return links


def _prediction_links(
    store: Store, pair: Mapping[str, Any], *, snapshot_ids: Sequence[str], asked_id: str
) -> list[Link]:
    """Return what was trained on the pair's snapshots or says something of the pair, and what it says.

    The training rows most like the pair are those of the prediction that was asked for, else of the last one.
    """
    predictions = store.read("why_predictions", id=pair["pair_id"]).to_pylist()
    runs = store.read(
        "why_training_runs", ids=sorted({row["train_run_id"] for row in predictions}), snapshot_ids=list(snapshot_ids)
    ).to_pylist()
    links = [Link("run", run["run_id"], _run_text(run)) for run in runs]
    for row in predictions:
        told = [round(p, 3) for p in row["probabilities"]]
        text = f"grade {row['grade']} with probabilities {told} by {row['train_run_id']}, {row['run_id']}"
        links.append(Link("prediction", row["prediction_id"], text))
    if predictions:
        asked = [row for row in predictions if row["prediction_id"] == asked_id] or predictions[-1:]
        trained = [run for run in runs if run["run_id"] == asked[0]["train_run_id"]]
        links += [link for run in trained for link in _near_links(store, pair, run)]
    return links


def _run_text(run: Mapping[str, Any]) -> str:
    took = "" if run["finished_at"] is None else f" in {(run['finished_at'] - run['started_at']).total_seconds():.0f} s"
    return (
        f"trained on {run['snapshot_id']} with code {run['code_version']}: {run['status']}{took}, "
        f"{run['started_at']:%Y-%m-%d %H:%M}"
    )


def _near_links(store: Store, pair: Mapping[str, Any], run: Mapping[str, Any]) -> list[Link]:
    """Return the rows a run was trained on that are most like a pair, and the rules they cite, each once."""
    near = nearest_rows(
        store,
        query=pair["query"],
        title=pair["title"],
        body=pair["body"],
        snapshot_id=run["snapshot_id"],
        tiers=run["tiers"],
        besides=pair["pair_id"],
    )
    cited = list(dict.fromkeys(rule_id for row in near for rule_id in row.rule_ids))
    return [*(Link("near", row.pair_id, _near_text(row)) for row in near), *_rule_links(store, cited)]


def _near_text(row: NearRow) -> str:
    cites = f", cites {', '.join(row.rule_ids)}" if row.rule_ids else ""
    return f"{row.likeness:.2f} alike: {row.query!r} with {row.title!r}, tier {row.tier}, grade {row.grade}{cites}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
