"""The read-only copy that anyone may open."""
