"""Which pairs are rewritten by which operator: one mutation a pair, a few a query, the least used operator first.

The model-free forms answer at once. A model is asked a wave of pairs at a time, and what comes back is taken in the
order it was asked in, so that a run that was cut short asks for the same rewritings again and finds them paid for.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from curation.ingest import doc_id_of, pair_id_of, query_id_of
from evolution.calls.asking import Asked
from evolution.calls.budget import BudgetSpentError
from evolution.calls.failure_watch import kind_of
from evolution.calls.llm import Request
from evolution.calls.paid_calls import Answer, Calls
from evolution.mutations.corpus import Corpus
from evolution.mutations.guard import CollapseGuard
from evolution.mutations.operator import Operator, Side
from evolution.mutations.operators import MutatedPair, Original, rewrite
from evolution.mutations.prompted import PromptedForm, check_mutation
from storage.errors import UserError
from storage.grades import Scale


@dataclass(frozen=True, slots=True)
class Source:
    """A judged train pair, under the ids it has in the store."""

    original: Original
    query_id: str
    doc_id: str
    root_query_id: str


@dataclass(frozen=True, slots=True)
class Draw:
    """A mutation with the pair it came from and the ids it will have."""

    source: Source
    mutated: MutatedPair
    query_id: str
    doc_id: str
    pair_id: str
    llm_call_id: str | None = None


@dataclass(slots=True)
class Drawing:
    """Draws mutations up to a limit. `roots` are all queries' roots, `pair_ids` the pairs there are."""

    operators: Mapping[str, Operator]
    corpus: Corpus
    scale: Scale
    guard: CollapseGuard
    limit: int
    seed: int
    roots: dict[str, str]
    pair_ids: set[str]
    draws: list[Draw] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.draws) >= self.limit

    def without_model(self, sources: Sequence[Source]) -> None:
        """Draw by the model-free forms."""
        for source in sources:
            if self.is_full:
                return
            for name in self.guard.next_operators(source.query_id):
                chance = random.Random(f"{self.seed} {source.original.pair_id} {name}")
                mutated = rewrite(self.operators[name], source.original, self.corpus, scale=self.scale, draw=chance)
                if mutated is not None and self._take(source, mutated):
                    break

    def by_model(
        self,
        sources: Sequence[Source],
        form: PromptedForm,
        calls: Calls,
        *,
        concurrency: int,
        asked: Asked,
        took: Callable[[Answer], None],
    ) -> None:
        """Draw by a model, counted in `asked`, which also says when a budget ended it; `took` gets every answer.

        UserError when the server is gone or nothing it says can be used.
        """
        left = self._asks(sources, form)
        with ThreadPoolExecutor(concurrency, thread_name_prefix="mutate") as pool:
            while not self.is_full and (wave := list(islice(left, min(2 * concurrency, self.limit - len(self.draws))))):
                for ask, answer in self._answered(wave, pool, calls, asked):
                    took(answer)
                    if answer.text is None:
                        asked.failures[kind_of(answer.failure or "no reply")] += 1
                        continue
                    asked.n_answered += 1
                    asked.n_held += not answer.rows
                    if (mutated := form.read(ask.operator, ask.source.original, answer.text)) is not None:
                        self._take(ask.source, mutated, llm_call_id=answer.llm_call_id)
                if asked.stopped is not None:
                    return

    def requests(self, sources: Sequence[Source], form: PromptedForm) -> list[Request]:
        """Return the requests a run would make, were every one answered by a mutation; nothing is drawn."""
        return [ask.request for ask in islice(self._asks(sources, form), self.limit)]

    def _answered(
        self, wave: Sequence[_Ask], pool: ThreadPoolExecutor, calls: Calls, asked: Asked
    ) -> Iterator[tuple[_Ask, Answer]]:
        """Ask for a wave; leave out what a spent budget kept from being asked."""
        try:
            for ask, answer in zip(wave, pool.map(lambda ask: ask.put_to(calls), wave), strict=True):
                if isinstance(answer, Answer):
                    yield ask, answer
                else:
                    asked.stopped = str(answer)
        except KeyboardInterrupt:
            calls.stop(UserError("stopped"))  # else the pool would go on with the rest of the wave
            raise

    def _asks(self, sources: Sequence[Source], form: PromptedForm) -> Iterator[_Ask]:
        """Yield one request a pair: of the operators that may and can be asked, the one asked least."""
        n_asked: Counter[str] = Counter()
        of_query: Counter[str] = Counter()
        for source in sources:
            allowed = self.guard.next_operators(source.query_id, n_waiting=of_query[source.query_id])
            for name in sorted(allowed, key=lambda n: (n_asked[n], n)):
                request = form.request(self.operators[name], source.original)
                if request is not None:
                    n_asked[name] += 1
                    of_query[source.query_id] += 1
                    yield _Ask(source, self.operators[name], request)
                    break

    def _take(self, source: Source, mutated: MutatedPair, *, llm_call_id: str | None = None) -> bool:
        """Keep a mutation; False for one that is there already, or whose query exists under another root."""
        query_id = query_id_of(mutated.query)
        is_doc = self.operators[mutated.operator].side is Side.DOC
        doc_id = doc_id_of(mutated.title, mutated.body, source.original.fields) if is_doc else source.doc_id
        pair_id = pair_id_of(query_id, doc_id)
        # another root would mean another split, perhaps test
        if pair_id in self.pair_ids or self.roots.get(query_id, source.root_query_id) != source.root_query_id:
            return False
        self.roots[query_id] = source.root_query_id
        self.pair_ids.add(pair_id)
        self.guard.take(
            mutated.operator, source.query_id, f"{mutated.title} {mutated.body}" if is_doc else mutated.query
        )
        self.draws.append(Draw(source, mutated, query_id, doc_id, pair_id, llm_call_id))
        return True


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request for one rewriting."""

    source: Source
    operator: Operator
    request: Request

    def put_to(self, calls: Calls) -> Answer | BudgetSpentError:
        """Ask, or return why it was not asked: others of the same wave may have been answered."""
        try:
            return calls.ask(self.request, lambda text: check_mutation(text, self.operator, self.source.original))
        except BudgetSpentError as spent:
            return spent
