/* The version of this library, and that of the shared-memory format it speaks. */
#ifndef HQQ_VERSION_H
#define HQQ_VERSION_H

#include <hqq/export.h>

#define HQQ_VERSION_MAJOR 0
#define HQQ_VERSION_MINOR 1
#define HQQ_VERSION_PATCH 0
#define HQQ_VERSION "0.1.0"

/* The region format: PROTOCOL.md, "Region". */
#define HQQ_PROTOCOL_MAJOR 1
#define HQQ_PROTOCOL_MINOR 0

HQQ_BEGIN_DECLS

/* The version of the library that is loaded, as "major.minor.patch": a static string. Async-signal-safe. */
HQQ_EXPORT const char *hqq_version(void);

HQQ_END_DECLS

#endif
