"""One run of a pair of programs, plain or accelerated, in a folder of its own; its programs end with it.

An accelerated program is the same command behind hqq-run, which leaves a report of the program's sockets.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

LIMIT = 180  # seconds, for anything that is waited for


class Run:
    def __init__(self, hqq_run, accelerated):
        self.hqq_run = hqq_run
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

    def start(self, *command, **options):
        if self.accelerated:
            report = self.path(f"report{len(self.started)}")
            command = (self.hqq_run, "-p", f"{self.folder}/*", f"--report={report}", "--json", "--", *command)
        with open(self.path("errors"), "a") as errors:
            self.started.append(subprocess.Popen(command, cwd=self.folder, stderr=errors, **options))
        return self.started[-1]

    def finish(self, process):
        if process.wait(LIMIT) != 0:
            with open(self.path("errors")) as errors:
                sys.exit(f"{'accelerated' if self.accelerated else 'plain'} run: {process.args} failed with status "
                         f"{process.returncode}:\n{errors.read()}")

    def stop(self, process):
        """Asks a daemon to end, more than once: it may miss a signal that comes just before it begins to wait."""
        def has_ended():
            process.terminate()
            try:
                return process.wait(1) is not None
            except subprocess.TimeoutExpired:
                return False

        self.wait_for("the end of a daemon", has_ended)
        self.finish(process)

    def output(self, process):
        """What a program that was started with a pipe has printed, when it has ended."""
        text, _ = process.communicate(timeout=LIMIT)
        self.finish(process)
        return text

    def wait_for(self, what, condition):
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end:
                sys.exit(f"waited {LIMIT} s for {what}")
            time.sleep(0.001)

    def wait_for_socket(self, name):
        self.wait_for(f"socket {name}", lambda: os.path.exists(self.path(name)))

    def sockets(self):
        """Those of all programs, as the reports have them; all must have ended."""
        found = []
        for number in range(len(self.started)):
            with open(self.path(f"report{number}")) as file:
                for process in json.load(file)["processes"]:
                    found += [{"command": process["command"], **socket} for socket in process["sockets"]]
        return found
