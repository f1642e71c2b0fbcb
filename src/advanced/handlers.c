#include "advanced/handlers.h"

#include <talloc.h>

const struct hqq_handler *hqq_handlers_find(const struct hqq_advanced *advanced, uint64_t method)
{
    const struct hqq_handler *any = NULL;
    for (size_t i = 0; i < advanced->handler_count; i++) {
        if (advanced->handlers[i].method == method)
            return &advanced->handlers[i];
        if (advanced->handlers[i].method == HQQ_ANY_METHOD)
            any = &advanced->handlers[i];
    }
    return any;
}

struct hqq_handler *hqq_handlers_entry(struct hqq_advanced *advanced, uint64_t method)
{
    for (size_t i = 0; i < advanced->handler_count; i++) {
        if (advanced->handlers[i].method == method)
            return &advanced->handlers[i];
    }
    struct hqq_handler *handlers =
        talloc_realloc(advanced->memory, advanced->handlers, struct hqq_handler, (unsigned)advanced->handler_count + 1);
    if (!handlers)
        return NULL;
    advanced->handlers = handlers;
    return &handlers[advanced->handler_count++];
}

bool hqq_handlers_is_handled(const struct hqq_advanced *advanced, const struct hqq_request *request)
{
    return hqq_handlers_find(advanced, request->method) != NULL;
}

bool hqq_handlers_has_request(const struct hqq_advanced *advanced, bool is_handled)
{
    for (const struct hqq_request *request = advanced->first_request; request; request = request->next) {
        if (hqq_handlers_is_handled(advanced, request) == is_handled)
            return true;
    }
    return false;
}
