"""Rebuild the index from the Argilla server's database: `python -m review_app.argilla_search [DATASET_ID]`.

The walk over the database is the server's own reindexer. Without a dataset the file is made anew first, so a damaged
one is no hindrance and nothing of deleted datasets stays.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

from review_app.argilla_search.adapter import NAME, index_path, shared_index


def main(words: list[str]) -> int:
    """Rebuild all datasets, or the one named; return the exit status."""
    from argilla_server.cli.search_engine.reindex import _reindex
    from argilla_server.settings import settings

    if len(words) > 1 or any(word.startswith("-") for word in words):
        print(__doc__)
        return 0 if set(words) & {"-h", "--help"} else 2
    settings.search_engine = NAME
    if words:
        try:
            dataset_id = UUID(words[0])
        except ValueError:
            print(f"{words[0]} is no dataset id (a UUID). All of them: python -m review_app.argilla_search")
            return 2
        asyncio.run(_reindex(dataset_id))
    else:
        shared_index(index_path()).make_anew()
        asyncio.run(_reindex())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
