"""terminal.py 'PROMPT=LINE'... -- COMMAND...: runs a command on a terminal of its own.

Types each LINE after its PROMPT has appeared. Prints what the terminal shows; exits as the command.
"""
import os
import pty
import signal
import sys

signal.alarm(60)  # nothing here waits for ever

split = sys.argv.index("--")
todo = [word.split("=", 1) for word in sys.argv[1:split]]
command = sys.argv[split + 1 :]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown = b""
at = 0
while True:
    try:
        piece = os.read(fd, 4096)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    while todo and todo[0][0].encode() in shown[at:] and shown.rstrip(b" ").endswith(b":"):
        at = len(shown)
        os.write(fd, todo.pop(0)[1].encode() + b"\n")
sys.stdout.write(shown.decode(errors="replace").replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
