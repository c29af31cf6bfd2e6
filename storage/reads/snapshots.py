"""Named reads about snapshots themselves: what uses them, what was removed, where their rows come from."""

from storage.reads.read import Read
from storage.reads.tier_relation import EVIDENCE_COLUMNS

READS = {
    # Snapshots, the oldest first. A run of any verb that names one uses it, also a run that failed; cutting does not.
    "snapshot_uses": Read(
        """
        select s.snapshot_id, s.created_at, s.n_rows,
               exists (select 1 from runs r
                       where r.verb not in ('snapshot', 'gc') and contains(r.config, s.snapshot_id))
               or exists (select 1 from evaluations e where e.snapshot_id = s.snapshot_id) as is_used,
               exists (select 1 from revocations v
                       where v.snapshot_id = s.snapshot_id and v.tier is null) as is_revoked
        from snapshots s order by s.created_at, s.snapshot_id
        """
    ),
    # Snapshots whose folder was removed on purpose: the run that did it named them before it began.
    "snapshots_removed": Read(
        "select s.snapshot_id from snapshots s where exists "
        "(select 1 from runs r where r.verb = 'gc' and contains(r.config, s.snapshot_id)) order by s.snapshot_id"
    ),
    # What the store holds of the judgments and candidates that the rows of a snapshot name.
    "snapshot_lineage": Read(
        """
        select m.pair_id, m.tier, m.row_hash, m.judgment_id, m.candidate_id,
               j.pair_id as judged_pair_id, j.grade as judged_grade, j.origin as judgment_origin,
               c.pair_id as proposed_pair_id
        from tier_members m
        left join judgments j on j.judgment_id = m.judgment_id
        left join candidates c on c.candidate_id = m.candidate_id
        where m.snapshot_id = $snapshot_id
        """,
        shows_test=True,
    ),
    # What the evidence of a snapshot's rows is derived from; no settled grade is in it.
    "snapshot_evidence": Read(
        f"""
        with members as materialized (select pair_id from tier_members where snapshot_id = $snapshot_id),
        votes as (
            select v.pair_id, list_sort(list(v.grade)) as votes
            from rule_votes v join rule_status r using (rule_id)
            where r.status = 'approved' and v.pair_id in (select pair_id from members) group by v.pair_id)
        select m.pair_id, coalesce(v.votes, []) as votes, {EVIDENCE_COLUMNS}
        from members m left join pair_features f on f.pair_id = m.pair_id left join votes v on v.pair_id = m.pair_id
        """
    ),
    "pseudonyms": Read("select distinct pseudonym from accounts order by pseudonym"),
}
