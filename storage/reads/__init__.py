"""Named reads: every question the rest of the house asks of the store, by area. SQL lives here and in migrations."""

from storage.reads import curation, evolution, lineage, register, review, training
from storage.reads.read import Read

__all__ = ["READS", "Read"]

READS: dict[str, Read] = {
    name: read
    for area in (register, curation, evolution, review, training, lineage)
    for name, read in area.READS.items()
}
