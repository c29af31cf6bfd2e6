-- Every edit of a labelling instruction that was proposed, accepted or not, with what was measured and why it was
-- turned away. The version it made stands in `instructions` once it could be tried; an edit that never became a text (a
-- reply that is none, nothing to change) has no version, only its reason. `attempt` counts the edits of one operator on
-- one parent in a run: with the run's input it names the edit, so an interrupted run that goes on writes none twice.
-- `gain` is what the dev objective rose by, over the parent, on the same pairs, with its paired interval; null where
-- dev was not asked. Example pairs are train pairs the edit was made from.

create table instruction_edits (
    instruction_edit_id varchar not null, instruction_id varchar, parent_id varchar not null, other_parent_id varchar,
    operator varchar not null, attempt integer not null, generation integer not null, proposer varchar not null,
    labeller varchar not null, is_accepted boolean not null, reason varchar not null, change varchar not null,
    gain double, gain_low double, gain_high double,
    example_pair_ids varchar[] not null, llm_call_id varchar, run_id varchar not null, created_at timestamp not null);

-- Nothing wrote scores before; a score without its interval says too much.
alter table instruction_scores add column low double;
alter table instruction_scores add column high double;
