"""What is watched, on the wire: overlays of runs, validations, proposals and their drift."""

from __future__ import annotations

from irp.inference.v1.events_pb2 import MaskProposed
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.wire import object_ref_from_proto, object_ref_to_proto

from irp_training.adapters.wire import model_ref_to_proto, progress_to_proto
from irp_training.domain.drift.blocks import Drift
from irp_training.domain.drift.correction import Proposal
from irp_training.domain.run import KeptOverlay, ModelRef
from irp_training.domain.validations.certificate import Validation


def overlay_to_proto(overlay: KeptOverlay) -> pb.RunOverlay:
    """KeptOverlay -> message."""
    return pb.RunOverlay(
        epoch=overlay.epoch,
        which=overlay.which,
        dice=overlay.dice,
        picture=object_ref_to_proto(overlay.picture),
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
