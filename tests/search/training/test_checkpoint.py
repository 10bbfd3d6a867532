"""Checkpoints that are another trial's, damaged, hostile or of another precision."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch

from search.errors import StudyError
from search.training import device
from search.training.checkpoint import FORMAT, load_checkpoint
from search.training.train import Interrupted, train_one
from tests.search.rhythms import QUICK, records, scored

pytestmark = pytest.mark.usefixtures("one_thread")


def interrupted_checkpoint(network, path):
    with pytest.raises(Interrupted):
        train_one(
            network,
            records(40, 1),
            records(20, 2),
            QUICK,
            0,
            should_stop=lambda: True,
            checkpoint=path,
        )


def test_another_trials_checkpoint_is_refused(network, tmp_path):
    path = tmp_path / "trial.pt"
    interrupted_checkpoint(network, path)
    with pytest.raises(StudyError, match="another network, recipe, precision, seed or data"):
        train_one(network, records(40, 1), records(20, 2), QUICK, 1, checkpoint=path)


def test_a_checkpoint_in_another_precision_is_refused(network, tmp_path):
    path = tmp_path / "trial.pt"
    interrupted_checkpoint(network, path)
    other = dataclasses.replace(QUICK, precision="bf16")
    with pytest.raises(StudyError, match="another network, recipe, precision"):
        train_one(network, records(40, 1), records(20, 2), other, 0, checkpoint=path)


def test_what_auto_means_is_part_of_a_checkpoint(network, tmp_path, monkeypatch):
    path, auto = tmp_path / "trial.pt", dataclasses.replace(QUICK, precision="auto")
    for fast in ("fp32", "bf16"):
        monkeypatch.setattr(device, "fast_precision", lambda _, fast=fast: fast)
        stopped = Interrupted if fast == "fp32" else StudyError
        with pytest.raises(stopped):
            train_one(
                network,
                records(40, 1),
                records(20, 2),
                auto,
                0,
                should_stop=lambda: True,
                checkpoint=path,
            )


def test_another_versions_checkpoint_costs_time_only(network, tmp_path):
    path = tmp_path / "trial.pt"
    interrupted_checkpoint(network, path)
    torch.save(torch.load(path) | {"format": FORMAT - 1}, path)
    train, validation = records(40, 1), records(20, 2)
    with pytest.warns(UserWarning, match=r"another version .* starts anew"):
        result = train_one(network, train, validation, QUICK, 0, checkpoint=path)
    assert scored(result) == scored(train_one(network, train, validation, QUICK, 0))


def test_a_damaged_checkpoint_costs_time_only(network, tmp_path):
    path = tmp_path / "trial.pt"
    interrupted_checkpoint(network, path)
    os.truncate(path, path.stat().st_size // 2)
    train, validation = records(40, 1), records(20, 2)
    with pytest.warns(UserWarning, match="cannot be read"):
        result = train_one(network, train, validation, QUICK, 0, checkpoint=path)
    assert scored(result) == scored(train_one(network, train, validation, QUICK, 0))


def test_a_checkpoint_that_would_run_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    torch.save({"fingerprint": Evil()}, tmp_path / "trial.pt")
    with pytest.warns(UserWarning, match="cannot be read"):
        assert load_checkpoint(tmp_path / "trial.pt", "x") is None
    assert not (tmp_path / "pwned").exists()
