"""What you learn here: a series leaves every room and may come again; one that somebody drew on stays, and says why."""

from __future__ import annotations

import pytest
from irp_kernel import Mask, decode_volume, encode_mask
from irp_kernel.mask import CANONICAL, LabelTable
from openirp import Irp
from openirp.house import House

from .conftest import Frontend, a_short_axis_cine

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("house")]


def test_a_series_that_nobody_worked_on_leaves_every_room_and_comes_again(frontend: Frontend) -> None:
    frontend.create_project("leaving")
    root = "/api/v1/projects/leaving"
    files = a_short_axis_cine(seed=11)
    uid = frontend.stow("leaving", files).series_uid
    quality, series = f"{root}/series/{uid}/quality", f"{root}/series/{uid}"
    frontend.wait(quality, lambda r: r.status_code == 200)
    study = frontend.http.get(series).json()["study_uid"]
    gone = frontend.http.delete(f"{root}/dicom-web/studies/{study}/series/{uid}")
    assert gone.status_code == 204, gone.text
    assert frontend.http.get(series).status_code == 404
    assert frontend.http.get(f"{root}/dicom-web/studies").json() == []
    frontend.wait(quality, lambda r: r.status_code == 404)
    assert frontend.http.delete(f"{root}/dicom-web/studies/{study}").status_code == 404
    again = frontend.stow("leaving", files)
    assert (again.status, again.series_uid) == (200, uid)
    frontend.wait(quality, lambda r: r.status_code == 200)
    assert frontend.http.get(series).json()["version"] > 1


def test_a_series_that_somebody_drew_on_stays_and_says_what_refers_to_it(frontend: Frontend, house: House) -> None:
    frontend.create_project("staying")
    uid = frontend.stow("staying", a_short_axis_cine(seed=12)).series_uid
    root = "/api/v1/projects/staying"
    frontend.wait(f"{root}/series/{uid}/quality", lambda r: r.status_code == 200)
    environment = house.exports()
    project = Irp(environment["IRP_URL"], environment["IRP_TOKEN"]).project("staying")
    geometry = decode_volume(project.volume(uid)).geometry
    labels = (decode_volume(project.volume(uid)).array > 300).astype("uint8")
    mask = Mask.fully_annotated(geometry, labels, LabelTable.canonical([CANONICAL[1]]))
    drawn = project.put_mask(uid, encode_mask(mask), state="draft")
    study = frontend.http.get(f"{root}/series/{uid}").json()["study_uid"]
    refused = frontend.http.delete(f"{root}/dicom-web/studies/{study}")
    assert refused.status_code == 409
    (reference,) = refused.json()["references"]
    assert (reference["room"], reference["kind"], reference["id"]) == ("annotation", "segmentation", drawn["id"])
    assert project.put_mask(uid, encode_mask(mask), state="submitted")["state"] == "submitted"  # nobody is held up
    assert len(frontend.http.get(f"{root}/dicom-web/studies").json()) == 1
