"""What the verb `mine` prints: rules with their evidence, what was turned away and why, the coverage matrix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from evolution.rules.book import BookEntry, MineReport
    from evolution.rules.disagreement_run import DisagreementReport
    from evolution.rules.proposals import RuleProposal


def print_mined(report: MineReport, *, is_dry: bool, as_json: bool) -> None:
    """Print what mining judgments did."""
    if as_json:
        counts = {"n_judged": report.n_judged, "new_rules": report.n_new_rules, "new_votes": report.n_new_votes}
        told = [
            {"text": one.rule.text, "condition": one.rule.condition, "says_no_more_than": one.by_condition}
            for one in report.mined.told
        ]
        held = {"n": report.mined.n_held_out, "n_right": report.mined.n_held_out_right}
        rules = [_entry_json(entry) for entry in report.entries]
        whole = {
            **counts,
            "finished_before": report.finished_before,
            "held_out": held,
            "rules": rules,
            "left_out": told,
        }
        print(json.dumps(whole, ensure_ascii=False))
        return
    if report.finished_before:
        print(f"nothing to do: {report.finished_before} mined the same {report.n_judged} train judgments")
        return
    for entry in report.entries:
        mined, interval = entry.mined, entry.mined.interval
        covered = "-" if entry.coverage_rate is None else f"{entry.coverage_rate:.1%}"
        between = f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else ""
        mark = " (rare)" if mined.is_rare else ""
        mark = f" (rare, inside {entry.parent_id})" if entry.parent_id else mark
        sure = "confirmed" if mined.is_confirmed else "unconfirmed"
        print(
            f"{entry.rule.rule_id}  grade {entry.rule.grade}  covers {covered:>6}  right {mined.accuracy:.2f}{between} "
            f"(n={mined.n_votes})  lift {mined.lift:.1f}  {sure}  {entry.rule.text}{mark}"
        )
    if report.mined.n_held_out:
        rate = report.mined.n_held_out_right / report.mined.n_held_out
        n_confirmed = sum(entry.mined.is_confirmed for entry in report.entries)
        print(
            f"{n_confirmed} of {len(report.entries)} confirmed on held-out train queries; mined without them, rules "
            f"are right there on {rate:.2f} of their votes (n={report.mined.n_held_out})"
        )
    if report.mined.told:
        print(f"{len(report.mined.told)} left out, each says no more than a simpler one: afrel mine --dry-run --json")
    print(
        f"{len(report.entries)} rules from {report.n_judged} train judgments; {report.n_new_rules} new, "
        f"{report.n_new_votes} new votes{' (dry run)' if is_dry else ''}"
    )


def _entry_json(entry: BookEntry) -> dict[str, Any]:
    mined, interval = entry.mined, entry.mined.interval
    held = mined.held_out
    return {
        "rule_id": entry.rule.rule_id,
        "text": entry.rule.text,
        "condition": entry.rule.condition,
        "grade": entry.rule.grade,
        "coverage_rate": entry.coverage_rate,
        "accuracy": mined.accuracy,
        "accuracy_low": interval.low if interval else None,
        "accuracy_high": interval.high if interval else None,
        "lift": mined.lift,
        "n_judged": mined.n_votes,
        "n_conflicts": entry.count.n_conflicts,
        "n_held_out": held.n_votes if held else None,
        "n_held_out_right": held.n_right if held else None,
        "is_confirmed": mined.is_confirmed,
        "is_rare": mined.is_rare,
        "parent_id": entry.parent_id,
    }


def print_disagreements(report: DisagreementReport, proposer: str, *, again: str, is_dry: bool, as_json: bool) -> None:
    """Print what mining disagreements did; `again` is the command that goes on where a budget ended it."""
    clusters = report.clustered.clusters if report.clustered else ()
    if as_json:
        whole = {
            "proposer": proposer,
            "finished_before": report.finished_before,
            "disagreements": dict(report.sources),
            "clusters": [
                {
                    "source": one.source,
                    "settled_grade": one.settled_grade,
                    "said_grades": list(one.said_grades),
                    "n_pairs": len(one.pairs),
                }
                for one in clusters
            ],
            "proposals": [_proposal_json(one) for one in report.proposals],
            "new_rules": report.n_new_rules,
            "new_votes": report.n_new_votes,
            "turned_away": dict(report.faults),
            "asked": report.asked.counts(),
            "estimate": None if report.estimate is None else report.estimate.to_json(),
        }
        print(json.dumps(whole, ensure_ascii=False))
        return
    if report.finished_before:
        print(f"nothing to do: {report.finished_before} mined the same disagreements")
        return
    if not report.sources:
        print(f"nothing to do: nobody disagrees on the {report.n_judged} judged train pairs")
        return
    told = ", ".join(f"{n} {source}" for source, n in sorted(report.sources.items()))
    n_left = report.clustered.n_left if report.clustered else 0
    print(
        f"{sum(report.sources.values())} disagreements ({told}) in {len(clusters)} clusters; {n_left} in none of them"
    )
    if is_dry:
        for one in clusters:
            settled = "unsettled" if one.settled_grade is None else f"settled {one.settled_grade}"
            said = " and ".join(map(str, one.said_grades))
            typical = one.pairs.row(0, named=True)
            print(
                f"  {len(one.pairs):>4} {one.source}  said {said}, {settled}: {typical['query']} → {typical['title']}"
            )
        if report.estimate is not None:
            print(report.estimate.told())
        return
    if report.asked.burn:
        print(f"used: {report.asked.burn}; {report.asked.n_held} replies were paid for before")
    if report.asked.stopped:
        n_left = len(clusters) - report.asked.n_answered - report.asked.n_failed
        print(f"{report.asked.stopped}: {again}. No rule is judged before the other {n_left} clusters are answered")
        return
    for kept in report.kept:
        assert kept.rule is not None and kept.count is not None
        print(
            f"{kept.rule.rule_id}  grade {kept.rule.grade}  right on {kept.count.n_right} of {kept.count.n_votes}  "
            f"{kept.reason}  {kept.rule.text}"
        )
    for reason, n in report.faults.most_common():
        print(f"{n} turned away: {reason}")
    print(
        f"{len(report.proposals)} rules proposed by {proposer}, {len(report.kept)} kept; {report.n_new_rules} new, "
        f'{report.n_new_votes} new votes. All of them with reasons: afrel sql "from rule_proposals"'
    )


def _proposal_json(one: RuleProposal) -> dict[str, Any]:
    text, condition, grade = one.said
    return {
        "rule_id": one.rule.rule_id if one.rule is not None and one.is_kept else None,
        "source": one.source,
        "text": text,
        "condition": condition,
        "grade": grade,
        "is_kept": one.is_kept,
        "reason": one.reason,
        "parent_id": one.parent_id,
        "n_votes": one.count.n_votes if one.count else None,
        "n_right": one.count.n_right if one.count else None,
        "n_conflicts": one.count.n_conflicts if one.count else None,
        "n_held_out": one.held_out.n_votes if one.held_out else None,
        "n_held_out_right": one.held_out.n_right if one.held_out else None,
    }


def print_coverage(matrix: pl.DataFrame, *, as_json: bool) -> None:
    """Print how much of each cell the rules cover; each rule by itself only as JSON."""
    if as_json:
        print(json.dumps(matrix.to_dicts(), ensure_ascii=False))
        return
    if matrix.is_empty():
        print("no judged train or dev pairs yet, so there is nothing to cover. Bring judgments: afrel ingest FILE")
        return
    import polars as pl

    covered = pl.col("rule_id").is_not_null()
    cells = (
        matrix.group_by("tier", "grade", "agreement", "n_cell")
        .agg(
            n_rules=covered.sum(),
            n_uncovered=pl.col("n").filter(~covered).sum(),
            n_votes=pl.col("n").filter(covered).sum(),
            n_right=pl.col("n_right").filter(covered).sum(),
        )
        .sort("tier", "grade", "agreement", nulls_last=True)
    )
    print("tier  grade  agreement    pairs  covered  rules  votes right")
    for row in cells.iter_rows(named=True):
        tier = "-" if row["tier"] is None else row["tier"]
        right = f"{row['n_right'] / row['n_votes']:.2f} (n={row['n_votes']})" if row["n_votes"] else "-"
        rate = 1 - row["n_uncovered"] / row["n_cell"]
        print(
            f"{tier:>4}  {row['grade']:>5}  {row['agreement']:<11} {row['n_cell']:>6}  {rate:>7.1%}  "
            f"{row['n_rules']:>5}  {right}"
        )
    print('Each rule in each cell: afrel mine --coverage --json, or afrel sql "from coverage_by_rule"')
