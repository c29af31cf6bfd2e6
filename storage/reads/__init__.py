"""Named reads: every question the rest of the house asks of the store, by area. SQL lives here and in migrations."""

from storage.reads import curation, evolution, lineage, maintenance, register, review, saved, training
from storage.reads.read import Read

__all__ = ["READS", "Read"]

READS: dict[str, Read] = {
    name: read
    for area in (register, curation, evolution, review, saved, training, lineage, maintenance)
    for name, read in area.READS.items()
}
