"""demo.py BUILD ROUNDS: runs the pairs of programs, plainly and accelerated in turns; run by examples/demo.

Prints a table, and leaves it and a plot in the folder BUILD, which has the tools.
"""

import os
import signal
import statistics
import sys
import textwrap

import demo_pairs
import demo_plot
import demo_share
from demo_run import Run

BUILD = sys.argv[1]
ROUNDS = int(sys.argv[2])
WIDTH = 80
os.environ["PATH"] += ":/usr/sbin:/sbin"

# What is run: a title, a function, how many datagrams (or questions).
PAIRS = (
    ("chronyc asks chronyd", demo_pairs.chrony, 5_000),
    ("a Python loop asks another", demo_pairs.python_answers, 10_000),
    ("a Python loop sends to another", demo_pairs.python, 100_000),
    ("logger sends lines to rsyslogd", demo_pairs.logger, 25_000),
    ("socat sends a file to socat", demo_pairs.socat, 5_000),
)

ABOUT = f"""Pairs of programs from Debian's packages, none of them changed, rebuilt or configured for this, {ROUNDS}
times each way in turns. "plain" is the kernel's AF_UNIX datagram socket; "accelerated" is the same command behind
"hqq-run -p PATH --". What can be gained is what the socket costs: a Python loop does little else, while rsyslogd parses
and files what it gets. Where one asks the other, a time is that of a question and its answer. Times are medians; a
ratio is that of runs made side by side. All data is checked."""


def progress(text):
    """On a terminal a line that the next one overwrites; elsewhere nothing but the beginning of each pair."""
    if sys.stdout.isatty():
        print(f"\r{text:{WIDTH - 1}}", end="", flush=True)


def measure(number, title, work, count):
    """The row of the table: title, medians in us, the ratio with its spread, share of the ring, why not the rest."""
    times = {False: [], True: []}
    shares = []
    if not sys.stdout.isatty():
        print(f"  {number} of {len(PAIRS)}: {title}", flush=True)
    for round_number in range(ROUNDS):
        for accelerated in (False, True) if round_number % 2 == 0 else (True, False):
            progress(f"pair {number} of {len(PAIRS)}, round {round_number + 1} of {ROUNDS}: {title}, "
                     f"{'accelerated' if accelerated else 'plain'}")
            with Run(f"{BUILD}/src/tools/hqq-run", accelerated) as run:
                times[accelerated].append(work(run, count) / count * 1e6)
                if accelerated:
                    shares.append(demo_share.share(run.sockets()))
    progress("")
    progress("")
    ratios = [plain / fast for plain, fast in zip(times[False], times[True])]
    share, reason = sorted(shares)[len(shares) // 2]
    return {"title": title, "plain": statistics.median(times[False]), "fast": statistics.median(times[True]),
            "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios), "share": share,
            "reason": reason}


def table(rows):
    lines = [f"{'':30} {'plain':>9} {'accelerated':>11} {'times as fast':>18} {'ring':>7}"]
    for row in rows:
        spread = f"{row['ratio']:.1f} ({row['low']:.1f}-{row['high']:.1f})"
        lines.append(f"{row['title']:30} {row['plain']:6.2f} us {row['fast']:8.2f} us {spread:>18} "
                     f"{row['share']:>7.1%}")
        lines += textwrap.wrap(row["reason"], WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the programs of a run end with it
    print(f"\n{textwrap.fill(ABOUT, WIDTH)}\n", flush=True)
    rows = [measure(number, *pair) for number, pair in enumerate(PAIRS, 1)]
    text = table(rows)
    print(f"\n{text}\n")
    with open(f"{BUILD}/demo.txt", "w") as file:
        file.write(text + "\n")
    points = [(row["title"], row["plain"], row["fast"], row["ratio"]) for row in rows]
    written = demo_plot.draw(points, BUILD)
    print("Plot: " + ", ".join(os.path.relpath(path) for path in written) if written else demo_plot.bars(points))


main()
