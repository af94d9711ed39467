"""What you learn here: without augmentation, training's windows and intensities are inference's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from irp_bundle import LocateSpec, SegmentSpec, as_images, prepare_locate, prepare_segment, windows_of_truth
from irp_kernel import LabelTable, Mask
from irp_training.domain.networks.surgery import rechannel
from irp_training.domain.samples.augment import NONE, TURN, Augmentation, turn
from irp_training.domain.samples.examples import WALL, channels, examples_of, heart_boxes, stacked_examples_of
from irp_training.domain.samples.stages import Locate, Segment
from training_builders import HEART, a_heart, only


def test_the_second_net_sees_in_training_what_it_sees_in_inference() -> None:
    volume, mask = a_heart(1)
    spec = SegmentSpec(size=64)
    windows = torch.from_numpy(windows_of_truth(mask, margin=2.4).windows).float()
    expected = prepare_segment(as_images(volume.array[0]), windows, spec)
    seen = [Segment(HEART, spec, 2.4).sample(e, None, NONE)[0] for e in examples_of(volume, mask, HEART)]
    torch.testing.assert_close(torch.stack(seen), expected, atol=1e-4, rtol=1e-4)


def test_the_first_net_sees_in_training_what_it_sees_in_inference() -> None:
    volume, mask = a_heart(2)
    expected = prepare_locate(as_images(volume.array[0]), LocateSpec())
    seen = [Locate(LocateSpec()).sample(e, None, NONE)[0] for e in examples_of(volume, mask, HEART)]
    torch.testing.assert_close(torch.stack(seen), expected)


def test_augmentation_depends_on_its_generator_alone() -> None:
    volume, mask = a_heart(3)
    example = examples_of(volume, mask, HEART)[0]
    for stage in (Segment(HEART, SegmentSpec(size=64), 2.4), Locate(LocateSpec(size=64))):
        a, b, c = (stage.sample(example, np.random.default_rng(seed), Augmentation()) for seed in (5, 5, 6))
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])
        assert not torch.equal(a[0], c[0])


def test_upright_examples_are_neither_mirrored_nor_turned_by_quarters() -> None:
    upright = [turn(np.random.default_rng(seed), Augmentation(upright=1.0))[0] for seed in range(40)]
    assert all(torch.det(matrix) > 0 for matrix in upright)
    assert max(abs(float(torch.atan2(m[1, 0], m[0, 0]))) for m in upright) <= TURN
    any_way = [turn(np.random.default_rng(seed), Augmentation())[0] for seed in range(40)]
    assert 0 < sum(bool(torch.det(matrix) < 0) for matrix in any_way) < 40


def test_stretching_changes_the_ratio_of_the_sides_up_to_its_limit_and_keeps_the_area() -> None:
    turns = [turn(np.random.default_rng(seed), Augmentation(stretch=0.3))[0] for seed in range(60)]
    sides = torch.stack([torch.linalg.svdvals(matrix) for matrix in turns])
    torch.testing.assert_close(sides.prod(dim=1), torch.ones(60))
    widest = float((sides[:, 0] / sides[:, 1]).log().max())
    assert 0.4 < widest <= 0.6 + 1e-6


def test_channels_follow_names_and_scar_lies_in_the_myocardium() -> None:
    _volume, mask = a_heart(4)
    table = LabelTable.canonical(["lv_blood_pool", "lv_myocardium", "scar"])
    labels = np.where(mask.labels == 3, 0, mask.labels)
    labels[mask.labels == 2] = np.where(np.arange((mask.labels == 2).sum()) % 2, 2, 4)
    scarred = Mask.fully_annotated(mask.geometry, labels.astype(np.uint8), table)
    found, judged = channels(scarred, ("lv_myocardium", "lv_blood_pool"))
    assert np.array_equal(found == 1, mask.labels == 2)
    assert np.array_equal(found == 2, mask.labels == 1)
    assert judged.all()


def test_slices_that_nobody_judged_are_no_examples() -> None:
    volume, mask = a_heart(5)
    annotated = mask.annotated.copy()
    annotated[:, 1:] = False
    sparse = Mask(geometry=mask.geometry, labels=mask.labels, table=mask.table, annotated=annotated)
    assert len(examples_of(volume, sparse, HEART)) == 1


def test_where_only_the_cavity_was_drawn_the_box_allows_for_the_wall() -> None:
    _, mask = a_heart(6)
    alone, whole = heart_boxes(only(mask, "lv_blood_pool")), heart_boxes(mask)
    assert abs(alone[0, 2] / whole[0, 2] - 1) < 0.1
    assert alone[0, 2] == heart_boxes(only(mask, "lv_blood_pool", "rv_blood_pool"))[0, 2]
    assert WALL > 1


def test_half_a_ventricle_does_not_teach_where_the_ventricle_is() -> None:
    volume, mask = a_heart(7)
    examples = examples_of(volume, only(mask, "lv_blood_pool"), HEART)
    assert Locate(LocateSpec()).usable(examples) == []
    assert len(Segment(HEART, SegmentSpec(), 2.4).usable(examples)) == 3


@pytest.mark.parametrize("structures", [("lv_blood_pool",), ("rv_blood_pool",), ("lv_myocardium", "scar"), HEART])
def test_the_first_net_learns_the_whole_ventricle_whatever_the_second_has_channels_for(
    structures: tuple[str, ...],
) -> None:
    volume, mask = a_heart(8)
    for read in (examples_of, stacked_examples_of):
        example = read(volume, mask, structures)[0]
        _, taught, _ = Locate(LocateSpec(size=72)).sample(example, None, NONE)
        assert np.array_equal(taught.numpy() > 0, np.isin(mask.labels[0, 0], (1, 2)))


def test_a_net_with_fewer_channels_keeps_what_it_knows() -> None:
    old = {"w": torch.arange(4.0 * 2).reshape(4, 2), "square": torch.arange(16.0).reshape(4, 4), "body": torch.ones(3)}
    new = {"w": torch.zeros(3, 2), "square": torch.zeros(3, 3), "body": torch.zeros(3)}
    wider = {"w": torch.zeros(4, 2), "square": torch.zeros(4, 4), "body": torch.zeros(3)}
    kept = rechannel(old, new, wider, [0, 3, None])
    assert torch.equal(kept["w"], torch.stack([old["w"][0], old["w"][3], torch.zeros(2)]))
    assert torch.equal(kept["square"][:2, :2], old["square"][[0, 3]][:, [0, 3]])
    assert torch.equal(kept["body"], old["body"])
