/*
 * Frames: which records a jump abandons, and which records are stale. Both are asked only where there are records at
 * all, so system calls may be made for it; under a seccomp filter none is, and what can't be told stays.
 */
#include "runtime/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "runtime/filter.h"
#include "runtime/libc.h"

__thread struct hqq_frame *volatile hqq_frame_top;

/* False if the record was overwritten: then neither it nor what is below can be used. Inline for the sake of
 * hqq_frames_leave_stale(). */
__attribute__((always_inline)) static inline bool is_sound(const struct hqq_frame *frame)
{
    uintptr_t check = hqq_frame_check(frame, frame->below);
    return frame->check == check || frame->spare == check;
}

/* Takes a record out of the list; above is the one that leads to it, or NULL for the top. A handler that comes in
 * between finds above sound. */
static void unlink_record(struct hqq_frame *above, struct hqq_frame *frame)
{
    if (!above) {
        hqq_frame_top = frame->below;
        return;
    }
    above->spare = hqq_frame_check(above, frame->below);
    hqq_fence_compiler();
    above->below = frame->below;
    hqq_fence_compiler();
    above->check = above->spare;
}

static void cut_off(struct hqq_frame *above)
{
    struct hqq_frame end = {.below = NULL};
    unlink_record(above, &end);
}

void hqq_frame_pop_inner(struct hqq_frame *frame)
{
    struct hqq_frame *above = NULL;
    for (struct hqq_frame *at = hqq_frame_top; at; above = at, at = at->below) {
        if (!is_sound(at)) {
            cut_off(above);
            return;
        }
        if (at == frame) {
            unlink_record(above, at);
            return;
        }
    }
}

/* ---- Stacks ---------------------------------------------------------------------------------------------------- */

struct range {
    uintptr_t low;
    uintptr_t high; /* the first address behind it */
};

static bool is_in(struct range range, uintptr_t address)
{
    return address >= range.low && address < range.high;
}

/* Empty if there is none, or if it can't be told. */
static struct range alternate_stack(void)
{
    stack_t stack;
    if (hqq_filter_is_set() || sigaltstack(NULL, &stack) != 0 || stack.ss_flags & SS_DISABLE)
        return (struct range){0, 0};
    return (struct range){(uintptr_t)stack.ss_sp, (uintptr_t)stack.ss_sp + stack.ss_size};
}

/* Reads "low-high " of a line of /proc/self/maps, digit by digit: a line may be split between two reads. */
struct reader {
    uintptr_t number;
    struct range range;
    enum { LOW, HIGH, REST } at;
};

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* True where a range is complete. */
static bool take(struct reader *reader, char c)
{
    int digit = digit_of(c);
    if (c == '\n') {
        *reader = (struct reader){.at = LOW};
    } else if (reader->at != REST && digit >= 0) {
        reader->number = reader->number << 4 | (uintptr_t)digit;
    } else if (reader->at == LOW) {
        reader->range.low = reader->number;
        reader->number = 0;
        reader->at = HIGH;
    } else if (reader->at == HIGH) {
        reader->range.high = reader->number;
        reader->at = REST;
        return true;
    }
    return false;
}

/* The mapping that an address lies in, empty if that can't be told. */
static struct range mapping_of(uintptr_t address)
{
    struct reader reader = {.at = LOW};
    char text[512];
    struct range found = {0, 0};
    int saved = errno;
    long fd = hqq_libc.syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        long length;
        while (found.high == 0 && (length = hqq_libc.syscall(SYS_read, fd, text, sizeof(text))) > 0) {
            for (long i = 0; i < length && found.high == 0; i++) {
                if (take(&reader, text[i]) && is_in(reader.range, address))
                    found = reader.range;
            }
        }
        hqq_libc.syscall(SYS_close, fd);
    }
    errno = saved;
    return found;
}

/* The stack that the thread was started on, if address lies there; else empty. Its mapping has, at its upper end, what
 * the kernel gave the program, or the thread's own descriptor. */
static struct range own_stack_with(uintptr_t address)
{
    struct range range = hqq_filter_is_set() ? (struct range){0, 0} : mapping_of(address);
    bool is_own = is_in(range, (uintptr_t)getauxval(AT_RANDOM)) || is_in(range, (uintptr_t)pthread_self());
    return is_own ? range : (struct range){0, 0};
}

/* ---- Leaving --------------------------------------------------------------------------------------------------- */

/* From where records are judged, and what was found out for it. */
struct view {
    uintptr_t here;
    uintptr_t target;
    struct range alternate;
    struct range own; /* empty until it is needed */
    bool knows_own;
};

/* True if the address lies on the stack that the thread was started on, and limit, which is higher, does too. */
static bool is_own_below(struct view *view, uintptr_t address, uintptr_t limit)
{
    if (!view->knows_own)
        view->own = own_stack_with(limit);
    view->knows_own = true;
    return address < limit && is_in(view->own, address) && is_in(view->own, limit);
}

static bool is_abandoned(struct view *view, uintptr_t address)
{
    bool was_alternate = is_in(view->alternate, view->here);
    bool becomes_alternate = is_in(view->alternate, view->target);
    if (is_in(view->alternate, address))
        return was_alternate && (!becomes_alternate || address < view->target);
    if (becomes_alternate)
        return false;
    if (was_alternate)
        return is_own_below(view, address, view->target);
    return address >= view->here && address < view->target;
}

static bool is_stale(struct view *view, uintptr_t address)
{
    if (address >= view->here)
        return false;
    if (is_in(view->alternate, view->here) || is_in(view->alternate, address))
        return is_in(view->alternate, view->here) && is_in(view->alternate, address);
    return is_own_below(view, address, view->here);
}

/* The record is taken out after leave(), so that one that is itself jumped out of is called again. */
static void leave_all(struct view *view, bool (*is_to_leave)(struct view *view, uintptr_t address))
{
    struct hqq_frame *above = NULL;
    struct hqq_frame *at = hqq_frame_top;
    while (at) {
        if (!is_sound(at)) {
            cut_off(above);
            return;
        }
        struct hqq_frame *below = at->below;
        if (is_to_leave(view, (uintptr_t)at)) {
            at->leave(at);
            unlink_record(above, at);
        } else {
            above = at;
        }
        at = below;
    }
}

void hqq_frames_leave_abandoned(uintptr_t stack_pointer)
{
    struct view view = {.here = (uintptr_t)__builtin_frame_address(0), .target = stack_pointer};
    view.alternate = alternate_stack();
    leave_all(&view, is_abandoned);
}

/* Apart, so that it runs below the space that its caller has left. */
__attribute__((noinline)) static void leave_stale(uintptr_t frame_address)
{
    struct view view = {.here = frame_address};
    view.alternate = alternate_stack();
    leave_all(&view, is_stale);
}

/* Stale records lie where the stack is used again: by this very function, too, which therefore is small, and moves the
 * stack pointer below them before it calls anything. */
void hqq_frames_leave_stale(uintptr_t frame_address)
{
    const uintptr_t far =
        (uintptr_t)64 * 1024; /* a call of the library is not that deep; on another stack there is no such room */
    uintptr_t depth = 0;
    bool may_be_any = false;
    for (struct hqq_frame *at = hqq_frame_top; at; at = at->below) {
        if (!is_sound(at)) {
            may_be_any = true;
            break;
        }
        uintptr_t below = frame_address - (uintptr_t)at;
        if (frame_address <= (uintptr_t)at)
            continue;
        may_be_any = true;
        if (below > depth && below < far)
            depth = below;
    }
    if (!may_be_any)
        return;
    char *volatile space = __builtin_alloca(depth + 1);
    *space = 0;
    leave_stale(frame_address);
}
