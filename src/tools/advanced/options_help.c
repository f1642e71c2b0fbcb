/* hqq-perf-advanced --help. */
#include <stdio.h>

#include "tools/advanced/options.h"

/* In pieces: a C11 compiler need not take a string literal of more than 4095 characters. */
static const char *const help[] = {
    "Usage: hqq-perf-advanced [OPTION]...\n"
    "\n"
    "Measures advanced links of libhqq: calls, long messages, priorities, fairness, encryption and compression, side\n"
    "by side with AF_UNIX stream sockets and memcpy(). Two processes are used, the driver and its child, the peer,\n"
    "each on a processor of its own.\n"
    "\n"
    "What is measured:\n"
    "  -p, --parts=LIST       of these; default all\n"
    "        calls     a call and its answer of 64 bytes and of 1 MiB\n"
    "        messages  one way, of 64 KiB, 1 MiB and 16 MiB; encrypted, and compressed: lines of a log, and random\n"
    "        classes   an urgent message of 64 bytes there and back: alone, beside three bulk streams that never end,\n"
    "                  and beside them without priorities\n"
    "        shares    four equal connections that all have something to send: the share of the one that gets\n"
    "                  least, divided by that of the one that gets most\n"
    "\n"
    "How:\n"
    "  -c, --cpus=A,B         driver on processor A, peer on B; default two different cores. On one and the same\n"
    "                         they yield it to each other where they would spin\n"
    "  -r, --rounds=N         in each round everything is measured once, in turn; default 7\n"
    "      --extra=N          more rounds, at most, for what has lost over half of its runs; default 4\n"
    "  -d, --duration-ms=N    length of a run; default 120\n"
    "      --bracket-ms=N     length of the bare ping-pong before and after a run; default 3\n"
    "      --tolerance=X      how much the ping-pong may vary between runs that count; default 1.25 times\n"
    "      --keep=STATE       which runs count: of the machine's usual state, or of its best; default usual\n"
    "      --slots=N          slots of a link, a power of two from 4 to 65536; default 32\n"
    "      --slot-bytes=N     bytes of a slot, a multiple of 8 from 64 to 1048576; default 32k\n"
    "      --timeout=N        seconds after which a run that stalls is an error; default 10\n"
    "      --quick            two short rounds without messages of 16 MiB, to see that all works\n"
    "\n",
    "What is printed:\n"
    "      --json=FILE        everything, each run included, as JSON; '-' for standard output, without the table\n"
    "  -h, --help             this\n"
    "  -V, --version          version of the tool and of the library\n"
    "\n"
    "How to read it:\n"
    "  us        microseconds a round trip, or a message one way, as the mean of a run: median, 10th and 90th\n"
    "            percentile of the runs kept\n"
    "  p50, p99  percentiles of single round trips, one reading of the clock included; median of the runs kept\n"
    "  GB/s      10^9 bytes of messages a second, both directions counted\n"
    "  vs ping   that time divided by the bare round trip just before and after the same run; median\n"
    "  vs ...    how many times faster than the line that says 1.00, each run against that of the same round:\n"
    "            median, lowest and highest. 'unix': stream sockets, in classes the line without priorities;\n"
    "            'plain': the same without encryption and compression\n"
    "  shares    least divided by most, of the four connections; median\n"
    "  runs      kept/made\n"
    "\n"
    "Which runs count is decided as by hqq-perf, whose manual page says how. Every message carries its number, which\n"
    "its receiver checks.\n"
    "\n"
    "Exit status: 0 measured, 1 a message was wrong, a run stalled or a system call failed, 2 bad option.\n",
};

void advanced_options_print_help(void)
{
    for (size_t i = 0; i < sizeof(help) / sizeof(help[0]); i++)
        fputs(help[i], stdout);
}
