/* What syscall() needs of the hooks of signal handlers. */
#ifndef HQQ_PRELOAD_SIGNAL_H
#define HQQ_PRELOAD_SIGNAL_H

/* The program's function behind a handler that the kernel knows: itself, if it is not one of our trampolines. */
void *hqq_signal_untrampolined(void *installed);

#endif
