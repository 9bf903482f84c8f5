"""Run ffmpeg and ffprobe at low priority with a timeout; no process remains, and no secret is logged."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cache

from nvr.errors import NvrError

MAX_OUTPUT_BYTES = 4 * 1024 * 1024  # ffprobe's JSON
MAX_STDERR_BYTES = 4 * 1024
READ_BYTES = 65536  # the capacity of a pipe
MAX_ERROR_LINES = 5
OUT_OF_SPACE = re.compile(rb"No space left on device|Disk quota exceeded")
NICENESS = "10"
# Up to the last @ of a word: a password may itself contain @ or /.
LOGIN_IN_URL = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s'\"]*@", re.IGNORECASE)
SECRET_PARAMETER = re.compile(r"((?:pass(?:word|wd)?|pwd|token|secret|api_?key|signature)=)[^&\s'\"]+", re.IGNORECASE)


class FfmpegFailed(NvrError):
    """ffmpeg failed; `detail` ends with the last lines of its output, credentials masked."""

    status = 422
    title = "The video could not be read"


class FfmpegTimedOut(FfmpegFailed):
    status = 503
    title = "Reading the video took too long"


class FfmpegKilled(FfmpegFailed):
    """Killed by the system, usually because memory ran out: not the video's fault."""

    status = 503
    title = "Reading the video was cut short by the system"


class FfmpegOutOfSpace(FfmpegFailed):
    """The output disk is full."""

    status = 507
    title = "The disk is full"


class FfmpegMissing(FfmpegFailed):
    status = 503
    title = "ffmpeg is not installed: install it (apt install ffmpeg) and try again"


def run(arguments: Sequence[str], *, timeout: timedelta, pass_fds: Iterable[int] = ()) -> bytes:
    """Run the program and return the last 4 MiB of its stdout.

    `arguments[0]` is searched in PATH. Raises `FfmpegMissing`, `FfmpegTimedOut` after killing the process and
    all its children, `FfmpegOutOfSpace`, and `FfmpegFailed` for any exit status but 0.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    process = start_process(arguments, pass_fds)
    try:
        output, stderr = read_output(process, deadline)
        status = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise timeout_error(timeout) from error
    finally:
        kill_group(process)
    raise_for_status(status, stderr)
    return output


def timeout_error(timeout: timedelta) -> FfmpegTimedOut:
    return FfmpegTimedOut(f"Reading the video took longer than {timeout.total_seconds():g} s.")


def raise_for_status(status: int, stderr: bytes | bytearray) -> None:
    """Raises `FfmpegOutOfSpace`, and `FfmpegKilled` or `FfmpegFailed` for any exit status but 0."""
    if status == -signal.SIGKILL:
        raise FfmpegKilled
    # Whatever the status: ffmpeg exits with 0 if only the end of the file could not be written.
    if OUT_OF_SPACE.search(stderr):
        raise FfmpegOutOfSpace(f"The disk is full: {error_summary(bytes(stderr))}")
    if status != 0:
        raise FfmpegFailed(f"The video could not be read: {error_summary(bytes(stderr)) or f'exit status {status}'}")


def stream_output(
    arguments: Sequence[str], *, block_bytes: int, timeout: timedelta, pass_fds: Iterable[int] = ()
) -> Generator[bytes, None, None]:
    """Yield the program's stdout in blocks of exactly `block_bytes`; an incomplete last block is dropped.

    The program waits while the caller processes a block: only one is in memory. `timeout` includes the caller's work.
    Raises as `run` does, possibly after some blocks. Closing the generator early kills the program.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    process = start_process(arguments, pass_fds)
    stderr = bytearray()
    try:
        yield from read_blocks(process, block_bytes, stderr, deadline)
        status = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise timeout_error(timeout) from error
    finally:
        kill_group(process)
    raise_for_status(status, stderr)


def read_blocks(process: subprocess.Popen[bytes], size: int, stderr: bytearray, deadline: float) -> Iterator[bytes]:
    """Yield blocks of stdout and append the end of stderr to `stderr`. Raises `TimeoutExpired`."""
    block = bytearray()

    def room() -> int:
        return size - len(block)

    for is_output, data in read_pipes(process, deadline, room):
        if not is_output:
            stderr += data
            del stderr[:-MAX_STDERR_BYTES]
            continue
        block += data
        if len(block) == size:
            yield bytes(block)
            block.clear()


def start_process(arguments: Sequence[str], pass_fds: Iterable[int]) -> subprocess.Popen[bytes]:
    program = shutil.which(arguments[0])
    if program is None:
        raise FfmpegMissing
    return subprocess.Popen(  # noqa: S603  (a list, no shell; the program is ffmpeg or ffprobe)
        [*command_prefix(), program, *arguments[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
        bufsize=0,
    )


@cache
def command_prefix() -> tuple[str, ...]:
    """Return the prefix that lowers the priority, and kills the program when the thread that waits for it ends."""
    setpriv, nice = shutil.which("setpriv"), shutil.which("nice")
    prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    return (*prefix, *([nice, "-n", NICENESS] if nice else []))


def read_output(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """Read stdout and stderr in parallel until both are closed; return their ends. Raises `TimeoutExpired`."""
    output, stderr = bytearray(), bytearray()
    for is_output, data in read_pipes(process, deadline, lambda: READ_BYTES):
        buffer, limit = (output, MAX_OUTPUT_BYTES) if is_output else (stderr, MAX_STDERR_BYTES)
        buffer += data
        del buffer[:-limit]
    return bytes(output), bytes(stderr)


def read_pipes(
    process: subprocess.Popen[bytes], deadline: float, room: Callable[[], int]
) -> Iterator[tuple[bool, bytes]]:
    """Yield (is from stdout, data) until both pipes are closed; reads at most `room()` bytes of stdout at a time.

    Raises `TimeoutExpired`.
    """
    with selectors.DefaultSelector() as selector:
        for pipe, is_output in ((process.stdout, True), (process.stderr, False)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, is_output)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(process.args, 0)
            for key, _ in ready:
                data = os.read(key.fd, min(READ_BYTES, room()) if key.data else READ_BYTES)
                if not data:
                    selector.unregister(key.fileobj)
                yield key.data, data


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process with all its children unless it was reaped already; until then its PID cannot be reused."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def error_summary(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return mask_credentials(" / ".join(lines[-MAX_ERROR_LINES:]))


def mask_credentials(text: str) -> str:
    """Replace logins in URLs and secret parameters with `***`."""
    return SECRET_PARAMETER.sub(r"\1***", LOGIN_IN_URL.sub(r"\1***@", text))
