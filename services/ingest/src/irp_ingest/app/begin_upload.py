"""An upload begins: by which rules, and whether its files come as originals or de-identified with a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from irp_deid import SiteKey
from irp_deid.declared import Declared
from irp_deid.uploads import UPLOADER, Rules

from irp_ingest.app.ports import Configurations, Objects, ProjectAt
from irp_ingest.app.store_instance import StoreInstance
from irp_ingest.app.write_report import Reports
from irp_ingest.domain.declared import opened
from irp_ingest.domain.errors import DeidentifiedBeforeArrival, ReportUnknown
from irp_ingest.domain.intake import Order

REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What all files of an upload have in common.

    Attributes:
        order: for the workers.
        quiet_s: seconds without a new instance until a series is complete.
        rules: for the report.
    """

    order: Order
    quiet_s: float
    rules: Rules


class BeginUpload:
    """Load the rules of a project, and the uploader's report if it names one."""

    def __init__(
        self, store: StoreInstance, configurations: Configurations, reports: Reports, objects: Objects
    ) -> None:
        self._store, self._configurations = store, configurations
        self._reports, self._objects = reports, objects

    async def __call__(self, project: ProjectAt, site: str, study_uid: str = "", report: str = "") -> Begun:
        """Load, and refuse what cannot be taken before the first file is read.

        Raises:
            DeidentifiedBeforeArrival: the project demands a report and none is named.
            ReportUnknown, ReportOutdated, SignatureNotValid: the report is not there or does not hold.
        """
        order, quiet_s = await self._store.order(project, site, study_uid)
        rules = rules_of(project, order)
        if report:
            order = replace(order, declared=await self._declared(project, rules, order, report))
        elif await self._demands_report(project):
            raise DeidentifiedBeforeArrival
        return Begun(order=order, quiet_s=quiet_s, rules=rules)

    async def _demands_report(self, project: ProjectAt) -> bool:
        document = await self._configurations.read(project.configuration)
        return bool(document["deidentification"].get("before_arrival") == REQUIRED)

    async def _declared(self, project: ProjectAt, rules: Rules, order: Order, report: str) -> Mapping[str, Declared]:
        kept = await self._reports.find(project.id, report)
        if kept.by != UPLOADER:
            raise ReportUnknown("this report was not made by an uploader")
        jws = await self._objects.get(kept.object)
        return opened(jws.decode("ascii"), rules, SiteKey(order.site_key))[1]


def rules_of(project: ProjectAt, order: Order) -> Rules:
    """The rules of an upload as its report says them."""
    return Rules(
        project=project.id,
        revision=project.revision,
        configuration=project.configuration.sha256,
        profile=order.profile,
        site=SiteKey(order.site_key).site_name(),
    )
