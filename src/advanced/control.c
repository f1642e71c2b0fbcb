#include "advanced/control.h"

#include <errno.h>

#include <talloc.h>

/* Control packets that wait: beyond so many the peer's questions are not answered any more. */
#define CONTROLS_MAX 4096

int hqq_control_queue(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    if (advanced->output_ended != 0)
        return advanced->output_ended;
    struct hqq_control *control = talloc(advanced->memory, struct hqq_control);
    if (!control)
        return -ENOMEM;
    control->next = NULL;
    control->place = NULL;
    control->packet = *packet;
    *advanced->last_control = control;
    advanced->last_control = &control->next;
    advanced->controls++;
    return 0;
}

bool hqq_control_is_crowded(const struct hqq_advanced *advanced)
{
    return advanced->controls >= CONTROLS_MAX;
}

int hqq_control_answer(struct hqq_advanced *advanced, const struct hqq_packet *packet)
{
    if (!hqq_control_is_crowded(advanced))
        return hqq_control_queue(advanced, packet);
    advanced->stats.answers_dropped++;
    return -ENOBUFS;
}

int hqq_control_queue_once(struct hqq_advanced *advanced, const struct hqq_packet *packet, struct hqq_control **place)
{
    if (*place) {
        (*place)->packet = *packet;
        return 0;
    }
    struct hqq_control **last = advanced->last_control;
    int result = hqq_control_queue(advanced, packet);
    if (result == 0) {
        *place = *last;
        (*place)->place = place;
    }
    return result;
}

struct hqq_control *hqq_control_take(struct hqq_advanced *advanced)
{
    struct hqq_control *control = advanced->first_control;
    if (!control)
        return NULL;
    advanced->first_control = control->next;
    if (!control->next)
        advanced->last_control = &advanced->first_control;
    advanced->controls--;
    if (control->place)
        *control->place = NULL;
    return control;
}
