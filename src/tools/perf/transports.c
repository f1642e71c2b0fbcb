/* The list of transports, and the names of what they do. */
#include "tools/perf/transport.h"

const struct perf_transport *const perf_transports[PERF_TRANSPORTS] = {
    &perf_pingpong, &perf_hqq,       &perf_hqq_batch, &perf_hqq_zerocopy,
    &perf_unix,     &perf_unix_spin, &perf_memcpy,    &perf_memcpy_pair,
};

const char *const perf_kind_names[PERF_KINDS] = {"roundtrip", "stream"};
const char *const perf_mode_names[PERF_MODES] = {"spin", "sleep"};
