"""The part of snapshots: what was cut and who vouches for it; cut, sign, check, take back, compare."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from review_app import snapshot_desk
from review_app.page import Page
from review_app.snapshot_desk import SnapshotLine
from review_app.tier_desk import Outlook
from review_app.views.clock import shown_time
from review_app.views.comparison import draw_comparison
from review_app.views.plain import plain
from review_app.views.sentences import together
from review_app.views.snapshot_acts import OPEN_KEY, draw_check, draw_cut, draw_revoke, draw_sign
from review_app.views.tables import Column, draw_table
from storage.people.accounts import Act, may

FIRST_SHOWN = 12


def draw_snapshots(page: Page, outlook: Outlook) -> None:
    """Draw the snapshots, the newest first, and one of them whole."""
    # each part has a place of its own, so that what is said in one closes nothing in another
    cut, listed, one, compared = (st.container() for _ in range(4))
    if may(page.person.role, Act.CUT):
        with cut:
            draw_cut(page, outlook)
    most = None if st.session_state.get("snapshots.all") else FIRST_SHOWN
    lines = snapshot_desk.list_snapshots(page.person, page.workspace, page.store, most=most)
    if not lines:
        listed.info(page.say("snapshots.none"))
        return
    with listed:
        _draw_list(page, lines)
        if len(lines) >= FIRST_SHOWN:
            st.checkbox(page.say("snapshots.all", n=FIRST_SHOWN), key="snapshots.all")
    with one:
        _draw_open(page, lines)
    if len(lines) > 1:
        with compared:
            draw_comparison(page, lines)


def _draw_open(page: Page, lines: Sequence[SnapshotLine]) -> None:
    by_id = {line.snapshot_id: line for line in lines}
    chosen = st.selectbox(
        page.say("snapshots.open"),
        list(by_id),
        format_func=lambda one: page.say("snapshots.option", snapshot=one, at=shown_time(by_id[one].cut_at)),
        key=OPEN_KEY,
    )
    if chosen is not None:
        _draw_one(page, by_id[chosen])


def _draw_list(page: Page, lines: Sequence[SnapshotLine]) -> None:
    draw_table(
        [
            Column(page.say("snapshots.snapshot"), [line.snapshot_id for line in lines]),
            Column(page.say("snapshots.cut_at"), [shown_time(line.cut_at) for line in lines]),
            Column(page.say("snapshots.cut_by"), [line.cut_by for line in lines]),
            Column(page.say("snapshots.n_rows"), [line.n_rows for line in lines], number="localized"),
            Column(page.say("snapshots.state"), [_state(page, line) for line in lines], width=420),
        ]
    )


def _state(page: Page, line: SnapshotLine) -> str:
    """Return in one sentence what matters most of a snapshot: altered, revoked, unsigned, signed by whom."""
    work = line.checked
    found = work.outcome["problems"] if work is not None and work.outcome is not None else []
    if line.problems or found:
        return page.say("snapshots.is_altered", n=len(line.problems or found))
    if line.revoked is not None:
        return page.say("snapshots.is_revoked", account=line.revoked.account, at=line.revoked.at[:10])
    signers = sorted({account for tier in line.tiers for account in tier.signed_by})
    n_revoked = sum(tier.revoked is not None for tier in line.tiers)
    said = []
    if n_revoked:
        said.append(page.say("snapshots.tiers_revoked", n=n_revoked))
    if line.unsigned:
        n_lacking, n_tiers = len(line.unsigned), sum(bool(tier.n_rows) for tier in line.tiers)
        key = "snapshots.is_unsigned" if n_lacking == n_tiers else "snapshots.is_partly_signed"
        said.append(page.say(key, n=n_lacking, all=n_tiers))
    if signers:
        said.append(page.say("snapshots.is_signed", accounts=", ".join(signers)))
    return together(page, said)


def _draw_one(page: Page, line: SnapshotLine) -> None:
    told, check, sign, revoke = (st.container() for _ in range(4))
    trained = snapshot_desk.runs_trained_on(page.person, page.store, line.snapshot_id)
    with told:
        _draw_warnings(page, line)
        _draw_tiers(page, line)
        if not all(tier.n_test is not None for tier in line.tiers):
            st.caption(page.say("snapshots.n_test", n=f"{line.n_test:,}"))
        if trained:
            st.caption(page.say("snapshots.trained", runs=", ".join(trained)))
        else:
            st.caption(page.say("snapshots.untrained"))
    with check:
        draw_check(page, line)
    if may(page.person.role, Act.SIGN):
        with sign:
            draw_sign(page, line)
    if may(page.person.role, Act.REVOKE):
        with revoke:
            draw_revoke(page, line, n_runs=len(trained))


def _draw_warnings(page: Page, line: SnapshotLine) -> None:
    for problem in line.problems:
        st.error(plain(page.in_words(problem)))
    for one in line.not_counted:
        st.warning(page.say("snapshots.not_counted", what=plain(page.in_words(one))))
    if line.revoked is not None:
        said = {"account": line.revoked.account, "at": line.revoked.at[:10], "reason": plain(line.revoked.reason)}
        st.warning(page.say("snapshots.revoked_because", **said))


def _draw_tiers(page: Page, line: SnapshotLine) -> None:
    def state(tier: snapshot_desk.TierLine) -> str:
        if tier.revoked is not None:
            return page.say("snapshots.tier_revoked", account=tier.revoked.account, reason=tier.revoked.reason)
        return page.say("snapshots.is_signed", accounts=", ".join(tier.signed_by)) if tier.signed_by else ""

    columns = [
        Column(page.say("tiers.tier"), [f"{tier.tier} {tier.name}" for tier in line.tiers]),
        Column(page.say("tiers.train"), [tier.train for tier in line.tiers], number="localized"),
        Column(page.say("tiers.dev"), [tier.dev for tier in line.tiers], number="localized"),
    ]
    if all(tier.n_test is not None for tier in line.tiers):
        columns.append(Column(page.say("tiers.test"), [tier.n_test for tier in line.tiers], number="localized"))
    columns += [
        Column(page.say("snapshots.vouched"), [state(tier) for tier in line.tiers]),
        Column(page.say("tiers.where"), [tier.where for tier in line.tiers], width=480),
    ]
    draw_table(columns)
