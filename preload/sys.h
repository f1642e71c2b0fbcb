/* The library's own system calls, past the hooks. */
#ifndef HQQ_PRELOAD_SYS_H
#define HQQ_PRELOAD_SYS_H

/* Puts bare system calls into those entries of hqq_sys whose functions of libc are hooked. */
void hqq_preload_fill_sys(void);

#endif
