/*
 * One run. The driver is this process, the peer its child, which lives for this run only, so that no run inherits the
 * state of another. Ways it fails: either side gives up (it says so in the control block, and the other notices), the
 * peer's process ends (SIGCHLD), nothing happens (every wait has a deadline). A driver that dies takes its peer along.
 */
#include "tools/perf/run.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

/* For the signal handler: where it notes that the peer's process has ended. */
static struct perf_control *watched;

static void note_end_of_peer(int signal_number)
{
    (void)signal_number;
    hqq_store32_relaxed(&watched->gone, 1);
}

struct perf_control *perf_run_prepare(const void *parent)
{
    struct sigaction action;
    struct perf_pages *pages = perf_pages_create(parent, sizeof(struct perf_control), PERF_PAGES_SHARED);

    if (pages == NULL)
        return NULL;
    watched = pages->base;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    action.sa_handler = note_end_of_peer;
    action.sa_flags = SA_NOCLDSTOP; /* not SA_RESTART: it is to end a blocking call */
    return sigaction(SIGCHLD, &action, NULL) == 0 ? watched : NULL;
}

static int destroy_channel(struct perf_channel *channel)
{
    for (int i = 0; i < 2; i++) {
        if (channel->fds[i] >= 0)
            close(channel->fds[i]);
    }
    return 0;
}

static struct perf_channel *create_channel(const void *parent, const struct perf_task *task, int *ret_result)
{
    struct perf_channel *channel = talloc_zero(parent, struct perf_channel);

    *ret_result = -ENOMEM;
    if (channel == NULL)
        return NULL;
    channel->shape = &task->shape;
    channel->fds[0] = -1;
    channel->fds[1] = -1;
    talloc_set_destructor(channel, destroy_channel);
    *ret_result = task->transport->create == NULL ? 0 : task->transport->create(channel);
    return channel;
}

static struct perf_end *create_end(struct perf_channel *channel, struct perf_control *control,
                                   const struct perf_task *task)
{
    struct perf_end *end = talloc_zero(channel, struct perf_end);

    if (end == NULL)
        return NULL;
    end->channel = channel;
    end->shape = channel->shape;
    end->control = control;
    end->fd = -1;
    end->next = 1;
    end->deadline_ns = perf_now_ns() + task->shape.timeout_ns + 2 * (task->duration_ns + task->bracket_ns);
    return end;
}

/* Everything but the samples, which are only read as far as they were written. */
static void reset_control(struct perf_control *control)
{
    hqq_store_relaxed(&control->ping, 0);
    hqq_store_relaxed(&control->pong, 0);
    for (int i = 0; i < 2; i++) {
        hqq_store_relaxed(&control->arrived[i].steps, 0);
        memset(&control->result[i], 0, sizeof(control->result[i]));
        control->failure[i][0] = '\0';
    }
    hqq_store32_relaxed(&control->gone, 0);
}

static void be_peer(struct perf_end *end, const struct perf_task *task, pid_t driver)
{
    int result = -1;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == driver) {
        end->side = PERF_PEER;
        result = perf_side_run(end, task);
    }
    _exit(result == 0 ? 0 : 1);
}

/* The peer is about to end: life is the pipe that closes when it has. After the deadline it is killed. */
static int await_peer(pid_t peer, int life, uint64_t deadline_ns)
{
    struct pollfd poller = {.fd = life, .events = POLLIN};
    int status = 0;

    for (;;) {
        uint64_t now = perf_now_ns();
        int ready = poll(&poller, 1, now < deadline_ns ? (int)((deadline_ns - now) / PERF_NS_PER_MS) : 0);

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            kill(peer, SIGKILL);
        break;
    }
    while (waitpid(peer, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static int compare_samples(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static double percentile(const struct perf_control *control, uint64_t count, double q)
{
    return count == 0 ? (double)NAN : (double)control->samples[(uint64_t)(q * (double)(count - 1))];
}

/*
 * On processors of their own neither side ever waits for one. On a common one each waits for the other, but one of them
 * always runs.
 */
static double lost_share(const struct perf_task *task, const struct perf_side_result sides[2])
{
    double lost = 0;

    if (task->shape.yields)
        return 1 - (double)(sides[0].cpu_ns + sides[1].cpu_ns) / (double)sides[PERF_DRIVER].wall_ns;
    for (int i = 0; i < 2; i++)
        lost = fmax(lost, (double)sides[i].delay_ns / (double)sides[i].wall_ns);
    return lost;
}

static void collect(struct perf_control *control, const struct perf_task *task, struct perf_run *run)
{
    const struct perf_side_result *driver = &control->result[PERF_DRIVER];
    bool peer_measured = task->kind == PERF_STREAM && task->transport->receive != NULL;
    const struct perf_side_result *measured = peer_measured ? &control->result[PERF_PEER] : driver;

    memcpy(run->sides, control->result, sizeof(run->sides));
    run->messages = measured->messages;
    run->ns = (double)measured->elapsed_ns / (double)measured->messages;
    run->before_ns = driver->before_ns;
    run->after_ns = driver->after_ns;
    run->lost = lost_share(task, run->sides);
    qsort(control->samples, driver->samples, sizeof(control->samples[0]), compare_samples);
    run->p50 = percentile(control, driver->samples, 0.5);
    run->p99 = percentile(control, driver->samples, 0.99);
    run->p999 = percentile(control, driver->samples, 0.999);
}

/* What each side has to say, the peer first: where the driver gave up because of it, its is the reason. */
static char *describe(const void *parent, const struct perf_control *control, int status)
{
    const char *driver = control->failure[PERF_DRIVER];
    const char *peer = control->failure[PERF_PEER];

    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        return talloc_asprintf(parent, "peer: ended by signal %d (%s); %s", WTERMSIG(status),
                               strsignal(WTERMSIG(status)), driver);
    if (driver[0] == '\0' && peer[0] == '\0')
        return talloc_strdup(parent, "peer: did not end as it should");
    return talloc_asprintf(parent, "%s%s%s", peer, driver[0] != '\0' && peer[0] != '\0' ? "; " : "", driver);
}

static int run_both(const void *parent, struct perf_end *end, const struct perf_task *task, struct perf_run *ret_run,
                    char **ret_error)
{
    int life[2];
    int result;
    int status;
    pid_t driver = getpid();
    pid_t peer;

    if (pipe2(life, O_CLOEXEC) != 0) {
        *ret_error = talloc_asprintf(parent, "pipe: %s", strerror(errno));
        return -1;
    }
    peer = fork();
    if (peer == 0)
        be_peer(end, task, driver);
    close(life[1]);
    if (peer < 0) {
        *ret_error = talloc_asprintf(parent, "fork: %s", strerror(errno));
        close(life[0]);
        return -1;
    }
    end->side = PERF_DRIVER;
    result = perf_side_run(end, task);
    if (result != 0)
        kill(peer, SIGKILL);
    status = await_peer(peer, life[0], end->deadline_ns);
    close(life[0]);
    if (result != 0 || status != 0) {
        *ret_error = describe(parent, end->control, status);
        return -1;
    }
    collect(end->control, task, ret_run);
    return 0;
}

int perf_run_once(const void *parent, struct perf_control *control, const struct perf_task *task,
                  struct perf_run *ret_run, char **ret_error)
{
    int result;
    struct perf_channel *channel = create_channel(parent, task, &result);
    struct perf_end *end = result == 0 ? create_end(channel, control, task) : NULL;

    if (end == NULL) {
        *ret_error = talloc_asprintf(parent, "making the transport: %s",
                                     result > 0 ? hqq_strerror(result) : strerror(result < 0 ? -result : ENOMEM));
        talloc_free(channel);
        return -1;
    }
    reset_control(control);
    result = run_both(parent, end, task, ret_run, ret_error);
    talloc_free(channel);
    return result;
}
