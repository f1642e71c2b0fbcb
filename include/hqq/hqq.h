/* Everything public but hqq/rename.h, which renames calls. Include the single headers instead where less is enough. */
#ifndef HQQ_H
#define HQQ_H

#include <hqq/advanced.h>
#include <hqq/error.h>
#include <hqq/export.h>
#include <hqq/link.h>
#include <hqq/socket.h>
#include <hqq/version.h>

#endif
