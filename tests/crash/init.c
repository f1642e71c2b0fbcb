/* Death while a region is made. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hqq/error.h>

#include "crash/others.h"
#include "crash/scene.h"

#define ATTACH_TIMEOUT_NS (300 * HEAVY_MS)
#define REGIONS_MAX 5u

/* The regions that a victim makes one after another; it dies in the last. */
struct nursery {
    struct scene scene;
    void *base[REGIONS_MAX];
    char name[REGIONS_MAX][64];
    unsigned count;
};

static const struct hqq_link_config config = {
    .buffer_count = SCENE_COUNT,
    .buffer_size = SCENE_SIZE,
    .spin_ns = HQQ_SPIN_NEVER,
    .peer_check_ns = SCENE_PEER_CHECK_NS,
    .attach_timeout_ns = ATTACH_TIMEOUT_NS,
};

static _Noreturn void be_victim(const struct nursery *nursery, const char *label, bool named)
{
    struct hqq_link *link;
    scene_doom(&nursery->scene, NULL, label, nursery->count);
    sem_post(&nursery->scene.ledger->attached);
    for (unsigned i = 0; i < nursery->count; i++) {
        if (named)
            heavy_expect("create", hqq_link_create(nursery->name[i], &config, &link), 0);
        else
            heavy_expect("attach", hqq_link_attach(nursery->base[i], nursery->scene.bytes, &config, &link), 0);
    }
    _exit(SCENE_NOT_REACHED);
}

/* Who waits for somebody that died unseen waits until the time is over; anybody else, until a slow maker has died. */
static uint64_t patience_with(const char *label)
{
    return strcmp(label, "superblock.claimed") == 0 ? ATTACH_TIMEOUT_NS : SCENE_BOUND_NS;
}

/* The result must say what happened, and that in time. Of memory that anybody may claim nobody can tell who just did;
 * an object has no name before its region is ready. */
static void check_result(const char *label, bool named, int result, uint64_t took_ns)
{
    int expected = HQQ_ERROR_INIT_DIED;
    if (named)
        expected = strcmp(label, "link.named") == 0 ? 0 : -ENOENT;
    else if (strcmp(label, "superblock.ready") == 0)
        expected = 0;
    else if (strcmp(label, "superblock.claimed") == 0)
        expected = HQQ_ERROR_FAILED_INIT;
    heavy_expect(label, result, expected);
    if (took_ns > patience_with(label) + SCENE_BOUND_NS)
        heavy_fail("%s: attaching took %llu ms", label, (unsigned long long)(took_ns / HEAVY_MS));
}

/* The region became ready though its maker is dead: it is a link like any other whose primary died. */
static void check_ready(const struct nursery *nursery, struct hqq_link *link, void *base)
{
    char data[SCENE_SIZE];
    size_t length;
    heavy_expect("set_deadline", hqq_link_set_deadline(link, hqq_clock_ns() + SCENE_BOUND_NS), 0);
    heavy_expect("read", hqq_link_read(link, data, sizeof(data), &length), HQQ_ERROR_PEER_DIED);
    if (!base)
        return;
    pid_t successor = heavy_fork();
    if (successor == 0) {
        struct hqq_link_config taker = config;
        taker.role = HQQ_ROLE_PRIMARY;
        hqq_link_close(link);
        heavy_expect("attach", hqq_link_attach(base, nursery->scene.bytes, &taker, &link), 0);
        sem_post(&nursery->scene.ledger->attached);
        scene_converse(link);
        _exit(0);
    }
    while (sem_wait(&nursery->scene.ledger->attached) != 0) {
    }
    scene_converse(link);
    heavy_reap_well("the successor", successor);
}

/* The name of what a dead process left half made is free for whoever replaces what is stale. */
static void check_replaced(const char *name)
{
    struct hqq_link_config replacing = config;
    struct hqq_link *link;
    replacing.flags = HQQ_LINK_REPLACE_STALE;
    heavy_expect("replacing what a dead process began", hqq_link_create(name, &replacing, &link), 0);
    hqq_link_close(link);
}

static int attach_to_last(const struct nursery *nursery, const char *label, bool named, struct hqq_link **ret_link)
{
    unsigned last = nursery->count - 1;
    struct hqq_link_config attacher = config;
    attacher.role = HQQ_ROLE_SECONDARY;
    attacher.attach_timeout_ns = patience_with(label);
    if (!named)
        return hqq_link_attach(nursery->base[last], nursery->scene.bytes, &attacher, ret_link);
    /* Only the name must be there for this. */
    int result;
    while ((result = hqq_link_open(nursery->name[last], &attacher, ret_link)) == -ENOENT &&
           atomic_load(&nursery->scene.ledger->died_ns) == 0)
        usleep(200);
    return result == -ENOENT ? hqq_link_open(nursery->name[last], &attacher, ret_link) : result;
}

static struct nursery nursery_new(unsigned count, bool named)
{
    static unsigned scenes;
    struct nursery nursery = {.scene = scene_new(), .count = count};
    for (unsigned i = 0; i < count; i++) {
        if (!named)
            nursery.base[i] = heavy_shared(nursery.scene.bytes);
        snprintf(nursery.name[i], sizeof(nursery.name[i]), "hqq-test-%ld-init-%u", (long)getpid(), scenes++);
    }
    return nursery;
}

static void nursery_delete(struct nursery *nursery, bool named)
{
    for (unsigned i = 0; i < nursery->count; i++) {
        if (named)
            (void)hqq_link_unlink(nursery->name[i]);
        else
            heavy_shared_free(nursery->base[i], nursery->scene.bytes);
    }
    scene_delete(&nursery->scene);
}

bool init_run(const char *label, unsigned nth, unsigned variant)
{
    bool named = variant == INIT_NAMED;
    struct nursery nursery = nursery_new(nth, named);
    struct hqq_link *link = NULL;
    pid_t victim = heavy_fork();
    if (victim == 0)
        be_victim(&nursery, label, named);

    while (sem_wait(&nursery.scene.ledger->attached) != 0) {
    }
    uint64_t began = hqq_clock_ns();
    int result = attach_to_last(&nursery, label, named, &link);
    uint64_t took = hqq_clock_ns() - began;
    int status = heavy_reap(victim);
    bool reached = status == SCENE_KILLED && atomic_load(&nursery.scene.ledger->died_ns) != 0;
    if (reached) {
        check_result(label, named, result, took);
        if (result == 0)
            check_ready(&nursery, link, named ? NULL : nursery.base[nth - 1]);
        if (named)
            check_replaced(nursery.name[nth - 1]);
    }
    if (result == 0)
        hqq_link_close(link);
    nursery_delete(&nursery, named);
    return reached;
}
