"""What the fake ingest finds among its files: by ingest's own rules of matching, answering and drawing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from irp.common.v1 import types_pb2
from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from irp_chassis.auth import caller
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_from_proto
from irp_ingest.adapters.rpc_pixels import picture_of
from irp_ingest.domain.attributes import answer, answered
from irp_ingest.domain.matching import Rules, keys_of, matches
from irp_ingest.domain.render import render_batch
from irp_kernel.errors import NotFound


class Found(ingest_grpc.IngestServiceServicer):
    """Searches and pictures of all that matches."""

    objects: Objects
    files: dict[str, dict[str, tuple[Any, types_pb2.ObjectRef]]]

    def matching(self, request: Any) -> list[tuple[Any, types_pb2.ObjectRef]]:
        caller().require_project(request.project.id)
        return [
            (ds, ref)
            for uid, (ds, ref) in sorted(self.files[request.project.id].items())
            if request.study_uid in {"", ds.StudyInstanceUID} and request.series_uid in {"", ds.SeriesInstanceUID}
            if getattr(request, "sop_instance_uid", "") in {"", uid}
        ]

    def images(self, asked: ingest_pb.InstanceRef) -> list[tuple[Any, types_pb2.ObjectRef]]:
        images = [found for found in self.matching(asked) if asked.sop_instance_uid or "Rows" in found[0]]
        if not images:
            raise NotFound
        return images

    async def Search(self, request: ingest_pb.SearchRequest, context: Any) -> ingest_pb.SearchResponse:
        keys, unknown = keys_of(request.matches)
        rules = Rules(fuzzy=request.fuzzy, empty=request.empty_values, several=request.multiple_values)
        tags = answered(request.level, [*request.include_fields, *request.matches])
        found: dict[str, Any] = {}
        for ds, _ in self.matching(request):
            header = header_of(ds)
            if matches(header | {"00080061": header["00080060"]}, keys, rules):
                known = {tag: value for tag, value in header.items() if tags is None or tag in tags}
                uid = str(ds[{"study": 0x20000D, "series": 0x20000E, "instance": 0x80018}[request.level]].value)
                found.setdefault(uid, answer(request.level, known, {}))
        page = list(found.values())[request.offset : request.offset + request.limit]
        return ingest_pb.SearchResponse(dicom_json=[json.dumps(header) for header in page], unknown=unknown)

    async def RenderAll(self, request: Any, context: Any) -> AsyncIterator[ingest_pb.RenderAllResponse]:
        wanted, asked = picture_of(request.picture), request.picture.instance
        for ds, ref in self.images(asked):
            file = await self.objects.get(object_ref_from_proto(ref))
            made, _ = render_batch(file, wanted, list(request.frames))
            uids = {"series_uid": str(ds.SeriesInstanceUID), "sop_instance_uid": str(ds.SOPInstanceUID)}
            for number, data in made:
                yield ingest_pb.RenderAllResponse(data=data, frame=number, **uids)


def header_of(ds: Any) -> dict[str, Any]:
    header: dict[str, Any] = ds.to_json_dict(bulk_data_threshold=64, bulk_data_element_handler=lambda _: "x")
    header.pop("7FE00010", None)
    return header
