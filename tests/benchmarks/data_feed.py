"""Feeding: shuffled batches from a resident int16 tensor on one core.

    python tests/benchmarks/data_feed.py [--records 6400] [--batch 64] [--device cpu]

Prints records per second, plain and with augmentation, and the share of a training step of a
network of 2,700 records/s, the fastest of the performance notes. Goals: at least 100,000 records/s
and at most 3 %.
"""

import argparse
import sys
import time

import numpy as np
import torch

from data_pipeline.batches import AugmentOptions, ResidentRecords, batches

FASTEST_NETWORK = 2700
MODERATE = AugmentOptions(gain=0.1, noise=0.02, wander=0.1, lead_dropout=0.05, mask=0.1)


def resident(count: int, device: str) -> ResidentRecords:
    generator = torch.Generator().manual_seed(0)
    signals = torch.randint(-3000, 3000, (count, 12, 1000), dtype=torch.int16, generator=generator)
    labels = torch.zeros(count, 26)
    rows = np.arange(count)
    return ResidentRecords(signals.to(device), labels.to(device), 0.001, 100.0, rows, rows)


def rate(records: ResidentRecords, batch: int, augment: AugmentOptions | None, clock) -> float:
    best = 0.0
    for epoch in range(6):
        start = clock()
        for _ in batches(
            records, batch_size=batch, seed=0, epoch=epoch, shuffle=True, augment=augment
        ):
            pass
        if records.device.type == "cuda":
            torch.cuda.synchronize()
        # The first epoch warms the allocator.
        best = max(best, len(records) / (clock() - start)) if epoch else 0.0
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=6400)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # On a shared CPU the time of other processes must not count; a GPU has only the wall clock.
    clock = time.process_time if arguments.device == "cpu" else time.perf_counter
    records = resident(arguments.records, arguments.device)
    plain = rate(records, arguments.batch, None, clock)
    altered = rate(records, arguments.batch, MODERATE, clock)
    share = FASTEST_NETWORK / plain
    print(f"plain      {plain:,.0f} records/s, {100 * share:.1f} % of the fastest training step")
    print(f"augmented  {altered:,.0f} records/s")
    return 0 if plain >= 100_000 and share <= 0.03 else 1


if __name__ == "__main__":
    sys.exit(main())
