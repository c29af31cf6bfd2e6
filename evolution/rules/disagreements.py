"""Where people, machines and models disagree on train pairs, gathered into clusters that one rule might settle.

Pairs that were disagreed on the same way (the same settled grade, the same grades said) and look alike, in their
features and their words, make a cluster; k-means over features and a latent space of words, fixed seed. Small clusters
are counted and left, for a rule needs cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.features import FEATURE_SCHEMA
from curation.text import content_terms, tokenize

MIN_SIZE = 3  # pairs of two queries: fewer show no pattern
PAIRS_A_CLUSTER = 15  # aimed at; k-means gets one centre for so many pairs
MAX_PAIRS = 4000  # of one source and one pair of grades; of more, the first by pair id, which is a fixed draw
N_LATENT = 24
WORD_WEIGHT = 2.0  # of the words' latent space beside the features
N_HASHES = 2**14
_LISTS = ("conflicting_fields", "matched_fields", "query_attributes", "doc_attributes", "missing_terms")
_NUMBERS = tuple(name for name, kind in FEATURE_SCHEMA.items() if kind.is_numeric() or kind == pl.Boolean())


@dataclass(frozen=True, slots=True)
class Cluster:
    """Pairs disagreed on alike. `settled_grade` None: people disagree and nobody settled it. `pairs` are rows of the
    read `train_disagreements`, the most typical first.
    """

    source: str
    settled_grade: int | None
    said_grades: tuple[int, ...]
    pairs: pl.DataFrame

    @property
    def pair_ids(self) -> list[str]:
        return self.pairs["pair_id"].to_list()


@dataclass(frozen=True, slots=True)
class Clustered:
    """The clusters, largest first; `n_left` disagreements are in clusters too small to learn from, or past the cap."""

    clusters: tuple[Cluster, ...]
    n_disagreements: int
    n_left: int


def cluster_disagreements(disagreements: pl.DataFrame, *, max_clusters: int) -> Clustered:
    """Gather disagreements into at most `max_clusters` clusters. Deterministic."""
    found: list[Cluster] = []
    for (source, settled, said), part in _by_direction(disagreements):
        chosen = part.sort("pair_id").head(MAX_PAIRS)
        for members in _alike(chosen):
            pairs = chosen[members.tolist()]
            if len(pairs) >= MIN_SIZE and pairs["root_query_id"].n_unique() >= 2:
                found.append(Cluster(source, settled, said, pairs))
    found.sort(key=lambda c: (-len(c.pairs), c.source, c.pair_ids[0]))
    kept = tuple(found[:max_clusters])
    return Clustered(kept, len(disagreements), len(disagreements) - sum(len(c.pairs) for c in kept))


def _by_direction(
    disagreements: pl.DataFrame,
) -> Iterator[tuple[tuple[str, int | None, tuple[int, ...]], pl.DataFrame]]:
    parts = disagreements.partition_by("source", "settled_grade", "said_grades", maintain_order=True)
    for part in parts:
        source, settled, said = part.select("source", "settled_grade", "said_grades").row(0)
        yield (source, settled, tuple(said)), part


def _alike(pairs: pl.DataFrame) -> list[NDArray[np.intp]]:
    """Return the rows of each cluster, those nearest to its centre first."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    n_centres = max(1, round(len(pairs) / PAIRS_A_CLUSTER))
    places = _places(pairs)
    if n_centres == 1:
        labels, centres = np.zeros(len(pairs), np.intp), places.mean(axis=0, keepdims=True)
    else:
        with threadpool_limits(1):  # several threads add in another order each time, and clusters would differ
            fitted = KMeans(n_centres, n_init=2, random_state=0).fit(places)
        labels, centres = fitted.labels_, fitted.cluster_centers_
    away = ((places - centres[labels]) ** 2).sum(axis=1)
    order = np.lexsort((np.arange(len(pairs)), away))
    return [order[labels[order] == label] for label in range(len(centres))]


def _places(pairs: pl.DataFrame) -> NDArray[np.float64]:
    """Return each pair as a point: standardised features beside a latent space of its words and attributes."""
    numbers = np.column_stack([pairs[name].cast(pl.Float64).fill_null(0.5).to_numpy() for name in _NUMBERS])
    spread = numbers.std(axis=0)
    numbers = (numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1.0) / np.sqrt(len(_NUMBERS))
    return np.hstack([numbers, WORD_WEIGHT * _latent([_words(row) for row in pairs.iter_rows(named=True)])])


def _words(pair: dict[str, object]) -> list[str]:
    """Return what a pair says, each word marked by where it stands."""
    words = [f"{name}:{value}" for name in _LISTS for value in _list(pair[name])]
    words += [f"query:{term}" for term in _list(pair["query_terms"])]
    words += [f"title:{term}" for term in content_terms(tokenize(str(pair["title"])[:500]))]
    return words or ["nothing"]


def _list(value: object) -> Sequence[str]:
    return value if isinstance(value, list) else ()


def _latent(texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.feature_extraction.text import TfidfTransformer

    hashed = FeatureHasher(N_HASHES, input_type="string", alternate_sign=False).transform(texts)
    weighted = TfidfTransformer().fit_transform(hashed)
    n_latent = min(N_LATENT, len(texts) - 1)
    if n_latent < 1:
        return np.zeros((len(texts), 1))
    return np.asarray(TruncatedSVD(n_latent, random_state=0).fit_transform(weighted))
