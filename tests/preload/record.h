/* What recorder.c exports beside the hooks. Found by dlsym(), as the recorder is preloaded. */
#ifndef TESTS_PRELOAD_RECORD_H
#define TESTS_PRELOAD_RECORD_H

#include <hqq/export.h>

/* The names of the calls that reached the socket layer since the last time, with spaces between. */
HQQ_EXPORT const char *hqq_record_take(void);

/* From now on the end of the process is one byte on this descriptor. */
HQQ_EXPORT void hqq_record_tell_exit(int fd);

/* Space for a struct hqq_frame, on the caller's stack. Jumping out of it is noted as "left". */
struct hqq_record_frame {
    _Alignas(16) char space[64];
};
HQQ_EXPORT void hqq_record_push_frame(struct hqq_record_frame *space);

#endif
