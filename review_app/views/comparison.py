"""Two snapshots side by side: rows by split, rules that drifted, and who and what the changes are by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from review_app import snapshot_desk
from review_app.page import Page
from review_app.snapshot_desk import SnapshotLine
from review_app.views.plain import plain
from review_app.views.tables import Column, draw_table
from review_app.views.working import draw_failure, draw_work
from storage.snapshots.diff import KINDS, NOBODY, UNMUTATED

_COUNTS = ("same", "added", "removed", "regraded", "reworded", "moved", "restated")


def draw_comparison(page: Page, lines: Sequence[SnapshotLine]) -> None:
    """Draw the choice of two snapshots and what came of comparing them."""
    work = snapshot_desk.compare_work(page.person, page.workspace.root)
    with st.expander(page.say("snapshots.compare"), expanded=work is not None):
        ids = [line.snapshot_id for line in lines]
        with st.form("snapshots.compare", border=False):
            left, right, ask = st.columns([2, 2, 1], vertical_alignment="bottom")
            newer = left.selectbox(page.say("snapshots.newer"), ids, index=0)
            older = right.selectbox(page.say("snapshots.older"), ids, index=1)
            is_asked = ask.form_submit_button(page.say("snapshots.compare_now"), width="stretch")
        if is_asked and newer and older:
            snapshot_desk.begin_compare(page.person, page.workspace, older=older, newer=newer).wait()
            st.rerun()
        if work is None:
            return
        if not work.is_over:
            draw_work(page, work, page.say("snapshots.comparing"))
        elif not draw_failure(page, work):
            _draw_difference(page, work.outcome)


def _draw_difference(page: Page, found: Mapping[str, Any]) -> None:
    st.caption(page.say("snapshots.compared", older=found["older"], newer=found["newer"]))
    splits = found["splits"]
    columns = [
        Column(page.say("snapshots.split"), [one["split"] for one in splits]),
        Column(page.say("snapshots.n_before"), [one["n_older"] for one in splits], number="localized"),
        Column(page.say("snapshots.n_after"), [one["n_newer"] for one in splits], number="localized"),
    ]
    columns += [
        Column(page.say(f"snapshots.{kind}"), [one.get(kind) for one in splits], number="localized") for kind in _COUNTS
    ]
    draw_table(columns)
    if any("same" not in one for one in splits):
        st.caption(page.say("snapshots.tests_hidden"))
    for rule in found["rules"]:
        what = page.say(f"snapshots.rule_{rule['what']}", rule=rule["rule_id"], n=f"{rule['n_rows']:,}")
        st.markdown(f"{what} {plain(rule['text'])}")
    _draw_by(page, "snapshots.by_reviewer", found["by_reviewer"], {NOBODY: page.say("snapshots.nobody")})
    _draw_by(page, "snapshots.by_operator", found["by_operator"], {UNMUTATED: page.say("snapshots.unmutated")})


def _draw_by(page: Page, title: str, counted: Mapping[str, Mapping[str, int]], names: Mapping[str, str]) -> None:
    if not counted:
        return
    columns = [Column(page.say(title), [names.get(name, name) for name in counted])]
    columns += [
        Column(
            page.say(f"snapshots.{kind}"), [of_kind.get(kind, 0) for of_kind in counted.values()], number="localized"
        )
        for kind in KINDS
    ]
    draw_table(columns)
