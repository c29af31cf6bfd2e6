"""Named reads of the evolution room. Grades come through of train pairs only."""

from storage.reads.read import Read

_INSTRUCTION_DECISIONS = """
    select content_id, arg_max(decision, (created_at, sequence, approval_id)) as decision
    from approvals where kind = 'instruction' group by content_id
"""

READS = {
    # Judged train pairs with their text, for mutations and their verifier.
    "train_pairs": Read(
        """
        select p.pair_id, p.query_id, p.doc_id, p.origin, q.root_query_id, q.text as query,
               d.title, d.body, d.fields, j.grade
        from current_judgments j
        join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
        where p.split = 'train' and ($judgments = 'all' or starts_with(j.origin, $judgments))
        order by p.pair_id
        """
    ),
    # Judged train pairs with their features, for mining and for the lexical grader.
    "train_features": Read(
        """
        select f.* exclude (run_id, created_at), q.root_query_id, j.grade
        from current_judgments j
        join pairs p using (pair_id) join queries q using (query_id) join pair_features f using (pair_id)
        where p.split = 'train' and ($judgments = 'all' or starts_with(j.origin, $judgments))
        order by p.pair_id
        """
    ),
    "all_features": Read("select f.* exclude (run_id, created_at) from pair_features f order by pair_id"),
    "rule_vote_ids": Read("select rule_vote_id from rule_votes"),
    # Every rule with what its votes were worth on train judgments.
    "rule_book": Read(
        """
        with judged as (
            select j.pair_id, j.grade from current_judgments j join pairs p using (pair_id) where p.split = 'train'),
        votes as (
            select v.rule_id, count(*) as n_votes, count(t.grade) as n_judged,
                   count(*) filter (t.grade = v.grade) as n_right
            from rule_votes v left join judged t using (pair_id) group by v.rule_id)
        select r.rule_id, r.text, r.condition, r.grade, r.parent_id, r.origin, r.status,
               coalesce(v.n_votes, 0) as n_votes, coalesce(v.n_judged, 0) as n_judged,
               coalesce(v.n_right, 0) as n_right
        from rule_status r left join votes v using (rule_id)
        order by r.rule_id
        """
    ),
    "instruction_book": Read(
        f"""
        select i.instruction_id, i.text, i.operator, i.generation,
               case when a.decision = 'approve' then 'approved' when a.decision = 'reject' then 'rejected'
                    when not coalesce(m.is_accepted, true) then 'turned away' else 'proposed' end as status
        from instructions i left join ({_INSTRUCTION_DECISIONS}) a on a.content_id = i.instruction_id
        left join (
            select instruction_id, bool_or(is_accepted) as is_accepted
            from instruction_edits group by instruction_id) m on m.instruction_id = i.instruction_id
        order by i.generation, i.created_at, i.instruction_id
        """
    ),
    # The approved one of the latest generation; before any was approved, the workspace's first.
    "instruction_in_force": Read(
        f"""
        select i.instruction_id, i.text
        from instructions i left join ({_INSTRUCTION_DECISIONS}) a on a.content_id = i.instruction_id
        where coalesce(a.decision, '') <> 'reject' and (a.decision = 'approve' or i.generation = 0)
        order by coalesce(a.decision, '') desc, i.generation desc, i.created_at desc, i.instruction_id
        limit 1
        """
    ),
    # Pairs a proposer has not labelled under this instruction and rule book. A mutation counts once it is confirmed.
    "unlabelled_pairs": Read(
        """
        with done as (
            select distinct c.pair_id
            from candidates c join runs r using (run_id)
            where c.proposer = $proposer and c.instruction_id is not distinct from $instruction_id
              and json_extract_string(r.config, '$.rule_book') = $rule_book)
        select p.pair_id, q.text as query, d.title, d.body, d.fields
        from pairs p join queries q using (query_id) join docs d using (doc_id)
        where exists (select 1 from pair_features f where f.pair_id = p.pair_id)
          and not exists (select 1 from done where done.pair_id = p.pair_id)
          and (p.origin <> 'mutation' or exists (
                select 1 from pair_mutations m join mutation_checks k using (pair_mutation_id)
                where m.pair_id = p.pair_id and k.is_confirmed))
        order by p.pair_id
        """
    ),
    "good_replies": Read(
        "select llm_call_id, reply from llm_calls "
        "where failure is null and role = $role and provider = $provider and model = $model"
    ),
    # What calls took so far, to estimate what more of them will take. Only those the server counted.
    "call_sizes": Read(
        """
        select count(*) as n, count(*) filter (failure is null) as n_good,
               avg(n_prompt_tokens / strlen(request)) as tokens_a_byte,
               stddev_samp(n_prompt_tokens / strlen(request)) as tokens_a_byte_deviation,
               avg(n_completion_tokens) as n_reply_tokens,
               stddev_samp(n_completion_tokens) as n_reply_tokens_deviation
        from llm_calls
        where role = $role and list_contains($operators::varchar[], operator) and provider = $provider
          and model = $model and n_prompt_tokens > 0 and n_completion_tokens is not null and strlen(request) > 2
        """
    ),
    # For mutations: what a new query's text may collide with. Texts and splits, never grades.
    "query_roots": Read("select query_id, root_query_id, split from queries"),
    "train_pair_ids": Read("select pair_id from pairs where split = 'train'"),
    "mutated_parents": Read(
        "select m.parent_pair_id, m.operator, p.query_id from pair_mutations m "
        "join pairs p on p.pair_id = m.parent_pair_id"
    ),
}
