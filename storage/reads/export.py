"""Named reads of exports: the sources' own ids, and what people did on pairs that may leave; no test pair is there."""

from storage.process.standing import standing_sql
from storage.reads.read import Read

# The answers that stand and may leave.
_STANDING = f"""
    select r.* from ({standing_sql("responses")}) r join pairs p using (pair_id)
    where p.split <> 'test' and r.act = 'submitted'
"""

READS = {
    "export_external_ids": Read(
        "select source, kind, external_id, content_id from external_ids where external_id <> '[erased]'"
    ),
    # Who brought each text first; a rewritten query is of whoever brought the one it comes from.
    "export_text_sources": Read(
        """
        select 'query' as kind, q.query_id as content_id, coalesce(r.source, q.source) as source
        from queries q left join queries r on r.query_id = q.root_query_id
        union all
        select 'doc', doc_id, source from docs
        """
    ),
    # Edits whose answer still stands.
    "export_preferences": Read(
        f"""
        select f.pair_id, f.chosen, f.rejected
        from preferences f join ({_STANDING}) s using (response_id)
        order by f.pair_id, f.preference_id
        """
    ),
    # Answers that say something of a suggestion's steps: which is the first wrong one, or that it was taken as it was.
    "export_step_marks": Read(
        f"""
        select c.candidate_id, c.pair_id, c.grade as proposed_grade, c.steps as proposed_steps, s.first_wrong_step,
               s.first_wrong_step is null and s.grade = c.grade and (s.steps is null or s.steps = c.steps) as is_taken
        from ({_STANDING}) s join candidates c using (candidate_id)
        order by c.pair_id, c.candidate_id, s.response_id
        """
    ),
    # The grades of each pair that two or more people answered.
    "export_answers": Read(
        f"""
        select pair_id, list_sort(list(grade)) as grades
        from ({_STANDING}) s where grade is not null group by pair_id having count(*) >= 2
        """
    ),
}
