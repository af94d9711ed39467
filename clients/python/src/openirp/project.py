"""One project of a gateway: images in, masks and evidence out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from openirp.admission import Admission
from openirp.datasets import Datasets
from openirp.live import Live
from openirp.problem import Problem
from openirp.segmentation import Segmentation
from openirp.stow import StowAnswer, multipart
from openirp.transport import FREEZING, Transport, within

NIFTI, NRRD, SEG, JSON = "application/x-nifti", "application/x-nrrd", "application/dicom", "application/json"
SEGMENT = within(300.0 + 120.0)  # answered, and written in the form that was asked for
STOW = within(300.0)
PROPOSAL_ENDED = frozenset({"done", "failed"})
RUN_ENDED = frozenset({"succeeded", "failed", "cancelled"})


class Project(Admission):
    """A project; methods raise `Problem` on any refusal."""

    def __init__(self, http: Transport, name: str) -> None:
        self.http, self.name = http, name
        self.path = f"/api/v1/projects/{name}"

    def describe(self) -> dict[str, Any]:
        """Title, revision, digest and the configuration document of the newest revision."""
        return dict(self.http.json("GET", self.path))

    def configuration(self) -> dict[str, Any]:
        """The document at its newest revision."""
        return dict(self.describe()["configuration"])

    def configure(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """Replace the document: a new revision."""
        return dict(self.http.json("PUT", self.path, configuration))

    # Images

    def stow(self, files: Iterable[bytes], *, more: bool = False) -> dict[str, Any]:
        """Store DICOM files (STOW-RS); PS3.18's answer as DICOM JSON, refused instances in 00081198.

        Safe to repeat: an instance that is there already is a success. With `more`, series stay open for
        further requests until `complete` is said, or for half a minute. All refused is a `Problem` (409).
        """
        return self._stow(files, more=more, report="").body

    def store(self, files: Iterable[bytes], *, more: bool = False, report: str = "") -> StowAnswer:
        """As `stow`, with the fate of each file and the id of the signed report; all refused is an answer, too.

        Args:
            files: DICOM Part 10 contents.
            more: as for `stow`.
            report: id of the uploader's report (`put_report`): the files come de-identified.
        """
        try:
            return self._stow(files, more=more, report=report)
        except Problem as problem:
            # Every instance refused is 409 with the same body (PS3.18 10.5.3.2).
            if "00081198" not in problem.body:
                raise
            return StowAnswer.of(problem.body, problem.headers)

    def _stow(self, files: Iterable[bytes], *, more: bool, report: str) -> StowAnswer:
        body, headers = multipart(files)
        headers |= {"Accept": "application/dicom+json"} | ({"X-IRP-More": "true"} if more else {})
        headers |= {"X-IRP-Report": report} if report else {}
        path = f"{self.path}/dicom-web/studies"
        answer = self.http.send("POST", path, content=body, headers=headers, timeout=STOW, repeat=True)
        return StowAnswer.of(dict(answer.json()), answer.headers)

    def import_image(
        self, image: bytes, *, patient: str, modality: str = "MR", description: str = "", sequence: str = ""
    ) -> dict[str, Any]:
        """Import a NIfTI or NRRD file as a series of its own; the same image again is the same series.

        Args:
            image: the file.
            patient: original identifier; the project keeps its pseudonym only.
            modality: "MR" or "CT".
            description: SeriesDescription, by which the project knows the class of the sequence.
            sequence: ProtocolName, for the same.
        """
        fields = {"patient": patient, "modality": modality, "description": description, "sequence": sequence}
        files = {"image": ("image", image, "application/octet-stream")}  # the file's own name may name somebody
        path = f"{self.path}/series"
        return dict(self.http.send("POST", path, data=fields, files=files, timeout=STOW, repeat=True).json())

    def series(self) -> list[dict[str, Any]]:
        """Every series with its state."""
        return list(self.http.items(f"{self.path}/series"))

    def one_series(self, uid: str) -> dict[str, Any]:
        """State of one series."""
        return dict(self.http.json("GET", f"{self.path}/series/{uid}"))

    def volume(self, uid: str, media_type: str = NRRD) -> bytes:
        """The image of a series on its own grid, as NRRD or NIfTI."""
        return self.http.get(f"{self.path}/series/{uid}/volume", accept=media_type).content

    def complete(self, uid: str) -> None:
        """Say that no more instances of a series will come: it is assembled now."""
        self.http.send("POST", f"{self.path}/series/{uid}/complete", repeat=True)

    def delete_series(self, uid: str) -> None:
        """Delete a series with its images; owners only.

        Raises:
            Problem: 409 STILL_REFERRED_TO if something refers to it: `body["references"]` names room, kind and id.
        """
        study = self.one_series(uid)["study_uid"]
        try:
            self._delete(study, "series", uid)
        except Problem as problem:  # it was there: an answer got lost, and the request was repeated
            if problem.status != httpx.codes.NOT_FOUND:
                raise

    def delete_study(self, uid: str) -> None:
        """Delete a study with its series; owners only. Raises as `delete_series`."""
        self._delete(uid)

    def _delete(self, *path: str) -> None:
        self.http.send("DELETE", "/".join((self.path, "dicom-web", "studies", *path)))

    def rejections(self) -> list[dict[str, Any]]:
        """Why instances or series were refused."""
        return list(self.http.items(f"{self.path}/rejections"))

    def quality(self, uid: str) -> dict[str, Any]:
        """The quality report of a series."""
        return dict(self.http.json("GET", f"{self.path}/series/{uid}/quality"))

    def rate(self, uid: str, stars: int, form: dict[str, Any] | None = None) -> dict[str, Any]:
        """Rate a series with 1 to 5 stars and the project's form."""
        body = {"stars": stars, "form": form or {}}
        return dict(self.http.json("POST", f"{self.path}/series/{uid}/ratings", body))

    # Masks

    def segment(
        self,
        uid: str,
        model: str | None = None,
        *,
        slices: list[int] | None = None,
        frames: list[int] | None = None,
        algorithm: dict[str, Any] | None = None,
        prompts: dict[str, Any] | None = None,
        options: dict[str, bool] | None = None,
        answer: str = "mask",
        media_type: str = NRRD,
    ) -> Segmentation:
        """Ask the classification server now.

        Args:
            uid: SeriesInstanceUID.
            model: "name" or "name@version"; or `algorithm`.
            slices: None = all.
            frames: None = all.
            algorithm: {"name": "n-sd", "structure": "scar", "parameters": {...}, "within_model": "lge"}; with
                "volume": True it works across slices.
            prompts: {"clicks": [...], "boxes": [...], "scribbles": [...]}: what a reader marked.
            options: {"test_time_augmentation": True, "estimate": True, "uncertainty": True}: of a model's answer.
            answer: "mask"; or "uncertainty": a map from 0 (certain) to 255, with that option.
            media_type: of the answer.
        """
        said = {
            "model": model,
            "slices": slices,
            "frames": frames,
            "algorithm": algorithm,
            "prompts": prompts,
            "options": options,
            "answer": answer,
        }
        body = {key: value for key, value in said.items() if value is not None}
        path = f"{self.path}/series/{uid}/segment"
        headers = {"Accept": media_type}
        found = self.http.send("POST", path, json=body, headers=headers, timeout=SEGMENT, repeat=True)
        return Segmentation.of(found)

    def live(self) -> Live:
        """The live door: slices while a reader scrolls; use it as a context manager.

        Raises:
            Problem: no answer, not let in, or too many sessions.
        """
        return Live(self.http.url, self.http.token, self.name)

    def propose(self, uid: str, model: str) -> dict[str, Any]:
        """Ask for a proposal of the whole series, as a job."""
        return dict(self.http.json("POST", f"{self.path}/series/{uid}/propose", {"model": model}) or {})

    def proposal(self, job_id: str) -> dict[str, Any]:
        """How far a proposal is: state, frames done of total, seconds to the end."""
        return dict(self.http.json("GET", f"{self.path}/proposals/{job_id}"))

    def watch_proposal(self, job_id: str) -> Iterator[dict[str, Any]]:
        """The same, each time it changes, until it is done or failed."""
        path = f"{self.path}/proposals/{job_id}/events"
        for event in self.http.events(path, ended=lambda said: said.get("state") in PROPOSAL_ENDED):
            if "state" in event:
                yield event

    def segmentations(self, uid: str) -> list[dict[str, Any]]:
        """Every version of every mask of a series, newest last."""
        return list(self.http.items(f"{self.path}/series/{uid}/segmentations"))

    def put_mask(
        self,
        uid: str,
        mask: bytes,
        *,
        media_type: str = NRRD,
        state: str = "draft",
        label_table: dict[str, Any] | None = None,
        annotated: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a mask file (NIfTI, NRRD, DICOM SEG) or contours (JSON); the new version.

        Args:
            uid: SeriesInstanceUID.
            mask: the file.
            media_type: of the file.
            state: "draft", "submitted" or "accepted".
            label_table: value -> {"name": ...}; needed for NIfTI.
            annotated: structure -> what was looked at; what is not listed is unknown.
        """
        fields = {"label_table": json.dumps(label_table)} if label_table else {}
        if annotated:
            fields["annotated"] = json.dumps(annotated)
        files = {"mask": (_FILE_NAMES[media_type], mask, media_type)}
        path = f"{self.path}/series/{uid}/segmentations"
        answer = self.http.send(
            "POST", path, params={"state": state}, data=fields, files=files, repeat=True, timeout=FREEZING
        )
        return dict(answer.json())

    def export(self, segmentation: str, media_type: str = SEG) -> bytes:
        """One version of a mask, as DICOM SEG, NIfTI, NRRD or contours."""
        return self.http.get(
            f"{self.path}/segmentations/{segmentation}/export", accept=media_type, timeout=FREEZING
        ).content

    def review(self, segmentation: str, state: str) -> dict[str, Any]:
        """Move a version to "submitted", "accepted" or "rejected"."""
        path = f"{self.path}/segmentations/{segmentation}/review"
        return dict(self.http.json("POST", path, {"state": state}))

    # Learning

    def runs(self) -> list[dict[str, Any]]:
        """Training runs, newest last."""
        return list(self.http.items(f"{self.path}/training/runs"))

    @property
    def datasets(self) -> Datasets:
        """Frozen datasets."""
        return Datasets(self.http, self.path)

    def training_policy(self) -> dict[str, Any]:
        """When the project learns by itself, and what is missing until then."""
        return dict(self.http.json("GET", f"{self.path}/training/policy"))

    def start_run(
        self,
        model: str,
        *,
        base: str = "",
        recipe: dict[str, Any] | None = None,
        promote: bool = True,
        priority: int = 0,
        key: str = "",
        dataset: str = "",
    ) -> dict[str, Any]:
        """Queue a training run on a frozen dataset, or on what is accepted now; the same key is the same run.

        Of the runs that wait, the highest priority (-100 to 100) begins first.
        """
        body: dict[str, Any] = {"model": model, "base": base, "recipe": recipe or {}, "promote": promote}
        body |= {"dataset": dataset} if dataset else {}
        body |= {"priority": priority, "request_id": key}
        return dict(self.http.json("POST", f"{self.path}/training/runs", body, repeat=bool(key)))

    def run(self, run_id: str) -> dict[str, Any]:
        """One training run with metrics, gate and result."""
        return dict(self.http.json("GET", f"{self.path}/training/runs/{run_id}"))

    def prioritise_run(self, run_id: str, priority: int) -> dict[str, Any]:
        """Move a waiting run in the queue: -100 to 100, the highest begins first."""
        return dict(self.http.json("PUT", f"{self.path}/training/runs/{run_id}/priority", {"priority": priority}))

    def cancel_run(self, run_id: str) -> dict[str, Any]:
        """Stop a run: at once if it waits, after its next pass if it learns. What it learnt is discarded."""
        return dict(self.http.json("POST", f"{self.path}/training/runs/{run_id}/cancel"))

    def watch_run(self, run_id: str) -> Iterator[dict[str, Any]]:
        """The run, each time it changes, until it ends."""
        path = f"{self.path}/training/runs/{run_id}/events"
        for event in self.http.events(path, ended=lambda run: run.get("state") in RUN_ENDED):
            if "state" in event:
                yield event

    def run_cases(self, run_id: str) -> dict[str, Any]:
        """Patients kept out of a run: Dice and distances of borders, and their means with 95 % intervals."""
        return dict(self.http.json("GET", f"{self.path}/training/runs/{run_id}/cases"))

    def run_overlays(self, run_id: str) -> list[dict[str, Any]]:
        """Pictures of validation slices that a run has: epoch, which, Dice."""
        return list(self.http.json("GET", f"{self.path}/training/runs/{run_id}/overlays"))

    def run_overlay(self, run_id: str, epoch: int, which: str) -> bytes:
        """One of them as PNG: "best", "median" or "worst"."""
        path = f"{self.path}/training/runs/{run_id}/overlays/{epoch}/{which}"
        return self.http.get(path, accept="*/*").content

    def run_curve(self, run_id: str, form: str = "png") -> bytes:
        """The curves of a run as a picture: "png" or "svg"."""
        return self.http.get(f"{self.path}/training/runs/{run_id}/curve.{form}", accept="*/*", timeout=FREEZING).content

    def run_tensorboard(self, run_id: str) -> bytes:
        """A TensorBoard event file of a run."""
        return self.http.get(f"{self.path}/training/runs/{run_id}/tensorboard", accept="*/*", timeout=FREEZING).content

    # Evidence

    def push_clinical(self, body: bytes, media_type: str) -> dict[str, Any]:
        """Send clinical values: a FHIR bundle (`application/fhir+json`) or a table (`text/csv`)."""
        door = "fhir" if "fhir" in media_type else "table"
        headers = {"Content-Type": media_type}
        answer = self.http.send("POST", f"{self.path}/clinical/{door}", content=body, headers=headers, repeat=True)
        return dict(answer.json())

    def start_extraction(self) -> dict[str, Any]:
        """Extract features of every accepted mask that has none yet; asking twice extracts nothing twice."""
        return dict(self.http.json("POST", f"{self.path}/radiomics/extractions", {}, repeat=True))

    def extraction(self, extraction_id: str) -> dict[str, Any]:
        """State of an extraction."""
        return dict(self.http.json("GET", f"{self.path}/radiomics/extractions/{extraction_id}"))

    def features(self, form: str = "csv") -> bytes:
        """The tidy table: "csv", "json" or "parquet"."""
        return self.http.get(f"{self.path}/radiomics/features.{form}", accept="*/*", timeout=FREEZING).content

    def heatmap(self, form: str = "png", features: int | None = None) -> bytes:
        """The clustered heat-map: "png", "svg" or "json"."""
        return self.http.get(
            f"{self.path}/radiomics/heatmap.{form}", accept="*/*", timeout=FREEZING, features=features
        ).content

    def function(self) -> list[dict[str, Any]]:
        """Volumes and ejection fraction per series."""
        return list(self.http.items(f"{self.path}/radiomics/function"))


_FILE_NAMES = {NIFTI: "mask.nii.gz", NRRD: "mask.nrrd", SEG: "mask.dcm", JSON: "contours.json"}
