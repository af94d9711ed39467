"""/datasets: frozen snapshots of accepted masks, what they consist of, and their data sheets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from irp.training.v1 import training_service_pb2 as pb
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import Page, Paging, page_of, to_dict
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.visitor import Annotator, AnyMember, Inside
from irp_gateway.domain.automation import Inclusion
from irp_gateway.domain.cursor import from_cursor

router = APIRouter(prefix="/api/v1/projects/{project}/datasets", tags=["training"], route_class=Door)

FREEZING_TIMEOUT_S = 120.0
MARKDOWN = "text/markdown; charset=utf-8"
DigestInPath = Annotated[str, Path(pattern=r"^[0-9a-f]{8,64}$", description="digest, or how it begins")]


class FreezeBody(BaseModel):
    """Which accepted masks to freeze."""

    model_config = ConfigDict(extra="forbid")

    rules: Inclusion = Field(Inclusion(), examples=[{"verdicts": ["good"], "structures": ["lv_myocardium"]}])


class Split(BaseModel):
    """How much of a dataset is in one split."""

    series: int
    patients: int | None = Field(description="null in datasets of before patients were counted")


class Cell(BaseModel):
    """One cell of a dataset's composition."""

    split: str
    site: str
    scanner: str = Field(description="manufacturer, model and field strength as far as they are known")
    sequence_class: str
    patients: int
    series: int
    judged: dict[str, int] = Field(description="structure -> slices, once per point in time, on which it was judged")


class FrozenDataset(BaseModel):
    """An immutable snapshot of accepted masks."""

    digest: str = Field(description="SHA-256 of its manifest: the same facts and rules give the same digest")
    training: Split
    validation: Split
    test: Split
    rules: dict[str, Any] = Field(description="inclusion rules; empty in datasets of before there were any")
    created_at: str
    actor: str


class DescribedDataset(FrozenDataset):
    """A frozen dataset with its composition."""

    composition: list[Cell]


@router.get("", summary="Every frozen dataset of the project")
async def list_datasets(here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[FrozenDataset]:
    """Newest last."""
    asked = pb.ListDatasetsRequest(project=here.ref, after=from_cursor(paging.cursor), limit=paging.limit)
    answer = await here.ask("training", "ListDatasets", asked)
    return page_of([FrozenDataset(**_said(one)) for one in answer.datasets], answer.next)


@router.post("", status_code=201, summary="Freeze the accepted masks as they are now")
async def freeze(request: Request, body: FreezeBody, here: Annotator, response: Response) -> FrozenDataset:
    """The same rules on the same facts answer the dataset that is there. Patients get a split for good."""
    asked = pb.CreateDatasetRequest(project=here.ref, rules=rules_of(body.rules), actor=here.subject)
    dataset = (await here.ask("training", "CreateDataset", asked, timeout_s=FREEZING_TIMEOUT_S)).dataset
    made(request, dataset=dataset.digest)
    response.headers["Location"] = here.address("datasets", dataset.digest)
    return FrozenDataset(**_said(dataset))


@router.get("/{digest}", summary="One frozen dataset: rules, splits, composition")
async def get_dataset(digest: DigestInPath, here: AnyMember) -> DescribedDataset:
    """Patients, series and judged slices per split, site, scanner and sequence class."""
    dataset = (await _described(here, digest)).dataset
    cells = [
        Cell(
            split=one.split,
            site=one.site,
            scanner=one.scanner,
            sequence_class=one.sequence_class,
            patients=one.patients,
            series=one.series,
            judged=dict(one.judged),
        )
        for one in dataset.counts
    ]
    return DescribedDataset(**_said(dataset), composition=cells)


@router.get(
    "/{digest}/sheet",
    summary="The data sheet of a frozen dataset",
    response_class=Response,
    responses={200: {"content": {"text/markdown": {}}}},
)
async def sheet(digest: DigestInPath, here: AnyMember) -> Response:
    """Markdown, after "Datasheets for Datasets" (Gebru et al. 2021): motivation, composition, collection, limits."""
    return Response((await _described(here, digest)).sheet, headers={"Content-Type": MARKDOWN})


def rules_of(rules: Inclusion) -> pb.InclusionRules:
    """Rules as the training room hears them."""
    return pb.InclusionRules(**rules.model_dump())


async def _described(here: Inside, digest: str) -> pb.GetDatasetResponse:
    asked = pb.GetDatasetRequest(project=here.ref, digest=digest)
    answer: pb.GetDatasetResponse = await here.ask("training", "GetDataset", asked)
    return answer


def _said(dataset: pb.Dataset) -> dict[str, Any]:
    splits = {
        part: Split(series=getattr(dataset, part), patients=dataset.patients.get(part))
        for part in ("training", "validation", "test")
    }
    return {
        "digest": dataset.digest,
        "rules": to_dict(dataset.rules) if dataset.rules.verdicts else {},
        "created_at": dataset.created_at,
        "actor": dataset.actor,
        **splits,
    }
