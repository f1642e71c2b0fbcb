/*
 * A named link that a process creates and closes in a loop, beside processes that know the format and nothing else and
 * open the name like a file: what they find under it is a region that is ready, and they are its secondary. And links
 * that several processes replace at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hqq/error.h>

#include "multiprocess/actor.h"
#include "support/heavy.h"
#include "support/plain_peer.h"

#define COUNT 4
#define SIZE 64
#define CREATIONS 300
#define OPENERS 2
#define REPLACERS 4
#define ROUNDS 100

struct scene {
    _Atomic uint64_t opened, done, round, arrived, won;
};

static struct scene *scene;
static char name[64], path[80];

static int set_up(void **state)
{
    (void)state;
    scene = heavy_shared(sizeof(*scene));
    actor_name(name, sizeof(name));
    snprintf(path, sizeof(path), "/dev/shm/%s", name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    heavy_shared_free(scene, sizeof(*scene));
    return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
}

/* One look, as a program makes it that takes the size from the file and touches the memory at once. */
static void open_as_a_file(void)
{
    struct plain_peer peer;
    struct stat stat;
    bool primary;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &stat) != 0 || (uint64_t)stat.st_size != plain_peer_bytes(COUNT, SIZE))
        heavy_fail("an object of %lld bytes", (long long)stat.st_size);
    unsigned char *base = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        heavy_fail("no mapping");
    if (base[8] != 2)
        heavy_fail("a region in state %u", base[8]);
    if (!plain_peer_open(&peer, base, COUNT, SIZE, &primary) || primary)
        heavy_fail("who opened the name is not the secondary");
    munmap(base, (size_t)stat.st_size);
    close(fd);
    atomic_fetch_add(&scene->opened, 1);
}

static void whoever_opens_the_name_is_the_secondary_of_a_region_that_is_ready(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE};
    pid_t openers[OPENERS];
    for (int i = 0; i < OPENERS; i++) {
        openers[i] = heavy_fork();
        if (openers[i] != 0)
            continue;
        while (atomic_load(&scene->done) == 0)
            open_as_a_file();
        _exit(0);
    }
    uint64_t until = hqq_clock_ns() + 20 * HEAVY_S;
    for (int i = 0; i < CREATIONS || (atomic_load(&scene->opened) < CREATIONS && hqq_clock_ns() < until); i++) {
        struct hqq_link *link;
        assert_int_equal(hqq_link_create(name, &config, &link), 0);
        assert_int_equal(hqq_link_role(link), HQQ_ROLE_PRIMARY);
        hqq_link_close(link);
    }
    atomic_store(&scene->done, 1);
    for (int i = 0; i < OPENERS; i++)
        assert_int_equal(heavy_reap(openers[i]), 0);
    assert_true(atomic_load(&scene->opened) > 0);
}

/* ---- Replacing --------------------------------------------------------------------------------------------------- */

static void await(_Atomic uint64_t *word, uint64_t value)
{
    while (atomic_load(word) < value)
        usleep(50);
}

/* Leaves a link whose primary has died. */
static void leave_a_stale_link(void)
{
    pid_t child = actor_start(ACTOR_CREATE, name, ACTOR_DIE_WRITING, 0);
    assert_int_equal(heavy_reap(child), 128 + 9);
}

static void replace_in_each_round(void)
{
    struct hqq_link_config config = {
        .flags = HQQ_LINK_REPLACE_STALE,
        .buffer_count = COUNT,
        .buffer_size = SIZE,
        .attach_timeout_ns = 20 * HEAVY_S,
    };
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        struct hqq_link *link = NULL;
        await(&scene->round, round);
        int result = hqq_link_create(name, &config, &link);
        if (result != 0 && result != -EEXIST)
            heavy_fail("replacing: %d", result);
        if (result == 0)
            atomic_fetch_add(&scene->won, 1);
        atomic_fetch_add(&scene->arrived, 1);
        await(&scene->arrived, round * (REPLACERS + 1)); /* all have tried, and the winner's link was looked at */
        hqq_link_close(link);
        atomic_fetch_add(&scene->done, 1);
    }
}

static void of_several_that_replace_a_stale_link_one_has_it(void **state)
{
    (void)state;
    pid_t replacers[REPLACERS];
    for (int i = 0; i < REPLACERS; i++) {
        replacers[i] = heavy_fork();
        if (replacers[i] == 0) {
            replace_in_each_round();
            _exit(0);
        }
    }
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        struct hqq_link *link;
        leave_a_stale_link();
        atomic_store(&scene->won, 0);
        atomic_store(&scene->round, round);
        await(&scene->arrived, round * (REPLACERS + 1) - 1);
        assert_int_equal(atomic_load(&scene->won), 1);
        assert_int_equal(hqq_link_open(name, NULL, &link), 0);
        assert_int_equal(hqq_link_peer(link), HQQ_PEER_ALIVE);
        hqq_link_close(link);
        atomic_fetch_add(&scene->arrived, 1);
        await(&scene->done, round * REPLACERS);
        assert_int_equal(access(path, F_OK), -1);
    }
    for (int i = 0; i < REPLACERS; i++)
        assert_int_equal(heavy_reap(replacers[i]), 0);
}

int main(int argc, char **argv)
{
    actor_run_if_asked(argc, argv);
    alarm(180);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_opens_the_name_is_the_secondary_of_a_region_that_is_ready, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(of_several_that_replace_a_stale_link_one_has_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
