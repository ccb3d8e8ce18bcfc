import contextlib
import os
import random
import subprocess
import sys
import textwrap

import pytest
import trio

from torrentlite.errors import NetworkError
from torrentlite.testing import Trace, open_world, run_simulation, simulated
from torrentlite.wire.address import Address


async def chatter(world):
    """Hosts that talk to each other with losses, in many tasks, and go on by chance."""
    hosts = [world.host(up=50_000 + 1000 * n, down=80_000, latency=0.01 * n, loss=0.02) for n in range(1, 6)]

    async def serve(host):
        (listener,) = await host.network.listen("", 6881, fallback=False)
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(echo, await listener.accept())

    async def echo(stream):
        buffer = memoryview(bytearray(4096))
        with contextlib.suppress(NetworkError), contextlib.closing(stream):
            while size := await stream.receive_into(buffer):
                await stream.send_vectored([buffer[:size]])

    async def talk(host, other):
        stream = await host.network.connect(Address(other.network.ip, 6881))
        buffer = memoryview(bytearray(4096))
        for _ in range(5):
            await stream.send_vectored([host.secret(host.rng.randrange(1, 20_000))])
            await stream.receive_into(buffer)
            world.trace.record("heard", host.network.ip, bytes(buffer[:4]))
        stream.reset()

    async with trio.open_nursery() as servers:
        for host in hosts:
            servers.start_soon(serve, host)
        async with trio.open_nursery() as talkers:
            for host in hosts:
                for other in hosts:
                    talkers.start_soon(talk, host, other)
        servers.cancel_scope.cancel()


def digest(seed):
    trace = Trace()
    run_simulation(chatter, seed=seed, trace=trace)
    assert trace.counts["connected"] == 25
    assert trace.counts["lost"]
    return trace.digest()


def test_the_same_seed_gives_the_same_run():
    assert digest(1) == digest(1)


def test_another_seed_gives_another_run():
    assert digest(1) != digest(2)


def test_the_same_run_in_every_process():
    code = textwrap.dedent(f"""
        import importlib.util
        spec = importlib.util.spec_from_file_location("this", {__file__!r})
        this = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(this)
        print(this.digest(1))
    """)
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert digests == {digest(1) + "\n"}


def test_it_returns_what_the_program_returns_and_passes_arguments():
    async def add(world, a, b):
        return a + b

    assert run_simulation(add, 1, 2) == 3


def test_hours_pass_at_once():
    async def main(world):
        await trio.sleep(100 * 3600)
        return trio.current_time()

    assert run_simulation(main) == pytest.approx(360_000)


def test_a_program_that_waits_for_ever_is_told_so():
    async def main(world):
        await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError):
        run_simulation(main)


def test_the_time_limit_is_virtual():
    async def main(world):
        await trio.sleep(11)

    with pytest.raises(trio.TooSlowError):
        run_simulation(main, time_limit=10)


def test_an_exception_of_the_program_leaves_it_unchanged():
    error = ValueError("mine")

    async def main(world):
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        run_simulation(main)
    assert caught.value is error
    assert error.__notes__ == ["in a simulation with seed 0"]


def test_what_breaks_in_the_world_ends_the_program():
    async def main(world):
        world.timeline.call_after(1, lambda: 1 / 0)
        await trio.sleep(10)

    with pytest.raises(ZeroDivisionError):
        run_simulation(main)


async def test_a_cancelled_world_is_left_quietly(autojump_clock):
    with trio.move_on_after(5) as scope:
        async with open_world() as world:
            world.timeline.call_after(100, print)
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() == 5


async def test_tasks_of_the_world_end_with_it(autojump_clock):
    before = trio.lowlevel.current_statistics().tasks_living
    async with open_world() as world:
        world.tracker()
        await trio.sleep(1)
    assert trio.lowlevel.current_statistics().tasks_living == before


def test_randoms_own_generator_is_seeded_and_put_back():
    async def main(world):
        return random.random()

    before = random.getstate()
    assert run_simulation(main, seed=1) == run_simulation(main, seed=1) != run_simulation(main, seed=2)
    assert random.getstate() == before


@simulated(seed=7)
async def test_a_decorated_test_gets_a_world_and_fixtures(world, tmp_path, request):
    assert world.dice.seed == 7
    assert tmp_path.exists()
    assert request.function.__name__ == "test_a_decorated_test_gets_a_world_and_fixtures"


@pytest.mark.parametrize("number", [1, 2])
@simulated()
async def test_a_decorated_test_may_be_parametrized(world, number):
    assert number in (1, 2)


def test_a_decorated_test_fails_as_it_should():
    @simulated()
    async def test(world):
        raise AssertionError("as it should")

    with pytest.raises(AssertionError, match="as it should"):
        test()
