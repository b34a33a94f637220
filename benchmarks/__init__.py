"""Side by side with peers: the same computation in one run, timed in turns."""

import os

# As the shim of the stages: threads that wait must sleep, or with others on the machine times grow fivefold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
