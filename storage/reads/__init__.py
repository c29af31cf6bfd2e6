"""Named reads: every question the rest of the house asks of the store, by area. SQL lives here and in migrations."""

from storage.reads import (
    adjudication,
    argilla,
    curation,
    evolution,
    export,
    instructions,
    jobs,
    judges,
    lineage,
    maintenance,
    pool,
    progress,
    register,
    review,
    review_cards,
    review_lists,
    rule_mining,
    rule_pages,
    run_pages,
    saved,
    screening,
    snapshots,
    tier_pages,
    tier_relation,
    training,
)
from storage.reads.read import Read

__all__ = ["READS", "Read"]

READS: dict[str, Read] = {
    name: read
    for area in (
        register,
        curation,
        evolution,
        export,
        instructions,
        jobs,
        judges,
        review,
        review_cards,
        review_lists,
        adjudication,
        argilla,
        rule_mining,
        rule_pages,
        run_pages,
        saved,
        snapshots,
        screening,
        tier_pages,
        tier_relation,
        training,
        lineage,
        maintenance,
        pool,
        progress,
    )
    for name, read in area.READS.items()
}
