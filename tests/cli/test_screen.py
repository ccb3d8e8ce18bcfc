from __future__ import annotations

import os
import threading

import trio
import trio.testing

from torrentlite.cli.screen import Frame, FullFrame, Screen, to_program, to_terminal, write_all
from torrentlite.cli.terminal import STDERR, STDOUT

from .terminal import Terminal


class Streams:
    """What was written, in order, and a terminal that shows both streams."""

    def __init__(self, width: int = 40) -> None:
        self.terminal = Terminal(width)
        self.writes: list[tuple[int, bytes]] = []

    def __call__(self, stream: int, data: bytes) -> None:
        self.writes.append((stream, data))
        self.terminal.feed(data)


def frame(*lines: str) -> Frame:
    return Frame(tuple(each.encode() for each in lines), tuple(map(len, lines)))


async def test_results_and_words_in_the_order_they_were_said() -> None:
    streams = Streams()
    screen = Screen(write=streams)
    for number in range(3):
        screen.write(STDERR, f"word {number}")
    screen.write(STDOUT, "result")
    screen.write(STDERR, "last")
    screen.finish()
    # What goes the same way goes in one write.
    assert streams.writes == [(STDERR, b"word 0\nword 1\nword 2\n"), (STDOUT, b"result\n"), (STDERR, b"last\n")]


async def test_lines_scroll_past_above_the_live_ones(nursery: trio.Nursery) -> None:
    streams = Streams()
    screen = Screen(lambda: 40, write=streams)
    nursery.start_soon(lambda: screen.run(stdout_failed=lambda: None))
    for number in range(3):
        screen.write(STDERR, f"word {number}")
        screen.draw(lambda number=number: frame(f"progress {number}", "more"))
        await until(lambda number=number: streams.terminal.lines[-2:] == [f"progress {number}", "more"])
    screen.write(STDOUT, "result")
    await until(lambda: "result" in streams.terminal.lines)
    assert streams.terminal.lines == ["word 0", "word 1", "word 2", "result", "progress 2", "more"]
    screen.finish()
    assert streams.terminal.lines == ["word 0", "word 1", "word 2", "result"]
    assert not streams.terminal.unknown


async def test_nothing_is_written_for_a_frame_that_is_there_already(nursery: trio.Nursery) -> None:
    streams = Streams()
    screen = Screen(write=streams)
    nursery.start_soon(lambda: screen.run(stdout_failed=lambda: None))
    for _ in range(5):
        screen.draw(lambda: frame("same"))
        await trio.testing.wait_all_tasks_blocked()
    await until(lambda: bool(streams.writes))
    screen.write(STDERR, "end")
    await until(lambda: "end" in streams.terminal.lines)
    assert len(streams.writes) == 2


async def test_after_a_resize_the_old_lines_are_found_although_they_wrap() -> None:
    width = 40
    streams = Streams(width)
    screen = Screen(lambda: width, write=streams)
    screen.draw(lambda: frame("x" * 39, "y" * 39))
    screen._flush()
    width = 20
    # As a terminal that reflows shows it now:
    streams.terminal = Terminal(20)
    streams.terminal.feed(b"x" * 39 + b"\n" + b"y" * 39 + b"\n")
    screen.draw(lambda: frame("new"))
    screen._flush()
    assert streams.terminal.lines == ["new"]


async def test_a_stuck_reader_stops_nothing_but_what_can_be_missed(nursery: trio.Nursery) -> None:
    stuck, go_on = threading.Event(), threading.Event()
    written: list[bytes] = []

    def write(_stream: int, data: bytes) -> None:
        stuck.set()
        go_on.wait()
        written.append(data)

    screen = Screen(write=write)
    nursery.start_soon(lambda: screen.run(stdout_failed=lambda: None))
    screen.write(STDOUT, "first")
    await trio.to_thread.run_sync(stuck.wait)
    for _ in range(30_000):
        screen.write(STDOUT, "progress", droppable=True)
    for number in range(10):
        screen.write(STDOUT, f"kept {number}")
    go_on.set()
    await until(lambda: b"kept 9\n" in b"".join(written))
    lines = b"".join(written).splitlines()
    assert len(lines) < 15_000
    assert lines[-10:] == [b"kept %d" % number for number in range(10)]


async def test_a_stuck_reader_does_not_hold_up_leaving() -> None:
    go_on = threading.Event()
    screen = Screen(write=lambda _stream, _data: go_on.wait() and None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: screen.run(stdout_failed=lambda: None))
        screen.write(STDERR, "x")
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    screen.write(STDERR, "y")
    screen.finish(patience=0.01)
    go_on.set()


async def test_a_closed_pipe_is_told_once_it_is_written_to(nursery: trio.Nursery) -> None:
    failed = trio.Event()
    streams = Streams()

    def write(stream: int, data: bytes) -> None:
        if stream == STDOUT:
            raise BrokenPipeError
        streams(stream, data)

    screen = Screen(write=write)
    nursery.start_soon(lambda: screen.run(stdout_failed=failed.set))
    screen.write(STDERR, "before")
    screen.write(STDOUT, "result")
    await failed.wait()
    assert isinstance(screen.stdout_error, BrokenPipeError)
    screen.write(STDERR, "after")
    screen.finish()
    assert streams.terminal.lines == ["before", "after"]


async def test_a_terminal_that_hung_up_is_no_failure() -> None:
    def write(_stream: int, _data: bytes) -> None:
        raise OSError(5, "Input/output error")

    screen = Screen(write=write)
    screen.write(STDERR, "x")
    screen.finish()
    assert screen.stdout_error is None


def test_a_path_leaves_as_the_file_system_has_it() -> None:
    assert to_program(os.fsdecode(b"caf\xe9")) == b"caf\xe9"
    assert to_program("日本") == "日本".encode()
    assert to_program("\ud8ff") == b"\\ud8ff"


def test_text_for_a_terminal_keeps_its_width() -> None:
    assert to_terminal("━╸─ ↓↑… é", "utf-8") == "━╸─ ↓↑… é".encode()
    assert to_terminal("━╸─ ↓↑… é", "ascii") == b"##- v^~ ?"
    assert to_terminal("\udcff", "utf-8") == b"?"


def test_a_pipe_that_somebody_made_non_blocking() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(1 << 20)
    received = bytearray()

    def read() -> None:
        while len(received) < len(data):
            received.extend(os.read(reader, 1 << 16))

    thread = threading.Thread(target=read)
    thread.start()
    write_all(writer, data)
    thread.join()
    os.close(reader)
    os.close(writer)
    assert received == data


async def until(condition: object) -> None:
    """Wait for what other threads do."""
    with trio.fail_after(5):
        while not condition():  # type: ignore[operator]
            await trio.sleep(0.001)


ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l\x1b[?7l", b"\x1b[H\x1b[2J\x1b[?7h\x1b[?25h\x1b[?1049l"


class Bytes:
    """What was written, by stream."""

    def __init__(self) -> None:
        self.writes: list[tuple[int, bytes]] = []

    def __call__(self, stream: int, data: bytes) -> None:
        self.writes.append((stream, data))

    def take(self) -> list[tuple[int, bytes]]:
        taken, self.writes = self.writes, []
        return taken


def show(screen: Screen, *rows: bytes, width: int = 10) -> None:
    screen.draw(lambda: FullFrame(rows, width))
    screen._flush()


async def test_only_the_rows_that_changed_are_written() -> None:
    out = Bytes()
    screen = Screen(write=out)
    show(screen, b"one", b"two", b"three")
    assert out.take() == [(STDERR, ENTER + b"\x1b[2J\x1b[1;1Hone\x1b[2;1Htwo\x1b[3;1Hthree")]
    show(screen, b"one", b"zwei", b"three")
    assert out.take() == [(STDERR, b"\x1b[2;1Hzwei")]
    show(screen, b"one", b"zwei", b"three")
    assert out.take() == []
    # Another size: all of it anew.
    show(screen, b"one", b"zwei", width=20)
    assert out.take() == [(STDERR, b"\x1b[2J\x1b[1;1Hone\x1b[2;1Hzwei")]


async def test_what_is_said_before_a_full_screen_is_left_comes_after_it() -> None:
    out = Bytes()
    screen = Screen(write=out)
    screen.draw(lambda: frame("live"))
    screen._flush()
    out.take()
    screen.write(STDERR, "a note")
    screen.write(STDOUT, "a result")
    show(screen, b"row")
    # The live line is gone from the first screen.
    assert out.take() == [(STDERR, b"\r\x1b[1A\x1b[J" + ENTER + b"\x1b[2J\x1b[1;1Hrow")]
    screen.write(STDERR, "an error")
    screen.finish()
    assert out.take() == [(STDERR, LEAVE + b"a note\n"), (STDOUT, b"a result\n"), (STDERR, b"an error\n")]


async def test_a_result_for_somebody_else_is_not_held_back() -> None:
    out = Bytes()
    screen = Screen(write=out, same=False)
    screen.write(STDOUT, "a result")
    screen.write(STDERR, "a note")
    show(screen, b"row")
    assert out.take() == [(STDOUT, b"a result\n"), (STDERR, ENTER + b"\x1b[2J\x1b[1;1Hrow")]
    screen.draw(None)
    screen._flush()
    assert out.take() == [(STDERR, LEAVE + b"a note\n")]


async def test_results_outlive_a_flood_of_log_lines() -> None:
    out = Bytes()
    screen = Screen(write=out)
    show(screen, b"row")
    screen.write(STDOUT, "a result")
    for number in range(25_000):
        screen.write(STDERR, f"line {number}", droppable=True)
        if number % 1000 == 0:
            screen._flush()
    out.take()
    screen.finish()
    said = b"".join(data for _, data in out.take())
    assert b"a result\n" in said and b"line 24999\n" in said and b"line 0\n" not in said


async def test_left_at_once_in_the_middle_of_a_frame() -> None:
    out = Bytes()
    screen = Screen(write=out)
    show(screen, b"row")
    out.take()
    screen.restore_now()
    screen.restore_now()
    assert out.take() == [(STDERR, LEAVE)]
    # As after Ctrl-Z and fg: all of it again.
    show(screen, b"row")
    assert out.take() == [(STDERR, ENTER + b"\x1b[2J\x1b[1;1Hrow")]
