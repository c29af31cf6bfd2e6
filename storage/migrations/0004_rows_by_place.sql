-- Facts without keys of DuckDB's own. Measured at a million rows: appending in batches of a hundred takes five times as
-- long with a primary key. The owner keeps ids unique by an index of its own (storage/process/id_index.py), by which it also
-- finds rows: facts are never deleted, so row i of a table has rowid i for good. DuckDB cannot drop a key, hence new
-- tables. Those who read see the same tables.

create table runs_new (
    run_id varchar not null, verb varchar not null, status varchar not null, input_digest varchar,
    config varchar not null, counts varchar, code_version varchar not null, account varchar,
    started_at timestamp not null, finished_at timestamp);
insert into runs_new select * from runs;
drop table runs;
alter table runs_new rename to runs;

create table jobs_new (
    job_id varchar not null, verb varchar not null, fields varchar not null, status varchar not null,
    account varchar, run_id varchar, created_at timestamp not null, finished_at timestamp);
insert into jobs_new select * from jobs;
drop table jobs;
alter table jobs_new rename to jobs;

create table llm_calls_new (
    llm_call_id varchar not null, role varchar not null, operator varchar not null, provider varchar not null,
    model varchar not null, template_digest varchar not null, request varchar not null, reply varchar,
    failure varchar, n_prompt_tokens integer, n_completion_tokens integer, seconds double, cost double,
    run_id varchar not null, created_at timestamp not null);
insert into llm_calls_new select * from llm_calls;
drop table llm_calls;
alter table llm_calls_new rename to llm_calls;

create table accounts_new (
    account_event_id varchar not null, account varchar not null, role varchar not null,
    public_key varchar not null, pseudonym varchar not null, by_account varchar, created_at timestamp not null);
insert into accounts_new select * from accounts;
drop table accounts;
alter table accounts_new rename to accounts;

create table grades_new (
    grade_id varchar not null, grade integer not null, name varchar not null, created_at timestamp not null);
insert into grades_new select * from grades;
drop table grades;
alter table grades_new rename to grades;

create table queries_new (
    query_id varchar not null, text varchar not null, root_query_id varchar not null, split varchar not null,
    source varchar not null, run_id varchar not null, created_at timestamp not null);
insert into queries_new select * from queries;
drop table queries;
alter table queries_new rename to queries;

create table docs_new (
    doc_id varchar not null, title varchar not null, body varchar not null, fields varchar not null,
    source varchar not null, run_id varchar not null, created_at timestamp not null);
insert into docs_new select * from docs;
drop table docs;
alter table docs_new rename to docs;

create table external_ids_new (
    external_id_id varchar not null, source varchar not null, kind varchar not null, external_id varchar not null,
    content_id varchar not null, run_id varchar not null, created_at timestamp not null);
insert into external_ids_new select * from external_ids;
drop table external_ids;
alter table external_ids_new rename to external_ids;

create table pairs_new (
    pair_id varchar not null, query_id varchar not null, doc_id varchar not null, split varchar not null,
    origin varchar not null, source varchar not null, run_id varchar not null, created_at timestamp not null);
insert into pairs_new select * from pairs;
drop table pairs;
alter table pairs_new rename to pairs;

create table pair_features_new (
    pair_id varchar not null, n_query_terms integer not null, n_doc_terms integer not null,
    is_cjk_query boolean not null, term_overlap double not null, title_overlap double not null,
    body_overlap double not null, phrase_overlap double not null, gram_overlap double not null,
    longest_match_rate double not null, match_position double, length_ratio double not null,
    n_title_characters integer not null, n_title_parts integer not null, has_negation boolean not null,
    n_negated_present integer not null, n_query_numbers integer not null, n_number_matches integer not null,
    n_number_conflicts integer not null, n_attribute_matches integer not null, n_attribute_conflicts integer not null,
    has_brand_match boolean, query_terms varchar[] not null, missing_terms varchar[] not null,
    query_attributes varchar[] not null, doc_attributes varchar[] not null, matched_fields varchar[] not null,
    conflicting_fields varchar[] not null, run_id varchar not null, created_at timestamp not null);
insert into pair_features_new select * from pair_features;
drop table pair_features;
alter table pair_features_new rename to pair_features;

create table pair_mutations_new (
    pair_mutation_id varchar not null, parent_pair_id varchar not null, pair_id varchar not null,
    operator varchar not null, effect varchar not null, effect_grade integer, change varchar not null,
    proposer varchar not null, run_id varchar not null, created_at timestamp not null);
insert into pair_mutations_new select * from pair_mutations;
drop table pair_mutations;
alter table pair_mutations_new rename to pair_mutations;

create table mutation_checks_new (
    mutation_check_id varchar not null, pair_mutation_id varchar not null, verifier varchar not null,
    is_confirmed boolean not null, parent_expected_grade double, expected_grade double, reason varchar not null,
    run_id varchar not null, created_at timestamp not null);
insert into mutation_checks_new select * from mutation_checks;
drop table mutation_checks;
alter table mutation_checks_new rename to mutation_checks;

create table ingest_rejects_new (
    ingest_reject_id varchar not null, source varchar not null, line integer not null, reason varchar not null,
    value varchar, record varchar, run_id varchar not null, created_at timestamp not null);
insert into ingest_rejects_new select * from ingest_rejects;
drop table ingest_rejects;
alter table ingest_rejects_new rename to ingest_rejects;

create table instructions_new (
    instruction_id varchar not null, text varchar not null, parent_id varchar, operator varchar not null,
    generation integer not null, run_id varchar not null, created_at timestamp not null);
insert into instructions_new select * from instructions;
drop table instructions;
alter table instructions_new rename to instructions;

create table instruction_scores_new (
    instruction_score_id varchar not null, instruction_id varchar not null, split varchar not null,
    metric varchar not null, value double, n integer not null, run_id varchar not null, created_at timestamp not null);
insert into instruction_scores_new select * from instruction_scores;
drop table instruction_scores;
alter table instruction_scores_new rename to instruction_scores;

create table rules_new (
    rule_id varchar not null, text varchar not null, condition varchar not null, grade integer not null,
    parent_id varchar, origin varchar not null, run_id varchar not null, created_at timestamp not null);
insert into rules_new select * from rules;
drop table rules;
alter table rules_new rename to rules;

create table rule_votes_new (
    rule_vote_id varchar not null, rule_id varchar not null, pair_id varchar not null, grade integer not null,
    run_id varchar not null, created_at timestamp not null);
insert into rule_votes_new select * from rule_votes;
drop table rule_votes;
alter table rule_votes_new rename to rule_votes;

create table candidates_new (
    candidate_id varchar not null, pair_id varchar not null, grade integer not null, steps varchar not null,
    rule_ids varchar[] not null, confidence double, proposer varchar not null, instruction_id varchar,
    llm_call_id varchar, run_id varchar not null, created_at timestamp not null);
insert into candidates_new select * from candidates;
drop table candidates;
alter table candidates_new rename to candidates;

create table screenings_new (
    screening_id varchar not null, candidate_id varchar not null, screen varchar not null,
    is_passed boolean not null, score double, matched_id varchar, reason varchar not null,
    run_id varchar not null, created_at timestamp not null);
insert into screenings_new select * from screenings;
drop table screenings;
alter table screenings_new rename to screenings;

create table step_verdicts_new (
    step_verdict_id varchar not null, candidate_id varchar not null, step integer not null, verdict integer,
    verifier varchar not null, run_id varchar not null, created_at timestamp not null);
insert into step_verdicts_new select * from step_verdicts;
drop table step_verdicts;
alter table step_verdicts_new rename to step_verdicts;

create table responses_new (
    response_id varchar not null, candidate_id varchar not null, pair_id varchar not null,
    account varchar not null, act varchar not null, grade integer, steps varchar, first_wrong_step integer,
    reason varchar, target_id varchar, seconds double, is_replayed boolean not null, session varchar not null,
    sequence bigint not null, run_id varchar, created_at timestamp not null);
insert into responses_new select * from responses;
drop table responses;
alter table responses_new rename to responses;

create table leases_new (
    lease_id varchar not null, candidate_id varchar not null, account varchar not null,
    until timestamp not null, created_at timestamp not null);
insert into leases_new select * from leases;
drop table leases;
alter table leases_new rename to leases;

create table comments_new (
    comment_id varchar not null, candidate_id varchar not null, account varchar not null, text varchar not null,
    created_at timestamp not null);
insert into comments_new select * from comments;
drop table comments;
alter table comments_new rename to comments;

create table approvals_new (
    approval_id varchar not null, kind varchar not null, content_id varchar not null, decision varchar not null,
    account varchar not null, reason varchar, sequence bigint not null, run_id varchar, created_at timestamp not null);
insert into approvals_new select * from approvals;
drop table approvals;
alter table approvals_new rename to approvals;

create table judgments_new (
    judgment_id varchar not null, pair_id varchar not null, grade integer not null, origin varchar not null,
    candidate_id varchar, account varchar, response_ids varchar[] not null, steps varchar, reason varchar,
    is_replayed boolean not null, run_id varchar not null, created_at timestamp not null);
insert into judgments_new select * from judgments;
drop table judgments;
alter table judgments_new rename to judgments;

create table preferences_new (
    preference_id varchar not null, pair_id varchar not null, chosen varchar not null, rejected varchar not null,
    response_id varchar, run_id varchar, created_at timestamp not null);
insert into preferences_new select * from preferences;
drop table preferences;
alter table preferences_new rename to preferences;

create table rollouts_new (
    rollout_id varchar not null, pair_id varchar not null, train_run_id varchar not null, sample integer not null,
    completion varchar not null, grade integer, is_right boolean, run_id varchar not null,
    created_at timestamp not null);
insert into rollouts_new select * from rollouts;
drop table rollouts;
alter table rollouts_new rename to rollouts;

create table predictions_new (
    prediction_id varchar not null, pair_id varchar not null, train_run_id varchar not null, grade integer not null,
    probabilities double[] not null, run_id varchar not null, created_at timestamp not null);
insert into predictions_new select * from predictions;
drop table predictions;
alter table predictions_new rename to predictions;

create table evaluations_new (
    evaluation_id varchar not null, train_run_id varchar not null, snapshot_id varchar not null,
    split varchar not null, model varchar not null, metric varchar not null, value double, low double, high double,
    n integer not null, run_id varchar not null, created_at timestamp not null);
insert into evaluations_new select * from evaluations;
drop table evaluations;
alter table evaluations_new rename to evaluations;

create table rule_recalls_new (
    rule_recall_id varchar not null, train_run_id varchar not null, rule_id varchar not null,
    split varchar not null, step integer, recall double, n integer not null, run_id varchar not null,
    created_at timestamp not null);
insert into rule_recalls_new select * from rule_recalls;
drop table rule_recalls;
alter table rule_recalls_new rename to rule_recalls;

create table difficulty_scores_new (
    difficulty_score_id varchar not null, pair_id varchar not null, train_run_id varchar not null,
    pass_rate double not null, n integer not null, run_id varchar not null, created_at timestamp not null);
insert into difficulty_scores_new select * from difficulty_scores;
drop table difficulty_scores;
alter table difficulty_scores_new rename to difficulty_scores;

create table judge_cards_new (
    judge_card_id varchar not null, judge varchar not null, bias varchar not null, value double, n integer not null,
    run_id varchar not null, created_at timestamp not null);
insert into judge_cards_new select * from judge_cards;
drop table judge_cards;
alter table judge_cards_new rename to judge_cards;

create table snapshots_new (
    snapshot_id varchar not null, manifest_digest varchar not null, account varchar not null,
    n_rows integer not null, run_id varchar not null, created_at timestamp not null);
insert into snapshots_new select * from snapshots;
drop table snapshots;
alter table snapshots_new rename to snapshots;

create table tiers_new (
    snapshot_tier_id varchar not null, snapshot_id varchar not null, tier integer not null, name varchar not null,
    predicate varchar not null, digest varchar not null, n_rows integer not null, created_at timestamp not null);
insert into tiers_new select * from tiers;
drop table tiers;
alter table tiers_new rename to tiers;

create table tier_members_new (
    tier_member_id varchar not null, snapshot_id varchar not null, tier integer not null, pair_id varchar not null,
    row_hash varchar not null, judgment_id varchar not null, candidate_id varchar);
insert into tier_members_new select * from tier_members;
drop table tier_members;
alter table tier_members_new rename to tier_members;

create table signatures_new (
    signature_id varchar not null, snapshot_id varchar not null, tier integer not null, account varchar not null,
    signature varchar not null, created_at timestamp not null);
insert into signatures_new select * from signatures;
drop table signatures;
alter table signatures_new rename to signatures;

create table revocations_new (
    revocation_id varchar not null, snapshot_id varchar not null, tier integer, account varchar not null,
    reason varchar not null, created_at timestamp not null);
insert into revocations_new select * from revocations;
drop table revocations;
alter table revocations_new rename to revocations;

create table erasures_new (
    erasure_id varchar not null, kind varchar not null, content_id varchar not null, account varchar not null,
    reason varchar, created_at timestamp not null);
insert into erasures_new select * from erasures;
drop table erasures;
alter table erasures_new rename to erasures;

create table saved_queries_new (
    saved_query_id varchar not null, name varchar not null, sql varchar not null, account varchar,
    created_at timestamp not null);
insert into saved_queries_new select * from saved_queries;
drop table saved_queries;
alter table saved_queries_new rename to saved_queries;

create table review_causes_new (
    review_cause_id varchar not null, cause varchar not null, predicate varchar not null,
    n_required integer not null, created_at timestamp not null);
insert into review_causes_new select * from review_causes;
drop table review_causes;
alter table review_causes_new rename to review_causes;


-- The standing of every candidate: row i is that of row i of candidates, updated in place. It begins empty; the owner
-- sees that it is short of rows and derives it.
drop table candidate_status;
drop table queue;
create table candidate_status (
    candidate_id varchar not null, pair_id varchar not null, status varchar not null, n_answers integer not null,
    n_required integer not null, cause varchar not null, priority double not null);
create view queue as
select candidate_id, pair_id, n_required - n_answers as n_open, n_required, cause, priority
from candidate_status
where status = 'awaiting_review';

-- How far this file is: `n_commits` grows with every commit, `sequence` is the last record of the journal in it.
create table position (n_commits bigint not null, sequence bigint not null);
insert into position values (0, 0);
