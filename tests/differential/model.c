/*
 * What the driver knows of the sockets. It need not be exact: it serves to leave out steps whose answers may differ by
 * the README's limits, and steps that would wait for good. Each rule names its limit.
 */
#include "differential/differential.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define FILE_ALONE (-1)
#define SEND_ROOM 212992 /* net.core.wmem_default, or more */

void model_begin(struct model *model, int actors, int limit)
{
    memset(model, 0, sizeof(*model));
    model->limit = limit;
    for (int i = 0; i < actors; i++)
        model->exists[i] = true;
}

/* ---- Looking things up ------------------------------------------------------------------------------------------- */

static int canonical(int name)
{
    return name >= PATHS + 3 ? name - PATHS - 3 : name;
}

static struct object *object_at(struct model *model, const struct step *step, int slot)
{
    int number = slot >= 0 && slot < SLOTS ? model->slot[step->actor][slot] : 0;
    return number ? &model->object[number] : NULL;
}

static int number_of(const struct model *model, const struct object *object)
{
    return object ? (int)(object - model->object) : 0;
}

static int name_in(const struct step *step)
{
    switch (step->kind) {
    case STEP_sendto:
    case STEP_sendmsg:
    case STEP_sendmmsg:
        return step->arg[3];
    case STEP_badsend:
        return step->arg[1] == 1 || step->arg[1] == 3 || step->arg[1] == 12 || step->arg[1] == 13 ? step->arg[2] : -1;
    default:
        return -1;
    }
}

static bool is_send(const struct step *step)
{
    return (step->kind >= STEP_send && step->kind <= STEP_writev) || step->kind == STEP_badsend;
}

static bool is_receive(const struct step *step)
{
    return step->kind >= STEP_recv && step->kind <= STEP_readv;
}

static struct object *receiver_of(struct model *model, const struct step *step)
{
    const struct object *sender = object_at(model, step, step->arg[0]);
    int name = name_in(step), at = name >= 0 ? model->at[canonical(name)] : sender ? sender->peer : 0;
    return at > 0 && model->object[at].is_open ? &model->object[at] : NULL;
}

static bool is_look(const struct step *step)
{
    return step->kind == STEP_drain || step->kind == STEP_badrecv ||
           (step->kind >= STEP_poll && step->kind <= STEP_epollwait) || step->kind == STEP_fionread;
}

static bool is_shared(const struct model *model, int number)
{
    int holders = 0;
    for (int i = 0; i < ACTORS; i++) {
        bool has_it = false;
        for (int j = 0; j < SLOTS; j++)
            has_it = has_it || model->slot[i][j] == number;
        holders += has_it;
    }
    return holders > 1;
}

/* What the kernel charges a sender for, at most. */
static int charge_of(int length)
{
    return length < 0 ? 0 : length <= 16384 ? 2 * length + 1280 : length + 65536;
}

/* ---- What is left out -------------------------------------------------------------------------------------------- */

/* A queue that the kernel finds full, and the order between senders. */
static bool allows_send(struct model *model, const struct step *step)
{
    const struct object *sender = object_at(model, step, step->arg[0]);
    const struct object *receiver = receiver_of(model, step);
    if (step->kind == STEP_badsend && sender && sender->peer && !receiver && name_in(step) < 0)
        return false; /* which of two errors comes first */
    /* an answer goes to who sent, though its path be another socket's by now */
    if (sender && sender->name >= 0 && model->at[sender->name] > 0 &&
        model->at[sender->name] != number_of(model, sender))
        return false;
    /* the old peer's refusal, which the next send() is to get, may have been met */
    if (sender && sender->peer && !model->object[sender->peer].is_open && name_in(step) >= PATHS)
        return false;
    if (!sender || !receiver)
        return true;
    int batch = step->kind == STEP_sendmmsg ? step->arg[4] : 1;
    int length = step->kind == STEP_badsend ? 24 : step->arg[1];
    if (receiver->count + batch > model->limit ||
        sender->unread_bytes + (batch - 1) * charge_of(length) > sender->send_room - 2048)
        return false;
    for (int i = 0; i < receiver->count; i++) {
        const struct unread *unread = &receiver->queue[(receiver->first + i) % QUEUE_MAX];
        if (unread->sender != number_of(model, sender) || (sender->is_split && unread->actor != step->actor))
            return false;
    }
    return true;
}

static int flags_of(const struct step *step)
{
    return step->kind >= STEP_recv && step->kind <= STEP_recvmmsg ? step->arg[2] : 0;
}

static bool allows_receive(struct model *model, const struct step *step)
{
    const struct object *own = object_at(model, step, step->arg[0]);
    if (!own || !own->is_socket)
        return true;
    if (step->is_asleep)
        return !own->has_receive_timeout && !own->is_nonblocking && (flags_of(step) & MSG_DONTWAIT) == 0 &&
               step->kind != STEP_recvmmsg;
    int wanted = step->kind == STEP_recvmmsg ? step->arg[3] : 1;
    bool is_odd = own->peek_offset >= 0 || own->is_odd;
    return (flags_of(step) & MSG_DONTWAIT) || own->is_nonblocking || own->has_receive_timeout ||
           (own->count >= wanted && !is_odd && !(wanted > 1 && (flags_of(step) & MSG_PEEK)));
}

/* What a ring holds reaches a process that comes to share the socket with the sender's next datagram. */
static bool shows_to(const struct model *model, int number, int actor)
{
    const struct object *own = &model->object[number];
    return number == 0 || own->count == 0 || (own->takers & 1u << actor) || !is_shared(model, number);
}

static bool all_show_to(const struct model *model, int actor)
{
    for (int i = 0; i < SLOTS; i++) {
        if (!shows_to(model, model->slot[actor][i], actor))
            return false;
    }
    return true;
}

/* A socket is writable later where its receiver may hold more. */
static bool is_writable_the_same(const struct object *own)
{
    return !own || !own->is_socket || own->unread_bytes < own->send_room / 4 - 1024;
}

static bool all_are_writable_the_same(struct model *model, int actor)
{
    for (int i = 0; i < SLOTS; i++) {
        if (!is_writable_the_same(model->slot[actor][i] ? &model->object[model->slot[actor][i]] : NULL))
            return false;
    }
    return true;
}

static bool would_reset_peer(const struct model *model, const struct object *own)
{
    return own->peer > 0 && own->count > 0 && model->object[own->peer].is_open &&
           model->object[own->peer].peer == number_of(model, own);
}

static bool allows_option(const struct object *own, const struct step *step)
{
    switch (step->arg[1]) {
    case SO_PEEK_OFF: /* does not apply to what a ring held before it was set */
        return own->count == 0;
    case SO_PASSCRED: /* names a sender that has none */
        return own->unread_bytes == 0;
    case SO_SNDBUF:
        return own->unread_bytes == 0;
    default:
        return true;
    }
}

/* What a server at an abstract name has not read goes to the next one, and what its children shared comes late. */
static bool allows_restart(const struct model *model, int actor)
{
    if (model->is_forked)
        return false;
    for (int i = 0; i < SLOTS; i++) {
        const struct object *own = &model->object[model->slot[actor][i]];
        if (model->slot[actor][i] && own->count > 0 && own->name >= PATHS)
            return false;
    }
    return true;
}

/* What the ring of one that leaves a shared socket holds comes behind what the kernel's queue has. */
static bool allows_close(const struct model *model, const struct object *own)
{
    return !own || own->count == 0 || !is_shared(model, number_of(model, own));
}

bool model_allows(struct model *model, const struct step *step)
{
    if (!model->exists[step->actor])
        return false;
    const struct object *own = object_at(model, step, step->arg[0]);
    if (model->objects >= SOCKETS_MAX - 2)
        return false;
    if (is_send(step))
        return allows_send(model, step);
    if ((is_receive(step) || is_look(step)) && !all_show_to(model, step->actor))
        return false;
    if (is_receive(step))
        return allows_receive(model, step);
    /* what one of two processes that share a socket changes is noticed late by the other */
    if (own && step->kind != STEP_close && step->kind != STEP_dup && step->kind != STEP_dup2 &&
        is_shared(model, number_of(model, own)) &&
        (step->kind == STEP_bind || step->kind == STEP_autobind || step->kind == STEP_connect ||
         step->kind == STEP_disconnect || step->kind == STEP_shutdown || step->kind == STEP_setsockopt ||
         step->kind == STEP_epollctl || step->kind == STEP_nonblock))
        return false;
    switch (step->kind) {
    case STEP_socket:
    case STEP_epoll:
        return !own;
    case STEP_close:
        return allows_close(model, own);
    case STEP_dup2:
        return allows_close(model, object_at(model, step, step->arg[1]));
    case STEP_dup:
        return own && !object_at(model, step, step->arg[1]);
    case STEP_restart:
        return allows_restart(model, step->actor);
    case STEP_fork:
        return !model->exists[step->arg[0]];
    case STEP_bind:
    case STEP_autobind: /* a datagram in a ring keeps the name that its sender had */
        return !own || own->unread_bytes == 0;
    case STEP_connect:
    case STEP_disconnect: /* the old peer gets no ECONNRESET */
        return !own || !would_reset_peer(model, own);
    case STEP_setsockopt:
        return !own || !own->is_socket || allows_option(own, step);
    case STEP_poll:
        return is_writable_the_same(own);
    case STEP_polltwo:
        return is_writable_the_same(own) && is_writable_the_same(object_at(model, step, step->arg[2]));
    case STEP_select:
        return is_writable_the_same(own) && is_writable_the_same(object_at(model, step, step->arg[1]));
    case STEP_epollwait:
    case STEP_epollctl:
        return all_are_writable_the_same(model, step->actor);
    default:
        return true;
    }
}

/* Senders by name notice within a millisecond that it leads to somebody else. */
bool model_wants_pause(struct model *model, const struct step *step)
{
    if (!is_send(step) || name_in(step) < 0 || !model->has_moved[step->actor])
        return false;
    model->has_moved[step->actor] = false;
    return true;
}

bool model_can_compare(const struct step *step, bool is_interrupted, const struct result *plain,
                       const struct result *preloaded)
{
    if (is_send(step) && plain->error == EAGAIN && preloaded->value >= 0)
        return false; /* more fits into a ring */
    if (step->kind == STEP_recvmmsg && is_interrupted)
        return false; /* the kernel keeps the signal that ended it for the next call */
    return true;
}

/* ---- What has happened ------------------------------------------------------------------------------------------- */

static void take(struct model *model, struct object *own, int count)
{
    for (; count > 0 && own->count > 0; count--) {
        const struct unread *unread = &own->queue[own->first];
        model->object[unread->sender].unread_bytes -= unread->bytes;
        own->first = (own->first + 1) % QUEUE_MAX;
        own->count--;
    }
}

static void put(struct model *model, struct object *sender, int actor, struct object *receiver, int length)
{
    if (!sender || !receiver || receiver->count >= QUEUE_MAX)
        return;
    int bytes = charge_of(length);
    receiver->queue[(receiver->first + receiver->count++) % QUEUE_MAX] =
        (struct unread){.sender = number_of(model, sender), .actor = actor, .bytes = bytes};
    sender->unread_bytes += bytes;
}

static void moved(struct model *model, int actor)
{
    for (int i = 0; i < ACTORS; i++)
        model->has_moved[i] = model->has_moved[i] || i != actor;
}

static void release(struct model *model, int actor, int slot)
{
    int number = model->slot[actor][slot];
    struct object *own = &model->object[number];
    model->slot[actor][slot] = 0;
    if (number == 0 || --own->users > 0)
        return;
    take(model, own, own->count);
    own->is_open = false;
    for (int i = 0; i < NAMES; i++) {
        if (model->at[i] == number)
            model->at[i] = i < PATHS ? FILE_ALONE : 0;
    }
    moved(model, actor);
}

static void create(struct model *model, const struct step *step, bool is_socket)
{
    int number = ++model->objects;
    model->object[number] = (struct object){.is_socket = is_socket,
                                            .is_open = true,
                                            .users = 1,
                                            .name = -1,
                                            .peek_offset = -1,
                                            .send_room = SEND_ROOM,
                                            .is_nonblocking = is_socket && (step->arg[1] & SOCK_NONBLOCK)};
    model->slot[step->actor][step->arg[0]] = number;
}

static void note_receive(struct model *model, struct object *own, const struct step *step, const struct result *plain)
{
    if ((flags_of(step) & MSG_PEEK) || plain->value < 0)
        return;
    if ((step->kind == STEP_read || step->kind == STEP_readv) && step->arg[1] <= 0)
        return;
    if (step->kind == STEP_readv && step->arg[2] == 4)
        return;
    take(model, own, step->kind == STEP_recvmmsg ? (int)plain->value : 1);
}

static void note_option(struct object *own, const struct step *step)
{
    int value = step->arg[2];
    if (step->arg[1] == SO_RCVTIMEO)
        own->has_receive_timeout = value > 0;
    else if (step->arg[1] == SO_SNDTIMEO)
        own->has_send_timeout = value > 0;
    else if (step->arg[1] == SO_PEEK_OFF)
        own->peek_offset = value;
    else if (step->arg[1] == SO_SNDBUF)
        own->send_room = value < 2304 ? 4608 : value > SEND_ROOM ? 2 * SEND_ROOM : 2 * value;
}

static void note_fork(struct model *model, const struct step *step)
{
    int child = step->arg[0];
    model->exists[child] = model->is_forked = true;
    for (int i = 0; i < SLOTS; i++) {
        model->slot[child][i] = model->slot[step->actor][i];
        model->object[model->slot[child][i]].users++;
        model->object[model->slot[child][i]].takers = 0;
        if (!model->object[model->slot[child][i]].has_been_used)
            model->object[model->slot[child][i]].is_split = true;
    }
}

void model_note(struct model *model, const struct step *step, const struct result *plain)
{
    struct object *own = object_at(model, step, step->arg[0]);
    bool is_good = plain->value >= 0;
    if (step->kind == STEP_socket && is_good)
        create(model, step, true);
    else if (step->kind == STEP_epoll && is_good)
        create(model, step, false);
    else if (step->kind == STEP_fork && is_good)
        note_fork(model, step);
    else if (step->kind == STEP_restart)
        for (int i = 0; i < SLOTS; i++)
            release(model, step->actor, i);
    else if (step->kind == STEP_unlink && is_good)
        model->at[canonical(step->arg[0])] = 0;
    if (step->kind == STEP_rename && is_good && canonical(step->arg[0]) != canonical(step->arg[1])) {
        model->at[canonical(step->arg[1])] = model->at[canonical(step->arg[0])];
        model->at[canonical(step->arg[0])] = 0;
    }
    if (step->kind == STEP_unlink || step->kind == STEP_rename || step->kind == STEP_chmod || step->kind == STEP_bind)
        moved(model, step->actor);
    if (!own)
        return;
    if (is_good && (is_send(step) || (step->kind >= STEP_bind && step->kind <= STEP_connect)))
        own->has_been_used = true;
    bool sends_nothing = step->kind == STEP_writev && (step->arg[1] <= 0 || step->arg[2] == 4);
    if (is_send(step) && is_good && !sends_nothing) {
        for (int i = 0; i < (step->kind == STEP_sendmmsg ? plain->value : 1); i++)
            put(model, own, step->actor, receiver_of(model, step), step->kind == STEP_badsend ? 24 : step->arg[1]);
    }
    if ((is_receive(step) && plain->value != 0) || step->kind == STEP_drain)
        own->takers |= 1u << step->actor;
    if (is_receive(step))
        note_receive(model, own, step, plain);
    if (!is_good && step->kind == STEP_drain)
        take(model, own, own->count);
    if (step->kind == STEP_badrecv && (step->arg[1] <= 1 || (step->arg[1] >= 4 && step->arg[1] <= 6)) &&
        plain->error != EAGAIN)
        take(model, own, 1);
    if (step->kind == STEP_badrecv && is_good && step->arg[1] == 14)
        take(model, own, 1);
    if (step->kind == STEP_close)
        release(model, step->actor, step->arg[0]);
    if (!is_good)
        return;
    switch (step->kind) {
    case STEP_bind:
        own->name = canonical(step->arg[1]);
        model->at[own->name] = number_of(model, own);
        break;
    case STEP_connect:
    case STEP_disconnect: {
        int peer = step->kind == STEP_connect && step->arg[1] >= 0 ? model->at[canonical(step->arg[1])] : 0;
        if (own->peer != 0 && own->peer != peer)
            take(model, own, own->count);
        own->peer = peer;
        break;
    }
    case STEP_dup:
        model->slot[step->actor][step->arg[1]] = number_of(model, own);
        own->users++;
        break;
    case STEP_dup2:
        if (step->arg[0] != step->arg[1]) {
            own->users++;
            release(model, step->actor, step->arg[1]);
            model->slot[step->actor][step->arg[1]] = number_of(model, own);
        }
        break;
    case STEP_shutdown:
        own->is_odd = true;
        break;
    case STEP_nonblock:
        own->is_nonblocking = step->arg[1];
        break;
    case STEP_setsockopt:
        note_option(own, step);
        break;
    default:
        break;
    }
}
