"""Snapshots: cut, signed, revoked, verified."""
