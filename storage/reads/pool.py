"""Named reads of the pool: docs to index, queries, and which docs each query has. None looks at a grade.

Rows are never moved, so a doc or query is named by its place (rowid). What was erased keeps its place and says nothing.
"""

from storage.reads.read import Read

READS = {
    # How much there is of all that a pool depends on: facts are appended, so equal counts are the same store.
    "pool_state": Read(
        """
        select (select count(*) from docs) as n_docs, (select count(*) from queries) as n_queries,
               (select count(*) from pairs where origin <> 'pool') as n_pairs,
               (select count(*) from predictions) as n_predictions, (select count(*) from erasures) as n_erasures
        """
    ),
    "pool_docs": Read(
        """
        select doc_id, case when title = '[erased]' then '' else title end as title,
               case when title = '[erased]' then '' else body end as body, fields
        from docs where rowid >= $first and rowid < $last and not starts_with(source, 'mutation:') order by rowid
        """
    ),
    # As their sources gave them: a mutated query is paired with the doc it was made for.
    "pool_queries": Read(
        """
        select rowid as place, query_id, text, split
        from queries where query_id = root_query_id and text <> '[erased]' order by rowid
        """
    ),
    # The docs each query has. `source` is that of a pooled pair only; probabilities are the latest prediction's.
    "pool_pairs": Read(
        """
        with predicted as (
            select pair_id, arg_max(probabilities, (created_at, prediction_id)) as probabilities
            from predictions group by pair_id)
        select q.rowid as query_place, d.rowid as doc_place, case when p.origin = 'pool' then p.source end as source,
               r.probabilities
        from pairs p join queries q using (query_id) join docs d using (doc_id) left join predicted r using (pair_id)
        where q.query_id = q.root_query_id
        order by query_place, doc_place
        """
    ),
}
