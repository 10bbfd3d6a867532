"""A recorded step: what is done around the recording, with a stand-in that runs on a CPU."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from data_pipeline.batches import batches
from search.training.graph import WARM_STEPS, StepGraph
from search.training.run import Run, Trial
from tests.search.rhythms import QUICK, records

pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = dataclasses.replace(QUICK, augment_gain=0.0)


class OnTheHost:
    """A recording that computes the step at every replay, from and into the same memory."""

    made: int = 0
    replays: int = 0

    def __init__(self, step, signals, labels):
        type(self).made += 1
        self._step, self._inputs = step, (signals, labels)
        self.outputs = (torch.tensor(float("nan")), torch.full((len(labels), 3), float("nan")))

    def replay(self):
        type(self).replays += 1
        for place, value in zip(self.outputs, self._step(*self._inputs), strict=True):
            place.copy_(value)


@pytest.fixture
def recording():
    return type("Fresh", (OnTheHost,), {})


def train(run: Run, epochs: int, first_step: int = 0) -> Run:
    for epoch in range(run.progress.epoch, epochs):
        for signals, labels in batches(
            run.trial.train,
            batch_size=16,
            seed=0,
            epoch=epoch,
            shuffle=True,
            first_step=run.progress.step,
        ):
            run.step(signals, labels)
        seen = [tensor.clone() for tensor in (torch.cat(run._outputs), torch.cat(run._labels))]
        run.end_epoch(0.0)
        run.seen = [*getattr(run, "seen", []), *seen]
    return run


def run_of(network, precision="fp32", graph=None, micro_batch=16, checkpoint=None) -> Run:
    torch.manual_seed(0)
    recipe = dataclasses.replace(RECIPE, precision=precision)
    trial = Trial(network, records(90, 1), records(20, 2), recipe, 0, precision)
    run = Run(trial, micro_batch, checkpoint, graph)
    run.network.train()
    return run


def state_of(run: Run) -> dict[str, torch.Tensor]:
    averaged = {f"averaged {k}": v for k, v in run.averaged.network.state_dict().items()}
    outputs = {f"seen {k}": v for k, v in enumerate(run.seen)}
    return run.network.state_dict() | averaged | outputs | {"loss": run._loss}


def assert_same(one: Run, other: Run) -> None:
    expected = state_of(one)
    found = state_of(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_replayed_steps_give_the_bits_of_steps_as_they_are(network, recording, precision):
    """Six steps an epoch, the last on ten records: it is not what was recorded."""
    eager = train(run_of(network, precision), epochs=3)
    replayed = train(run_of(network, precision, StepGraph(recording)), epochs=3)
    assert_same(eager, replayed)
    assert recording.made == 1
    assert recording.replays == 3 * 5 - WARM_STEPS


def test_micro_batches_are_not_recorded(network, recording):
    eager = train(run_of(network, micro_batch=8), epochs=2)
    asked = train(run_of(network, graph=StepGraph(recording), micro_batch=8), epochs=2)
    assert_same(eager, asked)
    assert recording.made == 0


def test_outputs_of_a_step_outlive_the_next(network, recording):
    graph = StepGraph(recording)
    given = [
        (torch.full((2, 3), float(k)), torch.full((2, 3), float(-k))) for k in range(WARM_STEPS + 4)
    ]
    outputs = [graph(lambda x, y: (x.sum(), x + y * 2), x, y) for x, y in given]
    for k, (loss, logits) in enumerate(outputs):
        assert loss == 6 * k
        assert torch.equal(logits, torch.full((2, 3), float(-k)))


def test_a_resumed_run_records_anew_and_gets_the_same_bits(network, recording, tmp_path):
    whole = train(run_of(network, graph=StepGraph(recording)), epochs=3)
    path = tmp_path / "trial.checkpoint"
    first = run_of(network, graph=StepGraph(recording), checkpoint=path)
    train(first, epochs=2)
    first.save()
    second = run_of(network, graph=StepGraph(recording), checkpoint=path)
    second.seen = first.seen
    assert second.progress.epoch == 2
    assert_same(whole, train(second, epochs=3))
    assert recording.made == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu_a_graph_gives_the_bits_of_its_steps(network, precision):
    def on_gpu(graph):
        torch.manual_seed(0)
        recipe = dataclasses.replace(RECIPE, precision=precision)
        trial = Trial(network, records(90, 1, "cuda"), records(20, 2, "cuda"), recipe, 0, precision)
        run = Run(trial, 16, None, graph)
        run.network.train()
        return train(run, epochs=3)

    assert_same(on_gpu(None), on_gpu(StepGraph()))
