"""PyTorch's threads: every Python thread that computes has its own team, and two teams are slower than one.

As long as all teams together have no more threads than there are processors, their members wait for the next
piece of work awake. Else they sleep, and waking them takes longer than most pieces do (GNU OpenMP's throttled
waiting). A team that has nothing to do counts, too: it ends with its Python thread.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def compute_alone() -> None:
    """Let the calling thread compute without a team, however many threads the others have.

    For threads that read or prepare what another one computes with; it is the first thing that they do. A
    thread of somebody else's that first computes in this very moment is without a team, too.
    """
    import torch  # here: the runtime without PyTorch serves, too

    threads = torch.get_num_threads()
    if threads == 1:
        return
    torch.set_num_threads(1)
    # New threads begin with the number that was set last, by any thread: let it be set by one without work.
    last = Thread(target=torch.set_num_threads, args=(threads,))
    last.start()
    last.join()


def in_a_passing_thread(work: Callable[[], Result]) -> Result:
    """What the work gives, done in a thread whose team ends with it; Ctrl-C does not wait for it.

    For what opens a network that another thread will ask.
    """
    done: SimpleQueue[tuple[Result] | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            done.put((work(),))
        except BaseException as error:  # noqa: BLE001 raised where it is waited for
            done.put(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    given = done.get()
    thread.join()
    if isinstance(given, BaseException):
        raise given
    return given[0]
