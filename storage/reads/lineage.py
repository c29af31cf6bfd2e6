"""Named reads behind `why`: one step of a chain each. What people said of test pairs is blank."""

from storage.process.standing import acts_sql, current_judgments_sql, standing_sql
from storage.reads.read import Read

_OF_PAIR = ("pair_id", "id")
_STANDING = standing_sql("{responses}")

READS = {
    "why_pair": Read(
        """
        select p.pair_id, p.split, p.origin, p.source, p.run_id, p.query_id, p.doc_id, q.text as query,
               q.root_query_id, d.title, left(d.body, 2000) as body,
               (select list({source: x.source, kind: x.kind, external_id: x.external_id}) from external_ids x
                where x.content_id in (p.query_id, p.doc_id)) as external_ids
        from {pairs} p join {queries} q using (query_id) join {docs} d using (doc_id)
        """,
        finds={"pairs": _OF_PAIR, "queries": ("query_id", "pairs.query_id"), "docs": ("doc_id", "pairs.doc_id")},
    ),
    "why_mutation": Read(
        """
        select m.*, c.is_confirmed, c.verifier, c.reason, c.parent_expected_grade, c.expected_grade
        from pair_mutations m left join mutation_checks c using (pair_mutation_id)
        where m.pair_id = $id order by m.created_at
        """
    ),
    "why_candidates": Read(
        "select * from {candidates} order by created_at, candidate_id", finds={"candidates": _OF_PAIR}
    ),
    "why_candidate": Read("select pair_id from {candidates}", finds={"candidates": ("candidate_id", "id")}),
    "why_screenings": Read("select * from {screenings} order by screen", finds={"screenings": ("candidate_id", "id")}),
    # The last verdict of each judge on each step. What is said of the steps of a test pair may name its grade.
    "why_step_verdicts": Read(
        """
        select v.step_verdict_id, v.verifier, v.step, v.verdict, v.error_type, v.explanation, v.reference,
               v.llm_call_id, v.run_id, s.is_passed, s.failed
        from {step_verdicts} v join {candidates} c using (candidate_id) join {pairs} p using (pair_id)
        left join judge_standing s on s.judge = v.verifier
        where p.split <> 'test'
        qualify row_number() over (partition by v.verifier, v.step order by v.created_at desc, v.step_verdict_id) = 1
        order by v.verifier, v.step
        """,
        finds={
            "step_verdicts": ("candidate_id", "id"),
            "candidates": ("candidate_id", "id"),
            "pairs": ("pair_id", "candidates.pair_id"),
        },
    ),
    "why_call": Read(
        """
        select llm_call_id, provider, model, operator, template_digest, failure, seconds, cost, grade_logprobs,
               n_prompt_tokens + n_completion_tokens as n_tokens
        from {llm_calls}
        """,
        finds={"llm_calls": ("llm_call_id", "id")},
    ),
    "why_instruction": Read(
        "select instruction_id, operator, generation, parent_id, run_id from instructions where instruction_id = $id"
    ),
    "why_rules": Read(
        "select rule_id, text, condition, grade, status, run_id from rule_status "
        "where rule_id in (select unnest($ids::varchar[]))"
    ),
    "why_responses": Read(
        f"""
        select r.response_id, a.pseudonym, r.act, r.is_replayed, r.created_at, r.candidate_id, r.seconds,
               s.response_id is not null as is_standing, case when p.split = 'test' then null else r.grade end as grade
        from ({acts_sql("{responses}")}) r join {{pairs}} p using (pair_id)
        left join current_accounts a using (account) left join ({_STANDING}) s using (response_id)
        order by r.effective_at, r.session, r.sequence
        """,
        finds={"responses": _OF_PAIR, "pairs": _OF_PAIR},
    ),
    # What was said of test pairs may name their grade.
    "why_send_backs": Read(
        """
        select b.send_back_id, a.pseudonym, b.created_at, len(b.response_ids) as n_sent_back, b.n_required,
               case when p.split = 'test' then null else b.reason end as reason
        from {send_backs} b join {pairs} p using (pair_id) left join current_accounts a using (account)
        order by b.created_at, b.send_back_id
        """,
        finds={"send_backs": _OF_PAIR, "pairs": _OF_PAIR},
    ),
    "why_judgments": Read(
        f"""
        select j.judgment_id, j.origin, j.run_id, j.is_replayed, j.created_at, a.pseudonym,
               case when p.split = 'test' then null else j.grade end as grade,
               c.judgment_id is not null as is_current
        from {{judgments}} j join {{pairs}} p using (pair_id)
        left join current_accounts a using (account)
        left join ({current_judgments_sql("{judgments}", f"({_STANDING})")}) c using (judgment_id)
        order by j.created_at
        """,
        finds={"judgments": _OF_PAIR, "responses": _OF_PAIR, "pairs": _OF_PAIR},
    ),
    "why_judgment": Read("select pair_id from {judgments}", finds={"judgments": ("judgment_id", "id")}),
    "why_response": Read("select pair_id from {responses}", finds={"responses": ("response_id", "id")}),
    "why_screening": Read(
        "select c.pair_id from {screenings} s join candidates c using (candidate_id)",
        finds={"screenings": ("screening_id", "id")},
    ),
    "why_prediction": Read("select pair_id from {predictions}", finds={"predictions": ("prediction_id", "id")}),
    "why_predictions": Read(
        "select prediction_id, train_run_id, grade, probabilities, run_id from {predictions} order by created_at",
        finds={"predictions": _OF_PAIR},
    ),
    "why_members": Read(
        """
        select m.snapshot_id,
               -- tier and row hash of a test pair tell of its grade
               case when p.split = 'test' then 'a test row'
                    else 'tier ' || m.tier || ' ' || t.name || ', row ' || m.row_hash[:12] end as tier_told,
               (select list(a.pseudonym) from signatures s left join current_accounts a using (account)
                where s.snapshot_id = m.snapshot_id and s.tier = m.tier) as signed_by,
               exists (select 1 from revocations r where r.snapshot_id = m.snapshot_id) as is_revoked
        from {tier_members} m join {pairs} p using (pair_id)
        left join tiers t on t.snapshot_id = m.snapshot_id and t.tier = m.tier
        order by m.snapshot_id
        """,
        finds={"tier_members": _OF_PAIR, "pairs": _OF_PAIR},
    ),
    "why_training_runs": Read(
        """
        select run_id, status, started_at, finished_at, code_version,
               json_extract_string(config, '$.snapshot_id') as snapshot_id,
               cast(json_extract(config, '$.tiers') as integer[]) as tiers
        from runs
        where verb = 'train'
          and (list_contains($ids, run_id)
               or list_contains($snapshot_ids, json_extract_string(config, '$.snapshot_id')))
        order by started_at
        """
    ),
    # Train queries that hold at least one of some words, those with the most first; what is alike is decided later.
    "train_queries_with_words": Read(
        """
        with counted as (
            select query_id, text,
                   len(list_filter(cast($words as varchar[]), lambda word: contains(lower(text), word))) as n_words
            from queries where split = 'train')
        select query_id, text from counted where n_words > 0 order by n_words desc, len(text), query_id limit $n
        """
    ),
    # The rows of a snapshot that belong to some train queries.
    "train_rows_of_queries": Read(
        """
        select p.pair_id, p.query_id, p.doc_id, d.title, m.tier, m.judgment_id, m.candidate_id
        from {pairs} p join {docs} d using (doc_id)
        join {tier_members} m using (pair_id)
        where p.split = 'train' and m.snapshot_id = $snapshot_id
        order by p.pair_id limit $n
        """,
        finds={
            "pairs": ("query_id", "query_ids"),
            "docs": ("doc_id", "pairs.doc_id"),
            "tier_members": ("pair_id", "pairs.pair_id"),
        },
    ),
    # What some train rows say: their grade, and their rationale as a snapshot takes it.
    "train_row_says": Read(
        """
        select j.judgment_id, j.grade, coalesce(j.steps, case when c.grade = j.grade then c.steps end) as steps
        from {judgments} j join {pairs} p using (pair_id) left join {candidates} c on c.pair_id = j.pair_id
        where p.split = 'train'
        """,
        finds={
            "judgments": ("judgment_id", "judgment_ids"),
            "pairs": ("pair_id", "judgments.pair_id"),
            "candidates": ("candidate_id", "candidate_ids"),
        },
    ),
    "bodies_of_docs": Read(
        "select doc_id, left(body, 2000) as body from {docs}", finds={"docs": ("doc_id", "doc_ids")}
    ),
    "why_trained_on": Read(
        """
        select run_id, status, started_at from runs
        where verb = 'train' and json_extract_string(config, '$.snapshot_id') = $id order by started_at
        """
    ),
}
