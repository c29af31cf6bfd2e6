"""Named reads about runs, people, the scale and the counts of everything."""

from storage.reads.read import Read

READS = {
    "scale": Read("select grade, name from grades order by grade", is_steady=True, made_of=frozenset({"grades"})),
    "finished_run": Read(
        "select run_id from runs where verb = $verb and input_digest = $input_digest and status = 'finished' "
        "order by started_at desc limit 1"
    ),
    "run": Read("select * from runs where run_id = $run_id"),
    "accounts": Read(
        "select account, role, public_key, pseudonym, created_at from current_accounts order by account",
        is_steady=True,
        made_of=frozenset({"accounts"}),
    ),
    "instructions": Read("select * from instructions order by created_at, instruction_id"),
    "snapshots": Read("select * from snapshots order by created_at, snapshot_id"),
    "signatures": Read("select * from signatures order by created_at"),
    "revocations": Read("select * from revocations order by created_at"),
    "counts": Read(
        """
        select 'queries' as what, split as which, count(*) as n from queries group by split
        union all select 'docs', '', count(*) from docs
        union all select 'pairs', split, count(*) from pairs group by split
        union all select 'judgments', p.split || ' ' || j.origin, count(*)
            from current_judgments j join pairs p using (pair_id) group by p.split, j.origin
        union all select 'candidates', status, count(*) from candidate_status group by status
        union all select 'queue', case cause when '' then 'first answer' else cause end, count(*)
            from queue group by cause
        union all select 'responses', act, count(*) from responses group by act
        union all select 'rules', status, count(*) from rule_status group by status
        union all select 'mutations', case
                when c.is_confirmed then 'confirmed' when c.is_confirmed is null then 'unchecked'
                else 'eliminated' end, count(*)
            from pair_mutations m left join mutation_checks c using (pair_mutation_id) group by 2
        union all select 'rejected records', reason, count(*) from ingest_rejects group by reason
        union all select 'set aside', screen, count(*) from screenings where not is_passed group by screen
        union all select 'llm calls', case when failure is null then 'answered' else failure end, count(*)
            from llm_calls group by 2
        union all select 'accounts', role, count(*) from current_accounts group by role
        union all select 'snapshots', '', count(*) from snapshots
        union all select 'signatures', '', count(*) from signatures
        union all select 'revocations', '', count(*) from revocations
        union all select 'predictions', '', count(*) from predictions
        union all select 'runs', verb || ' ' || status, count(*) from runs group by verb, status
        order by what, which
        """
    ),
}
