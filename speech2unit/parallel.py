"""Data parallel training on the cores of one machine: forked processes that add up their gradients.

Small models gain next to nothing from threads (their operations are too short to share), and all from processes.
"""

import os
import signal
import sys
import tempfile
import traceback
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Team:
    """This process among those that train together. Worker 0 is the one that goes on afterwards."""

    worker: int
    size: int

    def add_up(self, tensors):
        """Each of the tensors becomes its sum over the team, in place."""
        if self.size == 1:
            return
        import torch
        from torch.distributed import all_reduce

        flat = torch.cat([tensor.flatten() for tensor in tensors])
        all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors])):
            tensor.copy_(part.view_as(tensor))


@contextmanager
def team(size):
    """Run the body in `size` processes at once (this one and forks of it); only this one leaves it. Yields a `Team`.

    Each computes with one thread, which also makes forking safe: a fork has none of its parent's threads. Raises
    `RuntimeError` where a worker failed; its own message is on standard error.
    """
    if size == 1:
        yield Team(0, 1)
        return
    import torch
    from torch import distributed

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        worker, children = _fork(size)
        try:
            store = distributed.FileStore(f"{folder}/store", size)
            distributed.init_process_group("gloo", store=store, rank=worker, world_size=size)
            if worker:
                torch.manual_seed(torch.initial_seed() + worker)
            yield Team(worker, size)
            distributed.barrier()
        except BaseException:
            _leave(worker, children, failed=True)
            raise
        else:
            _leave(worker, children, failed=False)
        finally:
            torch.set_num_threads(threads)


def _fork(size):
    """Number of this process, from 0, and the process ids of its forks (none in a fork)."""
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the machine's own name need not resolve
    sys.stdout.flush()
    children = []
    for worker in range(1, size):
        child = os.fork()
        if child == 0:
            return worker, []
        children.append(child)
    return 0, children


def _leave(worker, children, failed):
    """A fork ends here; worker 0 waits for its forks, after ending them where it failed itself."""
    if worker:
        if failed:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(int(failed))
    from torch import distributed

    for child in children:
        if failed:
            os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    if distributed.is_initialized():
        distributed.destroy_process_group()
