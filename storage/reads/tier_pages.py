"""Named reads of the page of tiers and snapshots: what a count rests on, rows to audit, marks."""

from storage.reads.read import Read

READS = {
    # How many facts there are that decide what tiers hold. Facts are only ever added, so equal counts are equal tiers;
    # an erasure blanks texts and counts, too.
    "tier_state": Read(
        """
        select (select count(*) from judgments) as judgments, (select count(*) from responses) as responses,
               (select count(*) from candidates) as candidates, (select count(*) from screenings) as screenings,
               (select count(*) from rule_votes) as rule_votes,
               (select count(*) from approvals where kind = 'rule') as decisions,
               (select count(*) from difficulty_scores) as difficulty_scores,
               (select count(*) from pair_mutations) as pair_mutations, (select count(*) from erasures) as erasures,
               (select count(*) from send_backs) as send_backs
        """
    ),
    # The texts of rows drawn for an audit; a test row is never among them.
    "audit_rows": Read(
        """
        select j.judgment_id, p.split, q.text as query, d.title, d.body, d.fields, j.grade, j.steps as settled_steps,
               c.grade as proposed_grade, c.steps as proposed_steps
        from {judgments} j
        join {pairs} p using (pair_id) join {queries} q using (query_id) join {docs} d using (doc_id)
        left join {candidates} c on c.pair_id = j.pair_id
        where p.split <> 'test'
        """,
        finds={
            "judgments": ("judgment_id", "judgment_ids"),
            "candidates": ("candidate_id", "candidate_ids"),
            "pairs": ("pair_id", "judgments.pair_id"),
            "queries": ("query_id", "pairs.query_id"),
            "docs": ("doc_id", "pairs.doc_id"),
        },
    ),
    # What an auditor said of each row of an audit; the later word counts.
    "audit_marks": Read(
        """
        select content_id as judgment_id, arg_max(decision, (created_at, sequence, approval_id)) as decision,
               max(sequence) as sequence
        from approvals
        where kind = 'audit' and account = $account and json_extract_string(reason, '$.audit_id') = $audit_id
        group by content_id
        """
    ),
    "audits": Read(
        """
        with marks as (
            select account, json_extract_string(reason, '$.audit_id') as audit_id, content_id,
                   arg_max(decision, (created_at, sequence, approval_id)) as decision,
                   any_value(reason) as drawn, max(created_at) as marked_at
            from approvals where kind = 'audit' group by account, audit_id, content_id)
        select audit_id, account, any_value(drawn) as drawn, max(marked_at) as marked_at, count(*) as n_marked,
               count(*) filter (decision = 'right') as n_right
        from marks group by audit_id, account order by marked_at desc
        """
    ),
}
