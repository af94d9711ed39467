"""Runs containers with the OCI runtime of this machine: podman or docker, through its command.

No network, read-only root, no capabilities, no new privileges, bounded memory, processors, processes, files and time.
Nothing is pulled: images come from archives in the object store, and are named by the hash of their configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shlex
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import structlog
from irp_chassis.objects import Objects
from irp_kernel import ObjectRef

from irp_training.adapters.container_files import INPUT, OUTPUT, collect, lay_out, make_loadable, measure, require_space
from irp_training.adapters.scratch import RUNS, Scratch, removed
from irp_training.adapters.unpacked_weights import UnpackedWeights
from irp_training.app.container_ports import Work
from irp_training.domain.container_errors import OutputNotSafe, RuntimeMissing, RuntimeRefused
from irp_training.domain.containers.container import Container, Ended
from irp_training.domain.containers.limits import OUTPUT_FILES, SAID_LIMIT, Limits
from irp_training.domain.containers.sockets import read_sockets

PURE_CGROUPS = Path("/sys/fs/cgroup/cgroup.controllers")  # cgroup v2 and nothing else
COMMAND_TIMEOUT_S = 600.0  # of anything but a run: loading 10 GB takes minutes
LOOK_S = 0.5  # between two looks at what a run has written
LEAVE_S = 10.0  # for a container that is told to end
NAME = "irp-container"  # of images that were loaded here
IMAGES_KEPT = 8  # in the runtime's own store; older ones are removed from it, and loaded again when needed
OPEN_FILES, MOST_PROCESSES = 1024, 4096
TAIL = 4096  # bytes of standard error that are looked at
ANSWER = 1 << 18  # bytes of a command's answer
KILLED = 137
REFUSED = (125, 126, 127)  # the runtime's own exit codes
ITS_OWN_WORDS = ("Error", "docker:", "time=", "See ")  # how its last line begins then

_log = structlog.get_logger()


def find_runtime(told: str) -> list[str]:
    """The command of the runtime, as words; empty if there is none.

    Args:
        told: command line from the settings, e.g. "podman --runtime runc"; empty = what is found on PATH.
    """
    if told:
        words = shlex.split(told)
        return words if shutil.which(words[0]) else []
    if shutil.which("podman"):
        # crun refuses the older and the mixed form of cgroups; runc takes all of them.
        old = not PURE_CGROUPS.exists() and shutil.which("runc")
        return ["podman", "--runtime", "runc"] if old else ["podman"]
    return ["docker"] if shutil.which("docker") else []


class OciRuntime:
    """See app.container_ports.Runtime."""

    def __init__(self, objects: Objects, command: Sequence[str], scratch: Scratch) -> None:
        self._objects, self._command, self._scratch = objects, list(command), scratch
        self._name, self._loaded = "", dict[str, None]()
        self._weights = UnpackedWeights(scratch.folder, self._downloaded)

    async def describe(self) -> str:
        """Name and version; asked once.

        Raises:
            RuntimeMissing: there is none, or it does not answer.
        """
        if not self._command:
            raise RuntimeMissing
        if not self._name:
            if (await self._call("info"))[0] != 0:  # docker's command may be there without its daemon
                raise RuntimeMissing
            _, said = await self._call("--version")
            words = said.replace(",", " ").split()
            self._name = " ".join([Path(self._command[0]).name, *(w for w in words if w[0].isdigit())][:2])
        return self._name

    async def run(self, work: Work) -> Ended:
        """Run to the end; whatever a killed process left is removed first."""
        runtime = await self.describe()
        await self.sweep()
        await self._load(work.container)
        async with self._weights.held(work.container.model, work.container.model_bytes) as weights:
            return await self._run(work, runtime, weights)

    async def sweep(self) -> None:
        """End containers whose process is gone, and remove their files: patients' images, which nobody watches."""
        await self._scratch.sweep(RUNS, self._forget_run)

    async def _run(self, work: Work, runtime: str, weights: Path | None) -> Ended:
        outputs = read_sockets(work.container.sockets)
        with self._scratch.held(f"{RUNS}{work.key}-{work.piece}-") as folder:
            try:
                await asyncio.to_thread(lay_out, folder, work.inputs, (outputs.segmentation.relative_path,))
                words = run_words(folder.name, folder, work.container.image, work.limits, weights)
                ended = await self._watched(words, folder, work)
                files = await asyncio.to_thread(collect, folder / OUTPUT, work.limits.output_mb << 20)
            finally:
                await asyncio.shield(self._forget_run(folder))
        code, seconds, said, timed_out = ended
        # podman 4 does not always hear of it from the kernel, and a program can say 137 itself: the error tells so.
        memory = code == KILLED and not timed_out
        return Ended(
            exit_code=code,
            seconds=seconds,
            said=said,
            outputs=files,
            runtime=runtime,
            out_of_memory=memory,
            timed_out=timed_out,
        )

    async def _watched(self, words: list[str], folder: Path, work: Work) -> tuple[int, float, str, bool]:
        """Exit code, seconds, last words, and whether time was up."""
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        tail = asyncio.create_task(_tail(process.stderr))
        timed_out = False
        try:
            while process.returncode is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), LOOK_S)
                    break
                timed_out = time.monotonic() - began > work.limits.time_s
                if timed_out:
                    break
                await self._require_bounded(folder, work.limits)
        finally:
            if process.returncode is None:
                await asyncio.shield(self._end(folder.name, process))
        said = await tail
        code = process.returncode if process.returncode is not None else KILLED
        if code in REFUSED and not timed_out and _last(said).startswith(ITS_OWN_WORDS):
            # A container can say the same: its words are only logged where it has seen nobody.
            told = "" if work.sees_patients else _last(said)
            _log.error("container_not_started", container=str(work.container), code=code, said=told)
            raise RuntimeRefused
        return code, time.monotonic() - began, _last(said), timed_out

    async def _require_bounded(self, folder: Path, limits: Limits) -> None:
        await asyncio.to_thread(require_space, folder)
        count, size = await asyncio.to_thread(measure, folder / OUTPUT)
        if count > OUTPUT_FILES or size > limits.output_mb << 20:
            raise OutputNotSafe(f"the container wrote more than {OUTPUT_FILES} files or {limits.output_mb} MiB")

    async def _load(self, container: Container) -> None:
        """Bring the image into the runtime's store, by the hash of its configuration."""
        image = container.image
        if not self._loaded:
            self._loaded = {**await self._left_loaded(), **self._loaded}
        if (await self._call("image", "inspect", image))[0] != 0:
            async with self._downloaded(container.archive) as path:
                await asyncio.to_thread(make_loadable, path, container.archive.size)
                await self._call("load", "--input", str(path))
            if (await self._call("image", "inspect", image))[0] != 0:
                _log.error("container_not_loaded", container=str(container))
                raise RuntimeRefused
        if image not in self._loaded:
            await self._call("tag", image, f"{NAME}:{image[:32]}")
        self._loaded.pop(image, None)
        self._loaded[image] = None
        while len(self._loaded) > IMAGES_KEPT:
            oldest = next(iter(self._loaded))
            self._loaded.pop(oldest)
            await self._forget(oldest)

    async def _left_loaded(self) -> dict[str, None]:
        """Images of an earlier process, the oldest first, by the name that it gave them."""
        _, said = await self._call("images", "--no-trunc", "--format", "{{.Repository}} {{.ID}}")
        lines = [words for line in said.splitlines() if len(words := line.split()) == 2]
        ours = [image.removeprefix("sha256:") for name, image in lines if name.rpartition("/")[2] == NAME]
        return dict.fromkeys(reversed(ours))

    async def _forget(self, image: str) -> None:
        """Remove an image, unless it is in use: by its names, for by its hash only one of one name can be."""
        _, said = await self._call("image", "inspect", "--format", "{{range .RepoTags}}{{.}} {{end}}", image)
        await self._call("rmi", *(said.split() or [image]))

    @contextlib.asynccontextmanager
    async def _downloaded(self, ref: ObjectRef) -> AsyncIterator[Path]:
        """An object as a file, for a while."""
        with self._scratch.archives() as folder:
            path = folder / "archive.tar"
            with path.open("wb") as file:
                async for piece in self._objects.stream(ref):
                    await asyncio.to_thread(file.write, piece)
            yield path

    async def _end(self, name: str, process: asyncio.subprocess.Process) -> None:
        await self._call("kill", name)
        try:
            await asyncio.wait_for(process.wait(), LEAVE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        await self._call("rm", "--force", name)

    async def _forget_run(self, folder: Path) -> None:
        """End the container that bears the folder's name, and remove its files."""
        gone = not self._command or await self._gone(folder.name)
        if not await asyncio.to_thread(removed, folder) and self._command and Path(self._command[0]).name == "podman":
            # Without root its files may belong to a user of the container's, whom podman can become.
            await self._call("unshare", "rm", "-rf", str(folder))
        if not gone:
            # An empty folder: the next sweep finds the container by its name.
            await asyncio.to_thread(folder.mkdir, mode=0o700, exist_ok=True)
            _log.error("container_not_removed", container=folder.name)

    async def _gone(self, name: str) -> bool:
        """Whether no container bears the name, at the latest after two attempts to remove it."""
        with contextlib.suppress(RuntimeMissing, RuntimeRefused):
            for _ in range(2):
                code, left = await self._call("ps", "--all", "--quiet", "--filter", f"name={name}")
                if code == 0 and not left.strip():
                    return True
                await self._call("rm", "--force", name)
        return False

    async def _call(self, *words: str) -> tuple[int, str]:
        """Exit code and output of another of the runtime's commands."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
        except OSError:
            raise RuntimeMissing from None
        try:
            said, _ = await asyncio.wait_for(process.communicate(), COMMAND_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            raise RuntimeRefused from None
        return process.returncode or 0, said[:ANSWER].decode(errors="replace")


def run_words(name: str, folder: Path, image: str, limits: Limits, weights: Path | None = None) -> list[str]:
    """The words of `run`: the contract's mounts and variables, and every limit."""
    files = max(limits.output_mb, limits.scratch_mb) << 20
    flags = {
        "name": name,
        "network": "none",
        "tmpfs": f"/tmp:rw,size={limits.scratch_mb}m,mode=1777",  # noqa: S108 - the container's own
        "cap-drop": "ALL",
        "security-opt": "no-new-privileges",
        "pids-limit": limits.processes,
        "memory": f"{limits.memory_mb}m",
        "memory-swap": f"{limits.memory_mb}m",
        "cpus": min(limits.cpus, os.cpu_count() or 1),
        "pull": "never",
        "log-driver": "none",
    }
    ulimits = {
        "nofile": _within(OPEN_FILES, resource.RLIMIT_NOFILE),
        "nproc": _within(MOST_PROCESSES, resource.RLIMIT_NPROC),
        "fsize": files,
        "core": 0,
    }
    environment = {
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
        "GRAND_CHALLENGE_COMPONENT_MAX_MEMORY_MB": str(limits.memory_mb),
        "OMP_NUM_THREADS": str(limits.cpus),
    }
    return [
        "run",
        "--rm",
        "--read-only",
        *(f"--{flag}={value}" for flag, value in flags.items()),
        *(f"--ulimit={what}={most}:{most}" for what, most in ulimits.items()),
        *(f"--env={variable}={value}" for variable, value in environment.items()),
        f"--volume={folder / INPUT}:/input:ro,Z",
        f"--volume={folder / OUTPUT}:/output:rw,Z",
        *([f"--volume={weights}:/opt/ml/model:ro,z"] if weights else []),
        image,
    ]


def _within(wanted: int, what: int) -> int:
    """Not more than this process may give."""
    most = resource.getrlimit(what)[1]
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


async def _tail(stream: asyncio.StreamReader | None) -> bytes:
    """The last bytes of a stream that may be endless."""
    kept = b""
    while stream is not None and (piece := await stream.read(1 << 16)):
        kept = (kept + piece)[-TAIL:]
    return kept


def _last(said: bytes) -> str:
    """The last line that is not empty, printable and bounded."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return "".join(c for c in (lines[-1] if lines else "")[:SAID_LIMIT] if c.isprintable())
