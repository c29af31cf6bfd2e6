"""The doors for strangers' SQL: the console and predicates."""
