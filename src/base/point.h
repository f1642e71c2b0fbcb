/*
 * Labelled points: places where a test may pause or kill the process. In the library that is installed they are
 * nothing at all; in the testing build each calls hqq_point_hook, if one is set. A label names layer, operation and
 * what has just happened; hqq_point_labels lists them all, and a test walks that list.
 */
#ifndef HQQ_BASE_POINT_H
#define HQQ_BASE_POINT_H

#ifdef HQQ_TESTING
extern void (*hqq_point_hook)(const char *label);
extern const char *const hqq_point_labels[]; /* ends with NULL */
#define HQQ_POINT(label)                                                                                               \
    do {                                                                                                               \
        if (hqq_point_hook)                                                                                            \
            hqq_point_hook(label);                                                                                     \
    } while (0)
#else
#define HQQ_POINT(label) ((void)0)
#endif

#endif
