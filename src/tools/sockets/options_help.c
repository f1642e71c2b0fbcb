/* hqq-perf-sockets --help. */
#include "tools/sockets/options.h"

#include <stdio.h>

/* In pieces: a C11 compiler need not take a string literal of more than 4095 characters. */
static const char *const help[] = {
    "Usage: hqq-perf-sockets [OPTION]... PRELOAD\n"
    "\n"
    "Measures what the library PRELOAD (libhqq-preload.so) is worth, or costs, to\n"
    "programs that use datagram sockets of AF_UNIX and know nothing of HQQ. The same\n"
    "program is run plain and preloaded, in turns, side by side.\n"
    "\n"
    "What is measured:\n"
    "  -r, --rows=LIST        rows, groups or patterns, with commas; default *\n"
    "                         groups: never-slower (where polling can't pay), fast,\n"
    "                         idle (where there is nothing to do)\n"
    "  -l, --list             names the rows, and does nothing else\n"
    "\n"
    "How:\n"
    "  -n, --pairs=N          pairs of runs of each row; default 15\n"
    "  -d, --duration-ms=N    length of a run; default 300\n"
    "  -w, --warm-up-ms=N     what goes before it; default 150\n"
    "      --tolerance=X      how many times the best a bare ping-pong may take\n"
    "                         next to a run that counts; default 1.5\n"
    "      --others=X         what share of the two processors other processes may\n"
    "                         have during a pair that counts, 0 to 1; default 0.1\n"
    "      --timeout=N        seconds after which a run has failed; default 60\n"
    "      --quick            one short pair of each, with a tenth of the sockets,\n"
    "                         to see that all works\n"
    "\n"
    "What is printed:\n"
    "      --json=FILE        everything, each run included, as JSON; '-' for\n"
    "                         standard output, without tables\n"
    "  -h, --help             this\n"
    "  -V, --version          version of the tool\n"
    "\n",
    "How to read it:\n"
    "  plain, preloaded       medians of the runs kept\n"
    "  ratio                  1.05: preloaded / plain; 35.9x: so many times as fast;\n"
    "                         +12: more than plain; -: the preloaded figure itself.\n"
    "                         In lines that begin with 'beside', preloaded / what is\n"
    "                         run beside it: the column plain has that\n"
    "  p10-p90                from the 10th to the 90th percentile of the same, each\n"
    "                         run compared with the one beside it\n"
    "  met                    the interval includes the bound or better, and the\n"
    "                         median is not beyond it by more than 5 %. With a\n"
    "                         question mark: of fewer than 15 pairs, or of runs made\n"
    "                         in slow spells\n"
    "  kept/made              pairs of runs\n"
    "\n"
    "Each run stands between two measurements of a bare cache line that goes to\n"
    "another processor and back; pairs made while that was slow, or others were busy,\n"
    "are set aside and made again, up to twice as many. Where hardly any are left,\n"
    "all of them count.\n"
    "Bounds of figures themselves are for a machine where the line takes 110 to\n"
    "140 ns.\n"
    "\n"
    "Every datagram carries its number, which its receiver checks. Rows that name a\n"
    "bare link run hqq-perf, from the folder of this program.\n"
    "\n"
    "Exit status: 0 measured, 1 a run failed or a datagram was lost, 2 bad option.\n",
};

void options_print_help(void)
{
    for (size_t i = 0; i < sizeof(help) / sizeof(help[0]); i++)
        fputs(help[i], stdout);
}
