# Functions for the resources of jobs that are not plain numbers.


def memory(megabytes):
    """Resource function: so much memory, and as much again at each further attempt (`retries` of a profile)."""

    def mem_mb(wildcards, attempt):
        return megabytes * attempt

    return mem_mb
