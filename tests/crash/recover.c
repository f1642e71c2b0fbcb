/* Death while what a dead process held is freed. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/error.h>

#include "crash/others.h"
#include "crash/scene.h"

#define HELD 2u /* slots that the first victim holds, in each direction */
#define FIRST_ROLE HQQ_ROLE_SECONDARY

/* Dies with slots claimed: of those it writes, and of those it reads. */
static _Noreturn void hold_and_die(const struct scene *scene)
{
    struct hqq_link *link = scene_attach(scene, FIRST_ROLE);
    struct hqq_slot slot;
    heavy_expect("write", hqq_link_write(link, "before", 6), 0); /* so that whoever recovers knows we are there */
    for (unsigned i = 0; i < HELD; i++)
        heavy_expect("reserve", hqq_link_reserve(link, &slot), 0);
    for (unsigned i = 0; i < HELD; i++)
        heavy_expect("borrow", hqq_link_borrow(link, &slot), 0);
    raise(SIGKILL);
    _exit(1);
}

/* The survivor at the other end: gives each victim something to hold, and notices its death. */
static _Noreturn void recover_and_die(const struct scene *scene, const char *label, unsigned nth)
{
    struct hqq_link *link = scene_attach(scene, scene_other(FIRST_ROLE));
    char data[SCENE_SIZE];
    size_t length;
    scene_doom(scene, link, label, nth);
    sem_post(&scene->ledger->attached);
    while (!atomic_load(&scene->ledger->is_over)) {
        int result = hqq_link_read(link, data, sizeof(data), &length);
        if (result == 0) {
            for (unsigned i = 0; i < HELD; i++)
                heavy_expect("write", hqq_link_write(link, "to hold", 7), 0);
        } else if (result == HQQ_ERROR_PEER_DIED) {
            struct hqq_link_stats stats;
            hqq_link_get_stats(link, &stats);
            atomic_store(&scene->ledger->deaths, (uint32_t)stats.peer_deaths);
            usleep(200);
        } else {
            heavy_expect("read", result, 0);
        }
    }
    _exit(SCENE_NOT_REACHED);
}

/* Victims come and go until the recoverer has died; how it ended. */
static int wear_out_survivor(const struct scene *scene, const char *label, unsigned nth)
{
    pid_t recoverer = heavy_fork();
    if (recoverer == 0)
        recover_and_die(scene, label, nth);
    while (sem_wait(&scene->ledger->attached) != 0) {
    }
    uint64_t until = hqq_clock_ns() + SCENE_BOUND_NS;
    for (uint32_t victims = 1;; victims++) {
        pid_t victim = heavy_fork();
        if (victim == 0)
            hold_and_die(scene);
        int status = heavy_reap(victim);
        if (status != SCENE_KILLED)
            heavy_fail("a victim ended with status %d", status);
        while (atomic_load(&scene->ledger->deaths) < victims && hqq_clock_ns() < until) {
            int ended;
            if (waitpid(recoverer, &ended, WNOHANG) == recoverer)
                return WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
            usleep(200);
        }
        if (hqq_clock_ns() >= until || victims > nth + 1) {
            atomic_store(&scene->ledger->is_over, true);
            kill(recoverer, SIGKILL);
            heavy_reap(recoverer);
            heavy_fail("%s was not passed %u times", label, nth);
        }
    }
}

/* Nobody is at the other end. One process dies with all slots claimed; the next takes its end, and dies while it frees
 * them; so does the next, nth in all, or one that dies at the nth slot. How the last ended. */
static int wear_out_successors(const struct scene *scene, const char *label, unsigned nth)
{
    bool each_slot = strcmp(label, "recover.swept") == 0;
    unsigned successors = each_slot ? 1 : nth;
    int status = 0;
    for (unsigned i = 0; i <= successors; i++) {
        pid_t victim = heavy_fork();
        if (victim == 0) {
            if (i > 0)
                scene_doom(scene, NULL, label, each_slot && nth < SCENE_COUNT ? nth : each_slot ? SCENE_COUNT : 1);
            struct hqq_link *link = scene_attach(scene, HQQ_ROLE_PRIMARY);
            struct hqq_slot slot;
            for (unsigned slots = 0; i == 0 && slots < SCENE_COUNT; slots++)
                heavy_expect("reserve", hqq_link_reserve(link, &slot), 0);
            if (i == 0)
                raise(SIGKILL);
            _exit(SCENE_NOT_REACHED);
        }
        status = heavy_reap(victim);
        if (i == 0 && status != SCENE_KILLED)
            heavy_fail("the first victim ended with status %d", status);
    }
    return status;
}

/* Takes over at an end, where a dead process was in the middle of freeing slots at this end or the other. */
static void take_over(const struct scene *scene, enum hqq_role role, bool other_was_held)
{
    char data[SCENE_SIZE];
    size_t length;
    struct hqq_link *link = scene_attach(scene, role);
    heavy_expect("set_deadline", hqq_link_set_deadline(link, hqq_clock_ns() + SCENE_BOUND_NS), 0);
    if (other_was_held) {
        int result;
        while ((result = hqq_link_read(link, data, sizeof(data), &length)) == 0) {
        }
        heavy_expect("read", result, HQQ_ERROR_PEER_DIED);
        heavy_expect("write", hqq_link_write(link, "x", 1), HQQ_ERROR_PEER_DIED);
    }
    atomic_store(&scene->ledger->written, SCENE_NUMBERS);
    scene_succeed(scene, link);
    hqq_link_close(link);
}

bool recover_run(const char *label, unsigned nth, unsigned variant)
{
    bool by_successor = variant % 2 == 1;
    enum hqq_role first = variant / 2 == 0 ? FIRST_ROLE : scene_other(FIRST_ROLE);
    struct scene scene = scene_new();
    int status = by_successor ? wear_out_successors(&scene, label, nth) : wear_out_survivor(&scene, label, nth);
    bool reached = status == SCENE_KILLED && atomic_load(&scene.ledger->died_ns) != 0;
    if (reached)
        take_over(&scene, first, !by_successor || first == HQQ_ROLE_SECONDARY);
    scene_delete(&scene);
    return reached;
}
