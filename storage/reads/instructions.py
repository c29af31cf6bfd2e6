"""Named reads of instruction evolution: judged train and dev pairs, and every version with its edits and scores.

Test pairs pass through none of them: scores are of train and dev, and pairs are chosen by their split.
"""

from storage.reads.read import Read

READS = {
    # Judged train and dev pairs with their texts: what an instruction is scored on, and what edits are made from.
    "instruction_pairs": Read(
        """
        select p.pair_id, p.split, q.root_query_id, q.text as query, d.title, d.body, d.fields, j.grade
        from current_judgments j
        join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
        where p.split in ('train', 'dev')
          and exists (select 1 from pair_features f where f.pair_id = p.pair_id)
        order by p.pair_id
        """
    ),
    # Every version with where it stands: `machine` is what the last edit that made it was told, null for a first one.
    "instruction_versions": Read(
        """
        with decided as (
            select content_id, arg_max(approval_id, (created_at, sequence, approval_id)) as approval_id
            from approvals where kind = 'instruction' group by content_id),
        made as (
            select instruction_id, bool_or(is_accepted) as is_accepted
            from instruction_edits where instruction_id is not null group by instruction_id)
        select i.instruction_id, i.text, i.parent_id, i.operator, i.generation, i.run_id, i.created_at,
               case when a.decision = 'approve' then 'approved' when a.decision = 'reject' then 'rejected'
                    when not coalesce(m.is_accepted, true) then 'turned away' else 'proposed' end as status,
               a.account, a.reason as decided_for
        from instructions i left join decided d on d.content_id = i.instruction_id
        left join approvals a using (approval_id) left join made m on m.instruction_id = i.instruction_id
        order by i.generation, i.created_at, i.instruction_id
        """
    ),
    "instruction_edits": Read("select * from instruction_edits order by created_at, instruction_edit_id"),
    "instruction_scores": Read(
        """
        select instruction_id, split, metric, value, low, high, n, run_id, created_at
        from instruction_scores where split in ('train', 'dev')
        order by created_at, instruction_id, split, metric
        """
    ),
}
