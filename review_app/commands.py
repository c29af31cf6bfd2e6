"""`afrel respond` and `afrel adjudicate`: the human decisions, by the command line."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from review_app.agreement_report import show_agreement
from review_app.decisions import (
    History,
    Response,
    Turn,
    cannot_tell,
    check_response,
    discard,
    put_off,
    read_candidate,
    read_history,
    redo,
    save,
    submit,
    undo,
)
from review_app.replay import Recording, asked_for, read_recording
from review_app.settling import Answered, Decision, read_answered, record_judgments, settle_by_consensus
from review_app.terminal import show_act, show_candidate
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import action_id, new_session
from storage.people.accounts import Act, require
from storage.runs import start_run
from storage.session import Session, read_scale
from storage.store import Store


def respond(
    ctx: typer.Context,
    candidate_id: Annotated[str | None, typer.Argument(metavar="[CANDIDATE]", help="Omit it to see the next.")] = None,
    grade: Annotated[int | None, typer.Option(help="Your grade; given again, it replaces your answer.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Take the suggested grade and rationale.")] = False,
    rationale: Annotated[str | None, typer.Option(help="Your reasons, if you change the suggestion's.")] = None,
    reason: Annotated[
        str | None, typer.Option("--discard", metavar="REASON", help="The pair is not worth a grade.")
    ] = None,
    says_cannot_tell: Annotated[bool, typer.Option("--cannot-tell", help="You cannot tell the grade.")] = False,
    says_later: Annotated[bool, typer.Option("--later", help="No answer now; one you gave before stays.")] = False,
    takes_back: Annotated[bool, typer.Option("--undo", help="Take back the last thing you said of it.")] = False,
    gives_again: Annotated[bool, typer.Option("--redo", help="Say again what you last took back.")] = False,
    replay: Annotated[Path | None, typer.Option(metavar="FILE", help="Replay recorded answers (admin).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Answer a candidate, or see the next one that waits for you.

    Example: afrel --as ana respond c_3fa9… --grade 2
    """
    session: Session = ctx.obj
    if replay is not None:
        _replay_responses(session, replay, as_json=as_json)
        return
    account = session.require(Act.REVIEW).account
    grades = accept or grade is not None
    said = [grades, reason is not None, says_cannot_tell, says_later, takes_back, gives_again]
    if candidate_id is None and (any(said) or rationale is not None):
        raise UserError("an answer needs its candidate: afrel --as ACCOUNT respond CANDIDATE --grade N")
    if accept and rationale is not None:
        raise UserError("--accept takes the suggested rationale. To write your own: --grade N --rationale TEXT")
    with session.store(sees_test=True) as store:
        if candidate_id is None:
            _show_next(store, account, as_json=as_json)
            return
        row = read_candidate(store, candidate_id)
        if sum(said) != 1 or (accept and grade is not None) or (rationale is not None and grade is None):
            raise UserError(
                "say one thing: --grade N [--rationale TEXT], --accept, --discard REASON, --cannot-tell, --later, "
                "--undo or --redo"
            )
        history = read_history(store, row["pair_id"], account)
        turn = Turn(candidate_id, row["pair_id"], account, new_session(), 1, acted_at=history.stamp(now()))
        if grades:
            steps = row["steps"] if accept else _steps(rationale)
            response = submit(turn, row["grade"] if accept else grade, steps=steps)
        elif reason is not None:
            response = discard(turn, reason)
        elif says_cannot_tell:
            response = cannot_tell(turn)
        elif says_later:
            response = put_off(turn)
        else:
            response = _undone_or_redone(turn, history, takes_back=takes_back)
        scale = read_scale(store)
        check_response(response, scale)
        save(store, [response], proposals={candidate_id: (row["grade"], row["steps"])})
        after = read_candidate(store, candidate_id)
        standing = read_history(store, row["pair_id"], account).standing
    show_act(response, history, standing, after, scale, as_json=as_json)


def _steps(rationale: str | None) -> str | None:
    from curation.ingest import rationale_to_steps

    return rationale_to_steps(rationale)


def _undone_or_redone(turn: Turn, history: History, *, takes_back: bool) -> Response:
    again = f"Answer: afrel --as {turn.account} respond {turn.candidate_id} --grade N"
    if takes_back:
        if history.to_undo is None:
            raise UserError(f"{turn.account} has said nothing on {turn.candidate_id} that could be undone. {again}")
        return undo(turn, history.to_undo)
    if history.to_redo is None:
        raise UserError(f"{turn.account} has undone nothing on {turn.candidate_id} that could be redone. {again}")
    return redo(turn, history.to_redo)


def _show_next(store: Store, account: str, *, as_json: bool) -> None:
    claimed = store.claim(account, 1).column("candidate_id").to_pylist()
    if not claimed:
        print("null" if as_json else f"nothing to do: no candidate waits for {account}")
        return
    show_candidate(read_candidate(store, claimed[0]), account, as_json=as_json)


def _replay_responses(session: Session, path: Path, *, as_json: bool) -> None:
    admin = session.require(Act.REPLAY).account
    pins = session.pins()
    with session.store(sees_test=True) as store:
        recording = read_recording(path, read_scale(store), needs_reviewer=True)
        unknown = sorted({str(r.account) for r in recording.records} - set(pins))
        if unknown:
            raise UserError(
                f"{path} names reviewers without an account: {', '.join(unknown)}. "
                f"Add them: afrel --as {admin} account add {unknown[0]} --role reviewer"
            )
        used = _lines_replayed(store, recording)
        n_before = len(used)
        waiting = _open_rows(store)
        responses = asked_for(recording, waiting, used_lines=used)
        if not responses:
            print(f"nothing to do: no candidate asks for an answer {path} has ({n_before} replayed before)")
            return
        with start_run(store, verb="respond", config={"replay": str(path)}, account=admin) as run:
            acts: Counter[str] = Counter()
            while responses:
                proposals = {row["candidate_id"]: (row["grade"], row["steps"]) for row in waiting}
                save(store, responses, proposals=proposals, run_id=run.run_id)
                acts.update(response.act.value for response in responses)
                # an answer may call for another one, so the queue is asked again
                waiting = _open_rows(store)
                responses = asked_for(recording, waiting, used_lines=used)
            run.counts.update(acts, not_asked_for=len(recording.records) - len(used))
            counts = dict(run.counts)
    if as_json:
        print(json.dumps(counts))
        return
    said = ", ".join(f"{n} {act}" for act, n in acts.most_common())
    print(f"replayed from {path} (recorded, not given now): {said}; {counts['not_asked_for']} were not asked for")


def _open_rows(store: Store) -> list[dict[str, Any]]:
    return list(store.read("open_by_external_id").to_pylist())


def _lines_replayed(store: Store, recording: Recording) -> set[int]:
    held = set(store.read("responses_of_session", session=recording.session).column("response_id").to_pylist())
    return {r.line for r in recording.records if action_id(str(r.account), recording.session, r.line) in held}


def adjudicate(
    ctx: typer.Context,
    candidate_id: Annotated[str | None, typer.Argument(metavar="[CANDIDATE]", help="The pair to settle.")] = None,
    grade: Annotated[int | None, typer.Option(help="The grade it gets.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    replay: Annotated[Path | None, typer.Option(metavar="FILE", help="Replay recorded decisions (admin).")] = None,
    by: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="With --replay: whose decisions they were.")] = None,
    agreement: Annotated[
        bool, typer.Option("--agreement", help="Show who agrees with whom, per reviewer and rule; settle nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Settle what people agree on; show or settle what they dispute.

    Example: afrel --as dora adjudicate; then afrel --as dora adjudicate c_3fa9… --grade 1 --reason "wrong size"
    """
    session: Session = ctx.obj
    account = session.require(Act.REPLAY if replay is not None else Act.ADJUDICATE).account
    has_decision = grade is not None or reason is not None
    if has_decision and (candidate_id is None or agreement):
        raise UserError("a decision needs its candidate and nothing else: afrel adjudicate CANDIDATE --grade N")
    if agreement:
        with session.store(sees_test=True) as store:
            show_agreement(store, as_json=as_json)
        return
    if replay is not None:
        _require_decider(session, by)
    with session.store(sees_test=True) as store:
        scale = read_scale(store)
        # an adjudicator may overrule what is settled: the later judgment stands
        answered = read_answered(store, candidate_id=candidate_id)
        decisions: list[Decision] = []
        if candidate_id is not None:
            decisions.append(_decision(answered, candidate_id, grade, scale, account, reason))
        agreed = settle_by_consensus(answered, run_id="")
        settled = {row.pair_id for row in agreed}
        if replay is not None:
            disputed = [pair for pair in answered if pair.pair_id not in settled]
            decisions += _recorded_decisions(disputed, read_recording(replay, scale, needs_reviewer=False), str(by))
        decided = {decision.pair.pair_id for decision in decisions}
        agreed = [row for row in agreed if row.pair_id not in decided]
        config = {"replay": str(replay) if replay else None, "candidate_id": candidate_id}
        record_judgments(store, agreed=agreed, decisions=decisions, account=account, config=config)
    left = [pair for pair in answered if pair.pair_id not in settled | decided]
    if as_json:
        counts = {"consensus": len(agreed), "adjudicated": len(decisions), "disputed": len(left)}
        print(json.dumps({**counts, "disputes": [pair.candidate_id for pair in left]}))
        return
    if not agreed and not decisions:
        print(f"nothing to do: nothing new to settle; {len(left)} disputed")
    else:
        how = f" (recorded decisions of {by})" if replay is not None else ""
        print(f"{len(agreed)} settled by consensus, {len(decisions)} adjudicated{how}, {len(left)} still disputed")
    for pair in left[:5]:
        said = ", ".join(f"{a.account} {a.act if a.grade is None else a.grade}" for a in pair.answers)
        print(f"  {pair.candidate_id}: {said}")
    if left:
        print(f"decide: afrel --as {account} adjudicate {left[0].candidate_id} --grade N --reason …", file=sys.stderr)


def _require_decider(session: Session, by: str | None) -> None:
    """Refuse recorded decisions of somebody who may not decide."""
    pin = session.pins().get(str(by))
    if pin is None:
        raise UserError(f"--replay needs --by ACCOUNT, whose decisions they were; {by!r} has no account here")
    require(pin, Act.ADJUDICATE)


def _decision(
    answered: list[Answered], candidate_id: str, grade: int | None, scale: Scale, account: str, reason: str | None
) -> Decision:
    if grade not in scale or grade is None:
        raise UserError(f"grade {grade} is off the scale {list(scale.values)}. Give one of them: --grade N")
    for pair in answered:
        if pair.candidate_id == candidate_id:
            act_id = action_id(account, f"{new_session()}:adjudicate", 1)
            return Decision(pair, grade, account, reason, False, act_id, pair.steps_for(grade))
    raise UserError(f"{candidate_id} has no answers to decide on. List those that wait: afrel adjudicate")


def _recorded_decisions(disputed: list[Answered], recording: Recording, by: str) -> list[Decision]:
    recorded = {(r.query_ref, r.doc_ref): r for r in recording.records if r.grade is not None}
    decisions = []
    for pair in disputed:
        record = recorded.get((str(pair.query_ref), str(pair.doc_ref)))
        if record is not None and record.grade is not None:
            act_id = action_id(by, f"{recording.session}:adjudicate", record.line)
            steps = pair.steps_for(record.grade)
            decisions.append(Decision(pair, record.grade, by, record.reason, True, act_id, steps))
    return decisions
