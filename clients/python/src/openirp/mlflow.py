"""A run's curves for an MLflow tracking server, by its REST API; nothing of a patient, and no picture, is sent.

Source: MLflow REST API 2.0 (experiments/get-by-name, experiments/create, runs/search, runs/create, runs/log-batch,
runs/update).
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

import httpx

from openirp.problem import Problem

BATCH = 1000  # metrics of one request: MLflow's limit
TAG = "openirp.run"
OPEN_UNTIL_IT_BEGINS = frozenset({"threads"})  # keys of a recipe: MLflow lets nobody change a parameter
STATES = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
PARAMETER_LIMIT = 500  # characters of a value that every version of MLflow takes
TIMEOUT_S = 30.0


class Mlflow:
    """A tracking server.

    Args:
        uri: its address, as in MLFLOW_TRACKING_URI; MLFLOW_TRACKING_TOKEN is sent as bearer token.
        app: an httpx transport instead of the network, for tests.
    """

    def __init__(self, uri: str, app: httpx.BaseTransport | None = None) -> None:
        token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=f"{uri.rstrip('/')}/api/2.0/mlflow", headers=headers, timeout=TIMEOUT_S, transport=app
        )

    def send(self, run: dict[str, Any], project: str, experiment: str) -> str:
        """Write a run; sent again, it is the same run with the same points.

        Args:
            run: as `Project.run` answers it.
            project: its name.
            experiment: made if it is not there.

        Returns:
            MLflow's id of the run.

        Raises:
            Problem: the server refuses, or does not answer.
        """
        at = int(datetime.fromisoformat(run["created_at"]).timestamp() * 1000)
        name = f"{project}/{run['id']}"
        id_ = self._run(self._experiment(experiment), name, at)
        # Points of curves are kept by epoch, not by time: every one has the time of the run.
        points = [
            {"key": m["name"], "value": m["value"], "timestamp": at, "step": m["epoch"]}
            for m in run["metrics"]
            if m["value"] is not None
        ]
        fixed = {k: v for k, v in run["recipe"].items() if k not in OPEN_UNTIL_IT_BEGINS}
        recipe = [{"key": k, "value": str(v)[:PARAMETER_LIMIT]} for k, v in fixed.items()]
        self._post("runs/log-batch", {"run_id": id_, "params": recipe, "tags": _tags(run)})
        for begin in range(0, len(points), BATCH):
            self._post("runs/log-batch", {"run_id": id_, "metrics": points[begin : begin + BATCH]})
        if run["state"] in STATES:
            ended = int(datetime.fromisoformat(run["finished_at"]).timestamp() * 1000)
            self._post("runs/update", {"run_id": id_, "status": STATES[run["state"]], "end_time": ended})
        return id_

    def _experiment(self, name: str) -> str:
        answer = self._ask("GET", "experiments/get-by-name", params={"experiment_name": name})
        if answer.status_code == 404:
            return str(self._post("experiments/create", {"name": name})["experiment_id"])
        return str(_checked(answer)["experiment"]["experiment_id"])

    def _run(self, experiment: str, name: str, at_ms: int) -> str:
        wanted = {"experiment_ids": [experiment], "filter": f"tags.`{TAG}` = '{name}'", "max_results": 1}
        for known in self._post("runs/search", wanted).get("runs", []):
            return str(known["info"]["run_id"])
        tags = [{"key": TAG, "value": name}]
        made = {"experiment_id": experiment, "run_name": name, "start_time": at_ms, "tags": tags}
        return str(self._post("runs/create", made)["run"]["info"]["run_id"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _checked(self._ask("POST", path, json=body))

    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            title = "The MLflow server does not answer"
            advice = "Say its address as in MLFLOW_TRACKING_URI, for example http://127.0.0.1:5000."
            raise Problem(0, {"reason": "MLFLOW_AWAY", "title": title, "advice": advice}) from error


def _tags(run: dict[str, Any]) -> list[dict[str, str]]:
    digest = (run.get("dataset") or {}).get("digest", "")
    result = run.get("result") or {}
    known = {
        "openirp.dataset": digest,
        "openirp.model": f"{result['name']}@{result['version']}" if result else run["model"],
        "openirp.model_digest": result.get("digest", ""),
        "openirp.state": run["state"],
    }
    return [{"key": key, "value": value} for key, value in known.items() if value]


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        code = str(answer.json().get("error_code", "")) if "json" in answer.headers.get("content-type", "") else ""
        title = f"The MLflow server refuses: {answer.status_code} {code}".strip()
        raise Problem(answer.status_code, {"reason": "MLFLOW_REFUSES", "title": title})
    return dict(answer.json())
