"""A trial whose network was not kept is trained again: the same bits, or a refusal with reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sqlalchemy import text

from models.export import load_network
from search.errors import StudyError
from search.kept import KeptNetworks
from search.replay import replay
from search.study import Study
from search.worker import WorkerOptions, run_worker

OWN = "trial_id IN (SELECT trial_id FROM trials WHERE study_id = :study AND number = 0)"
SET = f"UPDATE trial_user_attributes SET value_json = :value WHERE key = :key AND {OWN}"
FAIL = f"UPDATE trials SET state = 'FAIL' WHERE {OWN}"


def change(study: Study, statement: str = SET, **values: str) -> None:
    with study.storage.begin() as connection:
        connection.execute(text(statement), {"study": study.study_id, **values})


@pytest.fixture
def trained(make_study, store, tmp_path: Path, one_thread) -> Study:
    """A study whose learning rate is drawn, with a control; all its networks are kept."""
    study: Study = make_study(
        sample={"architectures": 1, "flops": [1e5, 2e6], "bins": 1, "learning_rate": [1e-3, 1e-2]},
        controls={"shuffled_labels": 1},
        recipe={"epochs": 2, "batch_size": 16, "average_epochs": 1.0},
    )
    options = WorkerOptions(weights=tmp_path / "kept")
    assert run_worker(study.name, study.storage, store, "cpu", options=options, say=str) == 0
    return study


def test_the_same_network_comes_out_bit_for_bit(trained: Study, store, tmp_path: Path) -> None:
    torch.set_num_threads(2)  # the trial had one, which is what counts
    (kept,) = (tmp_path / "kept").rglob("*.safetensors")
    assert kept == KeptNetworks(tmp_path / "kept", "all", trained).path(int(kept.stem))
    again = replay(trained, store, int(kept.stem), tmp_path / "again.safetensors")
    assert torch.get_num_threads() == 2
    one, other = load_network(kept), load_network(again)
    assert one.card == other.card
    weights, anew = one.state_dict(), other.state_dict()
    assert weights.keys() == anew.keys()
    assert all(torch.equal(weights[name], anew[name]) for name in weights)


def test_a_control_is_trained_on_its_shuffled_labels(trained: Study, store, tmp_path: Path) -> None:
    (kept,) = (tmp_path / "kept").rglob("*.safetensors")
    control = 1 - int(kept.stem)
    assert replay(trained, store, control, tmp_path / "control.safetensors").is_file()


def test_what_does_not_score_the_same_is_refused_with_reasons(
    trained: Study, store, other_store, tmp_path: Path
) -> None:
    out = tmp_path / "no.safetensors"
    with pytest.raises(StudyError, match="give the store the study was created with"):
        replay(trained, other_store, 0, out)
    with pytest.raises(StudyError, match="none of that number"):
        replay(trained, store, 7, out)
    change(trained, key="macro_auroc", value="0.123")
    change(trained, key="git_commit", value='"of yesterday"')
    with pytest.raises(StudyError, match=r"macro_auroc 0.123, now 0\..*code of yesterday, now"):
        replay(trained, store, 0, out)
    change(trained, key="device", value='"NVIDIA H100"')
    with pytest.raises(StudyError, match="trained on, NVIDIA H100, got cpu"):
        replay(trained, store, 0, out)
    assert not out.exists()
    change(trained, FAIL)
    with pytest.raises(StudyError, match="one that is failed"):
        replay(trained, store, 0, out)
