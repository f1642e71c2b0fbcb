"""What the runner says: a line of progress with the remaining time, and at the end what was skipped, and why, and what
failed."""

import os
import sys
import threading
import time
import xml.etree.ElementTree

BUILD_STEP = 0.15  # seconds of work, about; where a test says nothing of its cost, it has that of many
TEST = 0.5
SANITIZED = 2      # how much longer what is built with a sanitizer takes
QUIET = 20         # seconds between two lines of progress where one can't be overwritten
SHOWN = 60         # lines of the output of what failed


class Progress:
    def __init__(self, presets):
        self.started = time.monotonic()
        self.lock = threading.Lock()
        self.on_terminal = sys.stdout.isatty()
        self.next_line = self.started
        self.building, self.steps, self.work = "", {}, {}
        self.tests = self.failed = 0
        self.total_tests = sum(len(preset.early) + len(preset.late) for preset in presets)
        self.work_done, self.work_total = 0.0, 0.0
        for preset in presets:
            slow = SANITIZED if "san" in preset.name else 1
            self.work[preset] = {name: max(cost, TEST) * slow for name, cost in preset.early + preset.late}
            self.steps[preset] = preset.build_steps() * BUILD_STEP * slow if preset.late else 0.0
            self.work_total += sum(self.work[preset].values()) + self.steps[preset]
        self.build_done = dict.fromkeys(presets, 0.0)

    def built(self, preset, step, steps):
        with self.lock:
            self.building = f"building {preset.name}, {step} of {steps}; " if step < steps else ""
            done = self.steps[preset] * step / steps
            self.work_done += done - self.build_done[preset]
            self.build_done[preset] = done

    def tested(self, preset, name, failed):
        with self.lock:
            self.tests += 1
            self.failed += bool(failed)
            self.work_done += self.work[preset].pop(name, 0)
        if failed:
            self.say(f"failed in {preset.name}: {name}")

    def remaining(self):
        elapsed = time.monotonic() - self.started
        if elapsed < 5 or self.work_done < self.work_total / 50:
            return ""
        seconds = int(elapsed * (self.work_total - self.work_done) / self.work_done)
        return f", about {seconds // 60}:{seconds % 60:02} left"

    def show(self):
        now = time.monotonic()
        with self.lock:
            elapsed = int(now - self.started)
            text = (f"{elapsed // 60}:{elapsed % 60:02}{self.remaining()}: {self.building}"
                    f"{self.tests} of {self.total_tests} tests{f', {self.failed} failed' if self.failed else ''}")
            if self.on_terminal:
                print(f"\r{text[:79]:79}", end="", flush=True)
            elif now >= self.next_line:
                self.next_line = now + QUIET
                print(text, flush=True)

    def clear(self):
        if self.on_terminal:
            print(f"\r{'':79}\r", end="", flush=True)

    def say(self, text):
        with self.lock:
            self.clear()
            print(text, flush=True)


class Results:
    """Of all tests, by preset and name: "run", "fail", "notrun" (which here means skipped) and the output."""

    def __init__(self):
        self.lock = threading.Lock()
        self.of = {}

    def add(self, preset, junit):
        if not os.path.exists(junit):
            return
        for case in xml.etree.ElementTree.parse(junit).iter("testcase"):
            skipped = case.find("skipped")
            output = case.findtext("system-out") or ""
            if skipped is not None and skipped.get("message", "") != "SKIP_RETURN_CODE=77":
                status = "fail"  # it could not be started, or what it needs has failed
                output += skipped.get("message", "")
            else:
                status = case.get("status")
            with self.lock:
                self.of[preset.name, case.get("name")] = (status, output)


def last_line(output):
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1].removeprefix("skipped: ") if lines else "it gives no reason"


def conclude(presets, results):
    """Prints the end of the report. Returns the exit status."""
    passed, failed, skipped = 0, [], {}
    for preset in presets:
        for name, _ in preset.early + preset.late:
            status, output = results.of.get((preset.name, name), ("missing", "it was not run"))
            if status == "run":
                passed += 1
            elif status == "notrun":
                skipped.setdefault((preset.name, last_line(output)), []).append(name)
            else:
                failed.append((preset, name, output))
    for preset in presets:
        if preset.build_failed:
            with open(os.path.join(preset.root, "build", "log", f"build-{preset.name}")) as log:
                print(f"\n=== building {preset.name}:\n" + "".join(log.readlines()[-SHOWN:]))
    for preset, name, output in failed:
        if not preset.build_failed:
            print(f"\n=== {preset.name}: {name}\n" + "\n".join(output.splitlines()[-SHOWN:]))
    if skipped:
        print("\nSkipped:")
    for (preset, reason), names in sorted(skipped.items()):
        print(f"  {preset}: {', '.join(names)}: {reason}")
    if failed:
        print("\nFailed:")
    for preset, name, _ in failed:
        print(f"  {preset.name}: {name}")
    count = sum(map(len, skipped.values()))
    print(f"\n{passed} passed, {len(failed)} failed" + (f", {count} skipped" if count else ""))
    return 1 if failed else 0
