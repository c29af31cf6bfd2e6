"""The evolution run: generations over a small population, every edit tried, every one kept with its reason.

Each generation edits the best versions in turn, one operator after the other; what is accepted joins the population,
of which the best on dev stay. It ends after so many generations, or when two in a row accept nothing. All is decided
by the judgments and the replies, which are held: a run that was cut short goes on where it was and asks nothing twice.
Published parts of AFRL's instruction evolution (arXiv 2602.10006) are few; the steps are our reconstruction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evolution.calls.budget import Budget, BudgetSpentError
from evolution.calls.paid_calls import Ask, drain_calls, reply_id
from evolution.instructions.desk import CallCounts, Desk
from evolution.instructions.ground import Ground, read_ground
from evolution.instructions.marking import Marker
from evolution.instructions.operators import OPERATORS, Operator
from evolution.instructions.plan import PATIENCE, POPULATION, ROUNDS, EvolvePlan
from evolution.instructions.prompted import EditForm
from evolution.instructions.rows import Outcome, Stamp, outcome_tables, score_rows, version_row
from evolution.instructions.situation import Errors, Refusal, Situation, Version, Written
from evolution.instructions.train_search import TrainSearch
from evolution.instructions.trial import Contender, Tell, Trials, Verdict
from evolution.labelling.batch_files import waiting_calls
from evolution.labelling.request import LabelMaterial
from storage.errors import UserError
from storage.ids import digest
from storage.runs import finished_run, start_run
from storage.store import Store


@dataclass(slots=True)
class EvolveReport:
    """What a run did. `population` are the versions that stand at its end, the best on dev first."""

    ground: Ground
    outcomes: list[Outcome] = field(default_factory=list)
    population: list[Contender] = field(default_factory=list)
    start: Contender | None = None
    n_generations: int = 0
    calls: CallCounts = field(default_factory=CallCounts)
    n_drained: int = 0
    n_in_flight: int = 0
    finished_before: str | None = None
    stopped: str | None = None
    burn: str = ""

    @property
    def accepted(self) -> list[Outcome]:
        """The edits that were taken."""
        return [one for one in self.outcomes if one.is_accepted]

    @property
    def turned_away(self) -> Counter[str]:
        """The reasons of the others, without their figures."""
        return Counter(reason_kind(one.reason) for one in self.outcomes if not one.is_accepted)


def reason_kind(reason: str) -> str:
    """Return what reasons are counted by: the words before the figures."""
    kind = reason.partition(":")[0]
    return " ".join(word for word in kind.split() if not any(sign.isdigit() for sign in word)) or kind


class _UnfinishedError(Exception):
    """The budget ended the run: what there is is stored, and the next run goes on."""


def evolve(
    store: Store, plan: EvolvePlan, *, account: str | None, tell: Tell = lambda _what, _done, _total: None
) -> EvolveReport:
    """Evolve the instruction in force; nothing is done twice on the same judgments, rules and settings.

    UserError where there is nothing to learn from or select by, or where the server fails throughout.
    """
    drained = drain_calls(store, plan.spool_dir)
    ground = read_ground(store, plan.scale, n_pairs=plan.n_pairs)
    report = EvolveReport(ground, n_drained=drained.n_replies, n_in_flight=drained.n_in_flight)
    config = plan.config()
    input_digest = _input_digest(ground, config)
    if before := finished_run(store, "evolve", input_digest):
        report.finished_before = before
        return report
    materials = ground.materials(store)
    _check_batches(plan, ground, materials)
    try:
        with start_run(store, verb="evolve", config=config, input_digest=input_digest, account=account) as run:
            stamp = Stamp(input_digest, plan.labeller.name, plan.proposer, run.run_id)
            budget = Budget(plan.limits, plan.prices)
            desk = Desk(store, folder=plan.spool_dir, run_id=run.run_id, budget=budget, ceiling=plan.ceiling)
            report.calls = desk.counts
            try:
                with desk:
                    _Evolution(store, plan, report, desk, stamp, materials, tell).run()
            except BudgetSpentError as spent:
                report.stopped = str(spent)
                raise _UnfinishedError from None
            finally:
                report.burn = budget.burn()
                run.counts.update(_counts(report))
    except _UnfinishedError:
        pass  # the run is marked as failed, so that the next one goes on
    drain_calls(store, plan.spool_dir)  # the store holds all of it by now, so this only clears the spools away
    return report


class _Evolution:
    """One run's population and how it grows."""

    def __init__(
        self,
        store: Store,
        plan: EvolvePlan,
        report: EvolveReport,
        desk: Desk,
        stamp: Stamp,
        materials: Mapping[str, LabelMaterial],
        tell: Tell,
    ) -> None:
        self._store, self._plan, self._report, self._desk, self._stamp = store, plan, report, desk, stamp
        self._ground = report.ground
        self._search = TrainSearch(self._ground.train, plan.scale)
        self._attempts: Counter[tuple[str, str]] = Counter()
        marker = Marker(desk, plan.labeller, materials, plan.scale)

        def with_burn(what: str, done: int, total: int) -> None:
            tell(f"{what} ({desk.burn()})", done, total)

        self._trials = Trials(self._ground, marker, with_burn, known=set())

    def run(self) -> None:
        """Label under the first instruction, then grow generations."""
        report, start = self._report, self._ground.start
        first = self._trials.first(start)
        if not first.errors.said or first.failed_rate > 0.5:
            reasons = "; ".join(f"{n} {reason}" for reason, n in self._desk.counts.failures.most_common(3))
            raise UserError(
                f"{self._desk.counts.n_failed} of {len(self._ground.pair_ids)} pairs could not be labelled under the "
                f"instruction in force: {reasons}. See what it answers: afrel label --provider openai --limit 20"
            )
        report.start, report.population = first, [first]
        self._store.append(
            {
                "instructions": [version_row(start, "built-in", None, self._stamp.run_id)],
                "instruction_scores": score_rows(start, first.said, self._ground, self._stamp),
            }
        )
        n_idle = 0
        while report.n_generations < self._plan.n_generations and n_idle < PATIENCE:
            new = list(self._generation())
            report.n_generations += 1
            n_idle = 0 if new else n_idle + 1
            ranked = sorted([*report.population, *new], key=lambda one: (-one.objective, one.version.instruction_id))
            report.population = ranked[:POPULATION]

    def _generation(self) -> Iterator[Contender]:
        """Yield what is accepted of the edits of one generation."""
        n_tried = 0
        parents = list(self._report.population)
        for operator, parent, other in _turns(self._plan.operators, parents):
            if n_tried == self._plan.n_edits:
                return
            outcome, verdict = self._edit(OPERATORS[operator], parent, other)
            self._report.outcomes.append(outcome)
            tables: dict[str, list[dict[str, Any]]] = outcome_tables(outcome, self._stamp)
            if outcome.version is not None and verdict is not None and verdict.said is not None:
                tables["instruction_scores"] = score_rows(outcome.version, verdict.said, self._ground, self._stamp)
            self._store.append(tables)
            n_tried += verdict is not None
            if verdict is not None and verdict.contender is not None:
                yield verdict.contender

    def _edit(self, operator: Operator, parent: Contender, other: Contender | None) -> tuple[Outcome, Verdict | None]:
        """Make and try one edit; no verdict where there was nothing to try."""
        place = (operator.name, parent.version.instruction_id)
        attempt = self._attempts[place]
        self._attempts[place] += 1
        situation = Situation(
            parent.version, other.version if other else None, parent.errors, self._plan.scale, self._search, attempt
        )
        written, call_id = self._write(operator, situation)
        outcome = Outcome(operator.name, attempt, parent.version, situation.other, None, False, "", llm_call_id=call_id)
        if isinstance(written, Refusal):
            return replace(outcome, reason=written.reason), None
        outcome = replace(outcome, change=written.change, pair_ids=written.pair_ids)
        if fault := self._trials.fault_of(written.text):
            return replace(outcome, reason=fault), None
        child = Version(written.text, parent.version.generation + 1)
        verdict = self._trials.judge(parent, child, operator.name)
        return replace(
            outcome, version=child, is_accepted=verdict.is_accepted, reason=verdict.reason, gain=verdict.gain
        ), verdict

    def _write(self, operator: Operator, situation: Situation) -> tuple[Written | Refusal, str | None]:
        """Return the edit and the call it came from; a reply that is none is a refusal with the reason."""
        role = self._plan.writers.get(operator.role)
        if role is None:
            assert operator.model_free is not None, operator.name
            return operator.model_free(situation), None
        asked = EditForm(role.model, role.parameters, role.seed).ask(operator, situation)
        if isinstance(asked, Refusal):
            return asked, None
        ((_, answer),) = self._desk.ask_all([Ask(None, asked.request, asked.check)], role)
        if answer.text is None:
            return Refusal(answer.failure or "no reply"), answer.llm_call_id
        return asked.read(answer.text), answer.llm_call_id


def preview(ground: Ground, plan: EvolvePlan) -> dict[str, Written]:
    """Return the model-free edits of the first instruction that need no labels, by operator."""
    nothing_said = Errors(ground.train, {})
    situation = Situation(ground.start, None, nothing_said, plan.scale, TrainSearch(ground.train, plan.scale))
    forms = [(name, OPERATORS[name].model_free) for name in plan.operators]
    made = {name: form(situation) for name, form in forms if form is not None}
    return {name: one for name, one in made.items() if isinstance(one, Written)}


def _turns(operators: Sequence[str], parents: Sequence[Contender]) -> Iterator[tuple[str, Contender, Contender | None]]:
    """Yield whom to edit by what: the operators in turn, the parents shifted by one each round."""
    for number in range(ROUNDS):
        for place, name in enumerate(operators):
            parent = parents[(place + number) % len(parents)]
            if OPERATORS[name].n_parents == 1:
                yield name, parent, None
            elif len(parents) > 1:
                yield name, parent, parents[(place + number + 1) % len(parents)]


def _check_batches(plan: EvolvePlan, ground: Ground, materials: Mapping[str, LabelMaterial]) -> None:
    """UserError while labels this run needs lie in a provider's batch: they are paid for there."""
    waiting = waiting_calls(plan.spool_dir)
    form = plan.labeller.label_form(ground.start.text, plan.scale)
    n = sum(reply_id(form.request(one), plan.labeller.provider) in waiting for one in materials.values() if waiting)
    if n:
        raise UserError(
            f"{n} of the labels under the instruction in force lie in a batch and are paid for there. "
            "Fetch them first: afrel batch collect"
        )


def _input_digest(ground: Ground, config: Mapping[str, Any]) -> str:
    judged = ground.train.select("pair_id", "grade").rows()
    scored = ground.scored.select("pair_id", "split", "grade").rows()
    rules = sorted(rule.rule_id for rule in ground.rules)
    slices = [one.name for one in ground.slices]
    forgotten = [rule.rule_id for rule in ground.forgotten]
    seen = ["evolve", ground.start.text, judged, scored, rules, slices, config]
    return digest([*seen, forgotten] if forgotten else seen)


def _counts(report: EvolveReport) -> dict[str, Any]:
    return {
        "generations": report.n_generations,
        "edits": len(report.outcomes),
        "accepted": len(report.accepted),
        "turned_away": dict(report.turned_away),
        "exchanges": report.calls.n_exchanges,
        "held_replies": report.calls.n_held,
        "failed": report.calls.n_failed,
        "failures": dict(report.calls.failures),
    }
