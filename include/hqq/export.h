/* Marks what libhqq.so exports; everything else in it is hidden. */
#ifndef HQQ_EXPORT_H
#define HQQ_EXPORT_H

#if defined(__GNUC__)
#define HQQ_EXPORT __attribute__((visibility("default")))
#define HQQ_MUST_USE __attribute__((warn_unused_result))
#else
#define HQQ_EXPORT
#define HQQ_MUST_USE
#endif

#ifdef __cplusplus
#define HQQ_BEGIN_DECLS extern "C" {
#define HQQ_END_DECLS }
#else
#define HQQ_BEGIN_DECLS
#define HQQ_END_DECLS
#endif

#endif
