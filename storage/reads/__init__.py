"""Named reads: every question the rest of the house asks of the store, by area. SQL lives here and in migrations."""

from storage.reads import curation, lineage, register, review
from storage.reads.read import Read

__all__ = ["READS", "Read"]

READS: dict[str, Read] = {**register.READS, **curation.READS, **review.READS, **lineage.READS}
