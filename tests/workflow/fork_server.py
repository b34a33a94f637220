"""A process that has imported the libraries, and that forks itself to run Snakemake and the jobs of stages.

A start of Snakemake or of a job costs two to three CPU seconds, nearly all of them for imports, and the tests need several hundred
starts. A fork has the libraries at once. The packages of the project are not among them: each run imports those of its own copy.
"""

import atexit
import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARIES = (
    "matplotlib.pyplot", "pandas", "pyarrow.dataset", "pyarrow.parquet", "safetensors.torch", "sklearn.cluster",
    "sklearn.decomposition", "sklearn.feature_extraction.text", "sklearn.svm", "snakemake.cli", "snakemake.report",
    "snakemake.script", "soundfile", "soxr", "torch", "torch.utils.tensorboard",
)  # fmt: skip
SETTINGS = {  # what workflow/scripts/stage.py sets before the libraries are imported
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
    "MKL_CBWR": "AUTO,STRICT",
}  # fmt: skip
SOCKET = "FORK_SERVER"  # environment variable with the path of the server's socket


class ForkServer:
    """The process, from the side of the tests. It ends with the process that started it.

    Args:
        address: path of the socket to make.
    """

    def __init__(self, address):
        self.address = str(address)
        ready, is_ready = os.pipe()
        call = [sys.executable, __file__, self.address, str(is_ready)]
        # Its standard input is a pipe that nobody writes to: it closes when this process ends, and the server ends with it.
        self.process = subprocess.Popen(call, stdin=subprocess.PIPE, pass_fds=[is_ready], env=os.environ | SETTINGS)
        os.close(is_ready)
        self.ready = ready

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()

    def snakemake(self, arguments, folder, environment):
        """Run Snakemake in a folder. Return its exit status and its output, both streams together."""
        if self.ready is not None:
            os.read(self.ready, 1)
            os.close(self.ready)
            self.ready = None
        with tempfile.TemporaryFile("w+") as output:
            variables = environment | {SOCKET: self.address}
            status = request(self.address, ["snakemake", *arguments], folder, variables, [output.fileno()] * 2)
            output.seek(0)
            return status, output.read()


def request(address, argv, folder, environment, streams):
    """Let the server run a command, and return its exit status, which is negative after a signal.

    Args:
        address: path of the server's socket.
        argv: `snakemake` and its arguments, or the path of a Python script.
        folder: working directory.
        environment: the environment variables.
        streams: file descriptors of standard output and standard error.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        message = json.dumps(dict(argv=argv, folder=str(folder), environment=dict(environment))).encode()
        socket.send_fds(connection, [len(message).to_bytes(8)], streams)
        connection.sendall(message)
        return int(connection.makefile().read())


def serve(address, is_ready):
    """Import the libraries, and fork for each request until standard input is closed."""
    for library in LIBRARIES:
        importlib.import_module(library)
    sys.modules["snakemake.cli"].get_argument_parser()  # imports Snakemake's plugins
    sys.path.remove(str(Path(__file__).parent))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        os.write(is_ready, b"1")
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if listener not in readable:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(connection)
            connection.close()


def _answer(connection):
    """In a fork of the server: run what a request asks for in another fork, and answer with the exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(connection, 8, 2)
    message = json.loads(connection.makefile("rb").read(int.from_bytes(length)))
    child = os.fork()
    if child == 0:
        connection.close()
        _run(streams, **message)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(BrokenPipeError):  # the tests have ended
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(streams, argv, folder, environment):
    """Become the process of a command."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    status = 1
    try:
        if argv[0] == "snakemake":
            _run_snakemake(argv[1:])
        else:
            _set_num_threads(int(environment["OMP_NUM_THREADS"]))
            sys.path.insert(0, str(Path(argv[0]).parent))
            runpy.run_path(argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # Not the whole end of the interpreter: freeing all objects of the libraries would copy the memory that the forks share.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _set_num_threads(number):
    """Let the libraries compute in a number of threads, as after an import with this number."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(number)
    torch.set_num_threads(number)


def _run_snakemake(arguments):
    """Run Snakemake, whose jobs are forks of the server as well."""
    from snakemake.cli import main
    from snakemake.script import PythonScript

    def execute_script(self, path, edit=False):
        address = os.environ[SOCKET]
        environment = os.environ | {"OMP_NUM_THREADS": str(self.params.num_threads)}
        status = request(address, [path], os.getcwd(), environment, [1, 2])
        if status:
            raise subprocess.CalledProcessError(status, f"{sys.executable} {path}")

    PythonScript.execute_script = execute_script
    sys.path.insert(0, "")
    main(arguments)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
