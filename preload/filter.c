/* Hook: prctl(), by which filters are set, and rights given up. Filters by seccomp(2) come by syscall(). */
#include "preload/hook.h"

#include <stdarg.h>
#include <sys/prctl.h>

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

    if (option == PR_SET_SECCOMP)
        hqq_filter_begin();
    int result = HQQ_REAL(prctl)(option, a[0], a[1], a[2], a[3]);
    if (option == PR_SET_SECCOMP && result != 0)
        hqq_filter_failed();
    hqq_names_changed();
    return result;
}
