"""Data parallel training: processes that add up their gradients.

On the cores of one machine they are forks: small models gain next to nothing from threads (their operations are too short
to share), and all from processes. On several GPUs or machines PyTorch's own launcher, `torchrun`, starts them.
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
    """This process among those that train together. Worker 0 judges and saves."""

    worker: int
    size: int
    is_launched: bool = False  # by torchrun: all go on afterwards, where of forks worker 0 alone does

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
        """Broadcast worker 0's value to all surviving processes. Tensors in it are on the CPU."""
        if not self.is_launched:
            return value
        from torch import distributed

        objects = [value]
        distributed.broadcast_object_list(objects)
        return objects[0]


def launched_rank():
    """Number of this process among those that torchrun started, from 0; None where it did not."""
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else None


@contextmanager
def team(size):
    """Run the body in `size` processes at once (this one and forks of it); only this one leaves it. Yields a `Team`.

    Each computes with one thread, which also makes forking safe: a fork has none of its parent's threads. Under torchrun
    its processes are the team, whatever `size`. Raises `RuntimeError` where a worker failed; its own message is on standard
    error.
    """
    if launched_rank() is not None:
        yield _joined()
        return
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


def _joined():
    """The `Team` of the processes that torchrun started, which lasts as long as they do."""
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
    return Team(distributed.get_rank(), distributed.get_world_size(), is_launched=True)


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
