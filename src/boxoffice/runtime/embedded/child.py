"""Child processes that end with us: started in their own session, told to stop by the kernel when we die.

On Linux the kernel sends ``stop_signal`` when the thread that started the child ends (prctl PR_SET_PDEATHSIG; it stays
over the exec of ``unshare``), so children are started from the main thread only. Where that does not exist, and when a
child was still stopping, :func:`leftovers` finds processes that work in a folder of ours.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from boxoffice.runtime.embedded.errors import EngineError, EngineFailedError, from_os_error, is_about_a_full_disk

PR_SET_PDEATHSIG = 1
POLL_S = 0.02
LOG_TAIL_BYTES = 4_000
"""Enough to show why an engine did not start, little enough to read."""

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """One running child process and the file that its output goes to."""

    def __init__(self, popen: "subprocess.Popen[bytes]", *, name: str, log: Path, stop_signal: signal.Signals) -> None:
        self._popen = popen
        self.name = name
        self.log = log
        self.stop_signal = stop_signal
        self._asked = False

    @property
    def pid(self) -> int:
        """The process id; over ``unshare`` it is the engine's own."""
        return self._popen.pid

    def running(self) -> bool:
        """Whether it is still there."""
        return self._popen.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until ``ready()``.

        :raises EngineFailedError: when it ended before, or is not ready in time; with the end of its log.
        :raises DiskFullError: when its log says that the disk is full.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise self.failure(f"{self.name} ended while starting (exit code {self._popen.returncode})")
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name} was not ready within {seconds:.0f} seconds")
            time.sleep(POLL_S)

    def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        return self._popen.wait()

    def ask(self) -> None:
        """Ask it to end, without waiting."""
        if self.running() and not self._asked:
            self._asked = True
            self._popen.send_signal(self.stop_signal)

    def stop(self, *, seconds: float) -> None:
        """Ask it to end and wait; after ``seconds`` it is killed. Stopping twice does nothing."""
        self.ask()
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it and everything that it started, at once."""
        if self.running():  # else its number may be somebody else's by now
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def failure(self, what: str) -> EngineError:
        """Say what went wrong, with the end of its log; a full disk is said as such."""
        said = tail(self.log)
        if is_about_a_full_disk(said):
            return from_os_error(OSError(28, "No space left on device"), doing=f"starting {self.name}")
        return EngineFailedError(f"{what}. It said:\n{said}" if said else f"{what}.")


def start(
    command: Sequence[str | Path],
    *,
    name: str,
    log: Path,
    folder: Path,
    stop_signal: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start a child that works in ``folder`` and writes to ``log`` (begun anew).

    :raises EngineError: when the log cannot be written or the command cannot be run.
    """
    parent = os.getpid()

    def before_exec() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(stop_signal))
            if os.getppid() != parent:  # we died between fork and prctl
                os._exit(1)

    try:
        with log.open("wb") as output:
            popen = subprocess.Popen(  # noqa: S603 - our own command lines, no shell
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=None if environment is None else dict(environment),
                start_new_session=True,  # Ctrl-C is for us; we stop the children in order
                preexec_fn=before_exec,  # noqa: PLW1509 - one system call, prepared before the fork
            )
    except OSError as error:
        raise from_os_error(error, doing=f"starting {name}") from error
    return Child(popen, name=name, log=log, stop_signal=stop_signal)


def tail(log: Path) -> str:
    """Read the end of a log."""
    try:
        written = log.read_bytes()
    except OSError:
        return ""
    return written[-LOG_TAIL_BYTES:].decode(errors="replace").strip()


def leftovers(folder: Path) -> list[int]:
    """Find processes that work in a folder of ours: an engine that is still stopping, or that outlived a crash."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if entry.readlink() == folder.resolve():
                found.append(int(entry.parent.name))
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
    return sorted(found)


def end_leftovers(folder: Path, *, stop_signal: signal.Signals, seconds: float) -> None:
    """Stop what still works in a folder of ours: ask, wait, then kill."""
    deadline = time.monotonic() + seconds
    signals = [stop_signal, signal.SIGKILL]
    while left := [pid for pid in leftovers(folder) if pid != os.getpid()]:
        if signals and (len(signals) > 1 or time.monotonic() > deadline):
            send = signals.pop(0)
            for pid in left:
                try:
                    os.kill(pid, send)
                except OSError:
                    continue
        elif time.monotonic() > deadline + seconds:
            raise EngineFailedError(f"Processes {left} from an earlier run do not end; stop them and start again.")
        time.sleep(POLL_S)
