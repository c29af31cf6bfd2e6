"""How far people agree: over all pairs with two answers, in the blind audit, and rule by rule."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from review_app.answer_agreement import Agreed, RuleAgreed
from review_app.answer_work import FEW, Work
from review_app.page import Page
from review_app.progress import Progress
from review_app.views.clock import shown_time
from review_app.views.numbers import decimal_span, percent, span
from review_app.views.sentences import together
from review_app.views.tables import Column, draw_table

HEIGHT = 320


def draw_agreement(page: Page, found: Progress) -> None:
    """Draw agreement and the rates of answers without a grade."""
    st.header(page.say("progress.agreement"), anchor=False)
    said = []
    if found.taken.agreement is None:
        said.append(page.say("progress.counting"))
    elif not found.taken.agreement.value.overall.n_pairs:
        said.append(page.say("progress.agreement_none"))
    else:
        said.append(_said(page, found.taken.agreement.value.overall, "alpha"))
        if found.taken.agreement.value.audit.n_pairs:
            said.append(_said(page, found.taken.agreement.value.audit, "audit"))
    if found.team is not None and found.team.n_answers:
        said.append(_rates(page, found.team))
    st.write(together(page, said))
    if found.taken.agreement is None:
        return
    rules = found.taken.agreement.value.rules
    if rules:
        _draw_rules(page, rules, found.taken.agreement.value.n_rules)
    taken = [page.say("progress.taken", at=shown_time(found.taken.agreement.taken_at))]
    if found.taken.agreement.is_coming:
        taken.append(page.say("progress.counting_again"))
    st.caption(together(page, taken))


def _said(page: Page, agreed: Agreed, key: str) -> str:
    rate = agreed.disputed_interval
    told = {
        "rate": percent(agreed.disputed_rate),
        "low": percent(rate.low if rate else None),
        "high": percent(rate.high if rate else None),
        "n": f"{agreed.n_pairs:,}",
    }
    alpha, interval = agreed.alpha.coefficient, agreed.alpha.interval
    if alpha is None or interval is None:
        return page.say(f"progress.{key}_undefined", **told)
    return page.say(
        f"progress.{key}",
        alpha=f"{alpha:.2f}",
        alpha_low=f"{interval.low:.2f}",
        alpha_high=f"{interval.high:.2f}",
        **told,
    )


def _rates(page: Page, work: Work) -> str:
    cannot_tell, discarded = work.cannot_tell_interval, work.discarded_interval
    return page.say(
        "progress.rates",
        n=f"{work.n_answers:,}",
        cannot_tell=percent(work.n_cannot_tell / work.n_answers, 1),
        cannot_tell_low=percent(cannot_tell.low if cannot_tell else None, 1),
        cannot_tell_high=percent(cannot_tell.high if cannot_tell else None, 1),
        discarded=percent(work.n_discarded / work.n_answers, 1),
        discarded_low=percent(discarded.low if discarded else None, 1),
        discarded_high=percent(discarded.high if discarded else None, 1),
    )


def _draw_rules(page: Page, rules: Sequence[RuleAgreed], n_rules: int) -> None:
    st.markdown(f"**{page.say('progress.rules', shown=len(rules), n=n_rules, few=FEW)}**")
    rates = [rule.agreed.disputed_rate for rule in rules]
    draw_table(
        [
            Column(page.say("progress.column_rule"), [rule.text for rule in rules], width=460),
            Column(
                page.say("progress.column_disputed"),
                [None if rate is None else 100 * rate for rate in rates],
                number="%.0f%%",
            ),
            Column(page.say("progress.column_interval"), [span(rule.agreed.disputed_interval) for rule in rules]),
            Column(page.say("progress.column_n"), [rule.agreed.n_pairs for rule in rules]),
            Column(page.say("progress.column_alpha"), [rule.agreed.alpha.coefficient for rule in rules], number="%.2f"),
            Column(
                page.say("progress.column_alpha_interval"), [decimal_span(rule.agreed.alpha.interval) for rule in rules]
            ),
            Column(page.say("progress.column_id"), [rule.rule_id for rule in rules]),
        ],
        is_few=[rule.agreed.n_pairs < FEW for rule in rules],
        height=HEIGHT,
    )
