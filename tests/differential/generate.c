/* Random steps: mostly traffic that opens channels and fills rings, and then anything. */
#include "differential/differential.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define EDGE ((int)EPOLLET)

static uint64_t random_state = 1;

void random_seed(uint64_t seed)
{
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (int i = 0; i < 8; i++)
        below(2);
}

uint64_t below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % bound;
}

static bool one_in(unsigned number)
{
    return below(number) == 0;
}

static int between(int least, int most)
{
    return least + (int)below((uint64_t)(most - least + 1));
}

#define PICK(...) pick((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static int pick(const int *values, size_t count)
{
    return values[below(count)];
}

static void push(struct generator *generator, int actor, enum step_kind kind, const int *arg, size_t count)
{
    if (generator->waiting == (int)(sizeof(generator->queue) / sizeof(generator->queue[0])))
        return;
    struct step *step = &generator->queue[generator->waiting++];
    *step = (struct step){.actor = (uint8_t)actor, .kind = (uint8_t)kind};
    for (size_t i = 0; i < count; i++)
        step->arg[i] = arg[i];
}

#define PUSH(actor, kind, ...)                                                                                         \
    push(generator, actor, kind, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* ---- Ends -------------------------------------------------------------------------------------------------------- */

struct end {
    int actor, slot, number;
};

static bool find_end(const struct generator *generator, bool (*suits)(const struct model *, int), struct end *ret_end)
{
    const struct model *model = generator->model;
    int start = (int)below(ACTORS * SLOTS);
    for (int i = 0; i < ACTORS * SLOTS; i++) {
        int at = (start + i * 7) % (ACTORS * SLOTS), number = model->slot[at / SLOTS][at % SLOTS];
        if (number && model->exists[at / SLOTS] && suits(model, number)) {
            *ret_end = (struct end){at / SLOTS, at % SLOTS, number};
            return true;
        }
    }
    return false;
}

static bool is_socket(const struct model *model, int number)
{
    return model->object[number].is_socket;
}

static bool is_named(const struct model *model, int number)
{
    int name = model->object[number].name;
    return name >= 0 && model->at[name] == number;
}

static bool is_set(const struct model *model, int number)
{
    return !model->object[number].is_socket;
}

static bool find_holder(const struct generator *generator, int number, struct end *ret_end)
{
    for (int i = 0; number != 0 && i < ACTORS * SLOTS; i++) {
        if (generator->model->slot[i / SLOTS][i % SLOTS] == number) {
            *ret_end = (struct end){i / SLOTS, i % SLOTS, number};
            return true;
        }
    }
    return false;
}

/* ---- Traffic ----------------------------------------------------------------------------------------------------- */

static int a_length(void)
{
    switch (below(20)) {
    case 0:
        return 0;
    case 1:
    case 2:
    case 3:
        return between(65, 2047);
    case 4:
        return between(1990, 2060);
    case 5:
        return between(4000, 4200);
    case 6:
        return between(4000, 20000);
    case 7:
        return one_in(3) ? between(20000, 200000) : between(2000, 9000);
    default:
        return between(1, 64);
    }
}

static int a_room(void)
{
    switch (below(12)) {
    case 0:
        return 0;
    case 1:
        return between(1, 32);
    case 2:
        return between(2000, 4200);
    case 3:
        return LONGEST;
    case 4:
        return between(1, 3000);
    default:
        return 20000;
    }
}

static bool is_usual; /* what a ring can carry is sent */

static int send_flags(void)
{
    if (is_usual)
        return one_in(3) ? MSG_DONTWAIT : 0;
    return (one_in(3) ? MSG_DONTWAIT : 0) | (one_in(8) ? MSG_NOSIGNAL : 0) | (one_in(30) ? MSG_EOR : 0) |
           (one_in(30) ? MSG_MORE : 0) | (one_in(30) ? MSG_CONFIRM : 0) | (one_in(60) ? MSG_DONTROUTE : 0);
}

static int receive_flags(void)
{
    return (one_in(2) ? MSG_DONTWAIT : 0) | (one_in(9) ? MSG_PEEK : 0) | (one_in(9) ? MSG_TRUNC : 0) |
           (one_in(20) ? MSG_WAITALL : 0) | (one_in(30) ? MSG_CMSG_CLOEXEC : 0) | (one_in(40) ? MSG_WAITFORONE : 0);
}

/* Name: -1 for the peer. */
static void push_send(struct generator *generator, const struct end *from, int name)
{
    int length = a_length(), kind = (int)below(name < 0 ? 10 : 6);
    if (name >= 0 && name < 2 && !is_usual && one_in(20))
        name += PATHS + 3;
    if (kind == 0)
        PUSH(from->actor, STEP_sendmsg, from->slot, length, send_flags(), name, between(0, 4),
             !is_usual && one_in(5) ? between(1, 4) : 0);
    else if (kind == 1)
        PUSH(from->actor, STEP_sendmmsg, from->slot, length, send_flags(), name, between(1, 4));
    else if (name >= 0)
        PUSH(from->actor, STEP_sendto, from->slot, length, send_flags(), name);
    else if (kind <= 3)
        PUSH(from->actor, STEP_write, from->slot, length);
    else if (kind == 4)
        PUSH(from->actor, STEP_writev, from->slot, length, between(0, 4));
    else
        PUSH(from->actor, STEP_send, from->slot, length, send_flags());
}

static void push_receive(struct generator *generator, const struct end *at)
{
    switch (below(12)) {
    case 0:
    case 1:
        PUSH(at->actor, STEP_recvfrom, at->slot, a_room(), receive_flags(), one_in(5) ? between(0, 20) : 110);
        break;
    case 2:
    case 3:
        PUSH(at->actor, STEP_recvmsg, at->slot, a_room(), receive_flags(), between(0, 4), PICK(0, 0, 8, 24, 40, 256));
        break;
    case 4:
        PUSH(at->actor, STEP_recvmmsg, at->slot, a_room(), receive_flags(), between(1, 4));
        break;
    case 5:
    case 6:
        PUSH(at->actor, STEP_read, at->slot, a_room());
        break;
    case 7:
        PUSH(at->actor, STEP_readv, at->slot, a_room(), between(0, 4));
        break;
    default:
        PUSH(at->actor, STEP_recv, at->slot, a_room(), receive_flags());
    }
}

static int some_events(void)
{
    return one_in(4) ? (int)below(POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM | 1)
                     : PICK(POLLIN, POLLIN | POLLOUT, POLLOUT, POLLIN | POLLRDHUP, POLLIN);
}

static void push_look(struct generator *generator, const struct end *at)
{
    struct end set;
    switch (below(7)) {
    case 0:
        PUSH(at->actor, STEP_fionread, at->slot);
        break;
    case 1:
        PUSH(at->actor, STEP_select, at->slot, between(0, SLOTS - 1), 0);
        break;
    case 2:
        PUSH(at->actor, STEP_polltwo, at->slot, some_events(), between(0, SLOTS - 1), some_events());
        break;
    case 3:
    case 4:
        if (find_end(generator, is_set, &set)) {
            PUSH(set.actor, STEP_epollwait, set.slot, 0);
            break;
        }
        /* fallthrough */
    default:
        PUSH(at->actor, STEP_poll, at->slot, some_events(), one_in(20) ? 2 : 0);
    }
}

static bool find_any_pair(const struct generator *generator, struct end *ret_from, struct end *ret_to)
{
    const struct model *model = generator->model;
    if (!find_end(generator, is_socket, ret_from))
        return false;
    int peer = model->object[ret_from->number].peer;
    if (peer > 0 && !one_in(4))
        return find_holder(generator, peer, ret_to);
    return find_end(generator, is_named, ret_to);
}

/* From whom and to whom: the name, or -1 for the peer. */
static bool find_pair(struct generator *generator, struct end *ret_from, struct end *ret_to, int *ret_name)
{
    const struct model *model = generator->model;
    bool has_usual = find_holder(generator, generator->from, ret_from) && find_holder(generator, generator->to, ret_to);
    if (!has_usual || one_in(8)) {
        if (!find_any_pair(generator, ret_from, ret_to))
            return false;
        if ((!has_usual || one_in(3)) && ret_from->actor != PLAIN && ret_to->actor != PLAIN &&
            ret_from->actor != ret_to->actor) {
            generator->from = ret_from->number;
            generator->to = ret_to->number;
        }
    } else if (one_in(4) && is_named(model, generator->from)) {
        struct end swapped = *ret_from;
        *ret_from = *ret_to;
        *ret_to = swapped;
    }
    bool is_peer = model->object[ret_from->number].peer == ret_to->number;
    *ret_name = is_peer && !one_in(4) ? -1 : model->object[ret_to->number].name;
    return is_peer || is_named(model, ret_to->number);
}

/* One that was shut down is closed, and another takes its place. */
static bool push_renewal(struct generator *generator, const struct end *at)
{
    const struct object *old = &generator->model->object[at->number];
    if (!old->is_odd || one_in(3))
        return false;
    PUSH(at->actor, STEP_drain, at->slot);
    PUSH(at->actor, STEP_close, at->slot);
    PUSH(at->actor, STEP_socket, at->slot, 0);
    if (old->name >= 0 && old->name < PATHS)
        PUSH(at->actor, STEP_unlink, old->name);
    if (old->name >= 0)
        PUSH(at->actor, STEP_bind, at->slot, old->name);
    return true;
}

static void push_burst(struct generator *generator)
{
    struct end from, to;
    int name, count = one_in(3) ? between(1, generator->model->limit) : between(1, 4);
    if (!find_pair(generator, &from, &to, &name) || push_renewal(generator, &from) || push_renewal(generator, &to))
        return;
    is_usual = !one_in(4);
    for (int i = 0; i < count; i++) {
        push_send(generator, &from, name);
        if (one_in(4))
            push_receive(generator, &to);
        if (one_in(8))
            push_look(generator, one_in(3) ? &from : &to);
    }
    is_usual = false;
    for (int i = 0; i < count && !one_in(12); i++) {
        push_receive(generator, &to);
        if (one_in(8))
            push_look(generator, &to);
    }
    if (!one_in(3)) /* who sees its queue empty gets what follows by the ring */
        PUSH(to.actor, STEP_drain, to.slot);
    else if (one_in(2))
        PUSH(to.actor, STEP_recv, to.slot, 64, MSG_DONTWAIT);
    if (one_in(6))
        PUSH(to.actor, STEP_pause, 400);
}

/* Ends that are to have channels: datagrams to and fro, and time. */
static void push_warm_up(struct generator *generator)
{
    struct end from, to;
    int name;
    if (!find_pair(generator, &from, &to, &name) || push_renewal(generator, &from) || push_renewal(generator, &to))
        return;
    int back = generator->model->object[from.number].name;
    for (int i = 0; i < 6; i++) {
        if (name < 0)
            PUSH(from.actor, STEP_send, from.slot, 16, 0);
        else
            PUSH(from.actor, STEP_sendto, from.slot, 16, 0, name);
        PUSH(to.actor, STEP_recv, to.slot, 64, MSG_DONTWAIT);
        if (back >= 0) {
            PUSH(to.actor, STEP_sendto, to.slot, 16, 0, back);
            PUSH(from.actor, STEP_recv, from.slot, 64, MSG_DONTWAIT);
        }
        PUSH(to.actor, STEP_recv, to.slot, 64, MSG_DONTWAIT);
        PUSH(to.actor, STEP_pause, 600);
    }
}

/* Somebody waits, and somebody else does something about it. */
static void push_sleep(struct generator *generator)
{
    struct end from, to, set;
    int name, ms = 20000;
    if (!find_pair(generator, &from, &to, &name) || from.actor == to.actor)
        return;
    const struct object *own = &generator->model->object[to.number];
    PUSH(to.actor, STEP_drain, to.slot);
    if (own->has_receive_timeout && !one_in(4))
        PUSH(to.actor, STEP_setsockopt, to.slot, SO_RCVTIMEO, 0);
    if (own->is_nonblocking && one_in(3))
        PUSH(to.actor, STEP_nonblock, to.slot, 0, 0);
    switch (below(own->is_nonblocking ? 4 : 6)) {
    case 0:
        PUSH(to.actor, STEP_poll, to.slot, POLLIN | (one_in(4) ? POLLRDHUP : 0), ms);
        break;
    case 1:
        PUSH(to.actor, STEP_select, to.slot, to.slot, ms);
        break;
    case 2:
        if (find_end(generator, is_set, &set) && set.actor != from.actor) {
            PUSH(set.actor, STEP_epollwait, set.slot, ms);
            break;
        }
        /* fallthrough */
    case 3:
        if (own->is_nonblocking) {
            PUSH(to.actor, STEP_poll, to.slot, POLLIN, ms);
            break;
        }
        /* fallthrough */
    default:
        push_receive(generator, &to);
        if (generator->queue[generator->waiting - 1].kind <= STEP_recvmsg)
            generator->queue[generator->waiting - 1].arg[2] &= ~MSG_DONTWAIT;
    }
    generator->queue[generator->waiting - 1].is_asleep = true;
    if (one_in(6))
        PUSH(from.actor, STEP_close, from.slot);
    else if (one_in(8))
        PUSH(from.actor, STEP_shutdown, from.slot, between(0, 2));
    else
        push_send(generator, &from, name);
    if (one_in(3))
        push_look(generator, &to);
    push_receive(generator, &to);
}

/* ---- Anything ---------------------------------------------------------------------------------------------------- */

static int a_slot(void)
{
    return one_in(4) ? between(0, SLOTS - 1) : between(0, 2);
}

static int a_name(void)
{
    return one_in(12) ? between(0, NAMES - 1) : PICK(0, 0, 1, 1, 2, 5, 5, 6);
}

static void push_option(struct generator *generator, int actor, int slot)
{
    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        PUSH(actor, STEP_setsockopt, slot, SO_RCVTIMEO, PICK(0, 2000, 2000));
        break;
    case 3:
        PUSH(actor, STEP_setsockopt, slot, SO_SNDTIMEO, PICK(0, 2000));
        break;
    case 4:
        PUSH(actor, STEP_setsockopt, slot, SO_SNDBUF, PICK(1, 4096, 8192, 65536, 212992, 212992));
        break;
    case 5:
        PUSH(actor, STEP_setsockopt, slot, SO_PASSCRED, PICK(0, 0, 1));
        break;
    case 6:
        PUSH(actor, STEP_setsockopt, slot, SO_PEEK_OFF, PICK(-1, -1, 0, 3));
        break;
    default:
        PUSH(actor, STEP_setsockopt, slot,
             PICK(SO_TIMESTAMP, SO_RCVBUF, SO_KEEPALIVE, SO_RCVLOWAT, SO_BROADCAST, SO_PRIORITY, 999), 1);
    }
}

static void push_odd(struct generator *generator)
{
    int actor = (int)below((uint64_t)generator->actors), slot = a_slot();
    struct end set, other;
    if (one_in(8) && find_end(generator, is_socket, &other)) {
        actor = other.actor;
        slot = other.slot;
    }
    switch (below(40)) {
    case 0:
    case 1:
    case 2:
        PUSH(actor, STEP_socket, slot, PICK(0, 0, SOCK_NONBLOCK, SOCK_CLOEXEC));
        if (!one_in(3))
            PUSH(actor, STEP_bind, slot, a_name());
        break;
    case 3:
        PUSH(actor, STEP_close, slot);
        PUSH(actor, STEP_socket, slot, 0);
        if (one_in(2))
            PUSH(actor, STEP_unlink, a_name());
        PUSH(actor, STEP_bind, slot, a_name());
        break;
    case 4:
        PUSH(actor, STEP_bind, slot, a_name());
        break;
    case 5:
        PUSH(actor, STEP_autobind, slot);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        PUSH(actor, STEP_connect, slot, a_name());
        break;
    case 10:
        PUSH(actor, STEP_disconnect, slot);
        break;
    case 11:
        if (one_in(2))
            PUSH(actor, STEP_shutdown, slot, between(0, 2));
        break;
    case 12:
        PUSH(actor, STEP_unlink, a_name());
        if (one_in(2))
            PUSH(actor, STEP_bind, slot, a_name());
        break;
    case 13:
        PUSH(actor, STEP_rename, between(0, PATHS - 1), between(0, PATHS - 1));
        break;
    case 14:
        PUSH(actor, STEP_chmod, a_name(), PICK(0600, 0666, 0));
        break;
    case 15:
        PUSH(actor, STEP_dup, slot, between(0, SLOTS - 1));
        break;
    case 16:
        PUSH(actor, STEP_dup2, slot, a_slot());
        break;
    case 17:
        PUSH(actor, STEP_close, slot);
        break;
    case 18:
    case 19:
        PUSH(actor, STEP_nonblock, slot, between(0, 1), between(0, 1));
        break;
    case 20:
    case 21:
    case 22:
        push_option(generator, actor, slot);
        break;
    case 23:
    case 24:
        PUSH(actor, STEP_getsockopt, slot,
             PICK(SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ERROR, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_PASSCRED, SO_PEEK_OFF,
                  SO_RCVTIMEO, SO_SNDTIMEO, SO_ACCEPTCONN, SO_PEERCRED, SO_RCVLOWAT, 999));
        break;
    case 25:
        PUSH(actor, STEP_getsockname, slot);
        break;
    case 26:
        PUSH(actor, STEP_getpeername, slot);
        break;
    case 27:
    case 28:
        PUSH(actor, STEP_badsend, slot, between(0, 16), one_in(2) ? a_name() : -1);
        break;
    case 29:
    case 30:
        PUSH(actor, STEP_badrecv, slot, between(0, 15));
        break;
    case 31:
        PUSH(actor, STEP_epoll, between(3, SLOTS - 1));
        break;
    case 32:
    case 33:
    case 34:
        if (find_end(generator, is_set, &set))
            PUSH(set.actor, STEP_epollctl, set.slot, PICK(EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL),
                 a_slot(),
                 PICK(EPOLLIN, EPOLLIN | EDGE, EPOLLIN | EPOLLONESHOT, EPOLLIN | EPOLLRDHUP, EPOLLIN | EPOLLOUT,
                      EPOLLOUT, EPOLLIN | EDGE | EPOLLRDHUP, 0));
        break;
    case 35:
        if (one_in(6))
            PUSH(actor, STEP_fork, between(3, ACTORS - 1));
        break;
    case 36:
        if (one_in(4)) {
            int name = a_name();
            PUSH(actor, STEP_restart, 0);
            PUSH(actor, STEP_socket, 0, 0);
            PUSH(actor, STEP_unlink, name);
            PUSH(actor, STEP_bind, 0, name);
        }
        PUSH(actor, STEP_drain, slot);
        break;
    default: {
        struct end at = {actor, slot, 0};
        if (one_in(2))
            push_send(generator, &at, one_in(2) ? a_name() : -1);
        else
            push_receive(generator, &at);
    }
    }
}

/* ---- The sequence ------------------------------------------------------------------------------------------------ */

void generate_begin(struct generator *generator, struct model *model, int actors)
{
    generator->waiting = generator->next = generator->from = generator->to = 0;
    generator->warmed_from = generator->warmed_to = 0;
    generator->model = model;
    generator->actors = actors;
    int names[3] = {PICK(0, 1, 5), PICK(2, 6), PICK(3, 7)};
    for (int i = 0; i < actors; i++) {
        PUSH(i, STEP_socket, 0, PICK(0, 0, SOCK_NONBLOCK));
        if (one_in(2))
            PUSH(i, STEP_setsockopt, 0, SO_RCVTIMEO, 2000);
        if (i == 0 || !one_in(4))
            PUSH(i, STEP_bind, 0, names[i]);
    }
    if (one_in(2))
        PUSH(1, STEP_connect, 0, names[0]);
    if (one_in(4))
        PUSH(0, STEP_connect, 0, names[1]);
    if (one_in(2)) {
        PUSH(0, STEP_epoll, 7);
        PUSH(0, STEP_epollctl, 7, EPOLL_CTL_ADD, 0, PICK(EPOLLIN, EPOLLIN | EDGE));
    }
}

void generate_next(struct generator *generator, struct step *ret_step)
{
    while (generator->next == generator->waiting) {
        generator->next = generator->waiting = 0;
        uint64_t turn = below(100);
        bool is_new = generator->from != generator->warmed_from || generator->to != generator->warmed_to;
        if (is_new && one_in(2)) {
            push_warm_up(generator);
            generator->warmed_from = generator->from;
            generator->warmed_to = generator->to;
        } else if (turn < 60)
            push_burst(generator);
        else if (turn < 64)
            push_warm_up(generator);
        else if (turn < 74)
            push_sleep(generator);
        else
            push_odd(generator);
    }
    *ret_step = generator->queue[generator->next++];
}
