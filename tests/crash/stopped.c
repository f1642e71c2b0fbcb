/* A process that is stopped, wherever it is. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/error.h>

#include "crash/others.h"
#include "crash/scene.h"

#define ENOUGH 40u                             /* datagrams each way */
#define STOPPED_FOR (12 * SCENE_PEER_CHECK_NS) /* so many looks find it alive */

/* Sends and takes ENOUGH datagrams, one for one, and stops itself on the way. */
static _Noreturn void be_stopped(const struct scene *scene, enum hqq_role role, bool reads_first, const char *label)
{
    struct hqq_link *link = scene_attach(scene, role);
    unsigned char data[SCENE_SIZE];
    size_t length;
    sem_post(&scene->ledger->attached);
    scene_freeze(scene, NULL, label, 2);
    for (unsigned i = 0; i < ENOUGH; i++) {
        for (int turn = 0; turn < 2; turn++) {
            if ((turn == 0) == reads_first)
                heavy_expect("read", hqq_link_read(link, data, sizeof(data), &length), 0);
            else
                heavy_expect("write", hqq_link_write(link, "datagram", 8), 0);
        }
    }
    hqq_link_close(link); /* where it may be stopped, too */
    if (atomic_load(&scene->ledger->died_ns) == 0) {
        scene_freeze(scene, NULL, label, 1);
        link = scene_attach(scene, role);
        hqq_link_close(link);
    }
    _exit(0);
}

/* Calls on the link while the peer is stopped: they may time out, but nobody may say that it died. */
static void look_at_stopped(struct hqq_link *link, pid_t child)
{
    uint64_t until = hqq_clock_ns() + STOPPED_FOR;
    enum hqq_peer peer;
    while (hqq_clock_ns() < until) {
        heavy_expect("check_peer", hqq_link_check_peer(link, &peer), 0);
        if (peer == HQQ_PEER_DIED)
            heavy_fail("a process that is stopped was declared dead");
    }
    kill(child, SIGCONT);
}

/* True once the child is stopped; false if it has ended, with the status. */
static bool await_stop(pid_t child, int *ret_status)
{
    return waitpid(child, ret_status, WUNTRACED) == child && WIFSTOPPED(*ret_status);
}

/* The other end's part, so that the victim is never stuck but for being stopped; calls that wait look at the peer
 * too. */
static int keep_talking(struct hqq_link *link, unsigned *talked, bool reads_first)
{
    unsigned char data[SCENE_SIZE];
    size_t length;
    heavy_expect("set_timeout", hqq_link_set_read_timeout(link, 2 * SCENE_PEER_CHECK_NS), 0);
    while (*talked < 2 * ENOUGH) {
        bool reads = (*talked % 2 == 0) != reads_first;
        int result = reads ? hqq_link_read(link, data, sizeof(data), &length) : hqq_link_write(link, "datagram", 8);
        if (result != 0)
            return result;
        ++*talked;
    }
    return 0;
}

bool stopped_run(const char *label, unsigned variant)
{
    enum hqq_role role = variant % 2 == 0 ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY;
    bool reads_first = variant / 2 == 1;
    struct scene scene = scene_new();
    pid_t child = heavy_fork();
    if (child == 0)
        be_stopped(&scene, role, reads_first, label);

    struct hqq_link *link = scene_attach(&scene, scene_other(role));
    while (sem_wait(&scene.ledger->attached) != 0) {
    }
    unsigned talked = 0;
    int status, result;
    /* Whether it is stopped is seen by the calls timing out. */
    while ((result = keep_talking(link, &talked, reads_first)) == HQQ_ERROR_TIMEOUT) {
        if (atomic_load(&scene.ledger->died_ns) == 0)
            continue;
        if (waitpid(child, &status, WUNTRACED | WNOHANG) == child && WIFSTOPPED(status))
            look_at_stopped(link, child);
    }
    heavy_expect("a call beside a stopped peer", result, 0);
    while (await_stop(child, &status))
        look_at_stopped(link, child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        heavy_fail("%s: the one that was stopped ended with status %d", label, status);
    bool reached = atomic_load(&scene.ledger->died_ns) != 0;
    hqq_link_close(link);
    scene_delete(&scene);
    return reached;
}
