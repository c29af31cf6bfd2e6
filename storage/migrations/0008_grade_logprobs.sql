-- How sure a model was of each grade, at the token that says it: JSON {grade: log probability}, where the server offers
-- it. It comes with the reply, so it stands with the call.

alter table llm_calls add column grade_logprobs varchar;
