-- What judges say of rationales, what served models answer when asked several times, and how far a judge can be
-- trusted. A machine's word names who said it and the call it came from, so that it is never taken for a person's.

-- The step is counted from 1. `reference` is what it was held against: an expert's rationale, a settled grade, approved
-- rules; `aligned_to` which parts of that. A later verdict of the same judge on the same step wins.
alter table step_verdicts add column reference varchar;
alter table step_verdicts add column reference_digest varchar;
alter table step_verdicts add column aligned_to varchar[];
alter table step_verdicts add column error_type varchar;
alter table step_verdicts add column explanation varchar;
alter table step_verdicts add column llm_call_id varchar;

-- A preference without a proposer is an expert's edit. With one, a machine rewrote the rationale of `candidate_id`.
alter table preferences add column candidate_id varchar;
alter table preferences add column proposer varchar;
alter table preferences add column llm_call_id varchar;

-- A served model has no training run; it is named as a proposer is.
alter table rollouts alter column train_run_id drop not null;
alter table rollouts add column proposer varchar;
alter table rollouts add column llm_call_id varchar;
alter table difficulty_scores alter column train_run_id drop not null;
alter table difficulty_scores add column proposer varchar;

-- A line of a card passes when the whole interval is within the bound and enough was asked.
alter table judge_cards add column low double;
alter table judge_cards add column high double;
alter table judge_cards add column bound double;
alter table judge_cards add column is_passed boolean;

-- The lines of one card are written together and share a run. Only the latest card of a judge says what it is worth.
create view judge_standing as
select judge, run_id, is_passed, failed, created_at
from (
    select judge, run_id, bool_and(coalesce(is_passed, false)) as is_passed,
           coalesce(list(bias order by bias) filter (not coalesce(is_passed, false)), []) as failed,
           max(created_at) as created_at,
           row_number() over (partition by judge order by max(created_at) desc, run_id desc) as recency
    from judge_cards
    group by judge, run_id) cards
where recency = 1;
