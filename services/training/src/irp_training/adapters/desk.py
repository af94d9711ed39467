"""What every door of TrainingService stands on: verbs, rows, and who may enter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irp.common.v1 import types_pb2
from irp_chassis.rpc import caller

from irp_training.adapters.wire import project_from_proto
from irp_training.app.approvals import Approvals
from irp_training.app.ask_precision import AskPrecision
from irp_training.app.ask_report import AskReport
from irp_training.app.ask_validation import AskValidation
from irp_training.app.cancel_run import CancelRun
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.decide_promotion import DecidePromotion
from irp_training.app.describe_dataset import DescribeDataset
from irp_training.app.export_run import ExportRun
from irp_training.app.ports import Project, Store
from irp_training.app.prioritise_run import PrioritiseRun
from irp_training.app.promote_meanwhile import PromoteMeanwhile
from irp_training.app.register_model import RegisterModel
from irp_training.app.rollback_model import RollbackModel
from irp_training.app.start_run import StartRun
from irp_training.app.tell_history import TellHistory
from irp_training.app.tell_policy import TellPolicy
from irp_training.app.try_bundle import TryBundle
from irp_training.app.watch_run import WatchRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """What the servicer calls."""

    create_dataset: CreateDataset
    describe_dataset: DescribeDataset
    tell_policy: TellPolicy
    start_run: StartRun
    cancel_run: CancelRun
    prioritise_run: PrioritiseRun
    watch_run: WatchRun
    register: RegisterModel
    promote: PromoteMeanwhile
    rollback: RollbackModel
    decide: DecidePromotion
    history: TellHistory
    ask_precision: AskPrecision
    ask_report: AskReport
    try_bundle: TryBundle
    export_run: ExportRun
    ask_validation: AskValidation
    approvals: Approvals


class Desk:
    """Verbs and rows; `jwks` are the keys that check signatures."""

    def __init__(self, store: Store, verbs: Verbs, jwks: Sequence[str] = ()) -> None:
        self._store, self._do, self._jwks = store, verbs, jwks


def admit(message: types_pb2.ProjectRef, *roles: str) -> Project:
    """The project of a request, whose caller must be inside it, with one of the roles if any is named."""
    project = project_from_proto(message)
    caller().require_project(project.id)
    if roles:
        caller().require_role(*roles)
    return project


def judging(request: Any) -> Project | None:
    """The project whose masks shall judge, if a request names one; its caller must be inside it."""
    return admit(request.project) if request.HasField("project") else None
