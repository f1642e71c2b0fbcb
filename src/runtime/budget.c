#include "runtime/budget.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include <hqq/link.h>

#include "base/atomic.h"
#include "base/text.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "runtime/filter.h"
#include "runtime/lock.h"

/* How often the limits are looked up: they may be changed, and a process may be moved. */
#define LOOK_NS (1 * HQQ_NS_PER_S)

#define FEW_BYTES (UINT64_C(2) << 20)

#define PART 16 /* one in so many bytes of memory may be a channel's */
#define MOST_PART 2

static hqq_atomic_u64 taken;

/* Too large for the stacks that programs send on. */
static struct hqq_lock lock;
static char text[4096], path[4096 + 64];

/* ---- The control group ------------------------------------------------------------------------------------------ */

/* "max" is no number; version 1 says none by one that no machine has. */
static uint64_t limit_in(const char *name)
{
    char number[32];
    if (hqq_sys_read_file(name, number, sizeof(number)) <= 0 || number[0] < '0' || number[0] > '9')
        return UINT64_MAX;
    return strtoull(number, NULL, 10);
}

/* Of a group and all above it; in a container the path may begin above what can be seen. */
static uint64_t least_limit(const char *root, char *group, const char *file)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        struct hqq_text name;
        hqq_text_begin(&name, path, sizeof(path));
        hqq_text_add(&name, root);
        hqq_text_add(&name, strcmp(group, "/") == 0 ? "" : group);
        hqq_text_add(&name, "/");
        hqq_text_add(&name, file);
        uint64_t limit = name.is_cut ? UINT64_MAX : limit_in(path);
        least = limit < least ? limit : least;
        char *last = strrchr(group, '/');
        if (!last || group[0] == '\0')
            return least;
        *last = '\0';
    }
}

/* Lines are HIERARCHY:CONTROLLERS:PATH; version 2 names no controllers. */
uint64_t hqq_budget_group_limit(const char *root, char *lines)
{
    char memory_root[64];
    uint64_t least = UINT64_MAX;
    struct hqq_text name;
    hqq_text_begin(&name, memory_root, sizeof(memory_root));
    hqq_text_add(&name, root);
    hqq_text_add(&name, "/memory");
    for (char *line = lines, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        uint64_t limit = UINT64_MAX;
        if (controllers[1] == '\0')
            limit = least_limit(root, group, "memory.max");
        else if (strcmp(controllers + 1, "memory") == 0)
            limit = least_limit(memory_root, group, "memory.limit_in_bytes");
        least = limit < least ? limit : least;
    }
    return least;
}

/* ---- The usual limit --------------------------------------------------------------------------------------------- */

uint64_t hqq_budget_usual(uint64_t machine, uint64_t group)
{
    uint64_t memory = group < machine ? group : machine;
    uint64_t part = memory / PART, most = memory / MOST_PART;
    if (part < HQQ_BUDGET_LEAST)
        part = HQQ_BUDGET_LEAST;
    return part < most ? part : most;
}

static uint64_t look_up(void)
{
    struct sysinfo machine;
    int saved = errno;
    uint64_t memory = sysinfo(&machine) == 0 ? (uint64_t)machine.totalram * machine.mem_unit : UINT64_MAX;
    uint64_t group = hqq_sys_read_file("/proc/self/cgroup", text, sizeof(text)) > 0
                         ? hqq_budget_group_limit("/sys/fs/cgroup", text)
                         : UINT64_MAX;
    errno = saved;
    return memory != UINT64_MAX || group != UINT64_MAX ? hqq_budget_usual(memory, group) : HQQ_BUDGET_LEAST;
}

/* Not looked up for the few channels that most processes have. */
static uint64_t usual_limit(uint64_t is_taken)
{
    static hqq_atomic_u64 looked_ns, known;
    if (is_taken < FEW_BYTES)
        return HQQ_BUDGET_LEAST;
    uint64_t now = hqq_clock_ns(), looked = hqq_load_relaxed(&looked_ns);
    bool is_due = looked == 0 || hqq_is_due(now, looked, LOOK_NS);
    if (is_due && !hqq_filter_is_set() && hqq_lock_try(&lock)) {
        hqq_store_relaxed(&known, look_up());
        hqq_store_relaxed(&looked_ns, now);
        hqq_lock_give(&lock);
    }
    uint64_t limit = hqq_load_relaxed(&known);
    return limit != 0 ? limit : HQQ_BUDGET_LEAST;
}

/* ---- Taking ------------------------------------------------------------------------------------------------------ */

static uint64_t left_of(uint64_t limit, uint64_t is_taken)
{
    if (limit == 0)
        limit = usual_limit(is_taken);
    return limit > is_taken ? limit - is_taken : 0;
}

uint64_t hqq_budget_left(uint64_t limit)
{
    return left_of(limit, hqq_load_relaxed(&taken));
}

bool hqq_budget_take(uint64_t limit, uint64_t bytes)
{
    uint64_t is_taken = hqq_load_relaxed(&taken);
    do {
        if (bytes > left_of(limit, is_taken))
            return false;
    } while (!hqq_cas_relaxed(&taken, &is_taken, is_taken + bytes));
    return true;
}

void hqq_budget_give(uint64_t bytes)
{
    hqq_add_relaxed(&taken, -bytes);
}
