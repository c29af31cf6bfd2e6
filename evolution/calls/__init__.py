"""Paid calls to a model: their names, ledger, budget, pace and the ways to a server; a reply is never bought twice."""
