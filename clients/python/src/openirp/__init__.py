"""OpenIRP for Python: the SDK over the gateway's HTTP API, and the `irp` command. Keeps nothing, decides nothing."""

from openirp.client import Irp
from openirp.problem import Problem
from openirp.project import Project
from openirp.upload import UploadReport, upload

__all__ = ["Irp", "Problem", "Project", "UploadReport", "upload"]
