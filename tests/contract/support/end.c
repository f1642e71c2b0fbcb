#include "support/end.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static long outcome(long result)
{
    return result < 0 ? -errno : result;
}

static const struct sockaddr *name_of(const struct job *job)
{
    return job->name_length > 0 ? (const struct sockaddr *)&job->name : NULL;
}

/* ---- Jobs ------------------------------------------------------------------------------------------------------ */

static long job_socket(struct job *job)
{
    return outcome(socket(AF_UNIX, SOCK_DGRAM | job->flags, 0));
}

JOB_FUNCTION(job_socket)

static long job_bind(struct job *job)
{
    return outcome(bind(job->fd, name_of(job), job->name_length));
}

JOB_FUNCTION(job_bind)

static long job_connect(struct job *job)
{
    return outcome(connect(job->fd, name_of(job), job->name_length));
}

JOB_FUNCTION(job_connect)

static long job_shutdown(struct job *job)
{
    return outcome(shutdown(job->fd, job->number));
}

JOB_FUNCTION(job_shutdown)

static long job_set(struct job *job)
{
    int value;
    memcpy(&value, job->data, sizeof(value));
    return outcome(setsockopt(job->fd, job->number, job->flags, &value, sizeof(value)));
}

JOB_FUNCTION(job_set)

static long job_close(struct job *job)
{
    return outcome(close(job->fd));
}

JOB_FUNCTION(job_close)

static long job_revents(struct job *job)
{
    struct pollfd one = {.fd = job->fd, .events = (short)job->number};
    long count = outcome(poll(&one, 1, job->flags));
    return count < 0 ? count : one.revents;
}

JOB_FUNCTION(job_revents)

long job_poll(struct job *job)
{
    job->flags = -1;
    return job_revents(job);
}

JOB_FUNCTION(job_poll)

long job_send(struct job *job)
{
    if (job->name_length == 0)
        return outcome(send(job->fd, job->data, job->length, job->flags));
    return outcome(sendto(job->fd, job->data, job->length, job->flags, name_of(job), job->name_length));
}

JOB_FUNCTION(job_send)

long job_write(struct job *job)
{
    return outcome(write(job->fd, job->data, job->length));
}

JOB_FUNCTION(job_write)

long job_receive(struct job *job)
{
    job->name_length = sizeof(job->name);
    struct sockaddr *name = (struct sockaddr *)&job->name;
    long got = outcome(recvfrom(job->fd, job->data, job->length, job->flags, name, &job->name_length));
    job->length = got < 0 ? 0 : (size_t)got;
    return got;
}

JOB_FUNCTION(job_receive)

struct job *end_job(const struct end *end)
{
    struct job *job = job_new(end->at);
    job->fd = end->fd;
    return job;
}

static void set_name(struct job *job, const struct address *address)
{
    job->name_length = address ? address->length : 0;
    if (address)
        memcpy(&job->name, &address->name, sizeof(job->name));
}

struct job *end_job_say(const struct end *end, const struct address *to, const char *text, int flags)
{
    struct job *job = end_job(end);
    set_name(job, to);
    job->flags = flags;
    job->length = strlen(text);
    memcpy(job->data, text, job->length);
    return job;
}

/* ---- Calls ----------------------------------------------------------------------------------------------------- */

/* For what does not sleep; this process's calls share a job. */
static struct job *quick_job(const struct end *end)
{
    static struct job own_job;
    struct job *job = end->at ? end->at->job : &own_job;
    memset(job, 0, offsetof(struct job, data));
    job->fd = end->fd;
    return job;
}

struct end end_new(struct remote *at, int flags)
{
    struct end end = {.at = at, .fd = -1};
    struct job *job = quick_job(&end);
    job->flags = flags;
    end.fd = (int)job_run(at, job_socket, job);
    assert_true(end.fd >= 0);
    if (!at)
        own(end.fd);
    return end;
}

static struct end new_and_bound(struct remote *at, int flags, bool is_abstract)
{
    static unsigned count;
    char label[32];
    snprintf(label, sizeof(label), "end%u", count++);
    struct end end = end_new(at, flags);
    struct address address = is_abstract ? address_abstract(label) : address_path(label);
    assert_result(end_bind(&end, &address), 0);
    return end;
}

struct end end_bound(struct remote *at, int flags)
{
    return new_and_bound(at, flags, false);
}

struct end end_bound_abstract(struct remote *at, int flags)
{
    return new_and_bound(at, flags, true);
}

long end_bind(struct end *end, const struct address *address)
{
    struct job *job = quick_job(end);
    set_name(job, address);
    long result = job_run(end->at, job_bind, job);
    if (result == 0)
        end->address = *address;
    return result;
}

long end_connect(struct end *end, const struct address *address)
{
    struct job *job = quick_job(end);
    set_name(job, address);
    long result = job_run(end->at, job_connect, job);
    if (result == 0)
        end->is_connected = true;
    return result;
}

long end_dissolve(struct end *end)
{
    const struct address none = {.name.ss_family = AF_UNSPEC, .length = sizeof(sa_family_t)};
    long result = end_connect(end, &none);
    end->is_connected = false;
    return result;
}

long end_shutdown(const struct end *end, int how)
{
    struct job *job = quick_job(end);
    job->number = how;
    return job_run(end->at, job_shutdown, job);
}

long end_set(const struct end *end, int level, int option, int value)
{
    struct job *job = quick_job(end);
    job->number = level;
    job->flags = option;
    memcpy(job->data, &value, sizeof(value));
    return job_run(end->at, job_set, job);
}

long end_close(const struct end *end)
{
    if (!end->at)
        disown(end->fd);
    return job_run(end->at, job_close, quick_job(end));
}

long end_send(const struct end *end, const struct address *to, const void *data, size_t length, int flags)
{
    struct job *job = quick_job(end);
    assert_in_range(length, 0, JOB_BYTES);
    set_name(job, to);
    job->length = length;
    job->flags = flags;
    memcpy(job->data, data, length);
    return job_run(end->at, job_send, job);
}

long end_say(const struct end *end, const struct address *to, const char *text)
{
    return end_send(end, to, text, strlen(text), 0);
}

long end_receive(const struct end *end, void *data, size_t capacity, int flags)
{
    struct job *job = quick_job(end);
    assert_in_range(capacity, 0, JOB_BYTES);
    job->length = capacity;
    job->flags = flags;
    long got = job_run(end->at, job_receive, job);
    memcpy(data, job->data, job->length < capacity ? job->length : capacity);
    return got;
}

long end_revents(const struct end *end, int events)
{
    struct job *job = quick_job(end);
    job->number = events;
    return job_run(end->at, job_revents, job);
}

void end_tell(const struct end *from, const struct end *to, const char *text)
{
    const struct address *address = from->is_connected ? NULL : &to->address;
    assert_result(end_send(from, address, text, strlen(text), MSG_DONTWAIT), strlen(text));
}

void end_hears(const struct end *end, const char *text)
{
    char data[512] = "";
    assert_result(end_receive(end, data, sizeof(data) - 1, MSG_DONTWAIT), strlen(text));
    assert_string_equal(data, text);
}

/* ---- Full ------------------------------------------------------------------------------------------------------ */

#define FILL_MAX 1000000

static size_t number_text(char text[64], int number)
{
    return (size_t)snprintf(text, 64, "number %d", number);
}

/* Runs of datagrams are jobs: one round to the other process, not one for each. */
static long job_fill(struct job *job)
{
    char text[64];
    for (int i = 0; i < FILL_MAX; i++) {
        size_t length = number_text(text, job->number + i);
        long sent;
        if (job->name_length > 0)
            sent = sendto(job->fd, text, length, MSG_DONTWAIT, name_of(job), job->name_length);
        else
            sent = send(job->fd, text, length, MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN ? i : -errno;
    }
    return -E2BIG;
}

JOB_FUNCTION(job_fill)

static long job_drain(struct job *job)
{
    char text[64], got[64];
    for (int i = 0;; i++) {
        long length = recv(job->fd, got, sizeof(got), MSG_DONTWAIT);
        if (length < 0)
            return errno == EAGAIN ? i : -errno;
        if (length != (long)number_text(text, job->number + i) || memcmp(got, text, (size_t)length) != 0)
            return -EBADMSG;
    }
}

JOB_FUNCTION(job_drain)

int end_fill(const struct end *from, const struct address *to, int first)
{
    struct job *job = quick_job(from);
    set_name(job, to);
    job->number = first;
    long count = job_run(from->at, job_fill, job);
    assert_true(count > 0);
    return (int)count;
}

int end_drain(const struct end *end, int first)
{
    struct job *job = quick_job(end);
    job->number = first;
    long count = job_run(end->at, job_drain, job);
    assert_true(count >= 0);
    return (int)count;
}
