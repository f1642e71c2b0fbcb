/*
 * What the calls that make and close descriptors share.
 */
#ifndef HQQ_SOCKET_DESCRIPTOR_H
#define HQQ_SOCKET_DESCRIPTOR_H

#include <stdbool.h>

/* A descriptor of this number was just made: what is known of the number is of an earlier one. */
void hqq_descriptor_created(int fd);

/* The descriptor goes: what serves it is told, and the table knows nothing of it any more. is_closing: it is open
 * still. */
void hqq_descriptor_leave(int fd, bool is_closing);

/* wanted is about to be replaced by a duplicate of fd, if that is a descriptor at all. */
void hqq_descriptor_leave_if_valid(int fd, int wanted);

#endif
