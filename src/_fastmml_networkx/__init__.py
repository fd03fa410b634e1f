"""What NetworkX asks of the backend ``fastmml`` whenever it is imported; loads nothing."""

from __future__ import annotations

from typing import Any

_SAME_STEPS = "Takes NetworkX's own steps, and stops where it stops, on compiled kernels."

_FUNCTIONS = {
    "pagerank": (
        "Where ``max_iter`` surely suffices the 1-norm of the error is proved to be at most "
        f"``tol``. Elsewhere: {_SAME_STEPS}"
    ),
    "hits": "By ARPACK. A start that is not positive is left out. Scores are never negative.",
    "eigenvector_centrality": _SAME_STEPS,
    "eigenvector_centrality_numpy": "By ARPACK, or densely below 64 nodes.",
    "katz_centrality": _SAME_STEPS,
    "katz_centrality_numpy": (
        "Needs positive ``beta`` and ``alpha`` below 1 / largest eigenvalue. The relative error of "
        "every score is proved to be at most 1e-10."
    ),
}


def backend_info() -> dict[str, Any]:
    """Describe the backend: its functions, and the settings in ``nx.config.backends.fastmml``."""
    return {
        "backend_name": "fastmml",
        "project": "fastmml",
        "package": "fastmml",
        "short_summary": "Compiled kernels for rankings by links.",
        "description": "PageRank, HITS, eigenvector and Katz centrality on compiled kernels.",
        "functions": {name: {"additional_docs": docs} for name, docs in _FUNCTIONS.items()},
        "default_config": {"threads": None},
    }
