"""Whatever is written down wrongly gives one sentence, at once and in little memory."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipeline import PrepareOptions
from data_pipeline.errors import DataError
from models import ModelError, Space, load_space
from models.space_file import space_from_table
from search.definition import StudyDefinition
from search.errors import StudyError

T = TypeVar("T")
LONGEST_SECONDS = 3.0
MOST_BYTES = 50_000_000

STUDIES: list[tuple[str | bytes, tuple[str, ...]]] = [
    # ---- Keys ---- #
    ("nam = 'a'", ("'nam'", "did you mean 'name'?")),
    ("epochs = 3", ("'epochs'", "belongs under [recipe]")),
    ("[recipe]\nseed = 3", ("'seed'", "belongs above all sections")),
    ("[recipe]\nepoch = 3", ("a key of [recipe]", "did you mean 'epochs'?")),
    ("[recipes]\nepochs = 3", ("did you mean 'recipe'?",)),
    ("[sample]\ncolour = 3", ("a key of [sample]", "architectures, flops, bins", "'colour'")),
    ("seed = 1\nseed = 2", ("expected TOML", "overwrite")),
    ("[sample]\nbins = 3\n[sample]\nbins = 4", ("expected TOML", "twice")),
    ("'\\u0000' = 3", ("a key of a study definition", "u0000")),
    ("'größe \u2028' = 3", ("a key of a study definition", "größe")),
    ("\n".join(f"key{i} = 1" for i in range(5000)), ("'key0'", "4999 more")),
    # ---- Types ---- #
    ("name = 3", ("name to be a study name", "got 3")),
    ("space = ['ecg-cnn']", ("space to be a text", "got ['ecg-cnn']")),
    ("seed = '1'", ("seed to be a whole number", "got '1'")),
    ("seed = 1.5", ("seed to be a whole number", "got 1.5")),
    ("seed = true", ("seed to be a whole number", "got true")),
    ("seed = 1979-05-27", ("seed to be a whole number", "1979")),
    ("sample = 3", ("sample to be a table", "got 3")),
    ("[[sample]]\nbins = 3", ("sample to be a table", "got [a table")),
    ("recipe = 'fast'", ("recipe to be a table", "got 'fast'")),
    ("[recipe]\nprior_bias = 1", ("recipe.prior_bias to be true or false", "got 1")),
    ("[recipe]\nlearning_rate = '5e-3'", ("recipe.learning_rate to be a number", "'5e-3'")),
    ("[recipe]\nloss = 'asymetric'", ("'bce', 'asymmetric'", "did you mean 'asymmetric'?")),
    ("[recipe]\nprecision = 16", ("recipe.precision to be one of", "got 16")),
    ("[data]\nwithout_source = 3", ("data.without_source to be a text", "got 3")),
    # ---- Ranges ---- #
    ("name = ''", ("name to be a study name", "got ''")),
    ("name = 'Größe'", ("letters, digits", "'Größe'")),
    ("name = '" + "a" * 101 + "'", ("at most 100",)),
    ("space = ''", ("space to be a text", "got ''")),
    ("seed = -1", ("seed to be a whole number from 0", "got -1")),
    ("[recipe]\nepochs = 0", ("recipe.epochs", "from 1 to 10,000", "got 0")),
    ("[recipe]\nepochs = 1000000000", ("recipe.epochs", "10,000", "got 1000000000")),
    ("[recipe]\nbatch_size = 100_000_000", ("recipe.batch_size", "65,536")),
    ("[recipe]\nlearning_rate = 0", ("recipe.learning_rate", "above 0 and at most 10")),
    ("[recipe]\nwarmup = 1.01", ("recipe.warmup", "from 0 to 1", "got 1.01")),
    ("[recipe]\naugment_crop_samples = 0", ("augment_crop_samples", "from 1 to 1e9")),
    ("[data]\ntrain_fraction = 0.2", ("data.train_fraction", "0.01, 0.03, 0.1, 0.3, 1", "0.2")),
    ("[sample]\narchitectures = 0", ("sample.architectures", "from 1 to 20,000")),
    ("[sample]\narchitectures = 1000000000000", ("sample.architectures", "20,000")),
    ("[sample]\nbins = 1_000_000_000", ("sample.bins", "20,000")),
    ("[sample]\narchitectures = 4\nbins = 5", ("at least 5", "got 4")),
    ("[sample]\nflops = [3e6, 1e6]", ("sample.flops", "low < high", "got [3000000.0")),
    ("[sample]\nflops = [0, 1e6]", ("sample.flops", "0 < low")),
    ("[sample]\nflops = ['3X', '1G']", ("sample.flops", "'3M'", "'3X'")),
    ("[sample]\nflops = [1e6]", ("sample.flops", "[low, high]")),
    ("[sample]\nflops = [1, 2, 3]", ("sample.flops", "[low, high]")),
    ("[sample]\nflops = [1e6, 1e999]", ("sample.flops", "1e15", "inf")),
    ("[sample]\nflops = ['1', '1e300T']", ("sample.flops", "1e15")),
    ("[sample]\nlearning_rate = [1e-3, 2]", ("sample.learning_rate", "≤ 1", "got [0.001, 2]")),
    ("[replicates]\nseeds = 1_000_000", ("replicates.seeds", "from 1 to 1,000")),
    ("[replicates]\narchitectures = 100", ("sample.architectures", "at least 100")),
    (
        "[sample]\narchitectures = 20000\n[replicates]\narchitectures = 20000\nseeds = 1000",
        ("at most 20,000 planned trials", "got 20,020,000"),
    ),
    # ---- Numbers ---- #
    ("seed = 0x" + "f" * 1900, ("seed to be a whole number", "2288 digits")),
    ("seed = " + "9" * 1900, ("seed to be a whole number", "1900 digits")),
    ("seed = 99999999999999999999", ("seed", "1e15")),
    ("[recipe]\nwarmup = nan", ("recipe.warmup", "got nan")),
    ("[recipe]\nweight_decay = 0.05", ("recipe.weight_decay_per beside", '"step"')),
    ("[recipe]\nweight_decay = inf", ("recipe.weight_decay", "got inf")),
    ("[recipe]\ngradient_clip = -inf", ("recipe.gradient_clip", "got -inf")),
    ("[sample]\nflops = [nan, inf]", ("sample.flops", "nan")),
    ("[recipe]\nepochs = " + "9" * 400, ("recipe.epochs", "400 digits")),
    # ---- Files ---- #
    ("", ("without any keys",)),
    ("# nothing but a comment", ("without any keys",)),
    ("name: a", ("expected TOML",)),
    ('{"name": "a"}', ("expected TOML",)),
    ("name = 'a", ("expected TOML",)),
    ("seed = " + "[" * 900, ("nested too deeply",)),
    ("seed = " + "[" * 200 + "]" * 200, ("seed to be a whole number", "lists within lists")),
    ("a = " + "{a = " * 390, ("nested too deeply",)),
    (".".join("a" * 900) + " = 1", ("'a'",)),
    (".".join("a" * 20_000) + " = 1", ("a line of more than 2,000 characters",)),
    ("seed = " + "9" * 60_000, ("a line of more than 2,000 characters",)),
    ("x = '" + "x" * 100_000 + "'", ("more than 65,536 bytes",)),
    (bytes(range(256)) * 20, ("no UTF-8 text",)),
    ("name = 'a'".encode("utf-16"), ("no UTF-8 text",)),
    (b"\x00" * 1000, ("expected TOML",)),
    (b"\x80\x04\x95", ("no UTF-8 text",)),
    # ---- Spaces ---- #
    ("space = 'ecg-cn'", ("did you mean 'ecg-cnn'?",)),
    ("space = 'missing.toml'", ("missing.toml", "No such file")),
    ("space = '../../../../../../dev/zero.toml'", ("zero.toml", "No such file")),
    ('space = "a\\u0000.toml"', ("no file can have",)),
    ("space = '" + "a" * 1000 + ".toml'", ("File name too long",)),
]

SPACES: list[tuple[str, tuple[str, ...]]] = [
    ("colour = 3", ("a key of a design space", "'colour'")),
    ("factor = {}", ("did you mean 'factors'?",)),
    ("name = 3", ("name to be a text", "got 3")),
    ("family = 'ecg-cn'", ("did you mean 'ecg-cnn'?",)),
    ("family = ['ecg-cnn']", ("family to be one of ecg-cnn",)),
    ("factors = 3", ("factors to be a table", "got 3")),
    ("[factors]\ndept = 3", ("expected factors of ecg-cnn", "did you mean 'depth'?")),
    ("[factors]\ndepth = { lowest = 3 }", ("a key of [factors.depth]", "did you mean 'low'?")),
    ("[factors]\ndepth = { low = '3' }", ("factors.depth.low to be a number", "got '3'")),
    ("[factors]\ndepth = { low = true }", ("factors.depth.low", "got true")),
    ("[factors]\ndepth = { log = 1 }", ("factors.depth.log to be true or false",)),
    ("[factors]\ndepth = { low = nan }", ("factors.depth.low", "got nan")),
    ("[factors]\ndepth = { high = inf }", ("factors.depth.high", "got inf")),
    ("[factors]\ndepth = { low = 9, high = 3 }", ("low ≤ high",)),
    ("[factors]\ndepth = { high = 1000000000 }", ("depth to be a whole number from 1 to 256",)),
    ("[factors]\nwidth_growth = 1e5", ("width_growth to be a number from 0.25 to 4",)),
    ("[factors]\nstages = 100000", ("stages to be a whole number from 1 to 12",)),
    ("[factors]\nwidth = 0x" + "f" * 1800, ("width to be a whole number", "digits")),
    ("[factors]\nkernel_size = { choices = [3, 1e300] }", ("kernel_size", "1,023")),
    ("[factors]\nkernel_size = { choices = [] }", ("distinct choices",)),
    ("[factors]\nkernel_size = { choices = [3, 3] }", ("distinct choices",)),
    ("[factors]\nkernel_size = { choices = 3 }", ("factors.kernel_size.choices to be a list",)),
    ("[factors]\nkernel_size = { choices = [[3]] }", ("factors.kernel_size.choices",)),
    ("[factors]\nkernel_size = { choices = [3], low = 3 }", ("either choices, or low and high",)),
    ("[factors]\nstages = { step = 1e-300 }", ("whole numbers",)),
    ("[factors]\nwidth_growth = { step = 1e-320 }", ("at most 1,000,000 steps",)),
    ("[factors]\nwidth_growth = { step = 0 }", ("a positive step",)),
    ("[factors]\nresidual = 'yes'", ("residual to be true or false", "'yes'")),
    ("[factors]\ngrouping = { low = 1, high = 3 }", ("'dense', 'group16', 'depthwise'",)),
    ("[factors]\ndepth = [3]", ("factors.depth to be a value, a range", "got [3]")),
    ("[factors]\ndepth = 1979-05-27", ("factors.depth to be a value, a range",)),
    ("family = 'regnet1d'\n[factors]\nw_m = 1", ("w_m to be a number from 1.01 to 10",)),
    ("constraints = 'depth > 3'", ("constraints to be a list of texts",)),
    ("constraints = [3]", ("constraints to be a list of texts",)),
    (f"constraints = {['depth > 3'] * 51}", ("at most 50",)),
    ("constraints = ['9**9**9 > depth']", ("may hold only", "Pow")),
    ("constraints = ['depth > 1 << 10000000000']", ("may hold only",)),
    ("constraints = ['grouping * 1000000000 > depth']", ("no number",)),
    ("""constraints = ["'a' * 1000000000 == grouping"]""", ("no number",)),
    ("""constraints = ["'%1000000000d' % depth == grouping"]""", ("no number",)),
    ("constraints = ['depth > 1e300']", ("numbers up to 1e12",)),
    ("constraints = ['depth > 3j']", ("numbers up to 1e12",)),
    ("constraints = ['depth >= dept']", ("no factor", "did you mean 'depth'?")),
    ("constraints = ['depth.real > 0']", ("Attribute",)),
    ("constraints = ['__import__(1) > 0']", ("Call",)),
    ("constraints = ['[0] > depth']", ("may hold only",)),
    ("constraints = ['depth']", ("a comparison such as",)),
    ("constraints = ['']", ("a comparison such as",)),
    ("constraints = ['depth >']", ("a comparison such as",)),
    (f"constraints = ['{'-' * 150}depth > 0']", ("nested too deeply",)),
    (f"constraints = ['{'(' * 199}']", ("a comparison such as",)),
    (f"constraints = ['{'depth>' * 300}1']", ("at most 200 characters",)),
    ("constraints = ['grouping < residual']", ("compare a word",)),
]

OPTIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"layout": "mat"}, ("layout (--format)", "'challenge', 'ptb-xl', 'csv'", "got 'mat'")),
    ({"sample_rate_hz": 0}, ("sample_rate_hz (--rate)", "from 1 to 100,000", "got 0")),
    ({"sample_rate_hz": 100.5}, ("a whole number", "got 100.5")),
    ({"seconds": 0}, ("seconds to be a number above 0", "got 0")),
    ({"seconds": float("nan")}, ("seconds", "got nan")),
    ({"seconds": float("inf")}, ("seconds", "got inf")),
    ({"seconds": 0.001}, ("1 to 1,000,000 samples", "got 0")),
    ({"seconds": 80_000, "sample_rate_hz": 1000}, ("1 to 1,000,000 samples", "80,000,000")),
    ({"band_hz": (0.5, 50)}, ("half the rate of 100 Hz", "0.5-50 Hz")),
    ({"band_hz": (40, 0.5)}, ("a band within 0", "40-0.5 Hz")),
    ({"band_hz": (0.5, float("nan"))}, ("band_hz (--band)", "nan")),
    ({"band_hz": (0.5,)}, ("[low, high] in Hz, or none", "[0.5]")),
    ({"standardise": "leads"}, ("did you mean 'lead'?",)),
    ({"windows": -1}, ("windows", "from 0 to 100,000", "got -1")),
    ({"windows": 10**30}, ("windows", "100,000")),
    ({"minimum_seconds": -1}, ("minimum_seconds", "from 0", "got -1")),
    ({"flat": "keep"}, ("'zero', 'drop'", "'keep'")),
    ({"nan": None}, ("'zero', 'drop'", "none")),
    ({"keep_unlabelled": "no"}, ("keep_unlabelled to be true or false",)),
    ({"patients": 3}, ("patients to be the path of a CSV", "got 3")),
    ({"split": (0.5, 0.2, 0.2)}, ("three shares that sum to 1", "[0.5, 0.2, 0.2]")),
    ({"split": (2, -1, 0)}, ("three shares that sum to 1",)),
    ({"split": (float("nan"),) * 3}, ("three shares that sum to 1", "nan")),
    ({"split": "oficial"}, ("three shares that sum to 1, or official", "'oficial'")),
    ({"split_seed": -1}, ("split_seed", "from 0", "got -1")),
]


def names(cases: list[Any]) -> list[str]:
    return [f"{number}-{words[0]}" for number, (_, words) in enumerate(cases)]


def assert_told_at_once(
    error: type[ValueError], words: tuple[str, ...], read: Callable[[], object]
) -> None:
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(error) as caught:
            read()
        seconds, peak = time.monotonic() - started, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert len(message.splitlines()) == 1
    assert len(message) < 500 + len(os.getcwd()), message
    assert "pydantic" not in message
    assert seconds < LONGEST_SECONDS
    assert peak < MOST_BYTES


@pytest.mark.parametrize(("text", "words"), STUDIES, ids=names(STUDIES))
def test_a_bad_study(tmp_path: Path, text: str | bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert_told_at_once(StudyError, ("bad.toml", *words), lambda: StudyDefinition.from_toml(path))


@pytest.mark.parametrize(("text", "words"), SPACES, ids=names(SPACES))
def test_a_bad_space(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    assert_told_at_once(ModelError, ("bad.toml", *words), lambda: load_space(path))


@pytest.mark.parametrize(("values", "words"), OPTIONS, ids=names(OPTIONS))
def test_bad_options_of_a_store(values: dict[str, Any], words: tuple[str, ...]) -> None:
    assert_told_at_once(DataError, words, lambda: PrepareOptions(**values))


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "loop", "long", "NUL"])
def test_a_path_that_is_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd.toml"
    expected = {
        "missing": "No such file",
        "folder": "got a folder",
        "pipe": "no file",
        "device": "no file",
        "loop": "symbolic links",
        "long": "File name too long",
        "NUL": "no file can have",
    }
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "long":
        path = tmp_path / ("x" * 300 + ".toml")
    elif kind == "NUL":
        path = tmp_path / "\0.toml"
    assert_told_at_once(StudyError, (expected[kind],), lambda: StudyDefinition.from_toml(path))
    if path.suffix == ".toml":
        assert_told_at_once(ModelError, (expected[kind],), lambda: load_space(path))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "notepad.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 3\r\n")
    assert StudyDefinition.from_toml(path).seed == 3


# ---- Anything at all ---- #

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = StudyDefinition("a").to_dict()
SECTIONS = sorted(name for name, value in FIELDS.items() if isinstance(value, dict))
ANYWHERE = st.sampled_from(
    [(name,) for name in FIELDS] + [(part, name) for part in SECTIONS for name in FIELDS[part]]
)


def attempt(read: Callable[[], T], error: type[ValueError]) -> tuple[T | None, str]:
    try:
        return read(), ""
    except error as told:
        return None, str(told)


QUICKLY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@QUICKLY
@given(place=ANYWHERE, value=VALUES)
def test_any_value_anywhere_is_accepted_or_told(place: tuple[str, ...], value: object) -> None:
    *inside, name = place
    values: dict[str, Any] = {"name": "a"}
    values |= {inside[0]: {name: value}} if inside else {name: value}
    definition, told = attempt(lambda: StudyDefinition.from_dict(values), StudyError)
    if definition is None:
        assert len(told.splitlines()) == 1
        assert name in told or "planned trials" in told
    else:
        assert StudyDefinition.from_dict(definition.to_dict()) == definition


@QUICKLY
@given(name=st.sampled_from([f.name for f in load_space("ecg-cnn").factors]), value=VALUES)
def test_any_value_of_a_factor_is_accepted_or_told(name: str, value: object) -> None:
    table = {"factors": {name: value}}
    space, told = attempt(lambda: space_from_table(table, "any"), ModelError)
    if space is None:
        assert len(told.splitlines()) == 1
        assert name in told
    else:
        assert Space.from_dict(space.to_dict()) == space
