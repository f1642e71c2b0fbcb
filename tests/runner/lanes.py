"""Lanes of work that go on side by side, each one thing after the other: the builds; the tests of what is built; and
for each preset the tests that need nothing built.

What runs is a child process with its output in a file of build/log, and ends with the lanes.
"""

import os
import re
import shutil
import signal
import subprocess
import threading

NICE_BUILD, NICE_EARLY = 2, 4  # small steps: what is to give way must not starve, as its tests have time limits too
TEST_LINE = re.compile(r" *\d+/\d+ +Test +#\d+: (\S+) [. ]*(\**)(\w.*?) +[\d.]+ sec")
BUILD_LINE = re.compile(r"\[(\d+)/(\d+)\]")


def descendants(pid):
    """The process and all that it started: ctest puts tests into groups of their own, which a signal to its misses."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has ended
        children.setdefault(int(parent), []).append(int(name))
    found = [pid]
    for process in found:
        found += children.get(process, [])
    return found


class Lanes:
    def __init__(self, root, progress, results, jobs):
        self.root, self.progress, self.results, self.jobs = root, progress, results, jobs
        self.log = os.path.join(root, "build", "log")
        self.children, self.lock, self.stopped = set(), threading.Lock(), False
        self.threads = []
        shutil.rmtree(self.log, ignore_errors=True)
        os.makedirs(self.log)

    def start(self, presets):
        self.go(self.build_all, presets)
        self.go(self.test_all, presets)
        for preset in presets:
            for label in ("fresh/", ""):  # these wait for the network, the others compute
                names = [name for name, _ in preset.early if name.startswith("fresh/") == bool(label)]
                if names:
                    self.go(self.test_early, preset, names, f"{preset.name}-{'fresh' if label else 'early'}")

    def go(self, work, *arguments):
        self.threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self.threads[-1].start()

    def wait(self):
        while any(thread.is_alive() for thread in self.threads):
            self.progress.show()
            for thread in self.threads:
                thread.join(0.5 / len(self.threads))

    def stop(self):
        self.progress.clear()
        with self.lock:
            self.stopped = True
            children = list(self.children)
        for pid in [pid for child in children for pid in descendants(child.pid)]:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        for thread in self.threads:
            thread.join(20)

    def run(self, name, command, nice, read):
        """Calls read with each line that the command prints. Returns its exit status."""
        with self.lock:
            if self.stopped:
                return 1
            child = subprocess.Popen(command, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                                     env={**os.environ, "NINJA_STATUS": "[%f/%t] "}, preexec_fn=lambda: os.nice(nice))
            self.children.add(child)
        with open(os.path.join(self.log, name), "w") as log:
            for line in child.stdout:
                log.write(line)
                read(line)
        status = child.wait()
        with self.lock:
            self.children.discard(child)
        return status

    def build_all(self, presets):
        for preset in presets:
            if preset.late:
                self.build(preset)
            preset.built.set()

    def build(self, preset):
        def read(line):
            step = BUILD_LINE.match(line)
            if step:
                self.progress.built(preset, int(step[1]), int(step[2]))

        if self.run(f"build-{preset.name}", ["cmake", "--build", "--preset", preset.name], NICE_BUILD, read) != 0:
            preset.build_failed = True
            self.progress.say(f"building {preset.name} failed; see build/log/build-{preset.name}")
        self.progress.built(preset, 1, 1)

    def test_all(self, presets):
        for preset in presets:
            preset.built.wait()
            if preset.late and not preset.build_failed:
                early = "|".join(re.escape(name) for name, _ in preset.early)
                self.test(preset, preset.name, 0, ["--preset", preset.test_preset, *preset.arguments,
                                                   "-j", str(self.jobs), *(["-E", f"^({early})$"] if early else [])])

    def test_early(self, preset, names, lane):
        # From a folder of its own: two ctest in one folder would write to the same files.
        folder = os.path.join(self.root, "build", f"ctest-{lane}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "CTestTestfile.cmake"), "w") as file:
            file.write(f'subdirs("{preset.folder}")\n')
        wanted = "|".join(re.escape(name) for name in names)
        self.test(preset, lane, NICE_EARLY, ["--test-dir", folder, "-R", f"^({wanted})$", "-j", "2"])

    def test(self, preset, lane, nice, arguments):
        junit = os.path.join(self.log, f"test-{lane}.xml")

        def read(line):
            test = TEST_LINE.match(line)
            if test:
                self.progress.tested(preset, test[1], test[3] == "Failed" or (test[2] and test[3] != "Skipped"))

        self.run(f"test-{lane}", ["ctest", *arguments, "--no-tests=ignore", "--output-junit", junit,
                                  "--test-output-size-passed", "20000", "--test-output-size-failed", "200000"],
                 nice, read)
        self.results.add(preset, junit)
