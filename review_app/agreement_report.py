"""Who agrees with whom: each reviewer with the settled grades, people with each other overall and rule by rule."""

from __future__ import annotations

import json
from dataclasses import asdict

import polars as pl

from curation.agreement import Agreement, krippendorff_alpha, reviewer_agreement, rule_agreement
from storage.session import read_scale
from storage.store import Store

N_RULES_SHOWN = 10


def show_agreement(store: Store, *, as_json: bool) -> None:
    """Print weighted kappa per reviewer and ordinal alpha overall and per rule, each with interval and n."""
    scale = read_scale(store)
    answers = store.frame("graded_answers")
    units = answers.group_by("pair_id").agg(pl.col("grade").sort().alias("grades"))["grades"].to_list()
    overall = krippendorff_alpha(units, scale=scale)
    reviewers = reviewer_agreement(answers.filter(pl.col("settled_grade").is_not_null()), scale=scale)
    rules = rule_agreement(answers.select("pair_id", "grade"), store.frame("approved_votes"), scale=scale)
    told = sorted((rule for rule in rules if rule.alpha.n), key=lambda rule: (rule.exact_rate or 0.0, -rule.alpha.n))
    if as_json:
        report = {
            "alpha": asdict(overall),
            "reviewers": [asdict(reviewer) for reviewer in reviewers],
            "rules": [asdict(rule) for rule in told],
        }
        print(json.dumps(report))
        return
    print(f"people with each other: ordinal alpha {_shown(overall)} pairs answered by two or more")
    for reviewer in reviewers:
        alone = f", {reviewer.n_alone} settled by them alone not counted" if reviewer.n_alone else ""
        print(f"  {reviewer.account:<16} weighted kappa with the settled grade {_shown(reviewer.kappa)}{alone}")
    if told:
        print("rules people agree on least:")
    for rule in told[:N_RULES_SHOWN]:
        same = "" if rule.exact_rate is None else f"same grade {rule.exact_rate:.2f}, "
        print(f"  {rule.rule_id}  {same}alpha {_shown(rule.alpha)}")


def _shown(agreement: Agreement) -> str:
    if agreement.coefficient is None:
        return f"undefined, n={agreement.n}"
    interval = agreement.interval
    between = "" if interval is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{agreement.coefficient:.2f}{between}, n={agreement.n}"
