"""What you learn here: requests share passes, and nobody's fault, flood or leaving is felt by a neighbour."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from irp_bundle import Stage
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.app.ports import Lane, Ticket
from irp_inference.domain.errors import DeviceOutOfMemory, InferenceQueueFull, ModelCrashed, ModelParked, ServerLeaves
from irp_kernel.errors import DeadlineExceeded

from .batching_engine import Array, CountingNets, an_input, loaded

ME = Ticket(project="p1")


async def settle() -> None:
    """Let everybody who can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


def ask(
    batches: DynamicBatches, nets: CountingNets, value: float, ticket: Ticket = ME, rows: int = 1
) -> asyncio.Task[Array]:
    return asyncio.create_task(batches.forward(loaded(nets), "segment", an_input(value, rows), ticket))


async def occupied(batches: DynamicBatches, nets: CountingNets) -> asyncio.Task[Array]:
    """A pass is running: who comes now must wait."""
    first = ask(batches, nets, 0)
    await nets.begun.wait()
    return first


async def test_a_lone_client_never_waits_for_others() -> None:
    nets, batches = CountingNets(), DynamicBatches(wait_s=60)
    for value in range(3):
        assert (await ask(batches, nets, value) == 2 * value).all()
    assert nets.passes == [[0], [1], [2]]


async def test_who_waits_together_shares_a_pass_and_gets_its_own_rows() -> None:
    nets, batches = CountingNets(gated=True), DynamicBatches()
    first = await occupied(batches, nets)
    waiting = [ask(batches, nets, value, rows=rows) for value, rows in ((1, 2), (2, 1), (3, 3), (4, 4))]
    await settle()
    nets.gate.set()
    answers = [await task for task in waiting]
    assert (await first == 0).all()
    assert [len(answer) for answer in answers] == [2, 1, 3, 4]
    for value, answer in enumerate(answers, start=1):
        assert (answer == 2 * value).all()
    assert nets.passes == [[0], [1, 1, 2, 3, 3, 3], [4, 4, 4, 4]]  # never beyond what the device profits from


async def test_other_shapes_stages_and_versions_never_share_a_pass() -> None:
    old, new, batches = CountingNets(version=0, gated=True), CountingNets(version=100), DynamicBatches()
    first = await occupied(batches, old)
    tasks = [
        asyncio.create_task(batches.forward(loaded(old), "segment", an_input(1), ME)),
        asyncio.create_task(batches.forward(loaded(old), "locate", an_input(2), ME)),
        asyncio.create_task(batches.forward(loaded(old), "segment", an_input(3, side=8), ME)),
        asyncio.create_task(batches.forward(loaded(new, version=2), "segment", an_input(4), ME)),
    ]
    await settle()
    old.gate.set()
    assert [float((await task).flat[0]) for task in [first, *tasks]] == [0, 2, 4, 6, 108]
    assert (old.passes, new.passes) == ([[0], [1], [2], [3]], [[4]])


async def test_a_cancelled_caller_leaves_its_batch_unharmed() -> None:
    nets, batches = CountingNets(gated=True), DynamicBatches()
    first = await occupied(batches, nets)
    early, late, neighbour = ask(batches, nets, 1), ask(batches, nets, 2), ask(batches, nets, 3)
    await settle()
    early.cancel()  # before its pass: it is not computed
    await settle()
    nets.begun.clear()
    nets.gate.set()
    await nets.begun.wait()
    late.cancel()  # within its pass: nobody minds
    assert (await neighbour == 6).all()
    assert (await first == 0).all()
    assert nets.passes == [[0], [2, 3]]


async def test_expired_requests_cause_no_pass() -> None:
    now = [100.0]
    nets, batches = CountingNets(gated=True), DynamicBatches(wait_s=0, clock=lambda: now[0])
    first = await occupied(batches, nets)
    late = ask(batches, nets, 1, Ticket(project="p1", until=100.5))
    in_time = ask(batches, nets, 2, Ticket(project="p1", until=200.0))
    await settle()
    now[0] = 101.0
    nets.gate.set()
    with pytest.raises(DeadlineExceeded):
        await late
    assert (await in_time == 4).all()
    # The pass is known to take a second now: an answer in half a second is not possible.
    with pytest.raises(DeadlineExceeded):
        await ask(batches, nets, 3, Ticket(project="p1", until=now[0] + 0.5))
    await first
    assert nets.passes == [[0], [2]]


async def test_who_is_too_late_hears_it_while_the_device_is_busy() -> None:
    nets, batches = CountingNets(gated=True), DynamicBatches(wait_s=0)
    first = await occupied(batches, nets)
    with pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(ask(batches, nets, 1, Ticket(project="p1", until=time.monotonic() + 0.02)), 5)
    assert not first.done()
    nets.gate.set()
    await first
    assert nets.passes == [[0]]


async def test_a_request_of_many_inputs_is_known_to_take_longer() -> None:
    now = [100.0]
    nets, batches = CountingNets(), DynamicBatches(wait_s=0, clock=lambda: now[0])
    forward = nets.forward

    async def a_second_each(stage: Stage, inputs: Array) -> Array:
        now[0] += len(inputs)
        return await forward(stage, inputs)

    nets.forward = a_second_each  # type: ignore[method-assign]
    await ask(batches, nets, 1)
    with pytest.raises(DeadlineExceeded):
        await ask(batches, nets, 2, Ticket(project="p1", until=now[0] + 2), rows=8)
    assert (await ask(batches, nets, 3, Ticket(project="p1", until=now[0] + 2)) == 6).all()
    assert nets.passes == [[1], [3]]


@pytest.mark.parametrize("error", [DeviceOutOfMemory, ModelCrashed])
async def test_who_left_or_is_too_late_costs_no_repeated_pass(error: type[Exception]) -> None:
    now = [100.0]
    nets, batches = CountingNets(gated=True), DynamicBatches(wait_s=0, clock=lambda: now[0])
    nets.fail = lambda inputs: error() if len(inputs) > 1 else None
    first = await occupied(batches, nets)
    stays, leaves = ask(batches, nets, 1), ask(batches, nets, 2)
    late = ask(batches, nets, 3, Ticket(project="p1", until=105.0))
    await settle()
    gate, nets.gate = nets.gate, asyncio.Event()  # the next pass has a gate of its own
    nets.begun.clear()
    gate.set()
    await first
    await nets.begun.wait()
    leaves.cancel()
    now[0] = 106.0
    nets.gate.set()
    assert (await stays == 2).all()
    with pytest.raises(DeadlineExceeded):
        await late
    assert nets.passes == [[0], [1, 2, 3], [1]]


async def test_a_full_queue_refuses_with_a_time_to_come_back_and_no_project_fills_it_alone() -> None:
    nets, batches = CountingNets(gated=True), DynamicBatches(limit=8)
    first = await occupied(batches, nets)
    flood = [ask(batches, nets, 1) for _ in range(6)]
    await settle()
    with pytest.raises(InferenceQueueFull) as refused:
        await ask(batches, nets, 2)
    assert refused.value.retry_after_s is not None
    assert refused.value.retry_after_s >= 1
    others = [ask(batches, nets, 3, Ticket(project="p2")) for _ in range(2)]
    await settle()
    with pytest.raises(InferenceQueueFull):
        await ask(batches, nets, 4, Ticket(project="p3"))
    nets.gate.set()
    await asyncio.gather(first, *flood, *others)


async def test_a_flood_of_one_project_does_not_starve_another() -> None:
    nets, batches = CountingNets(gated=True, best_batch=1), DynamicBatches()
    first = await occupied(batches, nets)
    flood = [ask(batches, nets, 1) for _ in range(20)]
    await settle()
    single = ask(batches, nets, 2, Ticket(project="p2"))
    await settle()
    nets.gate.set()
    await asyncio.gather(first, single, *flood)
    assert nets.passes.index([2]) <= 2


async def test_live_goes_first_and_a_proposal_still_ends() -> None:
    nets, batches = CountingNets(gated=True, best_batch=1), DynamicBatches()
    first = await occupied(batches, nets)
    proposal = [ask(batches, nets, 9, Ticket(project="p1", lane=Lane.BACKGROUND)) for _ in range(2)]
    await settle()
    live = [ask(batches, nets, 1) for _ in range(25)]
    await settle()
    nets.gate.set()
    await asyncio.gather(first, *proposal, *live)
    assert nets.passes[1] == [1]
    assert [number for number, rows in enumerate(nets.passes) if rows == [9]] == [10, 20]


async def test_many_inputs_go_in_pieces_between_which_others_have_their_turn() -> None:
    nets, batches = CountingNets(gated=True, best_batch=4), DynamicBatches()
    many = ask(batches, nets, 1, Ticket(project="p1", lane=Lane.BACKGROUND), rows=10)
    await nets.begun.wait()
    live = ask(batches, nets, 2)
    await settle()
    nets.gate.set()
    assert (await live == 4).all()
    assert (await many).shape == (10, 1, 4, 4)
    assert nets.passes == [[1] * 4, [2], [1] * 4, [1] * 2]


async def test_out_of_memory_makes_smaller_passes_and_then_a_clear_error() -> None:
    nets, batches = CountingNets(gated=True), DynamicBatches()
    nets.fail = lambda inputs: DeviceOutOfMemory() if len(inputs) > 2 or inputs.max() == 7 else None
    first = await occupied(batches, nets)
    good, bad = [ask(batches, nets, value, rows=3) for value in (1, 7)]
    single = ask(batches, nets, 2)
    await settle()
    nets.gate.set()
    assert (await good == 2).all()
    assert (await good).shape == (3, 1, 4, 4)
    assert (await single == 4).all()
    with pytest.raises(DeviceOutOfMemory):
        await bad
    await first


async def test_only_the_guilty_request_gets_the_crash() -> None:
    nets, batches = CountingNets(gated=True), DynamicBatches()
    nets.fail = lambda inputs: ModelCrashed() if 7 in inputs else None
    first = await occupied(batches, nets)
    tasks = [ask(batches, nets, value) for value in (1, 7, 2)]
    await settle()
    nets.gate.set()
    found = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert isinstance(found[2], ModelCrashed)
    assert [float(one.flat[0]) for one in found if isinstance(one, np.ndarray)] == [0, 2, 4]
    assert nets.passes[1:] == [[1, 7, 2], [1], [7], [2]]
    nets.fail = lambda _: ModelParked()
    with pytest.raises(ModelParked):
        await ask(batches, nets, 1)


async def test_clients_that_were_answered_together_go_together_again() -> None:
    nets, batches = CountingNets(), DynamicBatches(wait_s=0.05)
    original = nets.forward

    async def slowly(stage: object, inputs: Array) -> Array:
        await asyncio.sleep(0.02)
        return await original("segment", inputs)

    nets.forward = slowly  # type: ignore[method-assign, assignment]

    async def client(number: int) -> None:
        for _ in range(6):
            await ask(batches, nets, number)

    await asyncio.gather(*(client(number) for number in range(8)))
    sizes = [len(rows) for rows in nets.passes]
    assert sizes[:1] == [1]  # the first one came alone
    assert sorted(sizes)[-5:] == [8] * 5  # then nobody runs ahead of the others


async def test_leaving_answers_what_was_taken_whatever_passes_it_needs_and_begins_nothing_for_nobody() -> None:
    nets, batches, stopping = CountingNets(gated=True), DynamicBatches(), asyncio.Event()
    serving = asyncio.create_task(batches.serve(stopping))
    first = await occupied(batches, nets)
    waiting, large = ask(batches, nets, 1), ask(batches, nets, 3, rows=40)
    await settle()
    stopping.set()
    await settle()
    for lane in (Lane.AHEAD, Lane.BACKGROUND):
        with pytest.raises(ServerLeaves):
            await ask(batches, nets, 2, Ticket(project="p1", lane=lane))
    nets.gate.set()
    assert (await waiting == 2).all()
    assert (await large == 6).all()  # in pieces, of which only the first were in the line
    await first
    await asyncio.wait_for(serving, 5)


async def test_the_counts_of_a_version_that_was_opened_anew_go_on() -> None:
    old, new, batches = CountingNets(), CountingNets(), DynamicBatches()
    before, after = loaded(old), loaded(new)
    for model in (before, after, after):
        await batches.forward(model, "segment", an_input(1), ME)
    batches.forget(before)  # its last user left only now
    await batches.forward(after, "segment", an_input(1), ME)
    assert batches.statistics("heart", 1, "segment").success.count == 4
    batches.forget(after)
    assert batches.statistics("heart", 1, "segment").success.count == 0
    assert batches.statistics("nobody", 1, "segment").success.count == 0


async def test_the_counts_are_true() -> None:
    nets, batches = CountingNets(gated=True), DynamicBatches()
    first = await occupied(batches, nets)
    tasks = [ask(batches, nets, 1, rows=2), ask(batches, nets, 2)]
    gone = ask(batches, nets, 3)
    await settle()
    gone.cancel()
    await settle()
    nets.gate.set()
    await asyncio.gather(first, *tasks)
    counts = batches.statistics("heart", 1, "segment")
    assert (counts.success.count, counts.fail.count, counts.queue.count, counts.compute.count) == (3, 1, 3, 3)
    assert (counts.inferences, counts.executions) == (4, 2)
    assert {rows: tally.count for rows, tally in counts.batches.items()} == {1: 1, 3: 1}
    assert counts.success.ns >= counts.compute.ns > 0
    assert abs(counts.last_s - time.time()) < 60


async def test_a_request_in_pieces_is_one_request_to_its_counter() -> None:
    nets, batches = CountingNets(best_batch=4), DynamicBatches()
    assert len(await ask(batches, nets, 1, rows=40)) == 40
    counts = batches.statistics("heart", 1, "segment")
    assert (counts.success.count, counts.fail.count, counts.queue.count, counts.compute.count) == (1, 0, 1, 1)
    assert (counts.inferences, counts.executions) == (40, 10)
    assert {rows: tally.count for rows, tally in counts.batches.items()} == {4: 10}
    assert counts.success.ns >= counts.compute.ns == sum(tally.ns for tally in counts.batches.values()) > 0


async def test_a_request_in_pieces_that_fails_half_way_is_one_failure() -> None:
    nets, batches = CountingNets(best_batch=4), DynamicBatches()
    nets.fail = lambda _: ModelParked() if len(nets.passes) >= 3 else None
    with pytest.raises(ModelParked):
        await ask(batches, nets, 1, rows=40)
    counts = batches.statistics("heart", 1, "segment")
    assert (counts.success.count, counts.fail.count, counts.queue.count, counts.compute.count) == (0, 1, 0, 0)
    assert (counts.inferences, counts.executions) == (8, 2)


async def test_a_request_that_memory_cuts_smaller_is_one_request_too() -> None:
    nets, batches = CountingNets(best_batch=4), DynamicBatches()
    nets.fail = lambda inputs: DeviceOutOfMemory() if len(inputs) > 2 else None
    await ask(batches, nets, 1, rows=4)
    counts = batches.statistics("heart", 1, "segment")
    assert (counts.success.count, counts.queue.count, counts.compute.count) == (1, 1, 1)
    assert (counts.inferences, counts.executions) == (4, 2)
