"""What of each table and column goes into the published copy: a decision for every one, and the SQL that keeps it.

Two things must not get out: the grades of test pairs, also from what stands beside them, and the names of accounts. A
row's mask depends on the row, its pair's split and its people's pseudonyms only, so that a row published once stays
right. What has no decision here is not published; a test fails until somebody decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Of the row `t`, where `s` is its pair: a pair that is not known yet counts as test.
BY_PAIR = "coalesce(s.split, 'test') = 'test'"
BY_OWN_SPLIT = "t.split = 'test'"
# A metric over fewer test rows, or with all its digits, tells single grades to whoever has the predictions.
MIN_TEST_N = 20


@dataclass(frozen=True, slots=True)
class Mask:
    """The decision on every column of a table, each a text of names.

    `test` says by which condition a row is a test row; `test_blank` columns are null there, and with `no_test_rows`
    the row is left out. `people` become pseudonyms. `scrubbed` is text in which names of accounts are struck out.
    `computed` gives the SQL of the rest, with {test} for the condition.
    """

    keep: str = ""
    blank: str = ""
    test_blank: str = ""
    people: str = ""
    scrubbed: str = ""
    computed: Mapping[str, str] = field(default_factory=dict)
    test: str = ""
    no_test_rows: bool = False

    def columns(self) -> list[str]:
        """Return every column that is decided."""
        named = " ".join((self.keep, self.blank, self.test_blank, self.people, self.scrubbed))
        return [*named.split(), *self.computed]

    def texts(self) -> list[str]:
        """Return the columns in which names of accounts are struck out."""
        return [*self.scrubbed.split(), *(name for name, sql in self.computed.items() if "{scrubbed}" in sql)]


# Facts: only ever appended, so that a copy takes the new rows alone.
FACTS: Mapping[str, Mask] = {
    "llm_calls": Mask(
        "llm_call_id role operator provider model template_digest request reply failure n_prompt_tokens "
        "n_completion_tokens seconds cost run_id created_at grade_logprobs"
    ),
    "grades": Mask("grade_id grade name created_at"),
    "queries": Mask("query_id text root_query_id split source run_id created_at"),
    "docs": Mask("doc_id title body fields source run_id created_at"),
    "external_ids": Mask("external_id_id source kind external_id content_id run_id created_at"),
    "pairs": Mask("pair_id query_id doc_id split origin source run_id created_at"),
    "pair_features": Mask(
        "pair_id n_query_terms n_doc_terms is_cjk_query term_overlap title_overlap body_overlap phrase_overlap "
        "gram_overlap longest_match_rate match_position length_ratio n_title_characters n_title_parts has_negation "
        "n_negated_present n_query_numbers n_number_matches n_number_conflicts n_attribute_matches "
        "n_attribute_conflicts has_brand_match query_terms missing_terms query_attributes doc_attributes "
        "matched_fields conflicting_fields run_id created_at"
    ),
    # a declared effect may start from the parent's grade
    "pair_mutations": Mask(
        "pair_mutation_id parent_pair_id pair_id operator change proposer run_id created_at",
        test_blank="effect effect_grade",
        test=BY_PAIR,
    ),
    "mutation_checks": Mask(
        "mutation_check_id pair_mutation_id verifier is_confirmed parent_expected_grade expected_grade reason run_id "
        "created_at"
    ),
    # a rejected record may carry a test grade, its split may be unknown, and the id is a hash over the value
    "ingest_rejects": Mask("source line reason run_id created_at", blank="ingest_reject_id value record"),
    "instructions": Mask("instruction_id text parent_id operator generation run_id created_at"),
    "instruction_scores": Mask(
        "instruction_score_id instruction_id split metric n run_id created_at",
        test_blank="value low high",
        test=BY_OWN_SPLIT,
    ),
    "instruction_edits": Mask(
        "instruction_edit_id instruction_id parent_id other_parent_id operator attempt generation proposer labeller "
        "is_accepted reason change gain gain_low gain_high example_pair_ids llm_call_id run_id created_at"
    ),
    "rules": Mask("rule_id text condition grade parent_id origin run_id created_at"),
    "rule_votes": Mask("rule_vote_id rule_id pair_id grade run_id created_at"),
    "rule_proposals": Mask(
        "rule_proposal_id rule_id parent_id source proposer text condition grade is_kept reason n_judged n_votes "
        "n_right n_held_out n_held_out_right is_confirmed n_conflicts example_pair_ids counter_pair_ids llm_call_id "
        "run_id created_at"
    ),
    "candidates": Mask(
        "candidate_id pair_id grade steps rule_ids confidence proposer instruction_id llm_call_id run_id created_at"
    ),
    "screenings": Mask("screening_id candidate_id screen is_passed score matched_id reason run_id created_at"),
    "step_verdicts": Mask(
        "step_verdict_id candidate_id step verdict verifier run_id created_at reference reference_digest aligned_to "
        "error_type explanation llm_call_id"
    ),
    # Session and counter let anybody who guesses a name find it behind a pseudonym: an act's id is their hash. How
    # often a test pair was answered tells whether its first answer confirmed the candidate, whose grade is here: so an
    # answer on a test pair names neither pair, candidate nor itself (a consensus id is a hash over its answers' ids).
    "responses": Mask(
        "is_replayed",
        blank="session sequence",
        test_blank="response_id candidate_id pair_id act grade steps first_wrong_step target_id seconds run_id",
        people="account",
        computed={
            "reason": "case when {test} then null else {scrubbed} end",
            "created_at": "case when {test} then date_trunc('day', t.created_at) else t.created_at end",
        },
        test=BY_PAIR,
    ),
    # that a test pair was sent back tells that people disputed its grade
    "send_backs": Mask(
        "send_back_id candidate_id pair_id response_ids n_required created_at",
        people="account",
        scrubbed="reason",
        test=BY_PAIR,
        no_test_rows=True,
    ),
    "comments": Mask("comment_id candidate_id created_at", blank="text", people="account"),
    "approvals": Mask(
        "approval_id kind content_id decision run_id created_at",
        blank="sequence",
        people="account",
        scrubbed="reason",
    ),
    "judgments": Mask(
        "judgment_id pair_id origin candidate_id is_replayed run_id created_at",
        test_blank="grade response_ids steps",
        people="account",
        computed={"reason": "case when {test} then null else {scrubbed} end"},
        test=BY_PAIR,
    ),
    # an edit, a tier, a rollout judged right: that the row is there tells the grade
    "preferences": Mask(
        "preference_id pair_id chosen rejected response_id run_id created_at candidate_id proposer llm_call_id",
        test=BY_PAIR,
        no_test_rows=True,
    ),
    "rollouts": Mask(
        "rollout_id pair_id train_run_id sample completion grade is_right run_id created_at proposer llm_call_id",
        test=BY_PAIR,
        no_test_rows=True,
    ),
    "predictions": Mask("prediction_id pair_id train_run_id grade probabilities run_id created_at"),
    "evaluations": Mask(
        "evaluation_id train_run_id snapshot_id split model metric run_id created_at",
        computed={
            "n": f"case when not ({{test}}) or t.n >= {MIN_TEST_N} then t.n end",
            **{
                name: f"case when not ({{test}}) then t.{name} when t.n >= {MIN_TEST_N} then round(t.{name}, 3) end"
                for name in ("value", "low", "high")
            },
        },
        test=BY_OWN_SPLIT,
    ),
    # of a rule cited once, the recall is the grade
    "rule_recalls": Mask(
        "rule_recall_id train_run_id rule_id split step recall n is_forgotten run_id created_at",
        test=BY_OWN_SPLIT,
        no_test_rows=True,
    ),
    "difficulty_scores": Mask(
        "difficulty_score_id pair_id train_run_id pass_rate n run_id created_at proposer",
        test=BY_PAIR,
        no_test_rows=True,
    ),
    "judge_cards": Mask("judge_card_id judge bias value n run_id created_at low high bound is_passed"),
    # Digests and signatures are over all rows of a tier: where few are test rows, trying their grades finds them.
    "snapshots": Mask("snapshot_id n_rows run_id created_at", blank="manifest_digest", people="account"),
    "tiers": Mask("snapshot_tier_id snapshot_id tier name predicate created_at", blank="digest n_rows"),
    "tier_members": Mask(
        "tier_member_id snapshot_id tier pair_id row_hash judgment_id candidate_id", test=BY_PAIR, no_test_rows=True
    ),
    "signatures": Mask("signature_id snapshot_id tier created_at", blank="signature", people="account"),
    "revocations": Mask("revocation_id snapshot_id tier created_at", people="account", scrubbed="reason"),
    # why something was erased may say what it was
    "erasures": Mask("erasure_id kind content_id created_at", blank="reason", people="account"),
    "saved_queries": Mask("saved_query_id created_at", people="account", scrubbed="name sql"),
    "review_causes": Mask("review_cause_id cause predicate n_required created_at"),
}  # fmt: skip

# A JSON text that is an absolute path: its folders may name people.
_FOLDERS = """'"([/~]|[A-Za-z]:)[^"]*[/\\\\]([^"/\\\\]+)"'"""
# What a person typed into a verb: an adjudication's are a grade.
_TYPED = "case when t.verb in ('respond', 'adjudicate') then null else {without_folders} end"

# Small tables whose rows change: written whole each time.
REPLACED: Mapping[str, Mask] = {
    # the digest is over a file that may hold test grades; a process tells the host
    "runs": Mask(
        "run_id verb status counts code_version started_at finished_at",
        blank="input_digest process",
        people="account",
        computed={"config": _TYPED},
    ),
    "jobs": Mask(
        "job_id verb status run_id created_at finished_at started_at exit_status",
        blank="process",
        people="account",
        computed={"fields": _TYPED},
    ),
}  # fmt: skip

# Changed in place, and large: taken for the pairs that changed. See `responses` on what its columns would tell.
STATUS = "candidate_status"
STATUS_MASK = Mask(
    "candidate_id pair_id",
    test_blank="n_answers n_required cause priority",
    computed={
        "status": "case when {test} and t.status in ('answered', 'disputed', 'discarded') then null else t.status end"
    },
    test=BY_PAIR,
)

# Not published, and why.
LEFT_OUT: Mapping[str, str] = {
    "accounts": "names and keys; `people` has pseudonyms and roles",
    "leases": "whom a candidate waits for, which only the owner needs",
    "migrations": "how the file came to be",
    "position": "how far the file is; `publication` says it of the copy",
}

DECIDED: Mapping[str, Mask] = {**FACTS, **REPLACED, STATUS: STATUS_MASK}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the store: its name and DuckDB type."""

    name: str
    type: str


def published_columns(table: str, columns: Sequence[Column]) -> list[Column]:
    """Return those of a table's columns that go into the copy, in their order."""
    decided = set(DECIDED[table].columns())
    return [column for column in columns if column.name in decided]


def masked_sql(table: str, columns: Sequence[Column], *, where: str = "") -> str:
    """Return the select of a table's masked rows, in the columns of `published_columns`; `where` is over `t`.

    It reads the relations `splits` (pair_id, split) and `pseudonyms` (account, pseudonym), and the variable
    `account_names`: a regular expression, null when there are no accounts.
    """
    mask = DECIDED[table]
    parts = [f"{_masked(mask, column)} as {column.name}" for column in published_columns(table, columns)]
    joins = " left join splits s on s.pair_id = t.pair_id" if mask.test == BY_PAIR else ""
    for number, column in enumerate(mask.people.split()):
        joins += f" left join pseudonyms n{number} on n{number}.account = t.{column}"
    conditions = [where] if where else []
    if mask.no_test_rows:
        conditions.append(f"not ({mask.test})")
    clause = f" where {' and '.join(conditions)}" if conditions else ""
    return f"select {', '.join(parts)} from {table} t{joins}{clause}"


def _masked(mask: Mask, column: Column) -> str:
    name, value = column.name, f"t.{column.name}"
    if name in mask.blank.split():
        return f"null::{column.type}"
    if name in mask.test_blank.split():
        return f"case when {mask.test} then null else {value} end"
    if name in mask.people.split():
        return f"n{mask.people.split().index(name)}.pseudonym"
    if name in mask.scrubbed.split():
        return _scrubbed(value)
    if name in mask.computed:
        without_folders = _scrubbed(f"regexp_replace({value}, {_FOLDERS}, '\"\\2\"', 'g')")
        return mask.computed[name].format(test=mask.test, scrubbed=_scrubbed(value), without_folders=without_folders)
    return value


def _scrubbed(value: str) -> str:
    """Return the SQL of a text in which names of accounts are struck out."""
    names = "getvariable('account_names')"
    return f"case when {names} is null then {value} else regexp_replace({value}, {names}, '(account)', 'gi') end"
