"""Halving of proposed networks: after an epoch, whoever is in the worse half of its peers ends.

Peers are the other proposed networks of the same bin of FLOPs, as in successive halving (Jamieson
and Talwalkar 2016) with each trial judged when it gets there (Li et al. 2020). The first few go on
for want of peers. For proposed networks alone: what is estimated from the random ones would be
biased by it.
"""

from __future__ import annotations

import json

import numpy as np
from sqlalchemy import text

from search.database.storage import Storage
from search.quiet import quiet_optuna

KEPT = 50.0  # per cent
FEWEST = 4  # peers

PEERS = """
SELECT i.intermediate_value AS score, f.value_json::float8 AS flops
FROM trials t JOIN trial_intermediate_values i ON i.trial_id = t.trial_id AND i.step = :epoch
    AND i.intermediate_value_type = 'FINITE'
JOIN trial_user_attributes r
    ON r.trial_id = t.trial_id AND r.key = 'role' AND r.value_json = '"refine"'
JOIN trial_user_attributes f ON f.trial_id = t.trial_id AND f.key = 'flops'
WHERE t.study_id = :study AND t.trial_id <> :trial
"""
ABOUT = """
SELECT (SELECT value_json FROM study_user_attributes
        WHERE study_id = :study AND key = 'sampling') AS sampling,
    (SELECT value_json::float8 FROM trial_user_attributes
     WHERE trial_id = :trial AND key = 'flops') AS flops,
    (SELECT direction::text FROM study_directions WHERE study_id = :study) AS direction
"""


def falls_behind(storage: Storage, study_id: int, trial_id: int, epoch: int, score: float) -> bool:
    """Say whether a trial is in the worse half of its peers after an epoch (counted from 1)."""
    about = {"study": study_id, "trial": trial_id, "epoch": epoch}
    with storage.connect() as connection:
        row = connection.execute(text(ABOUT), about).one()
        peers = connection.execute(text(PEERS), about).all()
    edges = np.asarray(json.loads(row.sampling)["edges"])[1:-1]
    own = np.searchsorted(edges, row.flops)
    scores = [peer.score for peer in peers if np.searchsorted(edges, peer.flops) == own]
    return _worse_half(scores, score, epoch, row.direction == "MAXIMIZE")


def _worse_half(peers: list[float], score: float, epoch: int, maximize: bool) -> bool:
    """Ask Optuna's pruner, which knows each by its score at this epoch alone."""
    import optuna

    pruner = optuna.pruners.PercentilePruner(KEPT, n_startup_trials=FEWEST)
    with quiet_optuna():
        study = optuna.create_study(direction="maximize" if maximize else "minimize", pruner=pruner)
        study.add_trials(
            [
                optuna.trial.create_trial(value=peer, intermediate_values={epoch: peer})
                for peer in peers
            ]
        )
        trial = study.ask()
        trial.report(score, epoch)
        return trial.should_prune()
