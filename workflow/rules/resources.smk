# Functions for the resources of jobs that are not plain numbers.


def memory(megabytes):
    """Return a resource function: memory of `megabytes` times the number of the attempt (`retries` of a profile)."""

    def mem_mb(wildcards, attempt):
        return megabytes * attempt

    return mem_mb
