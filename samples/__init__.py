"""The bundled sample: a small shop whose queries, docs, judgments and reviewers are all invented."""

from __future__ import annotations

__all__: list[str] = []
