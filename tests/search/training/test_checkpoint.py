"""Checkpoints that are another trial's, damaged, hostile or of another precision."""

from __future__ import annotations

import os

import pytest
import torch

from search.errors import StudyError
from search.training.checkpoint import load_checkpoint
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
    with pytest.raises(StudyError, match="another network, recipe, seed or data"):
        train_one(network, records(40, 1), records(20, 2), QUICK, 1, checkpoint=path)


def test_a_checkpoint_in_another_precision_is_not_gone_on_with(network, tmp_path):
    path = tmp_path / "trial.pt"
    interrupted_checkpoint(network, path)
    torch.save(torch.load(path) | {"dtype": "torch.bfloat16"}, path)
    train, validation = records(40, 1), records(20, 2)
    with pytest.warns(UserWarning, match=r"in torch.bfloat16 .* starts anew"):
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
