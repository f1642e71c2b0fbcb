/* Sockets that another process has by pidfd_getfd(2), which their owner does not see. */
#include "support/control.h"
#include "support/pair.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* job->fd of the process job->number. */
static long fetch(struct job *job)
{
    long pidfd = syscall(SYS_pidfd_open, job->number, 0);
    long fd = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, job->fd, 0);
    int error = errno;
    if (pidfd >= 0)
        close((int)pidfd);
    return fd < 0 ? -error : fd;
}
JOB_FUNCTION(fetch)

/* The same socket as another process fetches it; where it may not, the test is skipped. */
static struct end fetched_by(const struct end *end, struct remote *remote)
{
    struct end there = *end;
    struct job *job = job_new(remote);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* Yama's, where there is one */
    job->fd = end->fd;
    job->number = getpid();
    long fd = job_run(remote, fetch, job);
    if (fd == -EPERM || fd == -ENOSYS)
        skip();
    assert_true(fd >= 0);
    there.at = remote;
    there.fd = (int)fd;
    return there;
}

/* Which never had the socket. */
static struct remote *stranger(void)
{
    struct remote *far = contract_far();
    return far ? contract_another_remote(contract_variant() == CONTRACT_PLAIN ? REMOTE_PLAIN : REMOTE_FORK)
               : contract_remote();
}

static void it_leads_where_the_other_process_connects_it(void **state)
{
    (void)state;
    struct remote *remote = stranger();
    struct pair pair = pair_new(NEAR_CONNECTS | NEAR_NAMELESS);
    struct end other = end_bound(NULL, 0);
    struct end there = fetched_by(&pair.near, remote);
    end_tell(&pair.near, &pair.far, "before");
    assert_result(end_connect(&there, &other.address), 0);
    contract_let_names_settle();
    for (int i = 0; i < 20; i++) {
        assert_result(end_say(&pair.near, NULL, "after"), 5);
        end_hears(&other, "after");
    }
    end_hears(&pair.far, "before");
    assert_result(end_dissolve(&there), 0);
    contract_let_names_settle();
    assert_result(end_say(&pair.near, NULL, "nowhere"), -ENOTCONN);
    assert_result(end_connect(&there, &pair.far.address), 0);
    end_tell(&pair.near, &pair.far, "again");
    end_hears(&pair.far, "again");
    assert_result(end_revents(&other, POLLIN), 0);
}

static void it_does_not_send_once_the_other_process_has_shut_it_down(void **state)
{
    (void)state;
    struct remote *remote = stranger();
    for (int i = 0; i < 2; i++) {
        struct pair pair = pair_new(i == 0 ? NEAR_CONNECTS : PAIR_PLAIN);
        struct end there = fetched_by(&pair.near, remote);
        end_tell(&pair.near, &pair.far, "before");
        assert_result(end_shutdown(&there, SHUT_WR), 0);
        contract_let_names_settle();
        assert_result(end_say(&pair.near, i == 0 ? NULL : &pair.far.address, "after"), -EPIPE);
        end_hears(&pair.far, "before");
        assert_result(end_revents(&pair.far, POLLIN), 0);
    }
}

static void it_has_the_name_that_the_other_process_gives_it(void **state)
{
    (void)state;
    struct remote *remote = stranger();
    struct pair pair = pair_new(NEAR_NAMELESS);
    struct end there = fetched_by(&pair.near, remote);
    end_tell(&pair.near, &pair.far, "before");
    struct address address = address_path("given");
    assert_result(end_bind(&there, &address), 0);
    contract_let_names_settle();
    end_tell(&pair.near, &pair.far, "after");
    end_hears(&pair.far, "before");
    struct job *job = end_job(&pair.far);
    job->length = 16;
    assert_result(job_run(pair.far.at, job_receive, job), 5);
    assert_int_equal(job->name_length, address.length);
    assert_memory_equal(&job->name, &address.name, address.length);
}

/* What either sends is in order as long as the other one waits for it to arrive. */
static void the_process_that_fetched_it_sends_and_receives(void **state)
{
    (void)state;
    struct remote *remote = stranger();
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end there = fetched_by(&pair.near, remote);
    for (int i = 0; i < 20; i++) {
        end_tell(&pair.near, &pair.far, "from here");
        end_hears(&pair.far, "from here");
        end_tell(&there, &pair.far, "from there");
        end_hears(&pair.far, "from there");
    }
}

static void a_number_fetched_out_of_the_own_process_is_a_duplicate(void **state)
{
    (void)state;
    if (contract_is_limit_of_renaming("numbers that come by other calls are not seen"))
        return;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end again = fetched_by(&pair.near, NULL);
    own(again.fd);
    char text[16];
    for (int round = 0, said = 0, heard = 0; round < 20; round++) {
        for (int i = 0; i < 6; i++) {
            snprintf(text, sizeof(text), "%d", said++);
            end_tell(i & 1 ? &again : &pair.near, &pair.far, text);
        }
        while (heard < said) {
            snprintf(text, sizeof(text), "%d", heard++);
            end_hears(&pair.far, text);
        }
    }
}

static const struct CMUnitTest tests[] = {
    EVERY(it_leads_where_the_other_process_connects_it),
    EVERY(it_does_not_send_once_the_other_process_has_shut_it_down),
    EVERY(it_has_the_name_that_the_other_process_gives_it),
    EVERY(the_process_that_fetched_it_sends_and_receives),
    EVERY(a_number_fetched_out_of_the_own_process_is_a_duplicate),
};

CONTRACT_SUITE(descriptors_fetched, tests);
