"""Where a candidate, judgment or prediction comes from: the chain back to source, rules, people, snapshot and run.

`why` gives a list of links, each one plain sentence with the ids it names, in the order things happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

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


def why(store: Store, asked_id: str) -> list[Link]:
    """Return the chain of a candidate, judgment, prediction or pair; UserError for an id the store does not hold."""
    pair_id = _pair_of(store, asked_id)
    links = _source_links(store, pair_id)
    links += _candidate_links(store, pair_id)
    links += _review_links(store, pair_id)
    members = store.read("why_members", id=pair_id).to_pylist()
    links += _snapshot_links(members)
    return links + _prediction_links(store, pair_id, snapshot_ids=[row["snapshot_id"] for row in members])


def _pair_of(store: Store, asked_id: str) -> str:
    """Return the pair an id belongs to."""
    for name in ("why_candidate", "why_judgment", "why_prediction"):
        found = store.read(name, id=asked_id).to_pylist()
        if found:
            return str(found[0]["pair_id"])
    if store.read("why_pair", id=asked_id).num_rows:
        return asked_id
    raise UserError(
        f"the store holds no candidate, judgment, prediction or pair {asked_id!r}. "
        'Find one: afrel sql "select candidate_id from candidates limit 5"'
    )


def _source_links(store: Store, pair_id: str) -> list[Link]:
    (pair,) = store.read("why_pair", id=pair_id).to_pylist()
    links = []
    for mutation in store.read("why_mutation", id=pair_id).to_pylist():
        links += _source_links(store, mutation["parent_pair_id"])
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


def _candidate_links(store: Store, pair_id: str) -> list[Link]:
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
        links += _linked(store, "call", "why_call", [row["llm_call_id"]] if row["llm_call_id"] else [], _call_text)
        links += _linked(store, "rule", "why_rule", row["rule_ids"], _rule_text)
        for screening in store.read("why_screenings", id=row["candidate_id"]).to_pylist():
            passed = "passed every screen" if screening["is_passed"] else f"set aside by {screening['screen']}"
            matched = f", matched {screening['matched_id']}" if screening["matched_id"] else ""
            text = f"{passed}: {screening['reason']}{matched}, {screening['run_id']}"
            links.append(Link("screening", screening["screening_id"], text))
    return links


def _linked(store: Store, kind: str, read: str, ids: list[str], text: Callable[[dict[str, Any]], str]) -> list[Link]:
    return [Link(kind, one, text(row)) for one in ids for row in store.read(read, id=one).to_pylist()]


def _call_text(row: dict[str, Any]) -> str:
    return f"{row['provider']} {row['model']} ({row['operator']}), {row['failure'] or 'answered'}"


def _rule_text(row: dict[str, Any]) -> str:
    return f"votes {row['grade']}, {row['status']}: {row['text']} [{row['condition']}], {row['run_id']}"


def _review_links(store: Store, pair_id: str) -> list[Link]:
    links = []
    for row in store.read("why_responses", id=pair_id).to_pylist():
        grade = "" if row["grade"] is None else f" grade {row['grade']}"
        is_answer = row["act"] not in ("withdrawn", "later")
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


def _prediction_links(store: Store, pair_id: str, *, snapshot_ids: Sequence[str]) -> list[Link]:
    """Return what was trained on the pair's snapshots or says something of the pair, and what it says."""
    predictions = store.read("why_predictions", id=pair_id).to_pylist()
    runs = store.read(
        "why_training_runs", ids=sorted({row["train_run_id"] for row in predictions}), snapshot_ids=list(snapshot_ids)
    ).to_pylist()
    links = [
        Link(
            "run",
            run["run_id"],
            f"trained on {run['snapshot_id']} with code {run['code_version']}: {run['status']}, "
            f"{run['started_at']:%Y-%m-%d %H:%M}",
        )
        for run in runs
    ]
    return links + [
        Link(
            "prediction",
            row["prediction_id"],
            f"grade {row['grade']} with probabilities {[round(p, 3) for p in row['probabilities']]} "
            f"by {row['train_run_id']}, {row['run_id']}",
        )
        for row in predictions
    ]
