"""A search engine for Argilla's server in one SQLite file, beside nothing else: no Elasticsearch, no OpenSearch.

Importing `review_app.argilla_search.adapter` registers it; all other modules here run without Argilla.
"""

from review_app.argilla_search.documents import Document, Hit, Hits, Response, Suggestion
from review_app.argilla_search.index import Index, MissingDatasetError

__all__ = ["Document", "Hit", "Hits", "Index", "MissingDatasetError", "Response", "Suggestion"]
