"""A verb in a process of its own, struck at the n-th thing that it does to the disk: killed, stopped, or refused.

What is counted is what Python tells of (``sys.addaudithook``) below one folder: files opened to be written, folders
made, renamed or removed, files copied, linked or removed; and ``os.fsync``, at which a file is written but not yet
in its place.
"""

import contextlib
import errno
import os
import select
import signal
import sys
import time
import traceback

COUNTED = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "shutil.copyfile", "fsync"}
SECONDS = 120
"""Longest time of a verb."""


def strike(arguments, below, said, at=0, how="nothing"):
    """Run ``masu`` in a forked process.

    Args:
        arguments: of the command line.
        below: the folder in which events count.
        said: file for what it prints.
        at: the event to strike at, from 1.
        how: ``"full"`` (no space left from then on), or the name of a signal.

    Returns:
        Exit code, negative for a signal; and the number of events.
    """
    return _forked(lambda pipe: _run(arguments, below, said, at, how, pipe), arguments)


def kill_within(work, arguments, below, at=0):
    """``work(*arguments)`` in a forked process, killed at an event, from 1; 0: not at all. Returns as above."""

    def run(pipe):
        _listen(below, at, "SIGKILL", pipe)
        work(*arguments)
        os._exit(0)

    return _forked(run, work)


def _forked(run, what):
    here, there = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os.close(here)
            run(there)
        os._exit(99)
    os.close(there)
    end, events = time.monotonic() + SECONDS, 0
    while select.select([here], [], [], max(end - time.monotonic(), 0))[0] and (dots := os.read(here, 4096)):
        events += len(dots)
    os.close(here)
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), events
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"{what}: no end after {SECONDS} s")


def _small_demo():
    from masu.verbs.demo import demo

    demo.__kwdefaults__.update(epochs=1, scenes=(4, 2, 2))


def _listen(below, at, how, pipe):
    """From now on a dot goes to the pipe at each event below a folder; strike at the one that is meant."""
    below, count = os.path.realpath(below), 0

    def counted(event, path):
        nonlocal count
        where = os.path.realpath(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else ""
        if not where.startswith(below + os.sep):
            return
        count += 1
        os.write(pipe, b".")
        if how == "full":
            if at <= count and event not in ("os.remove", "os.rmdir"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif count == at:
            os.kill(os.getpid(), getattr(signal, how))

    def hook(event, values):
        if event == "open":
            if isinstance(values[2], int) and values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                counted(event, values[0])
        elif event in COUNTED:
            counted(
                event, values[1] if event in ("os.rename", "os.symlink", "shutil.copyfile") else values[0]
            )

    honest = os.fsync

    def fsync(file):
        counted("fsync", os.readlink(f"/proc/self/fd/{file}"))
        honest(file)

    os.fsync = fsync
    sys.addaudithook(hook)


def _run(arguments, below, said, at, how, pipe):
    from masu.cli import main

    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
    if arguments[0] == "demo":
        _small_demo()
    _listen(below, at, how, pipe)
    sys.argv = ["masu", *map(str, arguments)]
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 it must not leave a forked process
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
