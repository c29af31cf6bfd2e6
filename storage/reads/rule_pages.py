"""Named reads of the page Rules: what each rule covers, where experts say otherwise, who decided what of it.

Settled grades come through of train and dev pairs only. Votes look at features alone, so counts of votes are over all
pairs. A rule is in play unless it is rejected: only rules in play overlap and conflict with others.
"""

from storage.process.standing import current_judgments_sql, standing_sql
from storage.reads.read import Read

_IN_PLAY = "select rule_id from rule_status where status <> 'rejected'"
_LAST_DECISIONS = """
    select content_id, arg_max(approval_id, (created_at, sequence, approval_id)) as approval_id
    from approvals where kind = {kind} group by content_id
"""
# The settled train and dev pairs a rule votes on, with its vote. Every table is narrowed to the rule's pairs first.
_JUDGED_BY_RULE = f"""
    voted as materialized (select pair_id, grade from rule_votes where rule_id = $rule_id),
    found as materialized (select * from judgments where pair_id in (select pair_id from voted)),
    answered as materialized (select * from responses where pair_id in (select pair_id from found)),
    standing as materialized ({standing_sql("answered")}),
    judged as materialized (
        select v.pair_id, v.grade, j.grade as settled_grade, j.origin, p.query_id, p.doc_id, p.split
        from ({current_judgments_sql("found", "standing")}) j
        join voted v using (pair_id) join pairs p using (pair_id)
        where p.split in ('train', 'dev'))"""

READS = {
    # How far the facts are that the counts below are made of: facts are only ever added, so equal numbers, equal facts.
    "rules_state": Read(
        """
        select (select count(*) from rules) as rules, (select count(*) from approvals) as approvals,
               (select count(*) from rule_votes) as rule_votes, (select count(*) from pair_features) as pair_features,
               (select count(*) from judgments) as judgments, (select count(*) from responses) as responses,
               (select count(*) from send_backs) as send_backs
        """
    ),
    # Every rule with who made it and the last word on it.
    "rule_standing": Read(
        f"""
        select r.rule_id, r.text, r.condition, r.grade, r.parent_id, r.origin, r.status, r.created_at,
               m.account as made_by, a.account, a.reason, a.created_at as decided_at
        from rule_status r left join runs m using (run_id)
        left join ({_LAST_DECISIONS.format(kind="'rule'")}) d on d.content_id = r.rule_id
        left join approvals a using (approval_id)
        order by r.rule_id
        """
    ),
    # Over all pairs: how many a rule votes on, on how many of them another votes, and another another grade.
    "rule_coverage": Read(
        f"""
        with in_play as materialized ({_IN_PLAY}),
        per_pair as (
            select pair_id, count(*) as n_votes, min(grade) as lowest, max(grade) as highest
            from rule_votes where rule_id in (from in_play) group by pair_id)
        select r.rule_id, count(v.rule_id) as n_votes,
               count(*) filter (p.n_votes > (v.rule_id in (from in_play))::integer) as n_overlaps,
               count(*) filter (p.lowest <> v.grade or p.highest <> v.grade) as n_conflicts
        from rules r left join rule_votes v using (rule_id) left join per_pair p using (pair_id)
        group by r.rule_id order by r.rule_id
        """
    ),
    "rule_accuracy": Read(
        """
        with judged as (
            select j.pair_id, j.grade
            from current_judgments j join pairs p using (pair_id) where p.split in ('train', 'dev'))
        select v.rule_id, count(*) as n_judged, count(*) filter (v.grade = j.grade) as n_right
        from rule_votes v join judged j using (pair_id)
        group by v.rule_id order by v.rule_id
        """
    ),
    "n_featured_pairs": Read("select count(*) as n from pair_features"),
    # Pairs where experts say what the rule says, and where not, the furthest apart first; else in the order of their
    # ids, which are hashes and so a fixed draw.
    "rule_examples": Read(
        f"""
        with {_JUDGED_BY_RULE},
        ranked as (
            select *, row_number() over (
                partition by grade = settled_grade order by abs(grade - settled_grade) desc, pair_id) as place
            from judged),
        chosen as (select * from ranked where place <= $n)
        select c.pair_id, q.text as query, d.title, c.grade, c.settled_grade, c.origin, c.split
        from chosen c join queries q using (query_id) join docs d using (doc_id)
        order by c.grade = c.settled_grade, c.place
        """
    ),
    # Rules in play that vote another grade on the same pairs, and whom the experts follow where they settled those.
    "rule_conflicts": Read(
        f"""
        with {_JUDGED_BY_RULE},
        in_play as materialized ({_IN_PLAY}),
        against as (
            select o.rule_id, any_value(o.grade) as grade, count(*) as n_pairs, count(j.pair_id) as n_judged,
                   count(*) filter (j.settled_grade = v.grade) as n_for_this,
                   count(*) filter (j.settled_grade = o.grade) as n_for_other
            from rule_votes o join voted v using (pair_id) left join judged j using (pair_id)
            where o.grade <> v.grade and o.rule_id <> $rule_id and o.rule_id in (from in_play)
            group by o.rule_id order by n_pairs desc, o.rule_id limit $n)
        select a.*, r.text, r.status from against a join rule_status r using (rule_id)
        order by a.n_pairs desc, a.rule_id
        """
    ),
    "rule_decisions": Read(
        """
        select content_id as rule_id, decision, account, reason, created_at
        from approvals where kind = 'rule' and list_contains($rule_ids, content_id)
        order by created_at, sequence, approval_id
        """
    ),
    "last_decisions": Read(_LAST_DECISIONS.format(kind="$kind")),
    # A fixed draw of settled train and dev pairs, with what a condition may speak of and the settled grade.
    "judged_features_draw": Read(
        """
        with drawn as (
            select j.pair_id, j.grade
            from current_judgments j join pairs p using (pair_id)
            where p.split in ('train', 'dev') and exists (select 1 from pair_features f where f.pair_id = j.pair_id)
            order by j.pair_id limit $n)
        select f.* exclude (run_id, created_at), w.grade
        from pair_features f join drawn w using (pair_id) order by f.pair_id
        """
    ),
    # A fixed draw of all pairs.
    "features_draw": Read(
        """
        select * exclude (run_id, created_at) from pair_features
        where pair_id in (select pair_id from pair_features order by pair_id limit $n)
        order by pair_id
        """
    ),
    # All pairs, a piece at a time: rows are never moved, so a piece is found by its places.
    "features_end": Read("select coalesce(max(rowid) + 1, 0) as place from pair_features"),
    "features_from": Read(
        "select * exclude (run_id, created_at) from pair_features "
        "where rowid >= $first and rowid < $last order by rowid"
    ),
    # Every guideline with the last word on it; a version that evolution turned away only once somebody decided on it.
    "instruction_standing": Read(
        f"""
        select i.instruction_id, i.text, i.parent_id, i.operator, i.generation, i.created_at,
               case a.decision when 'approve' then 'approved' when 'reject' then 'rejected'
                    else 'proposed' end as status,
               a.account, a.reason, a.created_at as decided_at
        from instructions i
        left join ({_LAST_DECISIONS.format(kind="'instruction'")}) d on d.content_id = i.instruction_id
        left join approvals a using (approval_id)
        where a.decision is not null or i.instruction_id in (
            select instruction_id from instructions
            except select instruction_id from instruction_edits where not is_accepted
            union select instruction_id from instruction_edits where is_accepted)
        order by i.generation, i.created_at, i.instruction_id
        """
    ),
}
