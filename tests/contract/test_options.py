"""What you learn here: how sure a model is comes beside its mask, as a map on the image's grid, or as words."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import nibabel
import numpy as np
from irp_kernel import decode_volume
from irp_kernel.codec import NIFTI, NRRD

from .conftest import is_problem
from .fake_heart import a_mask

ASKED: dict[str, Any] = {"model": "cine", "slices": [0], "options": {"uncertainty": True}}


def test_warnings_and_expected_dice_come_with_contours_and_warnings_with_every_mask(
    admin: httpx.Client, project: str
) -> None:
    path = f"{project}/series/1.2.3/segment"
    contours = admin.post(path, json=ASKED, headers={"Accept": "application/json"})
    assert contours.json()["estimate"] == {
        "warnings": [
            {
                "code": "low-confidence",
                "text": "Less sure than on clear images: the network expects a Dice below 0.92.",
            }
        ],
        "dice": 0.75,
        "expected_dice": {"lv_blood_pool": 0.75},
    }
    assert admin.post(path, json=ASKED, headers={"Accept": NRRD}).headers["x-irp-warnings"] == "low-confidence"
    plain = admin.post(path, json={"model": "cine"}, headers={"Accept": "application/json"})
    assert "x-irp-warnings" not in plain.headers
    assert plain.json()["estimate"] == {"warnings": []}


def test_the_map_lies_on_the_images_grid(admin: httpx.Client, project: str) -> None:
    path, asked = f"{project}/series/1.2.3/segment", {**ASKED, "answer": "uncertainty"}
    found = decode_volume(admin.post(path, json=asked, headers={"Accept": NRRD}).content)
    expected = a_mask().labels * np.array([40, 0], dtype=np.uint8)[None, :, None, None]
    assert np.array_equal(found.array, expected)
    found.geometry.require_same_grid(a_mask().geometry)
    file = admin.post(path, json=asked, headers={"Accept": NIFTI})
    assert file.headers["content-type"] == NIFTI
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(file.content))
    assert int(np.asarray(image.dataobj).sum(dtype=int)) == int(expected.sum(dtype=int))


def test_a_map_that_nobody_computed_is_not_asked_for(admin: httpx.Client, project: str) -> None:
    path = f"{project}/series/1.2.3/segment"
    is_problem(admin.post(path, json={"model": "cine", "answer": "uncertainty"}), 422, "BODY_NOT_VALID")
    is_problem(admin.post(path, json={**ASKED, "options": {"sure": True}}), 422, "BODY_NOT_VALID")
    asked = {**ASKED, "answer": "uncertainty"}
    is_problem(admin.post(path, json=asked, headers={"Accept": "application/dicom"}), 406)
