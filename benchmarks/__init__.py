"""Benchmarks: the same computation by this project and by a peer, timed in turns in one run."""

import os

# As in the stages: threads that wait must sleep. If they spin while others use the machine, times grow fivefold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
