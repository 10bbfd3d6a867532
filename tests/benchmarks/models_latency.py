"""Compare the latency of one network in its forms: plain Conv1d, ours, folded, ONNX.

    python tests/benchmarks/models_latency.py [--batch 1] [--repeats 100] [NAME ...]

One CPU thread, 12×1000, milliseconds of one forward pass (median), and how much faster than plain.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from models import Architecture, find_architecture, load_space, sample_architectures
from models.build import build
from models.fold import fold_batch_norms
from models.latency import measure_latency
from models.onnx_export import onnx_model
from models.plain import as_conv1d


def onnx_latency_ms(model: bytes, batch: int, repeats: int) -> float:
    """Return the median of onnxruntime with one thread."""
    import onnxruntime  # type: ignore[import-untyped,unused-ignore]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((batch, 12, 1000), np.float32)
    times = []
    for _ in range(repeats + 5):
        start = time.perf_counter()
        session.run(None, {"signals": x})
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[5:]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=100)
    options = parser.parse_args()
    sample = sample_architectures(
        load_space("ecg-cnn"), 4, flops_range=(1e7, 3e8), bins=4, seed=0
    ).architectures
    networks: tuple[Architecture, ...] = (
        tuple(map(find_architecture, options.names)) if options.names else sample
    )
    print(f"{'network':26}{'MFLOPs':>8}{'plain':>9}{'ours':>16}{'folded':>16}{'ONNX':>16}")
    for architecture in networks:
        network = build(architecture).eval()
        forms = (as_conv1d(network), network, fold_batch_norms(network))
        times = [
            measure_latency(form, batch=options.batch, repeats=options.repeats).median_ms
            for form in forms
        ]
        model = onnx_model(network, leads=12, samples=1000).SerializeToString()
        times.append(onnx_latency_ms(model, options.batch, options.repeats))
        cells = "".join(f"{ms:9.2f} ({times[0] / ms:3.1f}×)" for ms in times[1:])
        name = f"{architecture.name} {architecture.hash[:8]}"
        print(f"{name:26}{architecture.cost().flops / 1e6:8.1f}{times[0]:9.2f}{cells}")


if __name__ == "__main__":
    main()
