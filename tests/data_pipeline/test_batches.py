from dataclasses import replace

import numpy as np
import pytest
import torch

from data_pipeline import DataError, PrepareOptions, Store, prepare_store
from data_pipeline.augment import alter
from data_pipeline.batches import AugmentOptions, ResidentRecords, batches, shuffled_labels
from data_pipeline.synthetic import synthesize

ALL = AugmentOptions(
    crop_samples=800, gain=0.2, noise=0.05, wander=0.3, lead_dropout=0.1, mask=0.2, warp=0.1
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("batches")
    synthesize(folder / "raw", records=50)
    return prepare_store(folder / "raw", folder / "store", PrepareOptions())


@pytest.fixture
def records(store: Store) -> ResidentRecords:
    return ResidentRecords.from_store(store, np.arange(50), "cpu")


def test_batches_hold_the_stored_values_once_each(store: Store, records: ResidentRecords) -> None:
    seen = list(batches(records, batch_size=8, seed=0, epoch=0, shuffle=False))
    assert [len(x) for x, _ in seen] == [8] * 6 + [2]
    signals = torch.cat([x for x, _ in seen])
    assert signals.dtype == torch.float32
    np.testing.assert_allclose(signals.numpy(), store.signals * np.float32(0.001), rtol=1e-6)
    np.testing.assert_array_equal(torch.cat([y for _, y in seen]).numpy(), store.labels)


def test_shuffling_keeps_signals_and_labels_together(records: ResidentRecords) -> None:
    seen = list(batches(records, batch_size=8, seed=0, epoch=0, shuffle=True))
    signals, labels = torch.cat([x for x, _ in seen]), torch.cat([y for _, y in seen])
    stored = records.signals * torch.tensor(records.step)
    rows = [int((stored == x).all(dim=(1, 2)).nonzero().squeeze()) for x in signals]
    assert sorted(rows) == list(range(50))
    assert rows != sorted(rows)
    assert torch.equal(labels, records.labels[rows])


def test_only_seed_epoch_and_step_decide(records: ResidentRecords) -> None:
    def run(seed: int, epoch: int, first_step: int = 0) -> list[torch.Tensor]:
        torch.rand(17)
        seen = batches(
            records, batch_size=8, seed=seed, epoch=epoch, shuffle=True, augment=ALL,
            first_step=first_step,
        )  # fmt: skip
        return [x for x, _ in seen]

    whole = run(1, 2)
    assert all(map(torch.equal, whole, run(1, 2)))
    assert all(map(torch.equal, whole[4:], run(1, 2, first_step=4)))
    assert not torch.equal(whole[0], run(1, 3)[0])
    assert not torch.equal(whole[0], run(2, 2)[0])


def test_patients_are_numbered_and_unknown_ones_differ(store: Store) -> None:
    named = store.records.assign(patient=["7", "7", "", "", *["8"] * 46])
    resident = ResidentRecords.from_store(replace(store, records=named), np.arange(6), "cpu")
    assert resident.patients.tolist() == [0, 0, 1, 2, 3, 3]


def test_shuffled_labels_keep_their_counts(records: ResidentRecords) -> None:
    control = shuffled_labels(records, 1)
    assert torch.equal(control.labels.sum(dim=0), records.labels.sum(dim=0))
    assert not torch.equal(control.labels, records.labels)
    assert control.signals is records.signals
    assert torch.equal(shuffled_labels(records, 1).labels, control.labels)


def test_an_empty_split_is_refused(store: Store) -> None:
    with pytest.raises(DataError, match="has none"):
        ResidentRecords.from_store(store, np.arange(0), "cpu")


def altered(x: torch.Tensor, **options: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return alter(x.clone(), AugmentOptions(**options), generator, 100.0)  # type: ignore[arg-type]


def test_nothing_is_altered_where_nothing_is_asked() -> None:
    x = torch.randn(4, 12, 200)
    assert torch.equal(altered(x), x)


def test_crops_are_pieces_of_the_record() -> None:
    x = torch.arange(100.0).expand(64, 12, 100)
    cropped = altered(x, crop_samples=60)
    assert cropped.shape == (64, 12, 60)
    assert (cropped.diff(dim=2) == 1).all()
    starts = cropped[:, :, 0]
    assert (starts == starts[:, :1]).all()
    assert starts.min() >= 0
    assert starts.max() <= 40
    assert len(starts[:, 0].unique()) > 10
    assert torch.equal(altered(x, crop_samples=100), x)


def test_each_alteration_does_what_it_says() -> None:
    x = torch.randn(256, 12, 500, generator=torch.Generator().manual_seed(1))
    louder = altered(x, gain=0.2)
    gains = (louder * x).sum(dim=(1, 2), keepdim=True) / (x * x).sum(dim=(1, 2), keepdim=True)
    assert torch.allclose(louder, gains * x, atol=1e-5)
    assert gains.log().std() == pytest.approx(0.2, rel=0.2)
    assert (altered(x, noise=0.1) - x).std() == pytest.approx(0.1, rel=0.02)
    wander = altered(x, wander=0.5) - x
    assert 0.3 < wander.abs().max() <= 0.5
    spectrum = torch.fft.rfft(wander * torch.hann_window(500)).abs().sum(dim=(0, 1))
    assert spectrum[:6].sum() > 0.95 * spectrum.sum()
    blank = (altered(x, lead_dropout=0.2) == 0).all(dim=2)
    assert blank.float().mean() == pytest.approx(0.2, abs=0.03)
    masked = (altered(x, mask=0.4) == 0).all(dim=1)
    assert masked.float().mean() == pytest.approx(0.2, abs=0.04)
    assert masked.sum(dim=1).max() <= 201
    assert (masked.int().diff(dim=1).abs().sum(dim=1) <= 2).all()


def test_warping_changes_the_frequency_by_what_is_asked() -> None:
    time_s = torch.arange(1000) / 100
    x = torch.sin(2 * torch.pi * 5 * time_s).expand(64, 12, 1000)
    warped = altered(x, warp=0.2)
    crossings = (warped[:, 0, 200:800].sign().diff(dim=1) != 0).sum(dim=1) / 2 / 6
    assert 3.9 < crossings.min() < 4.4
    assert 5.6 < crossings.max() < 6.1
    assert warped[0, 0, 200:800].abs().max() == pytest.approx(1, abs=0.03)
