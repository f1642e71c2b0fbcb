"""The pairs of programs: each function does the work once, checks that all has arrived unchanged and in order, and
returns how many seconds it took. That includes starting the client (a few ms), but neither the server nor Python.

All programs run as they come: nothing is set but where their files and sockets are, which are in the folder of the run,
and that they use nothing of this machine besides.
"""

import filecmp
import os
import re
import subprocess
import sys
import time

LOOPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo_loops.py")


def check(right, what):
    if not right:
        sys.exit(f"wrong data: {what}")


def chrony(run, count):
    """chronyc asks chronyd, one question at a time; chronyd counts them."""
    with open(run.path("chrony.conf"), "w") as file:
        file.write(f"port 0\ncmdport 0\npidfile {run.path('pid')}\nbindcmdaddress {run.path('run/chronyd.sock')}\n")
    user = subprocess.check_output(["id", "-un"], text=True).strip()
    daemon = run.start("chronyd", "-d", "-x", "-U", "-u", user, "-f", run.path("chrony.conf"))
    run.wait_for_socket("run/chronyd.sock")
    with open(run.path("questions"), "w") as file:
        file.write("activity\n" * (count - 1) + "serverstats\n")
    with open(run.path("questions")) as questions, open(run.path("answers"), "w") as answers:
        start = time.monotonic()
        run.finish(run.start("chronyc", "-n", "-h", run.path("run/chronyd.sock"), stdin=questions, stdout=answers))
        elapsed = time.monotonic() - start
    run.stop(daemon)
    with open(run.path("answers")) as answers:
        text = answers.read()
    check(text.count("sources online") == count - 1, "an answer is missing")
    counted = re.search(r"^Command packets received +: (\d+)$", text, re.MULTILINE)
    check(counted, "chronyd has not counted")
    # chronyc asks again after a second without an answer, as happens on a machine that is very busy.
    check(count <= int(counted[1]) <= count + int(elapsed), f"chronyd counted {counted[1]} questions of {count}")
    return elapsed


def logger(run, count):
    """logger reads lines from a file, rsyslogd writes them to another, behind a time and a name."""
    with open(run.path("rsyslog.conf"), "w") as file:
        file.write(f'global(workDirectory="{run.folder}")\n'
                   'module(load="imuxsock" SysSock.Use="off")\n'
                   f'input(type="imuxsock" Socket="{run.path("log")}")\n'
                   f'action(type="omfile" file="{run.path("received")}")\n')
    lines = [f"line {number} ".ljust(255, "-") for number in range(count)]
    with open(run.path("lines"), "w") as file:
        file.writelines(line + "\n" for line in lines)
    daemon = run.start("rsyslogd", "-n", "-C", "-f", run.path("rsyslog.conf"), "-i", run.path("pid"))
    run.wait_for_socket("log")

    def has_last_line():
        if not os.path.exists(run.path("received")):
            return False
        with open(run.path("received"), "rb") as received:
            received.seek(-min(len(lines[-1]) + 1, received.seek(0, os.SEEK_END)), os.SEEK_END)
            return received.read().decode() == lines[-1] + "\n"

    start = time.monotonic()
    run.finish(run.start("logger", "-u", run.path("log"), "--socket-errors=on", "-f", run.path("lines")))
    run.wait_for("the last line", has_last_line)
    elapsed = time.monotonic() - start
    run.stop(daemon)
    with open(run.path("received")) as received:
        check([text[-256:-1] for text in received] == lines, "the log differs")
    return elapsed


def socat(run, count):
    """socat reads a file, and sends it in datagrams of its own choice; another writes a copy."""
    with open(run.path("file"), "wb") as file:
        for _ in range(count):
            file.write(os.urandom(8192))
    receiver = run.start("socat", "-u", f"UNIX-RECV:{run.path('in')},null-eof", f"CREATE:{run.path('copy')}")
    run.wait_for_socket("in")
    start = time.monotonic()
    sender = run.start("socat", "-u", f"FILE:{run.path('file')}", f"UNIX-SENDTO:{run.path('in')},shut-null")
    run.finish(receiver)
    elapsed = time.monotonic() - start
    run.finish(sender)
    check(filecmp.cmp(run.path("file"), run.path("copy"), shallow=False), "the copy differs")
    return elapsed


def python(run, count):
    """Two loops, send() and recv(), in Python's interpreter; the receiver times itself, and then compares."""
    receiver = run.start("python3", LOOPS, "receive", run.path("in"), str(count), stdout=subprocess.PIPE, text=True)
    run.wait_for_socket("in")
    run.finish(run.start("python3", LOOPS, "send", run.path("in"), str(count)))
    return float(run.output(receiver))


def python_answers(run, count):
    """One loop asks the other, and waits for each answer."""
    server = run.start("python3", LOOPS, "answer", run.path("server"))
    run.wait_for_socket("server")
    client = run.start("python3", LOOPS, "ask", run.path("client"), run.path("server"), str(count),
                       stdout=subprocess.PIPE, text=True)
    elapsed = float(run.output(client))
    run.finish(server)
    return elapsed
