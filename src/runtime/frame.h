/*
 * What a thread is in the middle of: records on the stacks of library calls, so that a lock or a counter that such a
 * call holds is given back when a signal handler jumps out of it. A list for each thread, the innermost call first.
 *
 * Relies on stacks that grow downwards: a jump to a frame abandons the records that lie below it on the same stack, and
 * those on the alternate signal stack if it leaves that. A jump that was seen (hqq_frames_leave_below()) finds them as
 * they were. After one that was not, the stack has been used again: hqq_frames_recover() believes a record only as far
 * as its check goes, and calls nothing for one that was overwritten. A record whose stack can't be told stays.
 *
 * Async-signal-safe: a handler may come at any instruction, push and pop records of its own, and jump out.
 */
#ifndef HQQ_RUNTIME_FRAME_H
#define HQQ_RUNTIME_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

/* leave and object are the caller's to set, before the push; the rest is of this file. leave() gives back what the call
 * held. It may be interrupted by another jump and is then called again, so it does nothing that was done. Called by
 * hqq_frames_recover() it finds the record as it was, but not what stands around it: object is the way to the rest. */
struct hqq_frame {
    struct hqq_frame *below; /* of the call that this one interrupted or came from */
    void (*leave)(struct hqq_frame *frame);
    void *object;
    uintptr_t check; /* hqq_frame_check(), of the value that below has or is about to get */
    uintptr_t spare; /* another one: while below changes, one of the two is right */
};

/* Only the thread itself and its handlers use it: volatile, and a compiler's fence at the push, are enough. */
extern __thread struct hqq_frame *volatile hqq_frame_top __attribute__((tls_model("initial-exec")));

static inline uintptr_t hqq_frame_rotate(uintptr_t word, unsigned by)
{
    return word << by | word >> (8 * sizeof(word) - by);
}

static inline uintptr_t hqq_frame_check(const struct hqq_frame *frame, const struct hqq_frame *below)
{
    return ~((uintptr_t)frame ^ hqq_frame_rotate((uintptr_t)below, 13) ^ hqq_frame_rotate((uintptr_t)frame->leave, 29) ^
             hqq_frame_rotate((uintptr_t)frame->object, 47));
}

static inline void hqq_frame_push(struct hqq_frame *frame)
{
    struct hqq_frame *top = hqq_frame_top;
    frame->below = top;
    frame->check = hqq_frame_check(frame, top);
    frame->spare = frame->check;
    hqq_fence_compiler(); /* a handler that finds the record finds it filled */
    hqq_frame_top = frame;
}

/* Takes a record out from below others, which swapcontext() brings about. One that is not there is ignored. */
void hqq_frame_pop_inner(struct hqq_frame *frame);

static inline void hqq_frame_pop(struct hqq_frame *frame)
{
    if (__builtin_expect(hqq_frame_top == frame, 1))
        hqq_frame_top = frame->below;
    else
        hqq_frame_pop_inner(frame);
}

void hqq_frames_leave_abandoned(uintptr_t stack_pointer);

/* The thread is about to jump to a frame with this stack pointer: calls leave() for, and takes out, every record that
 * the jump abandons. */
static inline void hqq_frames_leave_below(uintptr_t stack_pointer)
{
    if (hqq_frame_top)
        hqq_frames_leave_abandoned(stack_pointer);
}

void hqq_frames_leave_stale(uintptr_t frame_address);

/* At the entry of a library call, before its own push: calls leave() for, and takes out, records of calls that are no
 * more, of the stack that the call runs on. Always inline: what counts is the frame of the call. */
__attribute__((always_inline)) static inline void hqq_frames_recover(void)
{
    if (__builtin_expect(hqq_frame_top != NULL, 0))
        hqq_frames_leave_stale((uintptr_t)__builtin_frame_address(0));
}

#endif
