"""What is done with snapshots: each act says in counts what it affects, and asks for the password where one signs."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from review_app import snapshot_desk, tier_desk
from review_app.long_work import Work
from review_app.page import Page
from review_app.snapshot_desk import SnapshotLine, TierLine
from review_app.tier_desk import Outlook
from review_app.views.clock import shown_time
from review_app.views.links import draw_link
from review_app.views.numbers import ABSENT
from review_app.views.plain import plain
from review_app.views.sentences import together
from review_app.views.tier_draft import is_edited
from review_app.views.working import draw_failure, draw_work
from storage.errors import UserError

OPEN_KEY, CUT_KEY = "snapshots.open", "snapshots.last_cut"


def draw_cut(page: Page, outlook: Outlook) -> None:
    """Draw the cutting of the saved tiers: what would be frozen, the password, how far it is, what came of it."""
    work = snapshot_desk.cut_work(page.workspace.root)
    if work is not None and not work.is_over:
        draw_work(page, work, page.say("snapshots.cutting", account=work.by))
        return
    if work is not None:
        _draw_cut_outcome(page, work)
    with st.expander(page.say("snapshots.cut"), expanded=False):
        st.markdown(_what_is_cut(page, outlook))
        if is_edited(outlook.saved):
            st.warning(page.say("snapshots.unsaved"))
        _ask_password(
            page, "cut", page.say("snapshots.cut_now"),
            lambda password: snapshot_desk.begin_cut(page.person, page.workspace, password),
        )  # fmt: skip


def _what_is_cut(page: Page, outlook: Outlook) -> str:
    if outlook.stand is None:
        return page.say("snapshots.would_cut_unknown")
    named = "  \n".join(
        page.say("snapshots.would_cut_tier", tier=tier.tier, name=plain(tier.name), train=f"{train:,}", dev=f"{dev:,}")
        for tier, train, dev in tier_desk.rows_of(page.person, outlook.stand, outlook.saved.tiers)
    )
    return f"{page.say('snapshots.would_cut', at=shown_time(outlook.stand.taken_at))}\n\n{named}"


def _draw_cut_outcome(page: Page, work: Work) -> None:
    if not draw_failure(page, work):
        cut = work.outcome
        if st.session_state.get(CUT_KEY) != work.started_at:  # open what was just cut, once
            st.session_state[CUT_KEY] = work.started_at
            st.session_state[OPEN_KEY] = cut["snapshot_id"]
        key = "snapshots.was_cut" if cut["is_new"] else "snapshots.was_there"
        st.info(page.say(key, snapshot=cut["snapshot_id"], n=f"{cut['n_rows']:,}", seconds=f"{work.elapsed:.0f}"))
    _draw_put_away(page, "cut")


def draw_check(page: Page, line: SnapshotLine) -> None:
    """Draw the whole check of a snapshot: begin it, how far it is, what it found."""
    work = line.checked
    if work is not None and not work.is_over:
        draw_work(page, work, page.say("snapshots.checking", snapshot=line.snapshot_id))
        return
    if work is not None and not draw_failure(page, work):
        problems = work.outcome["problems"]
        for problem in problems:
            st.error(plain(page.in_words(problem)))
        if not problems:
            at, n_rows = shown_time(work.started_at), f"{work.outcome['n_rows']:,}"
            st.info(page.say("snapshots.is_whole", n=n_rows, at=at, seconds=f"{work.elapsed:.1f}"))
    elif work is None:
        st.caption(page.say("snapshots.unchecked"))
    if st.button(page.say("snapshots.check"), key="snapshots.check"):
        snapshot_desk.begin_verify(page.person, page.workspace, line.snapshot_id).wait()
        st.rerun()


def draw_sign(page: Page, line: SnapshotLine) -> None:
    """Draw the signing of tiers: which, how many rows they hold, the password."""
    work = snapshot_desk.sign_work(page.workspace.root, line.snapshot_id)
    if work is not None and not work.is_over:
        draw_work(page, work, page.say("snapshots.signing", account=work.by))
        return
    if work is not None:
        if not draw_failure(page, work):
            tiers = ", ".join(map(str, work.outcome["tiers"]))
            st.info(page.say("snapshots.was_signed", tiers=tiers) if tiers else page.say("snapshots.was_signed_before"))
            for told in work.outcome["queued"]:
                st.info("  \n".join(plain(line) for line in page.in_words(told).splitlines()))
            if work.outcome["queued"]:
                draw_link(page, "runs")
        _draw_put_away(page, "sign", line.snapshot_id)
    own = page.person.account
    if line.cut_by == own:
        st.caption(page.say("snapshots.own_cut"))
        return
    open_tiers = {
        tier.tier: tier
        for tier in line.tiers
        if tier.n_rows and own not in tier.signed_by and not tier.revoked and not line.revoked
    }
    if not open_tiers:
        return
    with st.expander(page.say("snapshots.sign")):
        st.markdown(page.say("snapshots.sign_means"))
        chosen = [tier for tier in open_tiers.values() if _is_chosen(page, line, tier)]
        n_rows = f"{sum(tier.n_rows for tier in chosen):,}"
        named = ", ".join(str(tier.tier) for tier in chosen) or ABSENT
        st.markdown(page.say("snapshots.would_sign", tiers=named, rows=n_rows, snapshot=line.snapshot_id))
        _ask_password(
            page, f"sign.{line.snapshot_id}", page.say("snapshots.sign_now"),
            lambda password: snapshot_desk.begin_sign(
                page.person, page.workspace, line.snapshot_id, [tier.tier for tier in chosen], password
            ),
        )  # fmt: skip


def _is_chosen(page: Page, line: SnapshotLine, tier: TierLine) -> bool:
    label = page.say("snapshots.sign_tier", tier=tier.tier, name=plain(tier.name), rows=f"{tier.n_rows:,}")
    return st.checkbox(label, value=not tier.signed_by, key=f"snapshots.sign.{line.snapshot_id}.{tier.tier}")


def draw_revoke(page: Page, line: SnapshotLine, *, n_runs: int) -> None:
    """Draw the taking back of a tier or the whole snapshot: what is affected, the reason, the password."""
    if said := st.session_state.pop("snapshots.revoked", None):
        st.info(said)
    if line.revoked is not None:
        return
    open_tiers = {tier.tier: tier for tier in line.tiers if tier.n_rows and not tier.revoked}
    with st.expander(page.say("snapshots.revoke")):
        options: list[int | None] = [None, *open_tiers]
        chosen = st.selectbox(
            page.say("snapshots.revoke_what"),
            options,
            format_func=lambda one: page.say("snapshots.whole") if one is None else f"{one} {open_tiers[one].name}",
            key=f"snapshots.revoke.{line.snapshot_id}",
        )
        n_rows = sum(tier.n_rows for tier in open_tiers.values() if chosen in (None, tier.tier))
        n_signed = sum(len(tier.signed_by) for tier in open_tiers.values() if chosen in (None, tier.tier))
        st.markdown(page.say("snapshots.would_revoke", rows=f"{n_rows:,}", signatures=n_signed, runs=n_runs))
        reason = st.text_input(page.say("snapshots.reason"), key=f"snapshots.reason.{line.snapshot_id}", max_chars=500)

        def revoke(password: str) -> None:
            done = snapshot_desk.revoke(
                page.person, page.workspace, page.store, line.snapshot_id, tier=chosen, reason=reason, password=password
            )
            said = [page.say("snapshots.was_revoked" if done.is_new else "snapshots.was_revoked_before")]
            if done.trained:
                said.append(page.say("snapshots.trained", runs=", ".join(done.trained)))
            st.session_state["snapshots.revoked"] = together(page, said)

        _ask_password(page, f"revoke.{line.snapshot_id}", page.say("snapshots.revoke_now"), revoke)


def _ask_password(page: Page, key: str, label: str, act: Callable[[str], Work | None]) -> None:
    """Ask for the person's password and act with it; what is wrong is told beside it, and nothing typed is lost."""
    with st.form(f"snapshots.{key}", border=False, clear_on_submit=True):
        field, button = st.columns([3, 1], vertical_alignment="bottom")
        password = field.text_input(
            page.say("snapshots.password", account=page.person.account),
            type="password",
            autocomplete="current-password",
        )
        is_asked = button.form_submit_button(label, type="primary", width="stretch")
    if not is_asked:
        return
    try:
        work = act(password or "")
    except UserError as error:
        st.error(plain(page.why_not(error)))
    else:
        if work is not None:
            work.wait()
        st.rerun()


def _draw_put_away(page: Page, *key: str) -> None:
    if st.button(page.say("snapshots.put_away"), key=f"snapshots.away.{'.'.join(key)}"):
        snapshot_desk.put_away(page.person, page.workspace.root, *key)
        st.rerun()
