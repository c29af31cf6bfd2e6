"""The ground: rows, the DuckDB store and its process, accounts and keys, snapshots. Imports nothing of ours."""
