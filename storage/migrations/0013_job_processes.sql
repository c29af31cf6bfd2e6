-- Which process a job is, since when, and how it ended: without them nobody can tell one that runs from one that was
-- killed, nor say why it failed (storage/jobs/).

alter table jobs add column started_at timestamp;
alter table jobs add column process varchar;
alter table jobs add column exit_status integer;
