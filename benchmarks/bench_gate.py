"""What the gate's interval is good for: how often it is wrong, and how many patients it takes to pass.

    python benchmarks/bench_gate.py

Simulated patients: paired differences of Dice with a given mean and standard deviation, 2000 draws per cell. `wrong`: a
candidate that truly loses exactly the margin passes. `equal`: one that is truly equal passes. `mean rule`: the same two
when only the mean decides.
"""

from __future__ import annotations

import numpy as np
from irp_training.domain.judging.patients import lower_bound

MARGIN = 0.01
DRAWS = 2000
PATIENTS = (6, 10, 20, 40)
SPREADS = (0.01, 0.02)  # standard deviation of the paired differences


def shares(patients: int, spread: float, mean: float) -> tuple[float, float]:
    """Share of candidates that pass by the interval, and by their mean alone."""
    random = np.random.default_rng(7)
    samples = random.normal(mean, spread, (DRAWS, patients))
    proven = [lower_bound({str(n): value for n, value in enumerate(one)}) > -MARGIN for one in samples.tolist()]
    return float(np.mean(proven)), float((samples.mean(axis=1) >= -MARGIN).mean())


def main() -> None:
    """Print the table."""
    print("| patients | spread | wrong | equal | wrong, mean rule | equal, mean rule |")
    print("|---|---|---|---|---|---|")
    for patients in PATIENTS:
        for spread in SPREADS:
            wrong, equal = shares(patients, spread, -MARGIN), shares(patients, spread, 0.0)
            print(f"| {patients} | {spread} | {wrong[0]:.3f} | {equal[0]:.3f} | {wrong[1]:.3f} | {equal[1]:.3f} |")


if __name__ == "__main__":
    main()
