"""What you learn here: a ZIP as the Model Zoo has it goes through the gateway, the sandbox and the registry."""

from __future__ import annotations

import pytest
from openirp import Irp, Problem
from openirp.house import House

from tests.bundle.zoo_bundles import a_zoo_bundle, a_zoo_config, a_zoo_net

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("house")]


def test_a_bundle_is_looked_through_registered_and_reported_on(house: House) -> None:
    environment = house.exports()
    irp = Irp(environment["IRP_URL"], environment["IRP_TOKEN"])
    model = irp.push_model(a_zoo_bundle(a_zoo_config(), a_zoo_net()), "ventricles")
    assert (model["version"], model["champion"]) == (1, True)
    assert model["structures"] == ["lv_blood_pool", "lv_myocardium", "rv_blood_pool"]
    report = list(irp.watch_report("ventricles", 1))[-1]
    assert (report["state"], report["benchmark"]) == ("ended", {})
    assert "no frozen validation set" in report["message"]
    checks = {check["name"]: check["state"] for check in report["inspection"]["checks"]}
    assert checks["network model"] == checks["sandbox"] == "passed"
    with pytest.raises(Problem) as refused:
        irp.report("cine", 1)
    assert refused.value.reason == "MODEL_REPORT_UNKNOWN"
