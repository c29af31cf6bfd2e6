"""The part that starts a trainer: a method, a signed snapshot, and the form that the method's own schema gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from review_app import training_desk
from review_app.page import Page
from review_app.run_desk import see_runs
from review_app.texts.training_words import field_help
from review_app.training_desk import Trainable
from review_app.training_form import MODEL, TIERS, FieldKind, FormField
from review_app.views import run_keys
from review_app.views.clock import shown_time
from review_app.views.plain import plain
from review_app.views.working import draw_failure, draw_work
from storage.errors import UserError
from storage.jobs.verbs import METHODS

COLUMNS = 4


def draw_training(page: Page) -> None:
    """Draw the choice of method and snapshot, then the form."""
    snapshots = training_desk.trainable_snapshots(page.person, page.workspace, page.store)
    if not snapshots:
        st.info(page.say("training.no_snapshot"))
        return
    by_id = {one.snapshot_id: one for one in snapshots}
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    method = left.selectbox(
        page.say("training.method"),
        METHODS,
        format_func=lambda one: page.say(f"training.method_{one}"),
        key="training.method",
    )
    chosen = right.selectbox(
        page.say("training.snapshot"),
        list(by_id),
        format_func=lambda one: _told(page, by_id[one]),
        key="training.snapshot",
    )
    st.caption(page.say(f"training.means_{method}"))
    work = training_desk.begin_form(page.person, method)
    work.wait()
    if not work.is_over:
        draw_work(page, work, page.say("training.reading_form"))
    elif not draw_failure(page, work):
        _draw_form(page, method, by_id[chosen], work.outcome)


def _told(page: Page, one: Trainable) -> str:
    tiers = ", ".join(str(tier.tier) for tier in one.tiers)
    return page.say("training.option", snapshot=one.snapshot_id, at=shown_time(one.line.cut_at), tiers=tiers)


def _draw_form(page: Page, method: str, snapshot: Trainable, fields: Sequence[FormField]) -> None:
    points = training_desk.starting_points(method, see_runs(page.person, page.workspace, page.store))
    if not points:
        st.info(page.say("training.no_run"))
        return
    place = f"training.{method}.{snapshot.snapshot_id}"
    with st.form(place, border=False, enter_to_submit=False):
        values: dict[str, Any] = {}
        first = [field for field in fields if field.is_first]
        _draw_fields(page, place, first, values, points=points, snapshot=snapshot)
        with st.expander(page.say("training.more", n=len(fields) - len(first))):
            others = [field for field in fields if not field.is_first]
            _draw_fields(page, place, others, values, points=points, snapshot=snapshot)
        is_asked = st.form_submit_button(page.say("training.start"), type="primary")
    st.caption(page.say("training.start_help"))
    if not is_asked:
        return
    try:
        queued = training_desk.start_training(
            page.person, page.workspace, page.store, method, snapshot.snapshot_id, values
        )
    except UserError as error:
        st.error("  \n".join(plain(line) for line in page.why_not(error).splitlines()))
        return
    st.session_state[run_keys.SAID] = page.say("training.is_queued", job=queued.job_id)
    st.session_state[run_keys.NEXT_PART] = "jobs"
    st.session_state[run_keys.OPEN_JOB] = queued.job_id
    st.rerun()


def _draw_fields(
    page: Page,
    place: str,
    fields: Sequence[FormField],
    values: dict[str, Any],
    *,
    points: Sequence[str],
    snapshot: Trainable,
) -> None:
    for start in range(0, len(fields), COLUMNS):
        row = fields[start : start + COLUMNS]
        for column, field in zip(st.columns(COLUMNS, vertical_alignment="bottom"), row, strict=False):
            with column:
                values[field.name] = _draw_field(page, f"{place}.{field.name}", field, points, snapshot)


def _draw_field(page: Page, key: str, field: FormField, points: Sequence[str], snapshot: Trainable) -> Any:
    told = plain(field_help(page.language, field.description)) or None
    if field.name == MODEL:
        return st.selectbox(field.name, points, help=told, key=key, accept_new_options=not field.is_required)
    if field.name == TIERS:
        signed = [tier.tier for tier in snapshot.tiers]
        none = page.say("training.all_signed")
        chosen = st.multiselect(field.name, signed, default=signed, help=told, key=key, placeholder=none) or signed
        return None if chosen == signed and snapshot.is_whole else chosen
    return _draw_plain(page, key, field, told)


def _draw_plain(page: Page, key: str, field: FormField, told: str | None) -> Any:
    """Draw a field by its kind alone."""
    match field.kind:
        case FieldKind.CHOICE:
            at = field.options.index(field.default) if field.default in field.options else None
            value: Any = st.selectbox(field.name, field.options, index=at, help=told, key=key)
        case FieldKind.CHOICES:
            none, default = page.say("training.nowhere"), field.default or []
            value = st.multiselect(field.name, field.options, default=default, help=told, key=key, placeholder=none)
        case FieldKind.FLAG:
            value = st.checkbox(field.name, value=bool(field.default), help=told, key=key)
        case FieldKind.NUMBER | FieldKind.WHOLE:
            value = _draw_number(page, key, field, told)
        case FieldKind.TEXT:
            default = field.default if isinstance(field.default, str) else None
            left = page.say("training.left_out")
            value = st.text_input(field.name, value=default, help=told, key=key, placeholder=left)
        case FieldKind.WHOLES:
            raise ValueError(f"no field here takes whole numbers but {TIERS}: {field.name}")
    return value


def _draw_number(page: Page, key: str, field: FormField, told: str | None) -> float | int | None:
    """Draw a number without its bounds: over them the browser would keep the whole form to itself and not say why."""
    left = page.say("training.left_out")
    if field.kind is FieldKind.WHOLE:
        whole = None if field.default is None else int(field.default)
        return st.number_input(
            field.name, value=whole, step=1, format="%d", help=told, key=key, placeholder=left
        )  # fmt: skip
    number = None if field.default is None else float(field.default)
    return st.number_input(
        field.name, value=number, step=None, format="%g", help=told, key=key, placeholder=left
    )  # fmt: skip
