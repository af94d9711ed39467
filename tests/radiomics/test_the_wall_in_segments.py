"""What you learn here: AHA segments follow the patient, not the picture; what cannot be known is not called AHA."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irp_kernel import LabelTable, Mask
from irp_kernel.heart import AHA_SEGMENTS
from irp_radiomics.domain.pieces import divide

from .phantom import a_grid, a_heart, true_wall

NAMES = {segment.name for segment in AHA_SEGMENTS}


@settings(max_examples=25, deadline=None)
@given(turn=st.floats(0, 359), flip=st.booleans(), reverse=st.booleans(), transpose=st.booleans())
def test_segments_do_not_depend_on_how_the_scanner_stored_the_stack(
    turn: float, flip: bool, reverse: bool, transpose: bool
) -> None:
    geometry = a_grid(turn_deg=turn, flip=flip, reverse=reverse, transpose=transpose)
    division = divide(a_heart(geometry)[1], 0)
    assert division.septum == "accepted mask"
    right = wrong = 0
    for piece in (p for p in division.pieces if p.kind == "aha" and p.name != "apex"):
        ring, wall = piece.name.split(" ", 1)
        truth = true_wall(geometry, 4 if ring == "apical" else 6)[piece.voxels]
        right, wrong = right + int((truth == wall).sum()), wrong + int((truth != wall).sum())
    assert wrong / (right + wrong) < 0.08  # the insertion is found to within about five degrees


def test_all_seventeen_segments_are_there_from_base_to_apex() -> None:
    geometry = a_grid()
    division = divide(a_heart(geometry)[1], 0)
    pieces = {piece.name: piece.voxels for piece in division.pieces if piece.kind == "aha"}
    assert set(pieces) == NAMES
    heights = [
        np.argwhere(pieces[name])[:, 0].mean() for name in ("basal inferior", "mid inferior", "apical inferior", "apex")
    ]
    assert heights == sorted(heights)
    union = np.sum(list(pieces.values()), axis=0)
    assert union.max() == 1, "no voxel lies in two segments"


def test_without_a_right_ventricle_there_are_sectors_that_claim_no_anatomy() -> None:
    division = divide(a_heart(a_grid(), right_ventricle=False)[1], 0)
    assert {piece.kind for piece in division.pieces} == {"sector", "structure"}
    assert "no right ventricle" in division.note


def test_a_proposal_may_show_the_septum_and_nothing_else() -> None:
    geometry = a_grid(turn_deg=40)
    mine, proposal = a_heart(geometry, right_ventricle=False)[1], a_heart(geometry)[1]
    told = divide(mine, 0, proposal)
    assert told.septum == "proposed mask"
    own = {piece.name: piece.voxels for piece in divide(proposal, 0).pieces if piece.kind == "aha"}
    for piece in (p for p in told.pieces if p.kind == "aha"):
        assert np.array_equal(piece.voxels, own[piece.name])


def test_what_was_not_judged_is_in_no_piece() -> None:
    _, mask = a_heart(a_grid())
    annotated = mask.annotated.copy()
    annotated[:, 4] = False
    partly = replace(mask, annotated=annotated)
    for piece in divide(partly, 0).pieces:
        assert not piece.voxels[4].any(), piece.name


@pytest.mark.parametrize("slices", [1, 2])
def test_too_few_slices_show_no_rings(slices: int) -> None:
    _, mask = a_heart(a_grid())
    annotated = np.zeros_like(mask.annotated)
    annotated[:, 3 : 3 + slices] = True
    division = divide(replace(mask, annotated=annotated), 0)
    assert "do not show three rings" in division.note


def test_a_mask_of_the_cavity_alone_has_no_wall() -> None:
    _, mask = a_heart(a_grid(), right_ventricle=False)
    table = LabelTable.canonical(["lv_blood_pool"])
    labels = np.where(mask.labels == 1, 1, 0).astype(np.uint8)
    alone = Mask(geometry=mask.geometry, labels=labels, table=table, annotated=mask.annotated[..., :1])
    division = divide(alone, 0)
    assert [piece.name for piece in division.pieces] == ["lv_blood_pool"]
    assert division.note == "the myocardium was not judged"
