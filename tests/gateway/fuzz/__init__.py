"""A fuzzer for the gateway: seeded requests to every mount, valid ones and what becomes of them, over real connections.

`python -m tests.gateway.fuzz --requests 100000 --seed 1` runs it by hand. Each number is a scene of one or a few requests that
depends on the seed, the number and its own answers alone; `--only NUMBER` plays one of them again and prints it.
"""
