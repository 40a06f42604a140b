"""The waiting line: nothing is lost, the most urgent goes next, and among equals the order is kept."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import limits

# What comes: seconds since the one before, its priority, its tokens.
requests = st.lists(st.tuples(st.floats(0, 20), st.integers(0, 3), st.integers(0, 100)), max_size=40)


async def served(arrivals, throttle):
    """Number and moment of each, in the order in which they went."""
    turns, loop, out = limits.Turns(throttle), asyncio.get_running_loop(), []

    async def one(number, at, priority, tokens):
        await asyncio.sleep(at)
        await turns.turn(priority=priority, tokens=tokens)
        out.append((number, loop.time()))

    moments = [sum(pause for pause, _, _ in arrivals[: number + 1]) for number in range(len(arrivals))]
    await asyncio.gather(*[one(number, moments[number], *rest) for number, (_, *rest) in enumerate(arrivals)])
    return moments, out


@given(requests)
def test_nothing_is_lost_the_order_is_kept_and_no_one_goes_while_a_more_urgent_one_waits(arrivals):
    moments, out = limits.simulate(served(arrivals, limits.Throttle(requests=20, tokens=500)))
    assert sorted(number for number, _ in out) == list(range(len(arrivals)))
    went = dict(out)
    for priority in range(4):
        times = [went[number] for number, (_, its, _) in enumerate(arrivals) if its == priority]
        assert times == sorted(times)
    for number, at in out:
        waiting = [other for other in went if moments[other] < at - 1e-6 and went[other] > at + 1e-6]
        assert all(arrivals[other][1] >= arrivals[number][1] for other in waiting)


@given(requests)
def test_the_same_without_tasks(arrivals):
    clock = limits.VirtualClock()
    queue = limits.Queue(limits.Throttle(requests=20, tokens=500, clock=clock))
    for number, (_, priority, tokens) in enumerate(arrivals):
        queue.put(number, priority=priority, tokens=tokens)
    out = [queue.get() for _ in range(len(queue))]
    assert out == sorted(range(len(arrivals)), key=lambda number: arrivals[number][1])
    assert not len(queue)
    with pytest.raises(IndexError):
        queue.get()


def test_an_urgent_one_overtakes_those_that_wait_for_long():
    async def main():
        turns, loop = limits.Turns(limits.Throttle(requests=60, tokens=60)), asyncio.get_running_loop()
        await turns.turn(tokens=60)

        async def one(name, after, **wants):
            await asyncio.sleep(after)
            await turns.turn(**wants)
            return name, loop.time()

        return await asyncio.gather(one("large", 0, priority=1, tokens=50), one("urgent", 1, tokens=2))

    assert limits.simulate(main()) == [("large", pytest.approx(52)), ("urgent", pytest.approx(2))]


def test_who_is_cancelled_while_it_waits_takes_nothing():
    async def main():
        turns = limits.Turns(limits.Throttle(requests=1))
        await turns.turn()
        given_up = asyncio.create_task(turns.turn())
        patient = asyncio.create_task(turns.turn())
        await asyncio.sleep(1)
        given_up.cancel()
        await patient
        return asyncio.get_running_loop().time()

    assert limits.simulate(main()) == pytest.approx(60)


def test_what_never_fits_is_refused_and_the_others_go_on():
    clock = limits.VirtualClock()
    queue = limits.Queue(limits.Throttle(tokens=100, clock=clock))
    with pytest.raises(ValueError, match="101 tokens never fit"):
        queue.put("large", tokens=101)
    queue.put("small", tokens=1)
    assert queue.get() == "small"


def test_a_simulation_that_can_never_end_says_so_and_works_where_a_loop_runs():
    async def main():
        await asyncio.Event().wait()

    async def notebook():
        return limits.simulate(asyncio.sleep(3600, "an hour"))

    with pytest.raises(RuntimeError, match="nothing can happen any more"):
        limits.simulate(main())
    assert asyncio.run(notebook()) == "an hour"
