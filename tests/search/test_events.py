from __future__ import annotations

import json
import math
from datetime import UTC, datetime

from processes import slow_trainer
from sqlalchemy import URL

from search.events import Event, json_log, text_log, without_passwords
from search.trials.queue import Limits
from search.worker import WorkerOptions, run_worker


def test_text_leaves_out_what_has_no_words():
    said: list[str] = []
    log = text_log(said.append)
    log(Event("epoch", values={"epoch": 1}))
    log(Event("worker_done", "nothing left"))
    assert said == ["nothing left"]


def test_line_is_json_with_time_in_utc_and_no_nan():
    said: list[str] = []
    log = json_log(said.append, worker="here:1")
    log(Event("epoch", "", {"trial": 3, "macro_f1": math.nan, "inf": math.inf, "path": object}))
    (line,) = said
    assert "\n" not in line
    event = json.loads(line, parse_constant=lambda word: 1 / 0)
    assert event["event"] == "epoch"
    assert (event["worker"], event["trial"], event["macro_f1"]) == ("here:1", 3, None)
    assert event["inf"] is None
    assert "message" not in event
    assert event["time"].endswith("Z")
    age = datetime.now(UTC) - datetime.fromisoformat(event["time"])
    assert abs(age.total_seconds()) < 60


def test_no_password_comes_out():
    secret = "p:a/s's@word"
    url = URL.create("postgresql", "me", secret, "host", 5432, "db")
    shown = url.render_as_string(hide_password=False)
    said: list[str] = []
    log = json_log(said.append, secret=secret)
    log(Event("database_away", f"no answer from {shown}, asked with {secret}", {"reason": shown}))
    log(Event("x", "postgresql://me:abc@def@host/db and http://host:80/x@y"))
    assert secret not in "".join(said)
    assert "%3Aa" not in said[0]
    assert json.loads(said[0])["reason"] == "postgresql://me:***@host:5432/db"
    assert "abc" not in said[1]
    assert "def" not in said[1]
    assert without_passwords("postgresql://me@host:5432/db") == "postgresql://me@host:5432/db"


def test_events_of_a_study_are_its_trials(make_study, store):
    study = make_study(sample={"architectures": 3, "flops": [1e6, 1e7], "bins": 1})
    lines: list[str] = []
    inner = slow_trainer(0.02)
    tries: list[int] = []

    def train(*rest, **named):
        tries.append(1)
        if len(tries) == 2:
            raise ValueError("no layer")
        return inner(*rest, **named)

    options = WorkerOptions(limits=Limits(grace_seconds=2.0))
    log = json_log(lines.append, study=study.name)
    code = run_worker(
        study.name, study.storage, store, "cpu", options=options, train=train, log=log
    )
    assert code == 0
    events = [json.loads(line) for line in lines]
    assert {event["study"] for event in events} == {study.name}
    names = [event["event"] for event in events]
    assert names[0] == "worker_started"
    assert names[-1] == "worker_done"
    complete = [event for event in events if event["event"] == "trial_complete"]
    assert sorted(event["trial"] for event in complete) == [0, 1, 2]
    assert all(event["seconds"] == 0.02 for event in complete)
    (error,) = [event for event in events if event["event"] == "trial_error"]
    assert (error["trial"], error["attempt"]) == (1, 1)
    assert error["reason"] == "ValueError: no layer"
    assert names.count("trial_started") == 4
    assert names.count("epoch") == 9
