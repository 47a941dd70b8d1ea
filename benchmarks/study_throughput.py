"""The study with one and with two worker processes: `python benchmarks/study_throughput.py`.

Every round runs the same small study once with each number of workers, one after the other, in a
folder of its own; the cores are shared out among the workers. Printed is the median over the
rounds of the ratio within a round: of the whole (with starting processes and compiling) and of the
steps per second while training. It takes a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["COURSEKIT_HEADLESS"] = "1"

from _harness import header

from coursekit.base.machine import cores
from coursekit.experiments import study


def measure(workers: int, variants: str, seeds: int, profile: str) -> dict[str, float]:
    """Run the study from nothing and return seconds, steps per second of all workers, memory."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        study.run(variants=variants, seeds=seeds, profile=profile, workers=workers, out=folder)
        seconds = time.perf_counter() - began
        runs = [r for r in study.load_records(folder) if r.get("steps_per_second")]
    pace = statistics.median(record["steps_per_second"] for record in runs)
    memory = max(record["peak_memory_mb"] or 0 for record in runs)
    return {"seconds": seconds, "steps": pace * workers, "memory": memory}


def ratios(rounds: list[dict[int, dict[str, float]]], workers: int, name: str) -> str:
    """Return the median and the range of the gain over one worker."""
    gains = [one[workers][name] / one[1][name] for one in rounds]
    if name == "seconds":
        gains = [1 / gain for gain in gains]
    return f"{statistics.median(gains):.2f} times ({min(gains):.2f} to {max(gains):.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--variants", default="selu")
    parser.add_argument("--profile", default="standard")
    parser.add_argument("--workers", type=int, default=2, help="compared with one")
    given = parser.parse_args()
    print(header("The study with one worker process and with more"))
    print(
        f"{given.variants}, {given.seeds} seeds, profile {given.profile}, {given.rounds} rounds, "
        f"{cores()} cores in use"
    )
    rounds = []
    for number in range(given.rounds):
        counts = (1, given.workers) if number % 2 == 0 else (given.workers, 1)
        rounds.append({n: measure(n, given.variants, given.seeds, given.profile) for n in counts})
        for n in sorted(rounds[-1]):
            found = rounds[-1][n]
            print(
                f"  round {number + 1}, workers {n}: {found['seconds']:.0f} s, "
                f"{found['steps']:.0f} steps/s in all, {found['memory']:.0f} MB at most each",
                flush=True,
            )
    print(
        f"{given.workers} workers against one, whole study: "
        f"{ratios(rounds, given.workers, 'seconds')} as fast"
    )
    print(
        f"{given.workers} workers against one, while training: "
        f"{ratios(rounds, given.workers, 'steps')} as many steps per second"
    )


if __name__ == "__main__":
    main()
