"""Data-parallel training: processes that sum their gradients.

On the CPU cores of one machine the processes are forks. Small models gain next to nothing from threads, because their
operations are too short to divide, but they gain in full from processes. On several GPUs or machines, PyTorch's launcher
`torchrun` starts the processes.
"""

import atexit
import os
import signal
import sys
import tempfile
import traceback
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Team:
    """The processes that train together, as seen by one of them. Worker 0 evaluates and saves.

    Attributes:
        worker: number of this process, from 0.
        size: number of processes.
        is_launched: whether torchrun started them. Then all of them continue after training; of forks, only worker 0 does.
    """

    worker: int
    size: int
    is_launched: bool = False

    def all_reduce(self, tensors):
        """Replace each tensor, in place, by its sum over the workers. All tensors are on one device."""
        if self.size == 1:
            return
        import torch
        from torch import distributed

        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors])):
            tensor.copy_(part.view_as(tensor))

    def broadcast(self, value):
        """Broadcast worker 0's value to all surviving processes; tensors in it must be on the CPU."""
        if not self.is_launched:
            return value
        from torch import distributed

        objects = [value]
        distributed.broadcast_object_list(objects)
        return objects[0]


def launched_rank():
    """Return the number of this process among those that torchrun started, from 0; None without torchrun."""
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else None


@contextmanager
def team(size):
    """Run the body of a `with` statement in several processes: this one and its forks, which end after the body.

    Each process computes with one thread. This also makes forking safe, because a fork has none of its parent's threads.
    Under torchrun, the processes that it started are the team.

    Args:
        size: number of processes; ignored under torchrun.

    Yields:
        The `Team` of this process.

    Raises:
        RuntimeError: if a fork failed. Its own error is on standard error.
    """
    if launched_rank() is not None:
        yield _launched_team()
        return
    if size == 1:
        yield Team(0, 1)
        return
    import torch
    from torch import distributed

    num_threads = torch.get_num_threads()
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
            _end(worker, children, failed=True)
            raise
        else:
            _end(worker, children, failed=False)
        finally:
            torch.set_num_threads(num_threads)


def _launched_team():
    """Return the `Team` of the processes that torchrun started; it lasts until they end."""
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
    return Team(distributed.get_rank(), distributed.get_world_size(), is_launched=True)


def _fork(size):
    """Fork this process; return its number, from 0, and the process ids of the forks (an empty list in a fork)."""
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # because the host name may not resolve
    sys.stdout.flush()
    children = []
    for worker in range(1, size):
        child = os.fork()
        if child == 0:
            return worker, []
        children.append(child)
    return 0, children


def _end(worker, children, failed):
    """End a fork. In worker 0, wait for the forks instead, after terminating them if worker 0 itself failed."""
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
