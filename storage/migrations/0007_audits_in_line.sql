-- The priority of an audited candidate is another one now (storage/process/maintained.py). Without its rows the table is
-- derived anew when the store is opened.

delete from candidate_status;
