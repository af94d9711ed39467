"""Steps 7 and 8: features, function, clinical values, heat-map; and the page."""

from __future__ import annotations

import csv
import importlib.metadata
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openirp.demo.clinical import fhir_bundle, group_of, invented_nt_probnp, table
from openirp.demo.hearts import examples_folder, references
from openirp.demo.learning import legend
from openirp.demo.story import MODEL, STEPS, Story, search_for_secrets
from openirp.demo.wall import take_over_wall
from openirp.house.trouble import HouseTrouble
from openirp.report.page import write_report
from openirp.report.pictures import data_uri

FHIR, CSV = "application/fhir+json", "text/csv"
HEATMAP_FEATURES = 40


def radiomics(story: Story, output: Path) -> None:
    """Step 7."""
    project = story.project
    taken = [case.label for case in story.cases if not case.heart.epicardium and take_over_wall(project, case)]
    story.tell.say(
        f"The reader accepts the model's wall around the expert's cavity for {len(taken)} patients without one."
    )
    values = [(case.planted.patient_id, invented_nt_probnp(case.label)) for case in story.cases]
    groups = [(case.planted.patient_id, group_of(case.label)) for case in story.cases]
    first, second = project.push_clinical(fhir_bundle(values), FHIR), project.push_clinical(table(groups), CSV)
    recorded = int(first["values"]) + int(second["values"])
    story.tell.say(f"Clinical values: {first['values']} as FHIR, {second['values']} as CSV, joined by pseudonym.")
    extraction = project.start_extraction()
    with story.tell.flowing() as bar:
        task = bar.add_task("  Extracting features per AHA segment", total=1.0)
        story.tell.wait("", lambda: _extracted(story, str(extraction["id"]), lambda f: bar.update(task, completed=f)))
    body = project.features("csv")
    (output / "features.csv").write_bytes(body)
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    heatmap = project.heatmap("png", features=HEATMAP_FEATURES)
    (output / "heatmap.png").write_bytes(heatmap)
    (output / "heatmap.json").write_bytes(project.heatmap("json", features=HEATMAP_FEATURES))
    story.pictures["heatmap"] = data_uri(heatmap, "image/png")
    note = (
        f"{len(rows)} rows of features (PyRadiomics) of the pieces of the myocardium: {_pieces(rows)}. Clustered both "
        f"ways, with {recorded} clinical values beside them. NT-proBNP is invented; the groups are the data set's own. "
        f"The wall of {', '.join(taken)} is the model's: their experts drew the cavity only."
    )
    story.figures["radiomics"] = {
        "rows": len(rows),
        "clinical_values": recorded,
        "wall_from_model": taken,
        "note": note,
    }
    story.tell.say(f"features.csv: {len(rows)} rows ({_pieces(rows)}). heatmap.png and heatmap.json lie beside it.")
    _function(story)


def _pieces(rows: list[dict[str, str]]) -> str:
    """What the rows are about, in words."""
    found = {(row["patient"], row["roi_kind"], row["roi"]) for row in rows}
    words = {"structure": "whole structures", "aha": "AHA segments", "sector": "sectors (no right ventricle: not AHA)"}
    counts = {words.get(kind, kind): sum(one[1] == kind for one in found) for kind in {one[1] for one in found}}
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _extracted(story: Story, extraction_id: str, on_fraction: Any) -> bool | None:
    state = story.project.extraction(extraction_id)
    on_fraction((state.get("progress") or {}).get("fraction", 0.0))
    if state["state"] == "failed":
        raise HouseTrouble(f"the extraction failed: {state.get('reason')}", "see `irp logs radiomics`")
    return True if state["state"] == "succeeded" else None


def _function(story: Story) -> None:
    known = references(examples_folder())
    story.figures["function"] = []
    functions = {one["series_uid"]: one for one in story.project.function()}
    for case, one in ((case, functions[case.series_uid]) for case in story.cases if case.series_uid in functions):
        reference = known.get(case.label)
        row = {"label": case.label, **one, "reference": None, "nominal_geometry": bool(case.heart.cavity_masks)}
        if reference:
            row["reference"] = {name: getattr(reference, name) for name in ("edv_ml", "esv_ml", "ef_percent")}
            ef = one["lvef_percent"]
            said = "not known" if ef is None else f"{ef:.1f} %"
            story.tell.say(
                f"{case.label}: ejection fraction {said} (from the contours alone {reference.ef_percent:.1f} %)"
            )
        story.figures["function"].append(row)


def report(story: Story, output: Path) -> Path:
    """Step 8; the page's path. Planted identities are looked for once more: in all that the story left behind."""
    search_for_secrets(story)
    figures = story.figures
    figures |= {
        "title": "From nine hearts to evidence" if not story.short else f"From {len(story.cases)} hearts to evidence",
        "demonstration": True,
        "summary": "Short-axis cine MR (Sunnybrook Cardiac Data, CC0) went in, was de-identified, judged, segmented, "
        "corrected by experts, learnt from, and turned into evidence. Few patients: a demonstration, not a study.",
        "created_at": datetime.now(UTC).isoformat(),
        "software_version": importlib.metadata.version("openirp"),
        "duration_s": sum(story.tell.seconds.values()),
        "steps_s": story.tell.seconds,
        "patients": _patients(story),
        "patients_note": "Three patients as the scanner's DICOM files, the others as 8-bit pictures made into "
        "DICOM with a nominal geometry: do not read millimetres or millilitres from those.",
        "pictures_note": "Patients that the training run never saw. The model got the same images before and after "
        "it had learnt.",
        "pictures_key": legend(),
        "function_note": "From the accepted masks. The reference comes from the areas of the contours alone.",
        "provenance": _provenance(story),
        "provenance_note": "Pseudonyms and UIDs derive from a key that never leaves the house.",
        "licence_note": f"Images: CC0 1.0. Weights of the model: {_licence(story)}",
    }
    figures["tiles"] = _tiles(figures)
    page = output / "report.html"
    write_report(figures, page, story.pictures)
    return page


def _patients(story: Story) -> list[dict[str, Any]]:
    verdicts = {one["series_uid"]: one["verdict"] for one in story.figures["quality"]}
    return [
        {
            "label": case.label,
            "patient": case.patient,
            "series_uid": case.series_uid,
            "source": case.heart.source,
            "split": case.split,
            "frames": case.shape[0],
            "slices": case.shape[1],
            "sequence_class": case.sequence_class,
            "verdict": verdicts.get(case.series_uid),
        }
        for case in story.cases
    ]


def _provenance(story: Story) -> list[dict[str, Any]]:
    project = story.project.describe()
    rows = [_row("configuration", f"revision {project['revision']}", project["digest"], when=project["created_at"])]
    for model in story.client.models(MODEL):
        champion = ", champion" if model["champion"] else ""
        name = f"{model['name']}@{model['version']}{champion}"
        made = f"run {model['run_id']}" if model["run_id"] else "shipped with the project"
        rows.append(_row("model", name, model["digest"], model["actor"], model["created_at"], made))
    training = story.figures["training"]
    rows.append(_row("dataset of the run", training["run"], training["dataset"]["digest"], when=training["created_at"]))
    for case in story.cases:
        series = story.project.one_series(case.series_uid)
        rows.append(_row(f"volume of {case.label}", case.series_uid, series["volume_sha256"]))
        for one in story.project.segmentations(case.series_uid):
            said = one.get("provenance") or {}
            model = said.get("model") or {}
            made = f"{said.get('software', '')} {model.get('name', '')}".strip()
            what = f"mask of {case.label}, version {one['version']} ({one['state']})"
            rows.append(_row(what, one["id"], one["digest"], said.get("actor"), said.get("at"), made))
    return rows


def _licence(story: Story) -> str:
    return next((str(model["licence"]) for model in story.client.models(MODEL) if model["champion"]), "")


def _row(what: str, id: Any, digest: Any, who: Any = "", when: Any = "", software: Any = "") -> dict[str, Any]:
    return {"what": what, "id": id, "digest": digest, "who": who, "when": when, "software": software}


def _tiles(figures: dict[str, Any]) -> list[dict[str, str]]:
    means = {mean["structure"]: mean for mean in figures["dice"]["means"]}
    n = figures["dice"]["n"]
    tiles = [{"value": str(figures["deidentification"]["found"]), "label": "planted identities that survived"}]
    for structure, words in (("lv_blood_pool", "cavity"), ("lv_myocardium", "myocardium")):
        if mean := means.get(structure):
            rows = [row for row in figures["dice"]["rows"] if row["structure"] == structure]
            value = f"{mean['before']:.3f} → {mean['after']:.3f}"
            tiles.append({"value": value, "label": f"Dice of the {words}, n = {len(rows)} of {n} unseen patients"})
    tiles.append({"value": f"{figures['live']['p50_ms']:.0f} ms", "label": "one slice on request, median"})
    tiles.append({"value": str(figures["radiomics"]["rows"]), "label": "rows of radiomic features"})
    return tiles


__all__ = ["STEPS", "radiomics", "report"]
