-- The first schema: every fact is a row that is appended and never edited.
-- Content rows carry the hash of what they say as their key; acts carry a client-made action id. No foreign keys:
-- DuckDB would then refuse deletes and column drops, and orphan queries are tests instead. Times are UTC.

-- Executions of verbs. Updated in place: the one table of facts that is.
create table runs (
    run_id varchar primary key, verb varchar not null, status varchar not null, input_digest varchar,
    config varchar not null, counts varchar, code_version varchar not null, account varchar,
    started_at timestamp not null, finished_at timestamp);
create table jobs (
    job_id varchar primary key, verb varchar not null, fields varchar not null, status varchar not null,
    account varchar, run_id varchar, created_at timestamp not null, finished_at timestamp);
create table llm_calls (
    llm_call_id varchar primary key, role varchar not null, operator varchar not null, provider varchar not null,
    model varchar not null, template_digest varchar not null, request varchar not null, reply varchar,
    failure varchar, n_prompt_tokens integer, n_completion_tokens integer, seconds double, cost double,
    run_id varchar not null, created_at timestamp not null);

-- People. The key that signs stays at home; the workspace pins its public half. A later row for an account wins.
create table accounts (
    account_event_id varchar primary key, account varchar not null, role varchar not null,
    public_key varchar not null, pseudonym varchar not null, by_account varchar, created_at timestamp not null);

-- Content.
create table grades (
    grade_id varchar primary key, grade integer not null, name varchar not null, created_at timestamp not null);
create table queries (
    query_id varchar primary key, text varchar not null, root_query_id varchar not null, split varchar not null,
    source varchar not null, run_id varchar not null, created_at timestamp not null);
create table docs (
    doc_id varchar primary key, title varchar not null, body varchar not null, fields varchar not null,
    source varchar not null, run_id varchar not null, created_at timestamp not null);
-- What a source calls a query or doc, so that its judgments may come in another file.
create table external_ids (
    external_id_id varchar primary key, source varchar not null, kind varchar not null, external_id varchar not null,
    content_id varchar not null, run_id varchar not null, created_at timestamp not null);
create table pairs (
    pair_id varchar primary key, query_id varchar not null, doc_id varchar not null, split varchar not null,
    origin varchar not null, source varchar not null, run_id varchar not null, created_at timestamp not null);
create table pair_features (
    pair_id varchar primary key, n_query_terms integer not null, n_doc_terms integer not null,
    is_cjk_query boolean not null, term_overlap double not null, title_overlap double not null,
    body_overlap double not null, phrase_overlap double not null, gram_overlap double not null,
    longest_match_rate double not null, match_position double, length_ratio double not null,
    n_title_characters integer not null, n_title_parts integer not null, has_negation boolean not null,
    n_negated_present integer not null, n_query_numbers integer not null, n_number_matches integer not null,
    n_number_conflicts integer not null, n_attribute_matches integer not null, n_attribute_conflicts integer not null,
    has_brand_match boolean, query_terms varchar[] not null, missing_terms varchar[] not null,
    query_attributes varchar[] not null, doc_attributes varchar[] not null, matched_fields varchar[] not null,
    conflicting_fields varchar[] not null, run_id varchar not null, created_at timestamp not null);
create table pair_mutations (
    pair_mutation_id varchar primary key, parent_pair_id varchar not null, pair_id varchar not null,
    operator varchar not null, effect varchar not null, effect_grade integer, change varchar not null,
    proposer varchar not null, run_id varchar not null, created_at timestamp not null);
create table mutation_checks (
    mutation_check_id varchar primary key, pair_mutation_id varchar not null, verifier varchar not null,
    is_confirmed boolean not null, parent_expected_grade double, expected_grade double, reason varchar not null,
    run_id varchar not null, created_at timestamp not null);
create table ingest_rejects (
    ingest_reject_id varchar primary key, source varchar not null, line integer not null, reason varchar not null,
    value varchar, record varchar, run_id varchar not null, created_at timestamp not null);
create table instructions (
    instruction_id varchar primary key, text varchar not null, parent_id varchar, operator varchar not null,
    generation integer not null, run_id varchar not null, created_at timestamp not null);
create table instruction_scores (
    instruction_score_id varchar primary key, instruction_id varchar not null, split varchar not null,
    metric varchar not null, value double, n integer not null, run_id varchar not null, created_at timestamp not null);
create table rules (
    rule_id varchar primary key, text varchar not null, condition varchar not null, grade integer not null,
    parent_id varchar, origin varchar not null, run_id varchar not null, created_at timestamp not null);
-- A row is a vote; an abstaining rule has none.
create table rule_votes (
    rule_vote_id varchar primary key, rule_id varchar not null, pair_id varchar not null, grade integer not null,
    run_id varchar not null, created_at timestamp not null);
create table candidates (
    candidate_id varchar primary key, pair_id varchar not null, grade integer not null, steps varchar not null,
    rule_ids varchar[] not null, confidence double, proposer varchar not null, instruction_id varchar,
    llm_call_id varchar, run_id varchar not null, created_at timestamp not null);
-- A candidate that passed has one row with screen 'all'; a failed one has a row for each screen it failed.
create table screenings (
    screening_id varchar primary key, candidate_id varchar not null, screen varchar not null,
    is_passed boolean not null, score double, matched_id varchar, reason varchar not null,
    run_id varchar not null, created_at timestamp not null);
create table step_verdicts (
    step_verdict_id varchar primary key, candidate_id varchar not null, step integer not null, verdict integer,
    verifier varchar not null, run_id varchar not null, created_at timestamp not null);

-- Acts of people. `pair_id` is repeated so that a pair's standing can be derived without a join.
create table responses (
    response_id varchar primary key, candidate_id varchar not null, pair_id varchar not null,
    account varchar not null, act varchar not null, grade integer, steps varchar, first_wrong_step integer,
    reason varchar, target_id varchar, seconds double, is_replayed boolean not null, session varchar not null,
    sequence bigint not null, run_id varchar, created_at timestamp not null);
create table leases (
    lease_id varchar primary key, candidate_id varchar not null, account varchar not null,
    until timestamp not null, created_at timestamp not null);
create table comments (
    comment_id varchar primary key, candidate_id varchar not null, account varchar not null, text varchar not null,
    created_at timestamp not null);
create table approvals (
    approval_id varchar primary key, kind varchar not null, content_id varchar not null, decision varchar not null,
    account varchar not null, reason varchar, sequence bigint not null, run_id varchar, created_at timestamp not null);

-- Settled grades. `response_ids` is the evidence of a consensus: when one of them is undone, the pair is unsettled.
create table judgments (
    judgment_id varchar primary key, pair_id varchar not null, grade integer not null, origin varchar not null,
    candidate_id varchar, account varchar, response_ids varchar[] not null, steps varchar, reason varchar,
    is_replayed boolean not null, run_id varchar not null, created_at timestamp not null);
create table preferences (
    preference_id varchar primary key, pair_id varchar not null, chosen varchar not null, rejected varchar not null,
    response_id varchar, run_id varchar, created_at timestamp not null);

-- What models did.
create table rollouts (
    rollout_id varchar primary key, pair_id varchar not null, train_run_id varchar not null, sample integer not null,
    completion varchar not null, grade integer, is_right boolean, run_id varchar not null,
    created_at timestamp not null);
create table predictions (
    prediction_id varchar primary key, pair_id varchar not null, train_run_id varchar not null, grade integer not null,
    probabilities double[] not null, run_id varchar not null, created_at timestamp not null);
create table evaluations (
    evaluation_id varchar primary key, train_run_id varchar not null, snapshot_id varchar not null,
    split varchar not null, model varchar not null, metric varchar not null, value double, low double, high double,
    n integer not null, run_id varchar not null, created_at timestamp not null);
create table rule_recalls (
    rule_recall_id varchar primary key, train_run_id varchar not null, rule_id varchar not null,
    split varchar not null, step integer, recall double, n integer not null, run_id varchar not null,
    created_at timestamp not null);
create table difficulty_scores (
    difficulty_score_id varchar primary key, pair_id varchar not null, train_run_id varchar not null,
    pass_rate double not null, n integer not null, run_id varchar not null, created_at timestamp not null);
create table judge_cards (
    judge_card_id varchar primary key, judge varchar not null, bias varchar not null, value double, n integer not null,
    run_id varchar not null, created_at timestamp not null);

-- Snapshots: the directory is the truth, these rows are its register.
create table snapshots (
    snapshot_id varchar primary key, manifest_digest varchar not null, account varchar not null,
    n_rows integer not null, run_id varchar not null, created_at timestamp not null);
create table tiers (
    snapshot_tier_id varchar primary key, snapshot_id varchar not null, tier integer not null, name varchar not null,
    predicate varchar not null, digest varchar not null, n_rows integer not null, created_at timestamp not null);
create table tier_members (
    tier_member_id varchar primary key, snapshot_id varchar not null, tier integer not null, pair_id varchar not null,
    row_hash varchar not null, judgment_id varchar not null, candidate_id varchar);
create table signatures (
    signature_id varchar primary key, snapshot_id varchar not null, tier integer not null, account varchar not null,
    signature varchar not null, created_at timestamp not null);
create table revocations (
    revocation_id varchar primary key, snapshot_id varchar not null, tier integer, account varchar not null,
    reason varchar not null, created_at timestamp not null);
create table erasures (
    erasure_id varchar primary key, kind varchar not null, content_id varchar not null, account varchar not null,
    reason varchar, created_at timestamp not null);
create table saved_queries (
    saved_query_id varchar primary key, name varchar not null, sql varchar not null, account varchar,
    created_at timestamp not null);

-- Causes for a second look at a pair, as predicates over review_facts; a later row of the same cause wins.
create table review_causes (
    review_cause_id varchar primary key, cause varchar not null, predicate varchar not null,
    n_required integer not null, created_at timestamp not null);

-- Maintained by the owner in the transaction of the fact; `rebuild` derives them anew.
create table candidate_status (
    candidate_id varchar primary key, pair_id varchar not null, status varchar not null, n_answers integer not null,
    n_required integer not null, cause varchar not null);
create table queue (
    candidate_id varchar primary key, pair_id varchar not null, n_open integer not null, n_required integer not null,
    cause varchar not null, priority double not null);
