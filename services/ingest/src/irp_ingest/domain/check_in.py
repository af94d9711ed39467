"""A file that its uploader de-identified: believed in nothing that can be seen, stored as it is, or refused.

The report's signature says that the site's key was used; that no more than the engine would leave is in the file, is
looked at here. Pure and picklable, as `intake`.
"""

from __future__ import annotations

from dataclasses import replace

from irp_deid import EDITION, Profile, SiteKey, quietly, read_part10, recheck
from irp_deid.errors import CannotDeidentify, InstanceRefused
from irp_deid.pixels import judge_pixels
from irp_deid.report import Report
from pydicom.dataset import Dataset

from irp_ingest.domain.doubt import settle
from irp_ingest.domain.errors import NotDeidentified, NotInReport, StudyMismatch
from irp_ingest.domain.intake import Intake, Order, intake_of, require_identifiers


def check_in(data: bytes, order: Order) -> Intake:
    """Take a file in as it is, if the uploader's report lists it and the engine would change nothing in it.

    Raises:
        NotInReport: the report says nothing of these bytes.
        NotDeidentified: something of a patient may be in it.
        InstanceRefused: its other subclasses, as for any file.
    """
    said = next(iter((order.declared or {}).values()), None)
    if said is None:
        raise NotInReport
    try:
        with quietly():
            dataset = read_part10(data)
            verdict = judge_pixels(dataset, order.profile, order.pixels)
            problems = recheck(data, SiteKey(order.site_key), order.profile.with_suspects())
            if problems:
                raise NotDeidentified(places=len(problems))
            _judge(dataset, order)
            data, doubt = settle(data, verdict, dataset)
            return replace(intake_of(data, said, _rechecked(order.profile), order), doubt=doubt)
    except InstanceRefused:
        raise
    except Exception:  # pydicom raises what it likes on odd files, with their values in the text
        raise CannotDeidentify from None


def _judge(dataset: Dataset, order: Order) -> None:
    require_identifiers(dataset)
    asked = order.study_uid
    if asked and str(dataset.StudyInstanceUID) not in {asked, SiteKey(order.site_key).uid(asked)}:
        raise StudyMismatch


def _rechecked(profile: Profile) -> Report:
    """Nothing was done here; what the uploader did stands in the report that came along."""
    options = tuple(option.code for option in profile.codes)
    return Report(edition=EDITION, options=options, actions={"rechecked": 1}, removed=())
