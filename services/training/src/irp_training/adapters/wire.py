"""Nouns on the wire and back: one function each way."""

from __future__ import annotations

from collections.abc import Sequence

from irp.common.v1 import types_pb2
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1 import events_pb2 as ingest_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.wire import (
    ProjectRef,
    object_ref_from_proto,
    object_ref_to_proto,
    project_ref_from_proto,
    project_ref_to_proto,
)
from irp_kernel import Slug

from irp_training.app.ports import Project
from irp_training.domain.correction import Proposal
from irp_training.domain.dataset import Case
from irp_training.domain.drift import Drift
from irp_training.domain.precision import Trial
from irp_training.domain.registry import Model
from irp_training.domain.run import DatasetRow, KeptOverlay, Metric, ModelRef, Progress, Run
from irp_training.domain.certificate import Validation


def project_from_proto(message: types_pb2.ProjectRef) -> Project:
    """Message -> Project. Raises InvalidArgument if it is not whole."""
    ref = project_ref_from_proto(message)
    return Project(id=ref.id, revision=ref.revision, configuration=ref.configuration)


def project_to_proto(project: Project) -> types_pb2.ProjectRef:
    """Project -> message."""
    configuration = project.configuration
    return project_ref_to_proto(ProjectRef(id=Slug(project.id), revision=project.revision, configuration=configuration))


def case_from_proto(series: ingest_pb2.Series, mask: types_pb2.ObjectRef, version: int) -> Case:
    """The series and mask of MaskAccepted -> Case."""
    return Case(
        series=series.series_uid,
        patient=series.patient,
        site=series.site,
        sequence_class=series.sequence_class,
        volume=object_ref_from_proto(series.volume),
        mask=object_ref_from_proto(mask),
        version=version,
    )


def scanner_of(series: ingest_pb2.Series) -> str:
    """Manufacturer and field strength as far as they are known; empty = neither."""
    strength = f"{series.field_strength_t:g} T" if series.field_strength_t > 0 else ""
    return " ".join(filter(None, (series.manufacturer.strip()[:64], strength)))


def proposal_from_proto(fact: MaskProposed) -> Proposal:
    """MaskProposed -> Proposal."""
    model = fact.provenance.model
    return Proposal(
        project=fact.project.id,
        series=fact.series_uid,
        version=fact.aggregate.version,
        model=ModelRef(name=model.name, version=model.version, digest=model.digest),
        mask=object_ref_from_proto(fact.mask),
        volume_sha256=fact.volume_sha256,
    )


def drift_to_proto(drift: Drift) -> pb.Drift:
    """Drift -> message."""
    return pb.Drift(
        model=model_ref_to_proto(drift.model),
        by=drift.by,
        value=drift.value,
        cases=drift.cases,
        reference=drift.reference,
        recent=drift.recent,
        p_value=drift.p_value,
        drifted=drift.drifted,
        alarmed_at=drift.alarmed_at,
        reference_cases=drift.reference_cases,
        recent_cases=drift.recent_cases,
    )


def model_ref_to_proto(ref: ModelRef) -> types_pb2.ModelRef:
    """ModelRef -> message."""
    return types_pb2.ModelRef(name=ref.name, version=ref.version, digest=ref.digest)


def dataset_to_proto(dataset: DatasetRow) -> pb.Dataset:
    """DatasetRow -> message."""
    return pb.Dataset(
        digest=dataset.digest,
        manifest=object_ref_to_proto(dataset.manifest),
        training=dataset.training,
        validation=dataset.validation,
        test=dataset.test,
    )


def progress_to_proto(progress: Progress) -> types_pb2.Progress:
    """Progress -> message."""
    return types_pb2.Progress(fraction=progress.fraction, eta_s=progress.eta_s, step=progress.step)


def run_to_proto(run: Run, metrics: list[Metric], overlays: Sequence[KeptOverlay] = ()) -> pb.Run:
    """Run with its curves and pictures -> message."""
    return pb.Run(
        id=run.id,
        state=run.state,
        progress=progress_to_proto(run.progress),
        model=run.model,
        base=model_ref_to_proto(run.base) if run.base else None,
        result=model_ref_to_proto(run.result) if run.result else None,
        dataset=dataset_to_proto(run.dataset),
        reason=run.reason,
        message=run.message,
        metrics=[pb.Metric(epoch=m.epoch, name=m.name, value=m.value) for m in metrics],
        gate=run.gate,
        promoted=run.promoted,
        recipe=run.recipe,
        created_at=run.created_at,
        finished_at=run.finished_at,
        cases=run.cases,
        overlays=[overlay_to_proto(overlay) for overlay in overlays],
        summary=run.summary,
    )


def overlay_to_proto(overlay: KeptOverlay) -> pb.RunOverlay:
    """KeptOverlay -> message."""
    return pb.RunOverlay(
        epoch=overlay.epoch,
        which=overlay.which,
        dice=overlay.dice,
        picture=object_ref_to_proto(overlay.picture),
    )


def trial_to_proto(trial: Trial) -> pb.PrecisionTrial:
    """Trial -> message."""
    return pb.PrecisionTrial(
        model=model_ref_to_proto(trial.model),
        precision=trial.precision,
        state=trial.state,
        progress=progress_to_proto(trial.progress),
        dataset_digest=trial.dataset.digest,
        reason=trial.reason,
        message=trial.message,
        report=trial.report,
        artefact=object_ref_to_proto(trial.artefact) if trial.artefact else None,
        speedup=trial.speedup,
        actor=trial.actor,
        created_at=trial.created_at,
        finished_at=trial.finished_at,
    )


def validation_to_proto(validation: Validation) -> pb.Validation:
    """Validation -> message."""
    return pb.Validation(
        id=validation.id,
        model=model_ref_to_proto(validation.model),
        project=validation.project,
        dataset_digest=validation.dataset.digest,
        split=validation.split,
        state=validation.state,
        progress=progress_to_proto(validation.progress),
        reason=validation.reason,
        message=validation.message,
        files=[pb.ReportFile(name=n, object=object_ref_to_proto(ref)) for n, ref in sorted(validation.files.items())],
        summary=validation.summary,
        actor=validation.actor,
        created_at=validation.created_at,
        finished_at=validation.finished_at,
    )


def model_to_proto(model: Model, champion: int | None, trials: Sequence[Trial] = ()) -> pb.Model:
    """Model -> message; `champion` is the version that is it now, `trials` those of its reduced precisions."""
    return pb.Model(
        ref=model_ref_to_proto(model.ref),
        bundle=object_ref_to_proto(model.bundle),
        champion=model.ref.version == champion,
        created_at=model.created_at,
        actor=model.actor,
        run_id=model.run[1] if model.run else "",
        dataset_digest=model.dataset_digest,
        licence=model.licence,
        figures=model.figures,
        structures=model.structures,
        precisions=[trial_to_proto(trial) for trial in trials],
    )
