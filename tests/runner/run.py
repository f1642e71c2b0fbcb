"""run.py ROOT [PRESET...] [-L LABEL] [-R NAME]: builds and tests presets of ROOT/CMakePresets.json, as much as possible
at once; run by tests/run.

Builds need the processors, and most tests wait for something, so the tests of one preset run beside the build of the
next. What needs nothing built begins at once. To disturb no test that looks at the clock, what merely computes has a
lower priority. ctest runs the tests, and is asked for its results; what is said of them at the end stands in report.py.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading

from lanes import Lanes
from report import Progress, Results, conclude

EARLY = ("fresh", "model", "static")  # labels of tests that need nothing built
JOBS = 2 * os.cpu_count()


class Preset:
    """What is built and tested of one preset; the tests that need nothing built stand apart."""

    def __init__(self, root, name, test_preset, arguments):
        self.root, self.name, self.test_preset, self.arguments = root, name, test_preset, arguments
        self.folder = os.path.join(root, "build", name)
        self.built = threading.Event()
        self.build_failed = False
        self.early, self.late = [], []

    def configure(self):
        done = subprocess.run(["cmake", "--preset", self.name], cwd=self.root, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{done.stdout}{done.stderr}cmake --preset {self.name} failed")
        listed = subprocess.run(["ctest", "--preset", self.test_preset, "--show-only=json-v1", "--no-tests=ignore",
                                 *self.arguments], cwd=self.root, capture_output=True, text=True)
        if listed.returncode != 0:
            sys.exit(f"{listed.stderr}ctest --preset {self.test_preset} lists no tests")
        for test in json.loads(listed.stdout)["tests"]:
            properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
            is_early = any(label in EARLY for label in properties.get("LABELS", []))
            (self.early if is_early else self.late).append((test["name"], float(properties.get("COST", 0))))

    def build_steps(self):
        """About how many."""
        with open(os.path.join(self.folder, "build.ninja")) as file:
            return sum(line.startswith("build ") and "_COMPILER__" in line for line in file)


def parse(root, words):
    with open(os.path.join(root, "CMakePresets.json")) as file:
        known = [preset["name"] for preset in json.load(file)["testPresets"] if not preset.get("hidden")]
    names = [name for name in known if not name.startswith("ci-")]
    parser = argparse.ArgumentParser(prog="run", description="Builds and tests; everything unless told otherwise.")
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="any of: " + ", ".join(names))
    parser.add_argument("-L", action="append", default=[], metavar="LABEL", help="only tests with a label that matches")
    parser.add_argument("-R", action="append", default=[], metavar="NAME", help="only tests whose name matches")
    chosen = parser.parse_intermixed_args(words)
    for name in chosen.presets:
        if name not in names:
            parser.error(f"no preset {name}: expected any of {', '.join(names)}")
    arguments = [word for label in chosen.L for word in ("-L", label)]
    arguments += [word for name in chosen.R for word in ("-R", name)]
    # What does not differ from one preset to the next is tested once in a run of all; a preset alone has all its tests.
    if chosen.presets:
        return [Preset(root, name, name, arguments) for name in names if name in chosen.presets]
    return [Preset(root, name, f"ci-{name}" if f"ci-{name}" in known else name, arguments) for name in names]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
    root = sys.argv[1]
    presets = parse(root, sys.argv[2:])
    for number, preset in enumerate(presets, 1):
        print(f"configuring {preset.name} ({number} of {len(presets)})", flush=True)
        preset.configure()
    presets = [preset for preset in presets if preset.early or preset.late]
    if not presets:
        sys.exit("no test matches\n0 passed, 1 failed")

    results = Results()
    lanes = Lanes(root, Progress(presets), results, JOBS)
    try:
        lanes.start(presets)
        lanes.wait()
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
    finally:
        lanes.stop()
    sys.exit(conclude(presets, results))


main()
