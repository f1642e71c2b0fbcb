#include "crash/scene.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <hqq/error.h>

#include "base/point.h"
#include "platform/shm.h"
#include "standard/state.h"

/* ---- Region and ledger --------------------------------------------------------------------------------------------
 * */

struct scene scene_new(void)
{
    struct scene scene = {.before = heavy_holdings()};
    struct hqq_mapping mapping;
    heavy_expect("layout_size", hqq_layout_size(SCENE_COUNT, SCENE_SIZE, &scene.bytes), 0);
    heavy_expect("memfd", hqq_shm_create_memfd(scene.bytes, &scene.fd, &mapping), 0);
    hqq_shm_unmap(&mapping);
    scene.ledger = heavy_shared(sizeof(*scene.ledger));
    if (sem_init(&scene.ledger->attached, 1, 0) != 0)
        heavy_fail("sem_init");
    return scene;
}

void scene_delete(struct scene *scene)
{
    sem_destroy(&scene->ledger->attached);
    heavy_shared_free(scene->ledger, sizeof(*scene->ledger));
    close(scene->fd);
    struct heavy_holdings after = heavy_holdings();
    if (after.descriptors != scene->before.descriptors || after.shared_mappings != scene->before.shared_mappings)
        heavy_fail("%zu descriptors and %zu mappings became %zu and %zu", scene->before.descriptors,
                   scene->before.shared_mappings, after.descriptors, after.shared_mappings);
}

enum hqq_role scene_other(enum hqq_role role)
{
    return role == HQQ_ROLE_PRIMARY ? HQQ_ROLE_SECONDARY : HQQ_ROLE_PRIMARY;
}

struct hqq_link *scene_attach(const struct scene *scene, enum hqq_role role)
{
    const struct hqq_link_config config = {
        .buffer_count = SCENE_COUNT,
        .buffer_size = SCENE_SIZE,
        .spin_ns = HQQ_SPIN_NEVER,
        .peer_check_ns = SCENE_PEER_CHECK_NS,
        .attach_timeout_ns = SCENE_BOUND_NS,
        .role = role,
    };
    struct hqq_link *link;
    uint64_t began = hqq_clock_ns();
    heavy_expect("attach", hqq_link_attach_fd(scene->fd, &config, &link), 0);
    if (hqq_link_role(link) != role || hqq_clock_ns() - began > 2 * SCENE_BOUND_NS)
        heavy_fail("attach: it took %llu ms", (unsigned long long)((hqq_clock_ns() - began) / HEAVY_MS));
    return link;
}

uint64_t scene_slots_held(const struct hqq_link *link)
{
    uint64_t held = 0;
    uint64_t w = hqq_load_relaxed(hqq_ring_w(&link->tx));
    uint64_t r = hqq_load_relaxed(hqq_ring_r(&link->rx));
    for (uint64_t back = 1; back <= SCENE_COUNT; back++) {
        if (hqq_load_relaxed(hqq_ring_seq(&link->tx, w - back)) == w - back)
            held++;
        if (hqq_load_relaxed(hqq_ring_seq(&link->rx, r - back)) == r - back + 1)
            held++;
    }
    return held;
}

/* ---- The victim ---------------------------------------------------------------------------------------------------
 * */

static struct {
    const struct scene *scene;
    const struct hqq_link *link;
    const char *label;
    unsigned left;
    int signal;
} doom;

static void doom_hook(const char *label)
{
    struct ledger *ledger = doom.scene->ledger;
    if (strcmp(label, "produce.published") == 0 && !atomic_load(&ledger->is_aborting))
        atomic_fetch_add(&ledger->published, 1);
    if (strcmp(label, doom.label) != 0 || doom.left == 0 || --doom.left != 0)
        return;
    if (doom.link)
        atomic_store(&ledger->held, scene_slots_held(doom.link));
    atomic_store(&ledger->died_ns, hqq_clock_ns());
    raise(doom.signal);
}

static void set_doom(const struct scene *scene, const struct hqq_link *link, const char *label, unsigned nth,
                     int signal)
{
    doom.scene = scene;
    doom.link = link;
    doom.label = label;
    doom.left = nth;
    doom.signal = signal;
    hqq_point_hook = doom_hook;
}

void scene_doom(const struct scene *scene, const struct hqq_link *link, const char *label, unsigned nth)
{
    set_doom(scene, link, label, nth, SIGKILL);
}

void scene_freeze(const struct scene *scene, const struct hqq_link *link, const char *label, unsigned nth)
{
    set_doom(scene, link, label, nth, SIGSTOP);
}

/* ---- Proof that a link is whole -----------------------------------------------------------------------------------
 * */

#define TALKS (3 * SCENE_COUNT + 1)
#define TALKER 77

/* Fills the ring ahead as far as both may, so that each slot is used from both sides. */
void scene_converse(struct hqq_link *link)
{
    unsigned char data[SCENE_SIZE];
    unsigned sent = 0, producer;
    uint32_t number;
    size_t length;
    heavy_expect("set_deadline", hqq_link_set_deadline(link, hqq_clock_ns() + SCENE_BOUND_NS), 0);
    for (unsigned got = 0; got < TALKS; got++) {
        for (; sent < TALKS && sent < got + SCENE_COUNT; sent++) {
            heavy_element_fill(data, HEAVY_ELEMENT_MIN + sent, TALKER, sent);
            heavy_expect("write to the successor", hqq_link_write(link, data, HEAVY_ELEMENT_MIN + sent), 0);
        }
        heavy_expect("read from the successor", hqq_link_read(link, data, sizeof(data), &length), 0);
        if (heavy_element_check(data, length, &producer, &number) != HEAVY_WHOLE || producer != TALKER || number != got)
            heavy_fail("the successor's datagram %u came as another", got);
    }
    heavy_expect("set_deadline", hqq_link_set_deadline(link, HQQ_FOREVER), 0);
}

/* What the survivor wrote and the victim did not take, the successor reads before the conversation. */
static void take_the_rest(const struct scene *scene, struct hqq_link *link)
{
    unsigned char data[SCENE_SIZE];
    unsigned producer;
    uint32_t number;
    size_t length;
    int64_t last = -1;
    while (hqq_link_try_read(link, data, sizeof(data), &length) == 0) {
        if (heavy_element_check(data, length, &producer, &number) != HEAVY_WHOLE ||
            number >= atomic_load(&scene->ledger->written) || (int64_t)number <= last)
            heavy_fail("the successor got number %u after %lld", number, (long long)last);
        if (atomic_exchange(&scene->ledger->taken[number], TAKEN_BY_SUCCESSOR) != 0)
            heavy_fail("the successor got number %u, which the victim had got", number);
        last = number;
    }
}

void scene_succeed(const struct scene *scene, struct hqq_link *survivor)
{
    enum hqq_role role = scene_other(hqq_link_role(survivor));
    char data[SCENE_SIZE];
    size_t length;
    pid_t child = heavy_fork();
    if (child == 0) {
        hqq_link_close(survivor); /* the child's copy; the parent's goes on */
        struct hqq_link *link = scene_attach(scene, role);
        take_the_rest(scene, link);
        sem_post(&scene->ledger->attached);
        scene_converse(link);
        hqq_link_close(link);
        _exit(0);
    }
    heavy_watch_begin(&heavy_steps, SCENE_STALL_NS);
    while (sem_wait(&scene->ledger->attached) != 0) {
    }
    scene_converse(survivor);
    heavy_expect("read of what the successor did not write", hqq_link_read(survivor, data, sizeof(data), &length),
                 HQQ_ERROR_CLOSED);
    heavy_watch_end();
    heavy_reap_well("the successor", child);
}
