"""The engine under load: parallel requests are computed together, prefixes once, and nobody changes another's answer."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import openai
import pytest

from helpers.house_model.cache import BLOCK, ROOMS, BlockPool
from helpers.house_model.engine import Engine
from helpers.house_model.sampling import Sampling
from helpers.house_model.scheduler import Scheduler

LONG = "What is a token and what does it cost? " * 40


@pytest.fixture(scope="module")
def engine():
    return Engine()


def sequence(engine, prompt, **rules):
    return engine.sequence(engine.chat([("user", prompt)]), Sampling(**{"temperature": 0, "max_tokens": 40, **rules}))


def run(scheduler):
    """Step until all is done. Returns the ids that each sequence wrote."""
    written = {}
    while scheduler.is_busy:
        for one, token in scheduler.step():
            written.setdefault(one, []).append(token.id)
    return written


def ask(prompt, **more):
    client = openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], max_retries=0, timeout=30)
    return client.chat.completions.create(model="house", messages=[{"role": "user", "content": prompt}], **{"max_tokens": 40, "seed": 7, **more})


# ---- through the real SDK ----------------------------------------------------------------------------------
def test_32_parallel_answers_are_those_of_one_by_one(gateway):
    def text(number):
        return ask(f"What is a token? {number}", temperature=0.8).choices[0].message.content

    alone = [text(number) for number in range(32)]
    gateway.reset()
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(text, range(32))) == alone


SHAPE = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"}}, "required": ["name", "age"]}
MIXED = [
    {"prompt": "Hi", "max_tokens": 1},
    {"prompt": "What is a token?", "n": 3, "temperature": 1.2},
    {"prompt": LONG * 4, "temperature": 0, "max_tokens": 300},
    {"prompt": "What is prompt caching?", "logprobs": True, "top_logprobs": 5, "temperature": 0},
    {"prompt": "Count from one to ten in words.", "stop": ["four", "nine"], "temperature": 0},
    {"prompt": "Anna is 30 years old.", "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SHAPE}}, "max_tokens": 80},
    {"prompt": "What does a call cost? " + LONG, "top_p": 0.5, "temperature": 0.9},
]


def test_answers_of_every_kind_and_length_side_by_side_are_those_of_one_by_one_while_a_client_leaves(gateway):
    alone = [ask(**rules).choices for rules in MIXED]
    gateway.reset()
    leaving = ask("Explain continuous batching. " + LONG, stream=True, max_tokens=1000)
    with ThreadPoolExecutor(len(MIXED)) as pool:
        together = [pool.submit(ask, **rules) for rules in MIXED]
        next(iter(leaving))
        leaving.close()
    for rules, choices, answered in zip(MIXED, alone, together, strict=True):
        for before, after in zip(choices, answered.result().choices, strict=True):
            assert (after.message.content, after.finish_reason) == (before.message.content, before.finish_reason), rules
            if rules.get("logprobs"):
                scores = [[token.logprob for token in choice.logprobs.content] for choice in (before, after)]
                assert scores[0] == pytest.approx(scores[1], abs=1e-3)
                assert all(len(token.top_logprobs) == 5 for token in after.logprobs.content)
    stopped, shaped = (together[number].result().choices[0] for number in (4, 5))
    assert "four" not in stopped.message.content and stopped.stop_reason in ("four", "nine", None)
    assert set(json.loads(shaped.message.content)) == {"name", "age"}


def test_an_answer_that_reaches_the_end_of_the_window_ends_there_beside_others(gateway):
    endless = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "minLength": 9000}}}}
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(ask, prompt, max_tokens=80) for prompt in ("Hi", "Hello", "What is a token?")]
        full = pool.submit(ask, LONG * 4, max_tokens=None, **endless).result()
    assert full.usage.total_tokens == gateway.house._engine.model.context and full.choices[0].finish_reason == "length"
    assert all(other.result().choices[0].finish_reason == "stop" for other in others)


def test_a_repeated_prefix_shows_in_the_usage(gateway):
    first, again, longer = ask(LONG).usage, ask(LONG).usage, ask(LONG + "Why?").usage
    whole = first.prompt_tokens // BLOCK * BLOCK
    assert (first.prompt_tokens_details.cached_tokens, first.prompt_tokens_details.created_cache_tokens) == (0, whole)
    assert again.prompt_tokens_details.cached_tokens == (again.prompt_tokens - 1) // BLOCK * BLOCK
    assert 0 < longer.prompt_tokens_details.cached_tokens <= whole
    streamed = [chunk.usage for chunk in ask(LONG, stream=True, stream_options={"include_usage": True}) if chunk.usage]
    assert streamed[-1].prompt_tokens_details.cached_tokens == again.prompt_tokens_details.cached_tokens
    assert gateway.meter.log()[-1].usage.cache_read_tokens == again.prompt_tokens_details.cached_tokens
    gateway.reset()
    assert ask(LONG).usage.prompt_tokens_details.cached_tokens == 0, "a reset forgets it"


def test_a_client_that_leaves_leaves_the_engine(gateway):
    ask("Hi", max_tokens=1)
    scheduler = gateway.house._core.scheduler
    scheduler.most_running = 1
    schema = {"type": "array", "items": {"type": "string", "minLength": 60}, "minItems": 60, "maxItems": 60}
    format = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    streams = [ask("Go on.", stream=True, max_tokens=1500, response_format=format) for _ in range(2)]
    next(iter(streams[0]))
    for stream in streams:
        stream.close()
    deadline = time.monotonic() + 20
    while scheduler.is_busy and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not scheduler.running and not scheduler.waiting


def test_a_prompt_that_the_model_fails_on_is_answered_as_a_fault_of_ours_and_takes_no_other_with_it(gateway, monkeypatch, caplog):
    ask("Hi", max_tokens=1)
    monkeypatch.setitem(gateway.house._engine.tokenizer.special, "<|endoftext|>", 10**9)  # a token that the model has no row for
    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(ask, f"What is a token? {number}") for number in range(6)]
        bad = pool.submit(ask, "Say <|endoftext|>!")
        streamed = pool.submit(lambda: list(ask("Now say <|endoftext|>!", stream=True)))
    with pytest.raises(openai.InternalServerError):
        bad.result()
    with pytest.raises((openai.APIError, httpx.TransportError)):
        streamed.result()
    assert all(other.result().choices[0].message.content for other in others)
    assert [record.exc_info[0] for record in caplog.records] == [IndexError] * 2, "each is logged once"


def test_the_engine_goes_on_after_a_step_that_failed(gateway, monkeypatch):
    ask("Hi", max_tokens=1)
    scheduler = gateway.house._core.scheduler
    with monkeypatch.context() as broken:
        broken.setattr(scheduler, "pool", None)
        with pytest.raises(openai.InternalServerError):
            ask(LONG)
    assert not scheduler.is_busy
    assert ask(LONG).choices[0].message.content


def test_the_engines_thread_ends_with_the_gateway(gateway):
    ask("Hi", max_tokens=1)
    mine = [thread for thread in threading.enumerate() if thread.name == "house-model" and thread._target.__self__ is gateway.house._core]
    assert len(mine) == 1
    gateway.stop()
    mine[0].join(timeout=5)
    assert not mine[0].is_alive()


# ---- the scheduler -----------------------------------------------------------------------------------------
def test_one_joins_and_one_leaves_between_two_steps(engine):
    scheduler, stays, leaves, joins = Scheduler(engine.model), *(sequence(engine, f"What is a token? {number}") for number in range(3))
    scheduler.add([stays, leaves])
    for _ in range(3):
        scheduler.step()
    scheduler.remove([leaves])
    scheduler.add([joins])
    scheduler.step()
    assert scheduler.running == [stays, joins]
    run(scheduler)
    for one in (stays, joins):
        alone = [token.id for token in engine.generate(one.ids[: one.prompt_tokens], one.sampling)]
        assert one.ids[one.prompt_tokens :] == alone


def test_a_short_prompt_does_not_wait_for_long_ones(engine):
    scheduler, short = Scheduler(engine.model), sequence(engine, "Hi")
    scheduler.add([sequence(engine, f"{number} {LONG * 3}") for number in range(4)])
    scheduler.step()
    scheduler.add([short])
    assert short in dict(scheduler.step())


def test_those_who_begin_alike_read_the_beginning_once(engine):
    scheduler = Scheduler(engine.model)
    same = [sequence(engine, LONG, seed=seed) for seed in range(4)]
    scheduler.add(same)
    run(scheduler)
    whole = (same[0].prompt_tokens - 1) // BLOCK * BLOCK
    assert sorted(one.reused for one in same) == [0, whole, whole, whole]


def test_one_request_with_many_choices_does_not_take_all_places_for_ever(engine):
    scheduler = Scheduler(engine.model)
    scheduler.most_running = 2
    scheduler.add([sequence(engine, "Hi", max_tokens=3) for _ in range(20)])
    scheduler.step()
    other = sequence(engine, "Hello", max_tokens=3)
    scheduler.add([other])
    done = list(run(scheduler))
    assert done.index(other) < 6


def test_a_constraint_that_fails_ends_its_own_answer_alone(engine):
    class Broken:
        def allowed(self):
            raise ValueError("no")

        def copy(self):
            return self

    scheduler, good, bad = Scheduler(engine.model), sequence(engine, "Hi"), sequence(engine, "Hi", constraint=Broken())
    scheduler.add([good, bad])
    outcomes = [outcome for _ in range(3) for outcome in scheduler.step()]
    assert [str(what) for one, what in outcomes if one is bad] == ["no"] and good in scheduler.running


def test_an_error_in_the_forward_pass_ends_only_the_sequence_that_causes_it(engine):
    scheduler, good, bad = Scheduler(engine.model), sequence(engine, "Hi"), sequence(engine, "Hello")
    bad.ids[3] = 10**9
    scheduler.add([good])
    scheduler.add([bad])
    outcomes = scheduler.step()
    assert [type(what) for one, what in outcomes if one is bad] == [IndexError] and scheduler.running == [good]
    run(scheduler)
    assert good.ids[good.prompt_tokens :] == [token.id for token in engine.generate(good.ids[: good.prompt_tokens], good.sampling)]


# ---- the caches of those that write --------------------------------------------------------------------------
def test_sequences_that_outgrow_every_shelf_are_scored_as_alone(engine):
    """They grow from one size of cache to the next and at last stand alone, while others end before them and leave gaps."""
    scheduler = Scheduler(engine.model)
    asked = [sequence(engine, f"{number} Go on.", max_tokens=limit) for number, limit in enumerate((300, 40, 90, 300, 150, 20))]
    for one in asked:
        one._end = None  # it goes on up to its limit
    scheduler.add(asked)
    run(scheduler)
    assert [one.cache.used > ROOMS[-1] for one in asked] == [True, False, False, True, False, False]
    for one in asked:
        np.testing.assert_allclose(one.logits, engine.next_token(one.ids[:-1]), atol=2e-3)


def test_caches_keep_what_they_hold_when_they_change_places(engine):
    def cache(number, used):
        made = engine.model.cache()
        made.make_room(used)
        made._stored[:] = number
        made.used = used
        return made

    caches = [cache(number, used) for number, used in enumerate((10, ROOMS[0], 20, ROOMS[0] - 1, ROOMS[-1], 30), start=1)]
    shelves = engine.model.shelves(8)
    assert [shelf.room for shelf in shelves.arrange(caches)] == [ROOMS[0]], "one by itself needs no shelf"
    caches[3].used += 1
    assert [len(shelf.caches) for shelf in shelves.arrange(caches)] == [3, 2], "one outgrew the first"
    assert [len(shelf.caches) for shelf in shelves.arrange(caches[1:])] == [2, 2], "one has ended"
    for number, made in enumerate(caches, start=1):
        assert (made._stored[:, :, : ROOMS[0] - 1][:, :, : made.used] == number).all()
    assert shelves.arrange([]) == []


# ---- the prefix cache --------------------------------------------------------------------------------------
def test_the_prefix_cache_has_a_bound_and_the_least_used_goes_first(engine):
    size = BLOCK * engine.model.token_bytes
    scheduler = Scheduler(engine.model, prefix_bytes=10 * size)
    for number in range(3):
        scheduler.add([sequence(engine, f"{number} {LONG}", max_tokens=1)])
        run(scheduler)
        assert len(scheduler.pool) == 10 and scheduler.pool.held == 10 * size
    pool, block = BlockPool(2 * size), engine.model.cache().block(0)
    pool.put((0, (1,)), block)
    pool.put((0, (2,)), block)
    assert pool.get((0, (1,))) is block
    pool.put((0, (3,)), block)
    assert (0, (2,)) not in pool and (0, (1,)) in pool


def test_nothing_is_kept_where_the_cache_has_no_room(engine):
    scheduler = Scheduler(engine.model, prefix_bytes=0)
    scheduler.add([sequence(engine, LONG)])
    assert run(scheduler) and len(scheduler.pool) == 0


# ---- numpy's threads ---------------------------------------------------------------------------------------
def test_products_are_computed_by_one_thread_though_numpy_was_loaded_with_two_before():
    """With two, eight long prompts beside another busy program took half a minute and more, and looked as if they hung."""
    code = """if True:
        import ctypes, numpy
        library = ctypes.CDLL(numpy._core._multiarray_umath.__file__)
        threads = getattr(library, "scipy_openblas_get_num_threads64_", None)
        before = threads and threads()
        import helpers.house_model.engine
        helpers.house_model.engine.Engine()
        print(before, threads and threads())"""
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() in (["2", "1"], ["1", "1"], ["None", "None"])  # the last two: on one core, and where the library is another or not found


def test_eight_long_prompts_beside_busy_programs_come_back_on_two_threads():
    """Each product used to wait until both of its threads had a core at the same time."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    code = """if True:
        import numpy
        from helpers.house_model.engine import Engine
        from helpers.house_model.sampling import Sampling
        from helpers.house_model.scheduler import Scheduler
        engine = Engine()
        scheduler, long = Scheduler(engine.model), "What is a token and what does it cost? " * 150
        scheduler.add([engine.sequence(engine.chat([("user", f"{n} {long}")]), Sampling(max_tokens=2)) for n in range(8)])
        while scheduler.is_busy:
            scheduler.step()"""
    try:
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "OPENBLAS_NUM_THREADS": "2"}, timeout=60, check=True)
    finally:
        for program in busy:
            program.kill()
            program.wait()
