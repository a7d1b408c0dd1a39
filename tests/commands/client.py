"""Stand in for ``python``: ``client.py PYTHON SOCKET WORD...``; see ``server.py``.

What the server cannot stand in for, the interpreter itself runs: other options than ``-m`` and
``-c``, or an environment with other settings that are read once. Starts in a moment: it imports
little, and runs with ``python -IS``.
"""

import json
import os
import signal
import socket
import sys

PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def main(python: str, address: str, words: list[str]) -> None:
    if words and (words[0] in ("-m", "-c") or not words[0].startswith("-")):
        ask(address, words)
    os.execv(python, [python, *words])


def ask(address: str, words: list[str]) -> None:
    """Ends with the command, or returns: the server has other settings."""
    umask = os.umask(0)
    os.umask(umask)
    ignored = [number for number in PASSED_ON if signal.getsignal(number) == signal.SIG_IGN]
    request = {
        "words": words,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask,
        "ignored": ignored,
    }
    text = json.dumps(request).encode()
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until there is a process to have them
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [len(text).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(text)
        with server.makefile("r") as answers:
            command = int(answers.readline())
            if command:
                follow(command, answers)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def follow(command: int, answers) -> None:
    for number in PASSED_ON:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: os.kill(command, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    status = int(answers.readline())
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
