/* The number of changes to names and identity. */
#include "runtime/names.h"

hqq_atomic_u64 hqq_names_changes;
hqq_atomic_u32 hqq_names_are_scoped;
