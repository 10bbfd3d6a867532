"""150 calls that cannot work, over all commands: each is refused in one sentence, soon and small.

A call may take 5 s and 500 MB, imports included. Numbers without bounds are looked for in every
command, so that a new option cannot let a machine run out of memory.
"""

from __future__ import annotations

import gzip
import os
import random
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ecgscale.cli import app
from tests.ecgscale.conftest import DEFINITION
from tests.ecgscale.forked import Forked, forked

SECONDS, MEGABYTES = 5.0, 500.0
SECRET = "secret-word"
UNBOUNDED = {"--rate", "--seconds"}
"""Of `prepare` and `run`: their definition has the bounds."""

# What is called, and words that the answer has to have. {db} is a database with the study `tiny`,
# {away} one that does not answer, {net} a network; files and folders are made by `lab`.
CALLS = """
download nothing --out x                                    | challenge-2021, ptb-xl
download ptb-xl --out x --connections 0                     | --connections
synthesize --out binary.file --records 3                    | binary.file
synthesize --out /proc/x --records 3                        | /proc/x
synthesize --out x --records 0                              | --records
synthesize --out x --records 3 --seed -1                    | --seed
synthesize --out x --records 3 --quirks nan                 | --quirks
prepare binary.file --out s                                 | folder with ECG records
prepare empty --out s                                       | .hea files
prepare raw --out binary.file                               | something else
prepare raw --out /proc/s                                   | /proc/s
prepare raw --out s --rate 0                                | --rate
prepare raw --out s --rate 1000000000                       | 100,000
prepare raw --out s --seconds nan                           | seconds
prepare raw --out s --seconds 1e12                          | 86,400
prepare raw --out s --band 40-0.5                           | half the rate
prepare raw --out s --band nan-40                           | --band
prepare raw --out s --band 5                                | 0.5-40
prepare raw --out s --windows 1000000000                    | --windows
prepare raw --out s --standardise x                         | 'lead'
prepare raw --out s --split 60/20                           | 60/20/20
prepare raw --out s --split nan/1/1                         | sum to 1
prepare raw --out s --split-seed -1                         | --split-seed
prepare raw --out s --labels binary.file                    | abbreviation, name, codes
prepare raw --out s --labels empty                          | Is a directory
prepare raw --out s --patients huge.file                    | too large
prepare raw --out s --patients /dev/zero                    | too large
prepare raw --out s --format x                              | 'ptb-xl'
prepare raw --out s --format csv --table binary.file        | record
prepare raw --out s --format ptb-xl                         | ptbxl_database.csv
prepare raw --out s --jobs 100000                           | --jobs
store binary.file                                           | manifest.json
store empty                                                 | manifest.json
store {store} --html /proc/x.html                           | /proc/x.html
show {store} nobody                                         | 'nobody'
show {store} nobody --out x.png                             | .svg
cost nothing                                                | ecgscale-m
cost binary.json                                            | binary.json
cost deep.json                                              | Architecture
cost number.json                                            | Architecture
cost huge.json                                              | too large
cost folder.json                                            | Is a directory
cost binary.safetensors                                     | binary.safetensors
cost huge.safetensors                                       | huge.safetensors
cost mobilenetv2@nan                                        | width multiplier
cost ecgscale-m --samples 0                                 | --samples
cost ecgscale-m --outputs {digits}                          | --outputs
cost ecgscale-m --svg empty                                 | Is a directory
space nothing                                               | ecg-cnn
space binary.toml                                           | UTF-8
space huge.toml                                             | 65,536
space ecg-cnn --draws 1000000000000                         | --draws
space ecg-cnn --seed -1                                     | --seed
space ecg-cnn --data empty                                  | manifest.json
init-db --storage nothing                                   | postgresql://
init-db --storage ''                                        | leave it out
init-db --storage embedded:                                 | embedded:DIR
init-db --storage embedded:/proc/x                          | /proc/x
init-db --storage embedded:binary.file                      | binary.file
init-db --storage {away}                                    | refused
init-db --storage postgresql://u:secret-word@127.0.0.1:99999/d | port
init-db --storage postgresql://u:secret-word@x@y/d          | %40
init-db --storage 'postgresql://u@127.0.0.1:9/d?nothing=1'  | libpq
init-db --storage 'postgresql://u@127.0.0.1:9/d?sslmode=x'  | sslmode
init-db --storage sqlite:///x.db                            | PostgreSQL
init-db --storage {db} --listen x:y                         | HOST:PORT
init-db --storage {db} --listen 1.2.3.4:5000                | free address
init-db --storage {away} --start-within nan                 | --start-within
PASSWORD=none init-db --storage postgresql://u@127.0.0.1:9/d | No such file
PASSWORD=empty.file init-db --storage postgresql://u@127.0.0.1:9/d | one line
PASSWORD=binary.file init-db --storage postgresql://u@127.0.0.1:9/d | one line
PASSWORD=/dev/zero init-db --storage postgresql://u@127.0.0.1:9/d | too large
PASSWORD=huge.file init-db --storage {db} --listen 127.0.0.1:5999 | too large
stop-db --storage postgresql://u@h/d                        | embedded
stop-db --storage embedded:binary.file                      | binary.file
grant x --access king --storage {db}                        | worker or reader
grant 'X Y' --access worker --storage {db}                  | small letters
grant ecgscale --access worker --storage {db}               | superuser
grant pg_read_all_data --access reader --storage {db}       | not pg_
grant x --access worker --password-file empty.file --storage {db} | one line
grant x --access worker --password-file huge.file --storage {db} | too large
create none.toml --data {store} --storage {db}              | none.toml
create binary.toml --data {store} --storage {db}            | UTF-8
create huge.toml --data {store} --storage {db}              | 65,536
create /dev/zero --data {store} --storage {db}              | no file
create init-binary.toml --data {store} --storage {db}       | .safetensors
create init-huge.toml --data {store} --storage {db}         | .safetensors
create many.toml --data {store} --storage {db}              | 20,000
create tiny.toml --data empty --storage {db}                | manifest.json
create tiny.toml --data {store} --storage {away}            | refused
extend nobody --storage {db}                                | nobody
extend tiny --storage {db}                                  | further trials
extend tiny --architectures 1000000000 --storage {db}       | --architectures
extend tiny --reference deep.json --storage {db}            | Architecture
extend tiny --reference empty --storage {db}                | .json
trials nobody --storage {db}                                | nobody
trials tiny --where '9**9**9' --storage {db}                | --where
trials tiny --where '__import__("os")' --storage {db}       | --where
trials tiny --where 'state > 3' --storage {db}              | numbers beside numbers
trials tiny --sort x --storage {db}                         | --sort
trials {long} --storage {db}                                | expected a study
refine nobody --storage {db}                                | nobody
refine tiny --budget 1e999 --storage {db}                   | --budget
refine tiny --candidates 1000000000000 --storage {db}       | --candidates
worker nobody --data {store} --start-within 0 --storage {db} | nobody
worker tiny --data empty --storage {db}                     | manifest.json
worker tiny --data {store} --device quantum --storage {db}  | --device
worker tiny --data {store} --lease-seconds 1e300 --storage {db} | --lease-seconds
worker tiny --data {store} --patience-seconds nan --storage {db} | --patience-seconds
worker tiny --data {store} --weights binary.file --storage {db} | --weights
worker tiny --data {store} --checkpoints binary.file --storage {db} | --checkpoints
worker tiny --data {store} --keep best --storage {db}       | --weights
worker tiny --data {store} --metrics 99999999 --storage {db} | PORT
worker tiny --data {store} --storage {away}                 | ECGSCALE_PASSWORD_FILE
status nobody --storage {db}                                | nobody
status --watch --storage {db}                               | STUDY
status tiny --every nan --storage {db}                      | --every
retry tiny --storage {db}                                   | --failed
retry tiny --trial {digits} --storage {db}                  | --trial
retry tiny --trial 99 --storage {db}                        | trials tiny
rename tiny ../x --storage {db}                             | letters, digits
delete tiny --storage {db}                                  | --yes
delete nobody --yes --storage {db}                          | nobody
dump tiny --storage {db}                                    | --all DIR
dump tiny /proc/x.gz --storage {db}                         | /proc/x.gz
dump --all binary.file --storage {db}                       | binary.file
load none.gz --storage {db}                                 | No such file
load bomb.gz --storage {db}                                 | 16 MB
load headless.gz --storage {db}                             | line 1 (user)
load newer.gz --storage {db}                                | version 99
load /dev/zero --storage {db}                               | dump
url nobody --storage {db}                                   | nobody
url --for dbeaver --storage {db}                            | --listen
latency tiny --device quantum --storage {db}                | --device
latency tiny --threads 1000000000 --storage {db}            | --threads
report nobody --out r --storage {db}                        | nobody
report tiny --out r --bootstraps 1000000000000 --storage {db} | --bootstraps
recommend tiny --flops nan --storage {db}                   | --flops
recommend new --flops 5M --storage {db}                     | nothing to analyse yet
dashboard --host 1.2.3.4 --storage {db}                     | --host
dashboard --password-file /dev/zero --storage {db}          | too large
dashboard --password-file binary.file --storage {db}        | one line
confirm tiny --seeds 1000000000 --storage {db}              | --seeds
confirm-references nobody --reference resnet18 --storage {db}  | nobody
confirm-like tiny nobody --storage {db}                     | nobody
family tiny --out f --seed -1 --storage {db}                | --seed
export {net} --out /proc/x.safetensors                      | /proc/x.safetensors
export {net} --out x.safetensors --format onnx              | .onnx
export cut.safetensors --out x.safetensors                  | cut.safetensors
export mobilenetv2@0.5 --out x.safetensors --rate inf       | --rate
export tiny --trial {digits} --out x.safetensors --storage {db} | --trial
predict binary.onnx raw                                     | binary.onnx
predict {net} empty                                         | .hea files
predict {net} empty.csv --quiet                             | cannot be read
predict {net} huge.csv --quiet                              | too large
predict {net} raw --out x.txt --quiet                       | .parquet
evaluate {net} --data {store} --draws 1000000000000         | --draws
evaluate {net} --data {store} --out binary.file             | binary.file
evaluate cut.safetensors --data {store}                     | cut.safetensors
launch local tiny --data {store} --logs binary.file --storage {db} | --logs
launch slurm 'a;b' --data {store} --workers 2 --script x.sh | letters, digits
launch slurm tiny --data {store} --workers 2 --script x.sh --memory 'lots of' | --memory
launch slurm tiny --data {store} --workers 2 --script x.sh --option partition | --partition=gpu
launch kubernetes a/../b --workers 1 --image x:1 --out k    | letters, digits
launch kubernetes tiny --workers 1 --image x --out k        | name:1.0
launch kubernetes tiny --workers 1 --image x:1 --out k --weights /x | /checkpoints
run tiny.toml --out o                                       | --raw
run tiny.toml --out o --data {store} --reference none       | ecgscale-m
run tiny.toml --out binary.file --data {store} --storage {db} | binary.file
demo --trials 1                                             | --trials
demo --raw empty --out o                                    | .hea files
--plugin none.py status --storage {db}                      | none.py
status --plugin binary.file --storage {db}                  | binary.file
nothing                                                     | nothing
"""
CASES = [tuple(part.strip() for part in line.rsplit("|", 1)) for line in CALLS.strip().split("\n")]


def _files(folder: Path) -> None:
    noise = random.Random(0).randbytes(2_000)
    for name in ("binary.file", "binary.json", "binary.toml", "binary.safetensors", "binary.onnx"):
        (folder / name).write_bytes(noise)
    for name in ("huge.file", "huge.json", "huge.toml", "huge.csv", "huge.safetensors"):
        with (folder / name).open("wb") as file:
            file.truncate(20_000_000_000)  # with a hole: it takes no room
    for name in ("empty.file", "empty.csv"):
        (folder / name).touch()
    for name in ("empty", "folder.json"):
        (folder / name).mkdir()
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "number.json").write_text("9" * 10_000)
    (folder / "tiny.toml").write_text(DEFINITION)
    (folder / "new.toml").write_text(DEFINITION.replace("tiny", "new"))
    (folder / "many.toml").write_text("[sample]\narchitectures = 100_000_000\n")
    for kind in ("binary", "huge"):
        text = f'[recipe]\ninit = "{kind}.safetensors"\n'
        (folder / f"init-{kind}.toml").write_text(text)
    first = '{"format": "ecgscale-study", "version": %d, "name": "x"}\n'
    (folder / "headless.gz").write_bytes(gzip.compress((first % 2).encode()))
    (folder / "newer.gz").write_bytes(gzip.compress((first % 99).encode()))
    with gzip.open(folder / "bomb.gz", "wb") as file:
        for _ in range(40):
            file.write(bytes(10_000_000))


@pytest.fixture(scope="module")
def lab(
    tmp_path_factory: pytest.TempPathFactory,
    raw: Path,
    store: Path,
    database: str,
    finished: str,
    weights: Path,
) -> Iterator[tuple[Forked, dict[str, object]]]:
    """Where the calls are made: odd files, a small study, a network of it."""
    folder, home = tmp_path_factory.mktemp("siege"), tmp_path_factory.mktemp("home")
    _files(folder)
    os.symlink(raw, folder / "raw")
    network = next(weights.rglob("*.safetensors"))
    assert finished == "tiny"
    known = {
        "store": store,
        "db": database,
        "away": f"postgresql://u:{SECRET}@127.0.0.1:9/d",
        "net": network,
        "digits": "9" * 400,
        "long": "x" * 50_000,
    }
    clean = {name: "" for name in os.environ if name.startswith(("ECGSCALE_", "PGPASS"))}
    (folder / "cut.safetensors").write_bytes(network.read_bytes()[:-1_000])
    with forked(folder, **clean, XDG_DATA_HOME=str(home), OMP_NUM_THREADS="1") as run:
        made = run("create", "new.toml", "--data", store, "--storage", database)
        assert made.returncode == 0, made.stderr
        yield run, known
    assert not any(home.iterdir()), "a call started the database that a user has by default"


@pytest.mark.parametrize(("call", "words"), CASES, ids=[f"{call[:60]}" for call, _ in CASES])
def test_it_is_refused_in_one_sentence(
    lab: tuple[Forked, dict[str, object]], call: str, words: str
) -> None:
    run, known = lab
    arguments = shlex.split(call.format(**known))
    environment = {}
    if arguments[0].startswith("PASSWORD="):
        environment["ECGSCALE_PASSWORD_FILE"] = arguments.pop(0).partition("=")[2]
    done = run(*arguments, seconds=60, **environment)
    said = done.stderr.strip()
    assert done.returncode == 2, done
    assert "Traceback" not in said
    assert words in said, said
    if "Usage:" not in said:  # an option or argument that typer refuses, in its box
        assert said.startswith("ecgscale: ")
        assert len(said.splitlines()) == 1, said
        assert said.isprintable()
    assert len(said) < 5_000
    assert SECRET not in said + done.stdout
    assert done.seconds < SECONDS
    assert done.megabytes < MEGABYTES


def test_there_are_150_over_all_commands() -> None:
    assert len(CASES) >= 150
    called = " ".join(call for call, _ in CASES)
    for path, _ in _commands(get_command(app), ()):
        assert " ".join(path) in called, path


def test_every_number_has_bounds() -> None:
    for path, command in _commands(get_command(app), ()):
        for option in command.params:
            annotation = option.type_descriptor.annotation
            if annotation not in (int, float) or UNBOUNDED & set(option.opts):
                continue
            assert option.min is not None, (path, option.opts)
            assert option.max is not None, (path, option.opts)


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in getattr(group, "commands", {}).items():
        yield from _commands(command, (*path, name))
    if not hasattr(group, "commands"):
        yield path, group
