"""The plot of the table: an SVG and a PNG by gnuplot where that is installed, bars of text otherwise."""

import os
import shutil
import subprocess

WIDTH = 80

SCRIPT = """
set output "{output}"
set title "Time for a datagram, or a question and its answer, of unmodified programs\\n\
(less is better; above: how many times as fast)"
set style data histograms
set style histogram clustered gap 1
set style fill solid border rgb "white"
set boxwidth 0.95
set logscale y 10
set yrange [{low}:{high}]
set ylabel "microseconds"
set format y "%g"
set grid ytics lt 1 lc rgb "#cccccc"
set border 3
set tics nomirror
set key top right
set bmargin 4
plot "{data}" using 2:xticlabels(1) title "plain: the kernel's socket" lc rgb "#9aa5b1", \\
     "" using 3 title "accelerated, by hqq-run" lc rgb "#1f77b4", \\
     "" using 0:($2 > $3 ? $2 : $3):4 with labels offset 0, 0.6 notitle
"""

TERMINALS = (
    ("svg", "svg size 960,540 font 'sans-serif,13' background rgb 'white'"),
    ("png", "pngcairo size 960,540 font 'sans,11'"),
)


def draw(rows, folder):
    """The files written in folder; none without gnuplot. A row is (title, plain us, accelerated us, ratio)."""
    if not shutil.which("gnuplot"):
        return []
    data = os.path.join(folder, "demo.dat")
    with open(data, "w") as file:
        for title, plain, fast, ratio in rows:
            words = title.split()
            middle = (len(words) + 1) // 2
            label = " ".join(words[:middle]) + "\\n" + " ".join(words[middle:])
            file.write(f'"{label}" {plain:.3f} {fast:.3f} "{ratio:.1f} times"\n')
    values = [value for row in rows for value in row[1:3]]
    low = high = 1.0
    while low > min(values):
        low /= 10
    while high < max(values) * 3:
        high *= 10
    written = []
    for kind, terminal in TERMINALS:
        output = os.path.join(folder, f"demo.{kind}")
        script = f"set terminal {terminal}\n" + SCRIPT.format(output=output, data=data, low=low, high=high)
        done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True)
        if done.returncode == 0:
            written.append(output)
        else:
            print(f"gnuplot made no {kind}: {done.stderr.strip()}")
    return written


def bars(rows):
    """Bars of how many times as fast the accelerated programs were."""
    name_width = max(len(row[0]) for row in rows)
    room = WIDTH - name_width - len(" 100.0 ")
    most = max(row[3] for row in rows)
    lines = ["How many times as fast:"]
    for title, _, _, ratio in rows:
        lines.append(f"{title:{name_width}} {ratio:5.1f} {'#' * max(1, round(ratio / most * room))}")
    return "\n".join(lines)
