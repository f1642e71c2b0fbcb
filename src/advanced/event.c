#include "advanced/event.h"

#include <sys/eventfd.h>

#include "advanced/handlers.h"

void hqq_event_update(struct hqq_advanced *advanced)
{
    if (advanced->event_fd < 0)
        return;
    bool is_raised = advanced->waiting_count != 0 || advanced->first_waiting || advanced->ended != 0 ||
                     hqq_handlers_has_request(advanced, false);
    if (is_raised == advanced->is_event_raised)
        return;
    advanced->is_event_raised = is_raised;
    if (is_raised)
        (void)eventfd_write(advanced->event_fd, 1);
    else
        (void)eventfd_read(advanced->event_fd, &(eventfd_t){0});
}
