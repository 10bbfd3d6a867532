"""optuna-dashboard behind its guard, asked over HTTP as browsers and attackers would."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from test_manage import at_work

from ecgscale.dashboard import make_dashboard
from search.errors import StudyError
from search.reading.records import read_class_scores, read_trials
from search.secret_file import read_secret
from search.study import open_study, study_names
from search.trials.queue import Queue, WorkerName

PASSWORD = "pass:wörd"
GOOD = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()


@contextmanager
def serving(storage, **options) -> Iterator[int]:
    server = make_dashboard(storage, "127.0.0.1", 0, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(
    port: int, path: str, method: str = "GET", *, host: str | None = None, body=None, **headers: str
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    sent = None if body is None else json.dumps(body)
    kind = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, sent, {"Host": host or f"127.0.0.1:{port}", **kind, **named})
    answer = connection.getresponse()
    words = answer.read().decode()
    connection.close()
    return answer.status, words


def test_only_known_names_are_answered(storage):
    with serving(storage, hosts=["ecg.hospital.example"]) as port:
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "10.1.2.3"):
            assert ask(port, "/api/studies", host=host)[0] == 200, host
        assert ask(port, "/api/studies", host="ECG.hospital.example")[0] == 200
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "a@b", "["):
            status, words = ask(port, "/api/studies", host=host)
            assert status == 403, host
            assert "--allow-host" in words


def test_only_own_pages_write(make_study, storage):
    study = make_study()
    path, body = f"/api/studies/{study.study_id}/rename", {"study_name": f"{study.name}-x"}
    with serving(storage, hosts=["ecg.example"]) as port:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:3000"},
            {"Sec_Fetch_Site": "cross-site"},
        ):
            assert ask(port, path, "POST", body=body, **headers)[0] == 403, headers
        assert study.name in study_names(storage)
        assert ask(port, "/api/studies", Origin="https://evil.example")[0] == 200, "reading only"
        ours = {"Origin": f"http://127.0.0.1:{port}"}
        assert ask(port, path, "POST", body=body, **ours)[0] == 201
        # Behind a proxy that ends TLS and does not pass the name on.
        body = {"study_name": study.name}
        assert ask(port, path, "POST", body=body, Origin="https://ecg.example")[0] == 201


def test_a_password_is_asked_for(storage, tmp_path):
    with serving(storage, password=PASSWORD) as port:
        wrong = "Basic " + base64.b64encode(b"me:wrong").decode()
        for header in (None, wrong, "Basic ///", "Bearer x", "Basic"):
            given = {} if header is None else {"Authorization": header}
            assert ask(port, "/api/studies", **given)[0] == 401, header
            assert ask(port, "/dashboard/", **given)[0] == 401, header
        assert ask(port, "/api/studies", Authorization=GOOD)[0] == 200
        assert ask(port, "/healthz") == (200, "ok")
    (tmp_path / "two").write_text("a\nb\n")
    (tmp_path / "one").write_text(f"{PASSWORD}\n")
    assert read_secret(tmp_path / "one", "the password") == PASSWORD
    with pytest.raises(StudyError, match="one line"):
        read_secret(tmp_path / "two", "the password")


def test_a_rename_under_a_worker_loses_nothing(make_study, store, tmp_path):
    study = make_study(sample={"architectures": 4, "flops": [1e6, 1e7], "bins": 1})
    queue = Queue(study.storage, study.study_id)
    classes = [{"class": "AF", "positives": 1, "f1": 0.5, "auroc": 0.5, "auprc": 0.1}]
    queue.finish(queue.claim(WorkerName("w", "h", "c")), 0.5, {}, [0.5], classes)
    thread, came = at_work(study, store, 1.0, checkpoints=tmp_path)
    new = f"{study.name}-renamed"
    with serving(study.storage) as port:
        path = f"/api/studies/{study.study_id}/rename"
        status, words = ask(port, path, "POST", body={"study_name": new})
        assert status == 201
        told = json.loads(words)
        assert (told["study_id"], told["study_name"]) == (study.study_id, new)
        assert told["directions"] == ["maximize"]
        for wrong in ({"study_name": "a b"}, {"study_name": 7}, {}, [1], None):
            status, words = ask(port, path, "POST", body=wrong)
            assert status == 400, words
            assert json.loads(words)["reason"]
        listed = json.loads(ask(port, "/api/studies")[1])["study_summaries"]
        names = {one["study_id"]: one["study_name"] for one in listed}
        assert names[study.study_id] == new
    thread.join(60)
    assert came == [0]
    assert set(read_trials(new, study.storage)["state"]) == {"complete"}
    assert len(read_class_scores(new, study.storage)) == 1 + 2 * 3
    assert open_study(new, study.storage).folder == study.folder


def test_a_study_is_deleted_and_others_are_optunas_business(make_study, storage):
    import optuna

    study = make_study()
    theirs = optuna.create_study(study_name="theirs-2", storage=storage.optuna())
    with serving(storage) as port:
        for one in (study.study_id, theirs._study_id):
            assert ask(port, f"/api/studies/{one}", "DELETE", body={})[0] == 204
        assert ask(port, f"/api/studies/{study.study_id}", "DELETE", body={})[0] == 404
    assert study.name not in study_names(storage)
    assert "theirs-2" not in optuna.get_all_study_names(storage.optuna())
