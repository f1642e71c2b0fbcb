"""asker.py COUNT [BURST]: for programs that connect a socket with their standard input and output.

Writes numbered lines to standard output and expects each back on standard input before it writes the next; or, with
BURST, as many at a time. Exit status 0 if every answer was the right one.
"""

import sys

count = int(sys.argv[1])
burst = int(sys.argv[2]) if len(sys.argv) > 2 else 1


def line(number):
    return f"{number} {'.' * (number * 7 % 900)}\n".encode()


for first in range(0, count, burst):
    numbers = range(first, min(first + burst, count))
    for number in numbers:
        sys.stdout.buffer.write(line(number))
        sys.stdout.buffer.flush()
    for number in numbers:
        answer = sys.stdin.buffer.readline()
        if answer != line(number):
            sys.exit(f"line {number} was answered by {answer}")
