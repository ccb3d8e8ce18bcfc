"""Flags that were not typed: from the environment (``TL_<FLAG>``), else from ``config.toml``.

In the file a flag is a key without its dashes. What stands at the top holds for every command that has the flag, what
stands in ``[fetch]`` for ``tl fetch`` only. A switch is true or false, a repeatable flag a list.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .exits import UsageError, closest

_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")
_LARGEST: Final = 1 << 20
"""Bytes of a config file."""

Names = Mapping[str, list[str]]
"""The flags of each command, without dashes."""


def fill(
    args: argparse.Namespace,
    command: str,
    flags: Iterable[argparse.Action],
    environ: Mapping[str, str],
    names: Callable[[], Names],
) -> None:
    """Set those of these flags that the environment or the file names.

    Raises:
        UsageError: one of them makes no sense; it says which, and where.
    """
    file = _File.read(command, names)
    for flag in flags:
        name = name_of(flag)
        variable = variable_of(name)
        if text := environ.get(variable):
            setattr(args, flag.dest, _from_text(flag, text, variable))
        elif name in file.values:
            setattr(args, flag.dest, _from_toml(flag, file.values[name], file.where(name)))


def name_of(flag: argparse.Action) -> str:
    """``web-seed`` for ``-w, --web-seed``."""
    return next(option for option in flag.option_strings if option.startswith("--"))[2:]


def variable_of(name: str) -> str:
    """``TL_WEB_SEED`` for ``web-seed``."""
    return f"TL_{name.replace('-', '_').upper()}"


def strangers(environ: Mapping[str, str], names: Callable[[], Names]) -> dict[str, str]:
    """Variables that look like ours and are of no flag of any command, with the one that was probably meant, or ""."""
    ours = sorted(name for name, text in environ.items() if name.startswith("TL_") and text)
    if not ours:
        return {}
    # Compared without the TL_, which is no likeness.
    known = {variable_of(name)[3:] for each in names().values() for name in each}
    meant = {name: closest(name[3:], known) for name in ours if name[3:] not in known}
    return {name: f"TL_{flag}" if flag else "" for name, flag in meant.items()}


def config_file() -> pathlib.Path | None:
    """Where the file is, if there is one; None where no home folder is known, as for a bare number as user."""
    import platformdirs  # not before a command is really run

    try:
        return platformdirs.user_config_path("torrentlite", appauthor=False) / "config.toml"
    except RuntimeError:
        return None


def _is_switch(flag: argparse.Action) -> bool:
    return flag.nargs == 0 and flag.const is not None


def _is_count(flag: argparse.Action) -> bool:
    return flag.nargs == 0 and flag.const is None


def is_repeatable(flag: argparse.Action) -> bool:
    """Whether it may be given more than once."""
    return isinstance(flag, argparse._AppendAction)


def _from_text(flag: argparse.Action, text: str, where: str) -> Any:
    """The value of an environment variable."""
    if _is_switch(flag):
        if text.lower() not in _TRUE + _FALSE:
            raise UsageError(f"{where}: {text!r} is neither {_TRUE[0]} nor {_FALSE[0]}")
        return text.lower() in _TRUE
    if _is_count(flag):
        if not re.fullmatch("[0-9]", text):
            raise UsageError(f"{where}: {text!r} is not a number from 0 to 9")
        return int(text)
    if is_repeatable(flag):
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise UsageError(
                f"{where}: {str(error).lower()}", hint="several are separated by blanks, quoted as in a shell"
            ) from None
        return [_checked(flag, word, where) for word in words]
    return _checked(flag, text, where)


def _from_toml(flag: argparse.Action, value: Any, where: str) -> Any:
    """The value of a key."""
    if _is_switch(flag):
        if not isinstance(value, bool):
            raise UsageError(f"{where}: it is true or false")
        return value
    if _is_count(flag):
        if not isinstance(value, int) or not 0 <= value <= 9:
            raise UsageError(f"{where}: it is a number from 0 to 9")
        return int(value)
    if is_repeatable(flag):
        values = value if isinstance(value, list) else [value]
        return [_checked(flag, _typed(flag, each, where), where) for each in values]
    return _checked(flag, _typed(flag, value, where), where)


def _typed(flag: argparse.Action, value: Any, where: str) -> str:
    """The word that it stands for."""
    text = _text(value, where)
    if flag.metavar in ("DIR", "FILE", "OTHER"):
        text = os.path.expanduser(text)  # in the environment the shell has done that
    return text


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{where}: it is a text or a number")
    try:
        text = str(value)
    except ValueError:  # of thousands of digits, which only a number in hex can have
        raise UsageError(f"{where}: it is too large") from None
    if "\0" in text:  # no shell lets one through, and no path or program has one
        raise UsageError(f"{where}: it has a NUL character")
    return text


def _checked(flag: argparse.Action, text: str, where: str) -> Any:
    read = flag.type
    if flag.choices is not None and text not in flag.choices:
        raise UsageError(f"{where}: {text!r} is not one of {', '.join(map(str, flag.choices))}")
    if not callable(read):
        return text
    try:
        return read(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{where}: {error}") from None


class _File:
    """What the file says to one command.

    Attributes:
        values: by the name of the flag, without dashes.
    """

    def __init__(self, path: pathlib.Path, text: str) -> None:
        self.values: dict[str, Any] = {}
        self._tables: dict[str, str] = {}
        self._path = path
        self._text = text

    @classmethod
    def read(cls, command: str, names: Callable[[], Names]) -> _File:
        """Read and check it; an empty one if there is none."""
        path = config_file()
        if path is None:
            return cls(pathlib.Path(), "")
        try:
            with open(path, "rb") as opened:
                data = opened.read(_LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            return cls(path, "")
        except OSError as error:
            raise UsageError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from None
        if len(data) > _LARGEST:
            raise UsageError(f"'{path}' is too large for a config file")
        try:
            file = cls(path, data.decode("utf-8"))
        except UnicodeDecodeError:
            raise UsageError(f"'{path}' is not UTF-8") from None
        file._take(command, names())
        return file

    def where(self, name: str) -> str:
        """``PATH:LINE: NAME``, as editors and people understand it."""
        return self._place(self._tables[name], name)

    def _take(self, command: str, names: Names) -> None:
        import tomllib

        try:
            document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            what = re.sub(r" \(at (?:line \d+, column \d+|end of document)\)", "", str(error))
            line = re.search(r"at line (\d+)", str(error))
            number = line[1] if line else len(self._text.splitlines())
            raise UsageError(f"{self._path}:{number}: {what[0].lower()}{what[1:]}") from None
        except ValueError:
            raise UsageError(f"'{self._path}' has a number of thousands of digits") from None
        except RecursionError:
            raise UsageError(f"'{self._path}' is nested too deeply") from None
        everywhere = sorted({name for each in names.values() for name in each})
        own: dict[str, Any] = {}
        for key, value in document.items():
            if isinstance(value, dict):
                self._check_table(key, value, names)
                own = value if key == command else own
            elif _name(key) not in everywhere:
                raise self._unknown("", key, everywhere, "there is no flag of that name")
            else:
                self._set("", key, value)
        for key, value in own.items():
            self._set(command, key, value)

    def _set(self, table: str, key: str, value: Any) -> None:
        self.values[_name(key)] = value
        self._tables[_name(key)] = table

    def _check_table(self, table: str, values: dict[str, Any], names: Names) -> None:
        if table not in names:
            raise self._unknown("", table, list(names), "there is no command of that name")
        for key in values:
            if _name(key) not in names[table]:
                raise self._unknown(table, key, names[table], f"tl {table} has no flag of that name")

    def _unknown(self, table: str, key: str, known: list[str], why: str) -> UsageError:
        meant = closest(_name(key), known)
        return UsageError(f"{self._place(table, key)}: {why}", hint=f"did you mean {meant}?" if meant else "")

    def _place(self, table: str, key: str) -> str:
        """tomllib does not say where a key stands, so it is looked for: in its table, or with that before it."""

        def same(name: str) -> str:
            return f"[\"']?{'[-_]'.join(map(re.escape, re.split('[-_]', name)))}[\"']?"

        below = rf"\s*{same(key)}\s*[=.]"
        whole = rf"\s*{same(table)}\s*(?:\.{below}|=\s*{{)|\s*\[+\s*{same(table)}\s*\.\s*{same(key)}\s*[].]"
        if not table:
            whole = rf"\s*\[+\s*{same(key)}\s*[].]"
        header = re.compile(r"""\s*\[+\s*["']?([^]"']*?)["']?\s*\]""")
        now = ""
        for number, line in enumerate(self._text.splitlines(), 1):
            if (now == table and re.match(below, line)) or (re.match(whole, line) and (not now or header.match(line))):
                return f"{self._path}:{number}: {key}"
            if found := header.match(line):
                now = found[1]
        return f"{self._path}: {f'{table}.' if table else ''}{key}"


def _name(key: str) -> str:
    return key.replace("_", "-")
