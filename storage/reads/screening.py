"""Named reads of the screens: candidates nobody has checked, what they are held against, and texts by id.

A settled grade of the test split never passes through: a test pair holds its place by its candidate only.
"""

from storage.reads.read import Read

_UNSCREENED = "not exists (select 1 from screenings s where s.candidate_id = c.candidate_id)"
_PASSED = "select candidate_id from screenings group by candidate_id having bool_and(is_passed)"

READS = {
    # Candidates no screen has looked at yet, in the order they were made.
    "unscreened": Read(
        f"""
        select c.candidate_id, c.pair_id, c.grade, c.steps, c.rule_ids, c.created_at, p.split, p.query_id, p.doc_id,
               q.text as query, d.title, d.body, d.fields
        from candidates c
        join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
        where {_UNSCREENED}
        order by c.created_at, c.candidate_id
        """
    ),
    "any_candidate": Read("select candidate_id from candidates limit 1"),
    # Pairs that hold their place against a near-duplicate: a candidate of theirs passed, or they are settled.
    "standing_pairs": Read(
        f"""
        select s.standing_id, s.pair_id, s.grade, p.split, p.query_id, p.doc_id
        from (
            select candidate_id as standing_id, pair_id, grade, created_at
            from candidates where candidate_id in ({_PASSED})
            union all
            select pair_id as standing_id, pair_id, grade, created_at from current_judgments
            where pair_id in (select pair_id from pairs where split <> 'test')) s
        join pairs p using (pair_id)
        order by s.created_at, s.standing_id
        """
    ),
    "votes_of_unscreened": Read(
        f"""
        select rule_id, pair_id from rule_votes
        where pair_id in (select c.pair_id from candidates c where {_UNSCREENED})
        """
    ),
    "held_back_docs": Read("select distinct doc_id from pairs where split <> 'train'"),
    "mutation_kin": Read("select distinct pair_id, parent_pair_id from pair_mutations where parent_pair_id <> pair_id"),
    # The latest snapshot each pair is in.
    "snapshots_of_pairs": Read(
        """
        select m.pair_id, arg_max(m.snapshot_id, (s.created_at, m.snapshot_id)) as snapshot_id
        from tier_members m join snapshots s using (snapshot_id) group by m.pair_id
        """
    ),
    "passed_rationales": Read(
        f"""
        select c.candidate_id, c.pair_id, c.steps
        from candidates c join pairs p using (pair_id)
        where p.split <> 'test' and c.candidate_id in ({_PASSED})
        order by c.created_at desc, c.candidate_id limit $n
        """
    ),
    "steps_of_candidates": Read(
        "select candidate_id, steps from {candidates}", finds={"candidates": ("candidate_id", "ids")}
    ),
    # An erased text is like nothing, not like other erased ones.
    "query_texts": Read(
        "select query_id, case when text = '[erased]' then '' else text end as text from {queries}",
        finds={"queries": ("query_id", "ids")},
    ),
    "doc_texts": Read(
        """
        select doc_id, case when title = '[erased]' then '' else title end as title,
               case when body = '[erased]' then '' else body end as body, fields
        from {docs}
        """,
        finds={"docs": ("doc_id", "ids")},
    ),
}
