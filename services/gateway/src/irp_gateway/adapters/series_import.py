"""POST /series: a NIfTI or NRRD file streams through to ingest, which makes DICOM of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_kernel.errors import TooLarge, UnsupportedMediaType
from pydantic import BaseModel, Field

from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.streaming import Site, chunks, send_through
from irp_gateway.adapters.visitor import Uploader
from irp_gateway.domain.errors import BodyNotReadable
from irp_gateway.domain.multipart import PartBegins, PartData, PartEnds, Splitter, boundary_of, parameters_of

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["series"], route_class=Door)

IMAGE = "image"
FIELDS = {
    "patient": "patient",
    "modality": "modality",
    "description": "series_description",
    "sequence": "protocol_name",
}
MAX_FIELD_BYTES = 1024  # 64 characters in the end
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [IMAGE, "patient"],
                    "properties": {
                        IMAGE: {
                            "type": "string",
                            "format": "binary",
                            "description": "NIfTI-1/2 (.nii, .nii.gz) or NRRD with its data attached, told apart by "
                            "content: 2 to 4 axes, the fourth is time",
                        },
                        "patient": {
                            "type": "string",
                            "maxLength": 64,
                            "description": "original identifier; only its pseudonym is kept, the same as in DICOM",
                        },
                        "modality": {"type": "string", "enum": ["MR", "CT"], "default": "MR"},
                        "description": {
                            "type": "string",
                            "maxLength": 64,
                            "description": "SeriesDescription, by which the project's `sequences` know its class",
                        },
                        "sequence": {"type": "string", "maxLength": 64, "description": "ProtocolName, for the same"},
                    },
                }
            }
        },
    }
}


class SeriesImported(BaseModel):
    """The series that a file became."""

    series_uid: str = Field(description="de-identified SeriesInstanceUID, as in QIDO")
    study_uid: str
    instances: int = Field(description="slices times time points")
    already_stored: bool = Field(description="true: the same image was there before, nothing was added")
    report: str = Field(description="id of the signed report of this import")


@router.post(
    "/series",
    status_code=201,
    summary="Import NIfTI or NRRD as a series of its own",
    openapi_extra=FORM,
    responses={200: {"description": "The same image was there before", "model": SeriesImported}},
)
async def import_series(request: Request, here: Uploader, response: Response, x_irp_site: Site = "") -> SeriesImported:
    """The file becomes DICOM instances, which are de-identified and stored like any others, and a volume at once.

    Free texts of the file are dropped. The same image again is the same series; under another patient it is refused.
    """
    upload = pb.Upload(project=here.ref, site=here.site(x_irp_site))
    pieces = _form(request, here.desk.limits.instance)
    answer = await send_through(request, here, "ImportSeries", pb.ImportSeriesRequest(upload=upload), pieces)
    made(request, series=answer.series_uid, instances=answer.instances, report=answer.report)
    response.status_code = 200 if answer.already_stored else 201
    response.headers["Location"] = here.address("series", answer.series_uid)
    return SeriesImported(
        series_uid=answer.series_uid,
        study_uid=answer.study_uid,
        instances=answer.instances,
        already_stored=answer.already_stored,
        report=answer.report,
    )


def _form(request: Request, limit: int) -> AsyncIterator[pb.ImportSeriesRequest]:
    """The body as ingest takes it.

    Raises:
        UnsupportedMediaType: not a form.
        MultipartBroken: it names no boundary.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise UnsupportedMediaType(f"send multipart/form-data with the fields `{IMAGE}` and `patient`")
    return _parts(request, Splitter(boundary_of(content_type)), limit)


async def _parts(request: Request, splitter: Splitter, limit: int) -> AsyncIterator[pb.ImportSeriesRequest]:
    name, size, fields = "", 0, dict[str, bytes]()
    async for chunk in chunks(request):
        for event in splitter.feed(chunk):
            match event:
                case PartBegins(headers):
                    name, size = _name(headers, fields), 0
                    fields[name] = b""
                case PartData(data):
                    size = _within(name, limit, size + len(data))
                    if name == IMAGE:
                        yield pb.ImportSeriesRequest(data=data)
                    else:
                        fields[name] += data
                case PartEnds():
                    pass
    splitter.finish()
    yield pb.ImportSeriesRequest(description=_description(fields))


def _name(headers: dict[str, str], fields: dict[str, bytes]) -> str:
    name = parameters_of(headers.get("content-disposition", "")).get("name", "")
    if name != IMAGE and name not in FIELDS:
        raise BodyNotReadable(f"the fields of the form are {', '.join([IMAGE, *FIELDS])}")
    if name in fields:
        raise BodyNotReadable(f"the field `{name}` comes twice")
    return name


def _description(fields: dict[str, bytes]) -> pb.ImportDescription:
    missing = {IMAGE, "patient"} - set(fields)
    if missing:
        raise BodyNotReadable(f"the form has no field `{min(missing)}`")
    try:
        return pb.ImportDescription(**{FIELDS[name]: fields[name].decode() for name in FIELDS if name in fields})
    except UnicodeDecodeError:
        raise BodyNotReadable("a field of the form is not UTF-8") from None


def _within(name: str, limit: int, size: int) -> int:
    allowed = limit if name == IMAGE else MAX_FIELD_BYTES
    if size > allowed:
        raise TooLarge(f"the field `{name}` has at most {allowed} bytes", limit_bytes=allowed)
    return size
