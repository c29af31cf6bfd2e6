"""Runs of `afrel train` as their folders tell them: only JSON is read, so rooms that know no model may look."""
