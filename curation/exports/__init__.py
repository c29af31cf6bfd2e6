"""Exports: a snapshot's rows in the forms that other tools load."""
