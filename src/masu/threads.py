"""PyTorch's threads: every Python thread that computes has its own team, and two teams are slower than one.

As long as all teams together have no more threads than there are processors, their members wait for the next
piece of work awake. Else they sleep, and waking them takes longer than most pieces do (GNU OpenMP's throttled
waiting). A team that has nothing to do counts, too: it ends with its Python thread.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def compute_alone() -> None:
    """Let the calling thread compute without a team, however many threads the others have.

    For threads that read or prepare what another one computes with; it is the first thing that they do.
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


def apart(work: Callable[[], Result]) -> Result:
    """What the work gives, done in a thread whose team ends with it.

    For what opens a network that another thread will ask.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
