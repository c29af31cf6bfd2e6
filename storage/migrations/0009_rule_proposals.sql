-- Every rule a machine proposed, kept or not, with what was counted and why it was turned away: a proposal that only
-- failed would otherwise be made again, and nobody could say how many were tried for one that holds. A kept proposal
-- names its rule; one that is no predicate has neither rule nor counts. Counts are over train judgments; the examples
-- are the pairs it was made from, so what a model was shown is known.

create table rule_proposals (
    rule_proposal_id varchar not null, rule_id varchar, parent_id varchar, source varchar not null,
    proposer varchar not null, text varchar not null, condition varchar not null, grade integer,
    is_kept boolean not null, reason varchar not null,
    n_judged integer, n_votes integer, n_right integer, n_held_out integer, n_held_out_right integer,
    is_confirmed boolean, n_conflicts integer,
    example_pair_ids varchar[] not null, counter_pair_ids varchar[] not null, llm_call_id varchar,
    run_id varchar not null, created_at timestamp not null);
