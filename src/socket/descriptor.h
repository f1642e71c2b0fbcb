/*
 * What the calls that make and close descriptors share.
 */
#ifndef HQQ_SOCKET_DESCRIPTOR_H
#define HQQ_SOCKET_DESCRIPTOR_H

/* The app puts a descriptor of its own where one of ours is: ours moves. */
void hqq_descriptor_make_way(int wanted);

/* wanted is about to be replaced by a duplicate of fd, if that is a descriptor at all. */
void hqq_endpoint_leave_if_valid(int fd, int wanted);

#endif
