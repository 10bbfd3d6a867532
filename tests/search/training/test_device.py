"""Which precision a device is fastest in, and what the trainer makes of it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import torch

from search.training.device import fast_precision, resolve_precision
from search.training.train import train_one
from tests.search.rhythms import QUICK, records

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("able", "limit", "expected"),
    [
        ({"amx_bf16": True}, None, "bf16"),
        ({"avx512_bf16": True}, None, "bf16"),
        ({"avx512_bf16": True}, "DEFAULT", "bf16"),
        ({"avx512_bf16": True}, "avx512_core_bf16", "bf16"),
        ({"amx_bf16": True}, "AVX512_CORE_AMX", "bf16"),
        ({"amx_bf16": True}, "AVX2", "fp32"),  # oneDNN would emulate it
        ({"avx512_bf16": True}, "AVX512_CORE_VNNI", "fp32"),
        ({"avx512_bf16": False, "avx2": True}, None, "fp32"),
        ({}, None, "fp32"),
    ],
)
def test_a_processors_fastest_precision(monkeypatch, able, limit, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    if limit is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert fast_precision(CPU) == resolve_precision(CPU, "auto") == expected
    assert resolve_precision(CPU, "bf16") == "bf16"
    assert resolve_precision(CPU, "fp32") == "fp32"


@pytest.mark.parametrize("native", [True, False])
def test_a_gpus_fastest_precision(monkeypatch, native):
    def supported(including_emulation=True):
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert fast_precision(torch.device("cuda")) == ("bf16" if native else "fp32")


def test_a_limit_of_onednn_is_heeded_as_onednn_heeds_it():
    """Where oneDNN says that it has no bf16, the fastest precision is not bf16."""
    ask = (
        "import torch; from search.training.device import fast_precision;"
        "print(fast_precision(torch.device('cpu')), torch.ops.mkldnn._is_mkldnn_bf16_supported())"
    )
    for limit in ("AVX2", "DEFAULT"):
        told = subprocess.run(
            [sys.executable, "-c", ask],
            env={"ONEDNN_MAX_CPU_ISA": limit, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        fast, supported = told.stdout.split()
        assert fast == "fp32" or supported == "True", limit
        assert fast == "fp32" or limit == "DEFAULT"


def test_scores_are_computed_in_fp32_whatever_the_training_was_in(network, quick):
    """A network that is handed out in fp32 has its trial's scores, to the rounding of fp32."""
    kept = []
    train, validation = records(80, 1), records(60, 2)
    result = train_one(network, train, validation, quick, 0, on_finish=kept.append)
    with torch.no_grad():
        own = kept[0].network(validation.signals.float() * validation.step).sigmoid().numpy()
    assert abs(own - kept[0].probabilities).max() < 1e-5
    assert result.precision == quick.precision


def test_training_in_bf16_differs_by_no_more_than_its_rounding(network):
    train, validation = records(80, 1), records(60, 2)
    recipe = dataclasses.replace(QUICK, epochs=1)
    outputs = []
    for precision in ("fp32", "bf16"):
        kept = []
        chosen = dataclasses.replace(recipe, precision=precision)
        train_one(network, train, validation, chosen, 0, on_finish=kept.append)
        outputs.append(kept[0].probabilities)
    difference = abs(outputs[0] - outputs[1])
    assert difference.max() > 1e-6, "the two precisions are the same"
    # Six steps, each rounded to eight bits.
    assert difference.mean() < 6 * 2**-8
