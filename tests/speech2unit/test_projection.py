"""The projection: context of each frame, and scaled principal axes by falling variance."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from speech2unit.projection import fit_projection, load
from speech2unit.quantize import Projection, with_context
from speech2unit.schemas import PROJECTION
from storage import tables

RNG = np.random.default_rng(0)
FRAMES = (RNG.normal(size=(400, 6)) @ RNG.normal(size=(6, 6)) + 5).astype(np.float32)


def test_context_surrounds_each_frame_and_edges_repeat():
    frames = np.array([[1, 2], [3, 4], [5, 6]])
    assert with_context(frames, 1).tolist() == [[1, 2, 1, 2, 3, 4], [1, 2, 3, 4, 5, 6], [3, 4, 5, 6, 5, 6]]
    assert np.array_equal(with_context(frames, 0), frames)
    assert with_context(frames[:1], 2).tolist() == [[1, 2] * 5]


def test_without_components_frames_stay_as_they_are():
    assert fit_projection(FRAMES, 0) == []
    assert np.array_equal(Projection(0, [])(FRAMES), FRAMES)


def test_components_are_those_of_pca_scaled_by_the_fourth_root_of_the_variance():
    reference = PCA(4).fit(FRAMES.astype(np.float64))
    projected = Projection(0, fit_projection(FRAMES, 4))(FRAMES)
    expected = reference.transform(FRAMES) * reference.explained_variance_**-0.25
    signs = np.sign((projected * expected).sum(0))
    np.testing.assert_allclose(projected, expected * signs, atol=1e-3)
    np.testing.assert_allclose(projected.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(projected.var(0, ddof=1), reference.explained_variance_**0.5, rtol=1e-3)
    variances = [row["variance"] for row in fit_projection(FRAMES, 4)]
    np.testing.assert_allclose(variances, reference.explained_variance_, rtol=1e-5)


def test_an_axis_points_where_its_largest_weight_is_positive():
    for row in fit_projection(FRAMES, 6):
        assert row["vector"][np.abs(row["vector"]).argmax()] > 0


def test_frames_are_projected_with_their_context_one_utterance_at_a_time():
    rows = fit_projection(with_context(FRAMES, 1), 3)
    assert Projection(1, rows)(FRAMES[:10]).shape == (10, 3) and len(rows[0]["vector"]) == 18
    shorter = Projection(1, rows)(FRAMES[:10])
    longer = Projection(1, rows)(FRAMES[:11])
    np.testing.assert_allclose(shorter[:9], longer[:9], atol=1e-5)
    assert np.abs(shorter[9] - longer[9]).max() > 1e-3


@pytest.mark.parametrize("num_components", [0, 3])
def test_a_projection_is_the_same_after_reading_rows_in_another_order(tmp_path, num_components):
    rows = fit_projection(with_context(FRAMES, 2), num_components)
    tables.write(tmp_path / "p.parquet", rows[::-1] or PROJECTION.empty_table(), PROJECTION)
    np.testing.assert_allclose(load(tmp_path / "p.parquet", 2)(FRAMES), Projection(2, rows)(FRAMES), atol=1e-5)


def test_components_without_variance_do_not_divide_by_zero():
    flat = np.concatenate([FRAMES, np.zeros_like(FRAMES)], 1)
    assert np.isfinite(Projection(0, fit_projection(flat, 12))(flat)).all()
