import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.splits import stratified_split

SHARES = (0.6, 0.2, 0.2)


def draw(rows: int, classes: int, seed: int, per_group: int = 3) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    labels = (rng.random((rows, classes)) < rng.random(classes) * 0.4).astype(np.uint8)
    groups = [f"p{g}" for g in rng.integers(0, max(rows // per_group, 1), rows)]
    return labels, groups


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 8), st.integers(0, 1000))
def test_every_row_has_a_part_and_every_group_one(rows: int, classes: int, seed: int) -> None:
    labels, groups = draw(rows, classes, seed)
    part = stratified_split(labels, groups, SHARES, 0)
    assert set(part.tolist()) <= {0, 1, 2}
    for group in set(groups):
        assert len({p for p, g in zip(part.tolist(), groups, strict=True) if g == group}) == 1


def test_labels_are_spread_closer_than_chance_would() -> None:
    labels, _ = draw(1000, 10, 1)
    labels[:, 9] = 0
    labels[:10, 9] = 1
    groups = [str(i) for i in range(1000)]
    part = stratified_split(labels, groups, SHARES, 0)
    for p, share in enumerate(SHARES):
        error = np.abs(labels[part == p].sum(axis=0) - share * labels.sum(axis=0))
        assert error.max() <= 2
    # The rarest label comes as near to its shares as whole records can.
    assert np.bincount(part[:10], minlength=3).tolist() == [6, 2, 2]
    assert np.bincount(part).tolist() == pytest.approx([600, 200, 200], abs=10)


def test_groups_are_stratified_too() -> None:
    labels, groups = draw(2000, 8, 2)
    part = stratified_split(labels, groups, SHARES, 0)
    for p, share in enumerate(SHARES):
        expected = share * labels.sum(axis=0)
        error = np.abs(labels[part == p].sum(axis=0) - expected)
        assert (error <= 3 + 0.1 * expected).all()


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    labels, groups = draw(300, 6, 3)
    part = stratified_split(labels, groups, SHARES, 0)
    order = np.random.default_rng(0).permutation(300)
    again = stratified_split(labels[order], [groups[i] for i in order], SHARES, 0)
    np.testing.assert_array_equal(again, part[order])
    assert (stratified_split(labels, groups, SHARES, 1) != part).any()


def test_rows_without_labels_follow_the_shares() -> None:
    part = stratified_split(np.zeros((100, 5), np.uint8), [str(i) for i in range(100)], SHARES, 0)
    assert np.bincount(part).tolist() == [60, 20, 20]


def test_a_part_without_a_share_gets_nothing() -> None:
    labels, groups = draw(100, 5, 4)
    part = stratified_split(labels, groups, (0.5, 0.0, 0.5), 0)
    assert set(part.tolist()) == {0, 2}
