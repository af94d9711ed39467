"""De-identification beside pydicom's plain read and write of the same files, one core, in one run.

Also beside dicognito where it is installed (`pip install dicognito`). Prints files per second and ratios; JSON goes to
out/bench/deidentify.json.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
from irp_deid import Profile, ProjectSecret, deidentify_file
from irp_deid.quiet import quietly
from openirp.demo.hearts import dicom_heart, examples_folder

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
KEY = ProjectSecret(bytes(32)).site_key("bench")


def engine(file: bytes) -> None:
    """Ours, default profile."""
    deidentify_file(file, KEY, Profile())


def plain(file: bytes) -> None:
    """What nobody can be faster than who reads and writes with pydicom."""
    with quietly():
        dataset = pydicom.dcmread(io.BytesIO(file))
        pydicom.dcmwrite(io.BytesIO(), dataset)


def plain_walked(file: bytes) -> None:
    """Read, look at every element, write: what a walk costs without rules."""
    with quietly():
        dataset = pydicom.dcmread(io.BytesIO(file))
        for element in dataset.iterall():
            str(element.tag)
        pydicom.dcmwrite(io.BytesIO(), dataset)


def contenders() -> dict[str, Callable[[bytes], None]]:
    """Who takes part."""
    found: dict[str, Callable[[bytes], None]] = {"openirp": engine, "plain": plain, "plain, walked": plain_walked}
    if importlib.util.find_spec("dicognito"):
        anonymizer = importlib.import_module("dicognito.anonymizer").Anonymizer(seed="bench")

        def dicognito(file: bytes) -> None:
            dataset = pydicom.dcmread(io.BytesIO(file))
            anonymizer.anonymize(dataset)
            pydicom.dcmwrite(io.BytesIO(), dataset)

        found["dicognito"] = dicognito
    return found


def files_per_s(work: Callable[[bytes], None], files: list[bytes]) -> float:
    """The best of some rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for file in files:
            work(file)
        best = max(best, len(files) / (time.perf_counter() - began))
    return best


def main() -> None:
    """Measure, print."""
    files = list(dicom_heart(examples_folder(), "SCD0000101").files)
    found = {name: round(files_per_s(work, files), 1) for name, work in contenders().items()}
    for name, rate in found.items():
        print(f"{name:16s} {rate:8.1f} files/s   openirp is {found['openirp'] / rate:.2f} x")
    target = ROOT / "out/bench/deidentify.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"files": len(files), "files_per_s": found}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
