"""`python watched_page.py LOG page …`: the command line with a log of every address that the process asks for or connects to."""

import sys


def watch(log):
    """Write a line to a file for every address outside this process."""
    file = open(log, "a", buffering=1)

    def note(event, arguments):
        if event in ("socket.connect", "socket.sendto"):
            file.write(f"{event} {arguments[1]}\n")
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            file.write(f"{event} {arguments[0]}\n")

    sys.addaudithook(note)


if __name__ == "__main__":
    watch(sys.argv[1])
    from inference.command_line import main

    sys.exit(main(sys.argv[2:]))
