"""The long runs behind docs/reliability.md: ``python -m tests.reliability bombs``, ``... faults --help`` and so on."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys

import trio

from tests.reliability import bombs, faults, hostile, kill, mounts, network, soak, sockets, steps, strace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("bombs", help="small things that want to become large")
    command.add_argument("names", nargs="*")
    command = commands.add_parser("faults", help="each call to the system fails once")
    command.add_argument("--rounds", type=int, default=4000)
    command = commands.add_parser("kill", help="SIGKILL at any moment")
    command.add_argument("--count", type=int, default=1000)
    command.add_argument("--seed", type=int, default=0)
    command = commands.add_parser("power", help="the power is cut at any moment (root)")
    command.add_argument("--count", type=int, default=300)
    command.add_argument("--seed", type=int, default=0)
    command = commands.add_parser("strace", help="calls of a real process are answered with errors")
    command.add_argument("--rounds", type=int, default=300)
    command.add_argument("--first", type=int, default=1, help="the first call of each kind to fail")
    command = commands.add_parser("steps", help="each step of a peer, tracker or DHT task raises once")
    command.add_argument("--rounds", type=int, default=8000)
    command.add_argument("--step", type=int, default=1, help="only every so-many-th")
    command.add_argument("--offset", type=int, default=0, help="steps to leave out before that")
    command.add_argument("--seed", type=int, default=0)
    command = commands.add_parser("hostile", help="one honest seed and twenty hostile peers")
    command.add_argument("--runs", type=int, default=1000)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--real", action="store_true", help="on real sockets instead of in a simulation")
    command = commands.add_parser("soak", help="hours of peers and torrents that come and go")
    command.add_argument("--minutes", type=float, default=120)
    command.add_argument("--rounds", type=int, default=0, help="instead of minutes")
    command.add_argument("--pace", type=float, default=15, help="seconds of a round at least")
    command.add_argument("--speed", type=int, default=500_000, help="bytes per second of a peer")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--settle", type=float, default=20, help="seconds until everything is back at the end")
    command.add_argument(
        "--leak", choices=soak.LEAKS, action="append", default=[], help="lose one a round, as a control"
    )
    command = commands.add_parser(
        "network", help="losses, resets, a narrow line, a seed that falls silent (needs root)"
    )
    command.add_argument("--runs", type=int, default=20)
    command.add_argument("--kind", nargs="+", choices=network.KINDS, default=list(network.KINDS))
    command.add_argument("--at-once", type=int, default=4)
    command.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.getLogger("torrentlite").setLevel(logging.CRITICAL)
    match options.command:
        case "bombs":
            for line in bombs.table(options.names):
                print(line, flush=True)
        case "faults":
            faults.run(options.rounds, lambda line: print(line, flush=True))
        case "steps":
            say = lambda line: print(line, flush=True)  # noqa: E731
            return bool(steps.run(options.rounds, say, step=options.step, seed=options.seed, offset=options.offset))
        case "hostile":
            of = sockets if options.real else hostile
            slow = of.run(options.runs, options.seed, lambda line: print(line, flush=True))
            print(f"most memory of this process: {bombs.status('VmHWM'):.0f} MiB")
            return bool(slow)
        case "soak":
            given = {key: value for key, value in vars(options).items() if key not in ("command", "leak")}
            return bool(
                trio.run(lambda: soak.run(**given, leaks=options.leak, say=lambda line: print(line, flush=True)))
            )
        case "network":
            say = lambda line: print(line, flush=True)  # noqa: E731
            return bool(network.run(options.runs, options.kind, options.at_once, options.seed, say))
        case "power":
            return subprocess.run(
                mounts.command("power", str(options.count), str(options.seed)), check=False
            ).returncode
        case "strace":
            return bool(strace.run(options.rounds, lambda line: print(line, flush=True), options.first))
        case "kill":
            return bool(kill.run(options.count, options.seed, lambda line: print(line, flush=True)).bad())
    return 0


if __name__ == "__main__":
    sys.exit(main())
