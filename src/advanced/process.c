/* Driving a link from the program's own loop, and by a thread of the library. */
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "advanced/enter.h"
#include "advanced/event.h"
#include "advanced/handlers.h"
#include "advanced/input.h"
#include "advanced/output.h"
#include "advanced/requests.h"
#include "advanced/wait.h"
#include "advanced/wake.h"
#include "base/thread.h"

/* ---- Processing ---------------------------------------------------------------------------------------------------- */

/* What a call of hqq_advanced_process() waits for. */
struct work {
    struct hqq_advanced *advanced;
    uint64_t progress;  /* as it was before */
    bool is_dispatcher; /* it ends when that is to stop */
};

static bool is_anything_done(void *arg)
{
    const struct work *work = arg;
    return work->advanced->progress != work->progress ||
           (work->is_dispatcher && work->advanced->dispatching == HQQ_DISPATCHING_ENDS) ||
           hqq_handlers_has_request(work->advanced, true);
}

/* Takes what is there, for a lap of the ring at most. */
static void take_all(struct hqq_advanced *advanced)
{
    for (uint64_t i = 0; i < advanced->link->rx.count && hqq_advanced_may_take(advanced); i++) {
        if (hqq_input_take(advanced, 0) != 0)
            break;
    }
    hqq_output_push(advanced);
}

/* The link whose handler this thread is in; NULL: in none. */
static __thread const struct hqq_advanced *handling;

/* Runs the handlers of the requests that wait, without the lock. */
static void run_handlers(struct hqq_advanced *advanced)
{
    struct hqq_request *request;
    const struct hqq_advanced *outer = handling; /* a handler of one link may drive another */
    handling = advanced;
    while ((request = hqq_requests_take_first(advanced, true)) != NULL) {
        struct hqq_handler handler = *hqq_handlers_find(advanced, request->method);
        hqq_advanced_unlock(advanced);
        handler.handle(request, handler.arg);
        hqq_advanced_lock(advanced);
    }
    handling = outer;
    hqq_output_push(advanced);
}

static int process(struct hqq_advanced *advanced, uint64_t deadline_ns, bool is_dispatcher)
{
    struct work work = {advanced, advanced->progress, is_dispatcher};
    const struct hqq_await wait = {
        .object = advanced,
        .is_ready = is_anything_done,
        .arg = &work,
        .kind = HQQ_AWAIT_PEER,
        .deadline_ns = deadline_ns,
    };
    take_all(advanced);
    int result = hqq_advanced_wait(advanced, &wait);
    if (result != 0)
        return result;
    take_all(advanced);
    run_handlers(advanced);
    return 0;
}

int hqq_advanced_process(struct hqq_advanced *advanced, uint64_t deadline_ns)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    if (handling == advanced || hqq_load32_relaxed(&advanced->callback_thread) == hqq_thread_self())
        return hqq_advanced_end(advanced, HQQ_ERROR_INVALID_OP);
    return hqq_advanced_end(advanced, process(advanced, deadline_ns, false));
}

static bool is_flushed(void *arg)
{
    return hqq_output_is_empty(arg);
}

int hqq_advanced_flush(struct hqq_advanced *advanced, uint64_t deadline_ns)
{
    const struct hqq_await wait = {
        .object = &advanced->first_control,
        .is_ready = is_flushed,
        .arg = advanced,
        .kind = HQQ_AWAIT_SLOT,
        .deadline_ns = deadline_ns,
    };
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    bool was_empty = hqq_output_is_empty(advanced);
    result = was_empty ? 0 : hqq_advanced_wait(advanced, &wait);
    if (result == 0 && !was_empty)
        result = advanced->output_ended;
    return hqq_advanced_end(advanced, result);
}

/* ---- The dispatcher ------------------------------------------------------------------------------------------------ */

static void *dispatch(void *arg)
{
    struct hqq_advanced *advanced = arg;
    int result = 0;
    hqq_advanced_lock(advanced);
    while (advanced->dispatching != HQQ_DISPATCHING_ENDS && (result == 0 || result == HQQ_ERROR_TIMEOUT))
        result = process(advanced, HQQ_FOREVER, true);
    hqq_advanced_unlock(advanced);
    return NULL;
}

/* With all signals blocked, which are for the program's own threads. */
static int start_thread(struct hqq_advanced *advanced)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&advanced->dispatcher, NULL, dispatch, advanced);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -result;
}

int hqq_advanced_start(struct hqq_advanced *advanced, int *ret_fd)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    if (advanced->dispatching != HQQ_DISPATCHING_NOT)
        return hqq_advanced_end(advanced, HQQ_ERROR_INVALID_OP);
    if (ret_fd && advanced->event_fd < 0) {
        advanced->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (advanced->event_fd < 0)
            return hqq_advanced_end(advanced, -errno);
        hqq_event_update(advanced);
    }
    result = start_thread(advanced);
    if (result == 0)
        advanced->dispatching = HQQ_DISPATCHING;
    if (result == 0 && ret_fd)
        *ret_fd = advanced->event_fd;
    return hqq_advanced_end(advanced, result);
}

int hqq_advanced_stop(struct hqq_advanced *advanced)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    if (advanced->dispatching != HQQ_DISPATCHING || pthread_equal(pthread_self(), advanced->dispatcher))
        return hqq_advanced_end(advanced, HQQ_ERROR_INVALID_OP);
    advanced->dispatching = HQQ_DISPATCHING_ENDS;
    hqq_advanced_wake(advanced, advanced);
    hqq_advanced_unlock(advanced);
    (void)pthread_join(advanced->dispatcher, NULL);
    hqq_advanced_lock(advanced);
    advanced->dispatching = HQQ_DISPATCHING_NOT;
    return hqq_advanced_end(advanced, 0);
}
