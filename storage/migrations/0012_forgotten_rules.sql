-- A rule's recall measured while a run trains carries the step after which it was; whether the alarm rang for it there
-- says more than the number, for it holds the fall against what so few pairs can tell. Null where nobody asked: a recall
-- that `evaluate` measured, which has no step.

alter table rule_recalls add column is_forgotten boolean;
