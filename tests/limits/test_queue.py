"""The waiting line: nothing is lost, the most urgent goes next, and among equals the order is kept."""

import asyncio
import contextlib
import os
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import limits

# What comes: seconds since the one before, its priority, its tokens.
requests = st.lists(st.tuples(st.floats(0, 20), st.integers(0, 3), st.integers(0, 100)), max_size=40)


async def served(arrivals, throttle):
    """When each came and when it went, in that order: of those that sleep until the same moment, any may wake first."""
    turns, loop, came, went = limits.Turns(throttle), asyncio.get_running_loop(), {}, {}

    async def one(number, at, priority, tokens):
        await asyncio.sleep(at)
        came[number] = loop.time()
        await turns.turn(priority=priority, tokens=tokens)
        went[number] = loop.time()

    moments = [sum(pause for pause, _, _ in arrivals[: number + 1]) for number in range(len(arrivals))]
    await asyncio.gather(*[one(number, moments[number], *rest) for number, (_, *rest) in enumerate(arrivals)])
    return came, went


@given(requests)
def test_nothing_is_lost_the_order_is_kept_and_no_one_goes_while_a_more_urgent_one_waits(arrivals):
    came, went = limits.simulate(served(arrivals, limits.Throttle(requests=20, tokens=500)))
    assert sorted(went) == list(range(len(arrivals)))
    for priority in range(4):
        of_it = [number for number in came if arrivals[number][1] == priority]
        assert of_it == [number for number in went if number in of_it]
    for number, at in went.items():
        waiting = [other for other in went if came[other] < at - 1e-6 and went[other] > at + 1e-6]
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


def test_a_limit_that_shrinks_ends_the_wait_of_what_does_not_fit_any_more_and_the_others_go_on():
    async def main():
        throttle = limits.Throttle(tokens=1000)
        turns, loop = limits.Turns(throttle), asyncio.get_running_loop()
        await turns.turn(tokens=1000)
        large, small = asyncio.create_task(turns.turn(tokens=500)), asyncio.create_task(turns.turn(tokens=50))
        await asyncio.sleep(1)
        throttle.learn(limits.Quota({"tokens": limits.Limit(100, 0, 60.0)}))
        with pytest.raises(ValueError, match="500 tokens never fit into a limit of 100"):
            await large
        await small
        return loop.time()

    assert limits.simulate(main()) == pytest.approx(31, abs=1.1)


def test_the_same_without_tasks_says_so_until_it_is_dropped():
    throttle = limits.Throttle(tokens=1000, clock=limits.VirtualClock())
    queue = limits.Queue(throttle)
    queue.put("large", tokens=500), queue.put("small", tokens=50)
    throttle.learn(limits.Quota({"tokens": limits.Limit(100)}))
    with pytest.raises(ValueError, match="500 tokens never fit"):
        queue.get()
    assert queue.first == "large"
    queue.drop()
    assert queue.get() == "small"


def test_turns_serve_one_asyncio_run_after_the_other():
    turns = limits.Turns(limits.Throttle(requests=600))

    async def main(patience):
        async with asyncio.timeout(patience):
            await asyncio.gather(*[turns.turn(requests=199) for _ in range(3)], turns.turn(requests=5))

    asyncio.run(main(5))
    with pytest.raises(TimeoutError):
        asyncio.run(main(0.1))  # some of them still wait when the loop ends
    limits.simulate(main(120))


def test_two_loops_at_once_are_told_so():
    turns = limits.Turns(limits.Throttle(requests=1))

    async def main():
        await turns.turn()
        waits = asyncio.create_task(turns.turn())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="tasks of another loop wait here"):
            await asyncio.to_thread(asyncio.run, turns.turn())
        waits.cancel()

    asyncio.run(main())


def test_nobody_waits_for_ever_where_every_other_task_is_cancelled():
    async def main():
        turns = limits.Turns(limits.Throttle(requests=1))
        await turns.turn()
        waits = asyncio.create_task(turns.turn())
        await asyncio.sleep(1)
        for task in asyncio.all_tasks() - {waits, asyncio.current_task()}:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        await turns.turn()
        return asyncio.get_running_loop().time()

    assert limits.simulate(main()) == pytest.approx(60)


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 3), st.integers(0, 100), st.none() | st.floats(0, 90)), max_size=30))
def test_who_gives_up_costs_nobody_a_place(arrivals):
    """Some leave after a while. Those that stay all get their turn, and so they do where the others never come."""

    async def main(leaving):
        turns, loop, went = limits.Turns(limits.Throttle(requests=20, tokens=500)), asyncio.get_running_loop(), {}

        async def one(number, at, priority, tokens, patience):
            await asyncio.sleep(at)
            try:
                async with asyncio.timeout(patience):
                    await turns.turn(priority=priority, tokens=tokens)
                went[number] = loop.time()
            except TimeoutError:
                pass

        moments = [sum(pause for pause, *_ in arrivals[: number + 1]) for number in range(len(arrivals))]
        await asyncio.gather(*[one(n, moments[n], *rest) for n, (_, *rest) in enumerate(arrivals) if leaving is None or n in leaving])
        return went

    went = limits.simulate(main(None))
    assert {number for number, row in enumerate(arrivals) if row[3] is None} <= went.keys()
    assert limits.simulate(main(went.keys())).keys() >= {number for number in went if arrivals[number][3] is None}


@pytest.mark.parametrize("priority", [float("nan"), "high", None])
def test_a_priority_is_a_number(priority):
    queue = limits.Queue(limits.Throttle(clock=limits.VirtualClock()))
    with pytest.raises(ValueError, match="priority is .*: a number is needed"):
        queue.put("a", priority=priority)
    assert not len(queue)


def test_a_simulation_that_can_never_end_says_so_and_works_where_a_loop_runs():
    async def main():
        await asyncio.Event().wait()

    async def notebook():
        return limits.simulate(asyncio.sleep(3600, "an hour"))

    with pytest.raises(RuntimeError, match="nothing can happen any more"):
        limits.simulate(main())
    assert asyncio.run(notebook()) == "an hour"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_simulation_that_goes_on_for_ever_can_be_interrupted():
    async def main():
        while True:
            await asyncio.sleep(1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
    try:
        threading.Timer(0.5, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            limits.simulate(main())
    finally:
        signal.signal(signal.SIGINT, before)


def test_who_gives_up_behind_others_is_forgotten_at_once():
    async def main():
        turns = limits.Turns(limits.Throttle(requests=1))
        await turns.turn()
        first = asyncio.create_task(turns.turn())
        await asyncio.sleep(0)
        for _ in range(100):
            behind = asyncio.create_task(turns.turn(priority=1))
            await asyncio.sleep(0)
            behind.cancel()
            await asyncio.wait([behind])
        assert len(turns._queue) == 1
        await first

    limits.simulate(main())


def test_a_wait_shorter_than_the_clock_can_tell_ends():
    """Five waits of 0.2 s add up to a little less than one second."""

    async def main():
        turns = limits.Turns(limits.Throttle(requests=60))
        await turns.turn(requests=60)
        await turns.turn()
        last = asyncio.create_task(turns.turn())
        for _ in range(5):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await turns.turn(priority=5)
        await last
        return asyncio.get_running_loop().time()

    assert limits.simulate(main()) == pytest.approx(2, rel=0.01)


def test_an_error_of_the_clock_reaches_all_that_wait():
    class Broken(limits.Throttle):
        def delay(self, **amounts):
            if len(waiting) > 1:
                raise OSError("no clock")
            return super().delay(**amounts)

    waiting = []

    async def main():
        turns = limits.Turns(Broken(requests=1))
        await turns.turn()
        for _ in range(2):
            waiting.append(asyncio.create_task(turns.turn()))
            await asyncio.sleep(0)
        return await asyncio.gather(*waiting, return_exceptions=True)

    found = limits.simulate(main())
    assert all(isinstance(error, OSError | RuntimeError) for error in found), found
