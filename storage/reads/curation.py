"""Named reads of the curation room: what ingest must know, rules and causes."""

from storage.reads.read import Read

READS = {
    "external_ids": Read(
        """
        select kind, external_id, content_id, true as is_own from external_ids where source = $source
        union all
        -- another source's id serves where it is this id's only meaning
        select kind, external_id, min(content_id), false from external_ids
        where source <> $source group by kind, external_id having count(distinct content_id) = 1
        """
    ),
    "query_splits": Read("select query_id, split from queries"),
    # For comparison at ingest only; a conflict is reported to whoever brought the same pair's grade.
    "import_grades": Read(
        "select pair_id, min(grade) as grade from judgments where origin like 'import:%' group by pair_id",
        shows_test=True,
    ),
    "pairs_without_features": Read(
        """
        select p.pair_id, q.text as query, d.title, d.body, d.fields
        from pairs p join queries q using (query_id) join docs d using (doc_id)
        where not exists (select 1 from pair_features f where f.pair_id = p.pair_id)
        order by p.pair_id limit $n
        """
    ),
    "doc_fields": Read("select fields from docs where fields <> '{}' order by doc_id"),
    "held_back_queries": Read("select query_id, text as query, split from queries where split <> 'train'"),
    "rules": Read("select rule_id, text, condition, grade, origin, status from rule_status order by rule_id"),
    "review_causes": Read(
        "select cause, predicate, n_required from review_causes "
        "qualify row_number() over (partition by cause order by created_at desc, review_cause_id desc) = 1 "
        "order by cause"
    ),
}
