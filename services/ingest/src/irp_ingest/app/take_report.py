"""An uploader's signed report comes in before the files that it lists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from irp_deid import SiteKey
from irp_deid.uploads import UPLOADER, report_id

from irp_ingest.app.begin_upload import rules_of
from irp_ingest.app.ports import Objects, ProjectAt
from irp_ingest.app.store_instance import StoreInstance
from irp_ingest.app.write_report import KeptReport, Reports, is_kept, put_report
from irp_ingest.domain.declared import opened


class TakeReport:
    """Check and keep."""

    def __init__(self, store: StoreInstance, objects: Objects, reports: Reports, now: Callable[[], datetime]) -> None:
        self._store, self._objects, self._reports, self._now = store, objects, reports, now

    async def __call__(self, project: ProjectAt, site: str, subject: str, jws: str) -> str:
        """The report's id, under which an upload names it.

        Raises:
            ReportNotReadable, SignatureNotValid, ReportOutdated: it is not kept.
        """
        order, _ = await self._store.order(project, site, "")
        rules = rules_of(project, order)
        document, declared = opened(jws, rules, SiteKey(order.site_key))
        name = report_id(document)
        if await is_kept(self._reports, project.id, name):
            return name
        report = KeptReport(
            project=project.id,
            id=name,
            by=UPLOADER,
            at=self._now().isoformat(timespec="microseconds"),
            site=rules.site,
            subject=subject,
            instances=len(declared),
            refused=0,
            complete=True,
            revision=project.revision,
            object=await put_report(self._objects, jws.strip(), project.id, name),
        )
        await self._reports.keep(report)
        return name
