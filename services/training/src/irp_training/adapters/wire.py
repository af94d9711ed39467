"""Nouns on the wire and back: one function each way."""

from __future__ import annotations

from collections.abc import Sequence

from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.common.v1 import types_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.wire import (
    ProjectRef,
    object_ref_from_proto,
    object_ref_to_proto,
    project_ref_from_proto,
    project_ref_to_proto,
)
from irp_kernel import Slug
from irp_kernel.ids import Alias

from irp_training.adapters.wire_datasets import dataset_to_proto
from irp_training.app.ports import Project
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.judging.gate import Verdict
from irp_training.domain.judging.precision import Trial
from irp_training.domain.pushing.appraisal import Appraisal
from irp_training.domain.registry.chronicle import Happened
from irp_training.domain.registry.registry import Model
from irp_training.domain.registry.serving import Served
from irp_training.domain.run import Metric, ModelRef, Progress, Run

CERTAINTIES_SAID = ("1", "2", "3")  # as annotation writes them into a mask's provenance


def project_from_proto(message: types_pb2.ProjectRef) -> Project:
    """Message -> Project. Raises InvalidArgument if it is not whole."""
    ref = project_ref_from_proto(message)
    return Project(id=ref.id, revision=ref.revision, configuration=ref.configuration)


def project_to_proto(project: Project) -> types_pb2.ProjectRef:
    """Project -> message."""
    configuration = project.configuration
    return project_ref_to_proto(ProjectRef(id=Slug(project.id), revision=project.revision, configuration=configuration))


def case_from_proto(fact: MaskAccepted) -> Case:
    """MaskAccepted -> Case."""
    series = fact.series
    said = fact.provenance.parameters.get("certainty", "")
    return Case(
        series=series.series_uid,
        patient=series.patient,
        site=series.site,
        sequence_class=series.sequence_class,
        volume=object_ref_from_proto(series.volume),
        mask=object_ref_from_proto(fact.mask),
        version=fact.aggregate.version,
        certainty=int(said) if said in CERTAINTIES_SAID else 0,
        judged={one.name: one.pairs for one in fact.structures} or None,
        manufacturer=series.manufacturer,
        manufacturer_model=series.manufacturer_model,
        field_strength_t=series.field_strength_t,
        sex=series.sex,
        age_years=series.age_years,
    )


def model_ref_to_proto(ref: ModelRef) -> types_pb2.ModelRef:
    """ModelRef -> message."""
    return types_pb2.ModelRef(name=ref.name, version=ref.version, digest=ref.digest)


def progress_to_proto(progress: Progress) -> types_pb2.Progress:
    """Progress -> message."""
    return types_pb2.Progress(fraction=progress.fraction, eta_s=progress.eta_s, step=progress.step)


def gate_to_json(verdict: Verdict | None) -> str:
    """A verdict as JSON; empty where there is none."""
    return verdict.to_json() if verdict else ""


def run_to_proto(run: Run, metrics: list[Metric], ahead: int = 0) -> pb.Run:
    """Run with its curves and the number of runs before it -> message."""
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
        summary=run.summary,
        priority=run.priority,
        ahead=ahead,
        spent_s=run.spent_s,
        cost=run.price.of(run.spent_s),
        currency=run.currency,
        configured=run.configured,
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


def report_to_proto(appraisal: Appraisal) -> pb.ModelReport:
    """Appraisal -> message."""
    return pb.ModelReport(
        model=model_ref_to_proto(appraisal.model),
        state=appraisal.state,
        progress=progress_to_proto(appraisal.progress),
        dataset_digest=appraisal.dataset.digest if appraisal.dataset else "",
        reason=appraisal.reason,
        message=appraisal.message,
        inspection=appraisal.inspection,
        benchmark=appraisal.benchmark,
        actor=appraisal.actor,
        created_at=appraisal.created_at,
        finished_at=appraisal.finished_at,
    )


def model_to_proto(
    model: Model,
    aliases: Sequence[Alias],
    trials: Sequence[Trial] = (),
    *,
    pending: bool = False,
    unagreed: bool = False,
) -> pb.Model:
    """Model -> message, with the names it has now, trials of reduced precisions, and whether a person lacks."""
    return pb.Model(
        ref=model_ref_to_proto(model.ref),
        bundle=object_ref_to_proto(model.bundle),
        champion="champion" in aliases,
        created_at=model.created_at,
        actor=model.actor,
        run_id=model.run[1] if model.run else "",
        dataset_digest=model.dataset_digest,
        licence=model.licence,
        figures=model.figures,
        structures=model.structures,
        precisions=[trial_to_proto(trial) for trial in trials],
        signature=model.signature,
        aliases=aliases,
        pending=pending,
        unagreed=unagreed,
    )


def history_to_proto(happened: Sequence[Happened], served: Served) -> pb.GetHistoryResponse:
    """What happened to a model, and what answered -> message."""
    said = served.serving
    canary, shadow = (said.canary, said.shadow) if said else (None, None)
    return pb.GetHistoryResponse(
        entries=[happened_to_proto(one) for one in happened],
        served=served.version or 0,
        champion=served.champion or 0,
        pin=(said.pin if said else None) or 0,
        canary=canary.version if canary else 0,
        canary_percent=canary.percent if canary else 0.0,
        shadow=shadow.version if shadow else 0,
        shadow_percent=shadow.percent if shadow else 0.0,
    )


def happened_to_proto(one: Happened) -> pb.HistoryEntry:
    """One thing that happened to a model -> message."""
    return pb.HistoryEntry(
        at=one.at,
        kind=one.kind,
        version=one.version,
        before=one.before or 0,
        actor=one.actor,
        reason=one.reason,
        gate=one.gate,
        run_id=one.run,
    )
