/* Hook: prctl(), by which filters are set, and rights given up. Filters by seccomp(2) come by syscall(). */
#include "preload/hook.h"

#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "platform/clock.h"
#include "runtime/filter.h"
#include "runtime/names.h"

/* Four arguments are read, however many there are: the rest is whatever stands there, which is handed on as it is. */
HQQ_EXPORT int prctl(int option, ...)
{
    long a[4];
    va_list list;
    va_start(list, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(list, long);
    va_end(list);

    bool is_strict = option == PR_SET_SECCOMP && a[0] == SECCOMP_MODE_STRICT;
    bool is_counter_lost = is_strict || (option == PR_SET_TSC && a[0] == PR_TSC_SIGSEGV);
    if (option == PR_SET_SECCOMP || is_counter_lost)
        hqq_filter_begin();
    if (is_counter_lost)
        hqq_clock_set_way(is_strict ? HQQ_CLOCK_STANDS_STILL : HQQ_CLOCK_BY_CALL);
    int result = HQQ_REAL(prctl)(option, a[0], a[1], a[2], a[3]);
    if ((option == PR_SET_SECCOMP || is_counter_lost) && result != 0)
        hqq_filter_failed();
    if ((option == PR_SET_SECCOMP || is_counter_lost) && result == 0 && hqq_preload_is_ready())
        hqq_socket_filtered();
    if ((is_counter_lost && result != 0) || (option == PR_SET_TSC && a[0] == PR_TSC_ENABLE && result == 0))
        hqq_clock_set_way(HQQ_CLOCK_BY_COUNTER);
    hqq_names_changed();
    return result;
}
