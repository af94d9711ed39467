"""What you learn here: worker processes of a room that is killed end too, also those that have nothing to do."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from pathlib import Path


def alive(pid: int) -> bool:
    """A process that is neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_an_idle_worker_does_not_outlive_a_killed_room() -> None:
    room = textwrap.dedent("""
        import asyncio, os
        from irp_chassis.workers import in_worker
        async def main():
            print(await in_worker(os.getpid), flush=True)
            await asyncio.sleep(60)
        if __name__ == "__main__":
            asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", room, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    worker = int(await process.stdout.readline())
    assert alive(worker)
    process.kill()
    await process.wait()
    async with asyncio.timeout(10):
        while alive(worker):
            await asyncio.sleep(0.02)
