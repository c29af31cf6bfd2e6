-- Which process a run is: without it nobody can tell a run that was killed from one that goes on (storage/liveness.py).

alter table runs add column process varchar;
