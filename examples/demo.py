"""demo.py HQQ_RUN: what the library is worth to programs that nobody changed; run by examples/demo.

Pairs of programs from Debian's packages exchange datagrams over an AF_UNIX socket, plainly and by hqq-run in turns. Every
run is checked: all must have arrived, unchanged and in order. A run's time is that of the work, and includes starting the
client (a few ms), but neither the server nor Python.

Where one end waits for the other's answer, each gets a processor of its own: otherwise it is the scheduler's choice of the
moment, one processor for both or two, that is measured.
"""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
CPUS = sorted(os.sched_getaffinity(0))
HQQ_RUN = sys.argv[1]
os.environ["PATH"] += ":/usr/sbin:/sbin"
LOOPS = {
    "send": "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(sys.argv[1])\n"
            "for n in range(int(sys.argv[2])): s.send(b'%0256d' % n)",
    "receive": "import socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])\n"
               "got = [s.recv(300)]; start = time.monotonic()\n"
               "for n in range(int(sys.argv[2]) - 1): got.append(s.recv(300))\n"
               "print(time.monotonic() - start)\n"
               "wrong = [n for n, text in enumerate(got) if text != b'%0256d' % n]\n"
               "if wrong: sys.exit(f'{len(wrong)} datagrams are not what was sent; the first is number {wrong[0]}')",
    "ask": "import socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])\n"
           "s.connect(sys.argv[2]); start = time.monotonic()\n"
           "for n in range(int(sys.argv[3])):\n"
           "    s.send(b'%064d' % n)\n"
           "    if s.recv(100) != b'%064d' % n: sys.exit(f'answer {n} is wrong')\n"
           "print(time.monotonic() - start); s.send(b'')",
    "answer": "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])\n"
              "while (got := s.recvfrom(100))[0]: s.sendto(*got)",
}


class Run:
    """One run in a folder of its own, plain or accelerated; its programs end with it."""

    def __init__(self, accelerated):
        self.accelerated = accelerated
        self.folder = tempfile.mkdtemp(prefix="hqq-demo.")
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def path(self, name):
        return f"{self.folder}/{name}"

    def start(self, *command, cpu=None, **options):
        """On any processor, or on the first (0) or last (-1) of them."""
        allowed = CPUS if cpu is None else [CPUS[cpu]]
        if self.accelerated:
            report = self.path(f"report{len(self.started)}")
            command = (HQQ_RUN, "-p", f"{self.folder}/*", f"--report={report}", "--json", "--", *command)
        self.started.append(subprocess.Popen(command, cwd=self.folder, stderr=open(self.path("errors"), "a"),
                                             preexec_fn=lambda: os.sched_setaffinity(0, allowed), **options))
        return self.started[-1]

    def finish(self, process):
        if process.wait(60) != 0:
            with open(self.path("errors")) as errors:
                sys.exit(f"{'accelerated' if self.accelerated else 'plain'} run: a program failed with status "
                         f"{process.returncode}:\n{errors.read()}")

    def wait_for(self, what, condition):
        end = time.monotonic() + 60
        while not condition():
            if time.monotonic() > end:
                sys.exit(f"waited too long for {what}")
            time.sleep(0.001)

    def wait_for_socket(self, name):
        self.wait_for(f"socket {name}", lambda: os.path.exists(self.path(name)))

    def ring_share(self):
        """Of all datagrams that were received on sockets in the folder; all programs must have ended."""
        ring = total = 0
        for number in range(len(self.started)):
            with open(self.path(f"report{number}")) as file:
                for process in json.load(file)["processes"]:
                    for socket in process["sockets"]:
                        ring += socket["received_ring"]
                        total += socket["received_ring"] + socket["received_kernel"]
        return ring / total if total else 0


def check(right, what):
    if not right:
        sys.exit(f"wrong data: {what}")


def chrony(run, count):
    """chronyc asks chronyd, one question at a time; chronyd counts them."""
    with open(run.path("chrony.conf"), "w") as file:
        file.write(f"local stratum 8\nport 0\ncmdport 0\npidfile {run.path('pid')}\n"
                   f"bindcmdaddress {run.path('run/chronyd.sock')}\n")
    user = subprocess.check_output(["id", "-un"], text=True).strip()
    daemon = run.start("chronyd", "-d", "-x", "-U", "-u", user, "-f", run.path("chrony.conf"), cpu=0)
    run.wait_for_socket("run/chronyd.sock")
    with open(run.path("questions"), "w") as file:
        file.write("activity\n" * (count - 1) + "serverstats\n")
    with open(run.path("questions")) as questions, open(run.path("answers"), "w") as answers:
        start = time.monotonic()
        client = run.start("chronyc", "-n", "-h", run.path("run/chronyd.sock"), stdin=questions, stdout=answers,
                           cpu=-1)
        run.finish(client)
        elapsed = time.monotonic() - start
    daemon.terminate()
    run.finish(daemon)
    with open(run.path("answers")) as answers:
        text = answers.read()
    check(text.count("sources online") == count - 1, "an answer is missing")
    check(f"Command packets received   : {count}\n" in text, "chronyd counted something else")
    return elapsed


def logger(run, count):
    """logger reads lines from a file, rsyslogd writes them to another."""
    with open(run.path("rsyslog.conf"), "w") as file:
        file.write(f'global(workDirectory="{run.folder}")\n'
                   'module(load="imuxsock" SysSock.Use="off")\n'
                   f'input(type="imuxsock" Socket="{run.path("log")}" UseSysTimeStamp="off")\n'
                   'template(name="text" type="string" string="%msg:2:$%\\n")\n'
                   f'action(type="omfile" file="{run.path("received")}" template="text")\n')
    with open(run.path("lines"), "w") as file:
        file.writelines(f"line {number} ".ljust(255, "-") + "\n" for number in range(count))
    daemon = run.start("rsyslogd", "-n", "-C", "-f", run.path("rsyslog.conf"), "-i", run.path("pid"))
    run.wait_for_socket("log")
    size = os.path.getsize(run.path("lines"))
    start = time.monotonic()
    run.finish(run.start("logger", "-u", run.path("log"), "--socket-errors=on", "-f", run.path("lines")))
    run.wait_for("all lines", lambda: os.path.exists(run.path("received"))
                 and os.path.getsize(run.path("received")) >= size)
    elapsed = time.monotonic() - start
    daemon.terminate()
    run.finish(daemon)
    check(digest(run.path("lines")) == digest(run.path("received")), "the log differs")
    return elapsed


def socat(run, count):
    """socat reads a file, 1,000 bytes a datagram; another writes a copy of it."""
    with open(run.path("file"), "wb") as file:
        for _ in range(count):
            file.write(os.urandom(1000))
    receiver = run.start("socat", "-u", "-b", "65536", f"UNIX-RECV:{run.path('in')},null-eof", f"CREATE:{run.path('copy')}")
    run.wait_for_socket("in")
    start = time.monotonic()
    sender = run.start("socat", "-u", "-b", "1000", f"FILE:{run.path('file')}", f"UNIX-SENDTO:{run.path('in')},shut-null")
    run.finish(receiver)
    elapsed = time.monotonic() - start
    run.finish(sender)
    check(digest(run.path("file")) == digest(run.path("copy")), "the copy differs")
    return elapsed


def python(run, count):
    """Two loops, send() and recv(), in Python's interpreter; the receiver times itself, and then compares."""
    receiver = run.start("python3", "-c", LOOPS["receive"], run.path("in"), str(count), stdout=subprocess.PIPE, text=True)
    run.wait_for_socket("in")
    run.finish(run.start("python3", "-c", LOOPS["send"], run.path("in"), str(count)))
    elapsed, _ = receiver.communicate(timeout=60)
    run.finish(receiver)
    return float(elapsed)


def python_answers(run, count):
    """One loop asks the other, and waits for each answer."""
    server = run.start("python3", "-c", LOOPS["answer"], run.path("server"), cpu=0)
    run.wait_for_socket("server")
    client = run.start("python3", "-c", LOOPS["ask"], run.path("client"), run.path("server"), str(count),
                       stdout=subprocess.PIPE, text=True, cpu=-1)
    elapsed, _ = client.communicate(timeout=60)
    run.finish(client)
    run.finish(server)
    return float(elapsed)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


# What is run: a title, a function, how many datagrams (or questions), and bytes in each.
PAIRS = (
    ("chronyc asks chronyd, and waits for each answer", chrony, 10_000, 104),
    ("a Python loop asks another, and waits for each answer", python_answers, 20_000, 64),
    ("a Python loop sends to a Python loop", python, 200_000, 256),
    ("logger sends lines to rsyslogd", logger, 100_000, 280),
    ("socat sends a file to socat", socat, 100_000, 1000),
)


def compare(title, work, count, size):
    times = {False: [], True: []}
    shares = []
    for number in range(ROUNDS):
        for accelerated in (False, True) if number % 2 == 0 else (True, False):
            with Run(accelerated) as run:
                times[accelerated].append(work(run, count))
                if accelerated:
                    shares.append(run.ring_share())
    plain, fast = statistics.median(times[False]), statistics.median(times[True])
    ratios = [before / after for before, after in zip(times[False], times[True])]
    print(f"{title}: {count:,} of about {size} bytes")
    for name, seconds in (("plain", plain), ("accelerated", fast)):
        print(f"  {name:12} {seconds:7.3f} s {count / seconds:12,.0f} a second {seconds / count * 1e6:8.2f} us each")
    print(f"  {statistics.median(ratios):.1f} times as fast ({min(ratios):.1f} to {max(ratios):.1f} in {ROUNDS} rounds); "
          f"{statistics.median(shares):.1%} of the datagrams took the ring; all data was right\n", flush=True)


for pair in PAIRS:
    compare(*pair)
