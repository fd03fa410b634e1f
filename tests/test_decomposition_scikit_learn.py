"""scikit-learn's own tests of its `PCA`, run on `fastmml.PCA`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastmml as fm

theirs: Any = pytest.importorskip("sklearn.decomposition.tests.test_pca")

#: What is left out, and why.
LEFT_OUT = {
    "test_sparse_pca_solver_error": "the randomised solver takes sparse data here",
    "test_pca_score": "whitening the output does not change the probabilistic model here",
    "test_pca_zero_noise_variance_edge_cases": "a density without noise has no logarithm here",
    "test_pca_svd_solver_auto": "which solver is the fastest is another one here",
    "test_infer_dim_1": "of a private function",
    "test_infer_dim_2": "of a private function",
    "test_infer_dim_3": "of a private function",
    "test_assess_dimension_bad_rank": "of a private function",
    "test_small_eigenvalues_mle": "of a private function",
    "test_mle_redundant_data": "of a private function",
    "test_fit_mle_too_few_samples": "of a private function",
    "test_mle_simple_case": "of a private function",
    "test_assess_dimension_rank_one": "of a private function",
    "test_pca_array_api_compliance": "arrays of other libraries",
    "test_pca_mle_array_api_compliance": "arrays of other libraries",
    "test_array_api_error_and_warnings_on_unsupported_params": "arrays of other libraries",
}

for _name in dir(theirs):
    if _name.startswith("test_") and _name not in LEFT_OUT:
        globals()[_name] = getattr(theirs, _name)


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theirs, "PCA", fm.PCA)


@pytest.fixture
def global_random_seed() -> int:
    return 42


@pytest.fixture
def global_dtype() -> Any:
    return np.float64


def test_all_that_is_left_out_is_there() -> None:
    assert all(hasattr(theirs, name) for name in LEFT_OUT)
