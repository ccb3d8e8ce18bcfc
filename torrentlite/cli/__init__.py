"""The command ``tl``: one small file a command, each ``async def run(args, output, interrupt) -> exit code``.

``main`` parses the arguments with nothing heavy imported, then imports the command asked for. Commands use the public
API of ``torrentlite``, and of what is below it only pure helpers (``display``, scopes of addresses); they speak through
``Output`` alone, and raise: ``main`` turns an error into its three lines and its exit code.
"""
