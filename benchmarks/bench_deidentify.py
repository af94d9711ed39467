"""De-identification beside pydicom's plain read and write and beside two other tools: same files, one core, one run.

Rounds alternate, so that a busy machine is busy for all; medians are told. The others take part where they are
installed (`pip install dicognito dicom-anonymizer`), else a line says that they do not. Every contender reads bytes in
memory and makes bytes in memory. JSON goes to out/bench/deidentify.json.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
from bench_house import keep
from irp_deid import Profile, ProjectSecret, deidentify_file
from irp_deid.part10 import over_dataset
from irp_deid.quiet import quietly
from openirp.demo.hearts import dicom_heart, examples_folder

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 7
KEY, PROFILE = ProjectSecret(bytes(32)).site_key("bench"), Profile.of()
Work = Callable[[bytes], None]


def engine(file: bytes) -> None:
    """Ours, default profile."""
    deidentify_file(file, KEY, PROFILE)


def detailed(file: bytes) -> None:
    """Ours, with every element and its reason in the report."""
    deidentify_file(file, KEY, PROFILE, detailed=True)


def tolerant(file: bytes) -> None:
    """Ours, the way for oddly laid out files."""
    over_dataset(file, KEY, PROFILE)


def plain(file: bytes) -> None:
    """Read and write with pydicom, change nothing."""
    with quietly():
        _write(pydicom.dcmread(io.BytesIO(file)))


def dicognito() -> Work:
    """One anonymizer for all files, as its command line does."""
    anonymizer = importlib.import_module("dicognito.anonymizer").Anonymizer(seed="bench")

    def work(file: bytes) -> None:
        dataset = pydicom.dcmread(io.BytesIO(file))
        anonymizer.anonymize(dataset)
        _write(dataset)

    return work


def dicom_anonymizer() -> Work:
    """Its default rules."""
    anonymize = importlib.import_module("dicomanonymizer.simpledicomanonymizer").anonymize_dataset

    def work(file: bytes) -> None:
        dataset = pydicom.dcmread(io.BytesIO(file))
        anonymize(dataset)
        _write(dataset)

    return work


def _write(dataset: pydicom.FileDataset) -> None:
    pydicom.dcmwrite(io.BytesIO(), dataset)


def contenders() -> dict[str, Work]:
    """Who takes part."""
    found: dict[str, Work] = {
        "plain": plain,
        "openirp": engine,
        "openirp, detailed": detailed,
        "tolerant way": tolerant,
    }
    others = {"dicognito": ("dicognito", dicognito), "dicom-anonymizer": ("dicomanonymizer", dicom_anonymizer)}
    for name, (module, make) in others.items():
        if importlib.util.find_spec(module):
            found[name] = make()
        else:
            print(f"{name} is not installed and does not take part")
    return found


def seconds(work: Work, files: list[bytes]) -> float:
    """One round of this process's own time: others on the machine do not count."""
    began = time.process_time()
    for file in files:
        work(file)
    return time.process_time() - began


def main() -> None:
    """Measure, print."""
    # The data set's invalid dates stop dicognito: everybody gets valid ones.
    files = [file.replace(b"20120000", b"20120101") for file in dicom_heart(examples_folder(), "SCD0000101").files]
    files = [file.replace(b"DA\x08\x0000000000", b"DA\x08\x0019600101") for file in files]
    running = contenders()
    spent: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(ROUNDS):
        for name, work in running.items():
            spent[name].append(seconds(work, files))
    rates = {name: round(len(files) / statistics.median(times), 1) for name, times in spent.items()}
    for name, rate in rates.items():
        print(f"{name:18s} {rate:8.1f} files/s   openirp is {rates['openirp'] / rate:5.2f} x")
    bytes_each = sum(map(len, files)) // len(files)
    keep("deidentify", {"files": len(files), "bytes_each": bytes_each, "rounds": ROUNDS, "files_per_s": rates})


if __name__ == "__main__":
    main()
