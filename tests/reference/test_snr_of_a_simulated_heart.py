"""What you learn here: on a simulated LGE heart two independent noise estimates agree, slice by slice.

The file's nominal SNR of 35 is set before the simulator rescales the noisy image (heart mean / sigma of another scale),
so it is no truth for the stored image; the noise itself, seen in air and in tissue, is.
"""

from __future__ import annotations

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from irp_quality.domain.slice_quality import assess_slice

DATA = Path(os.environ.get("IRP_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
IMAGE = DATA / "lge_xcat_simulated" / "LGE_IRSSFP_Respiratory_1__678_1.4_1.4_6_SNR_35_img.nii.gz"
BLUR = 0.6  # interpolation to a finer grid correlates neighbours and lowers the local deviation by up to this factor


@pytest.mark.skipif(not IMAGE.exists(), reason=f"{IMAGE.name} is not here: set IRP_SHARED_DATA")
def test_air_and_tissue_see_the_same_noise_in_a_simulated_heart() -> None:
    image = np.asanyarray(nibabel.load(IMAGE).dataobj).astype(np.float64)
    slices = [assess_slice(index, image[None, :, :, index]).parameters for index in range(image.shape[2])]
    air = np.median([one["noise_air"] for one in slices])
    tissue = np.median([one["noise"] for one in slices])
    assert BLUR < tissue / air < 1.1
    spread = np.std([one["noise_air"] for one in slices]) / air
    assert spread < 0.15, "the simulator adds the same noise to every slice"
