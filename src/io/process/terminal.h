/* terminal.h: the modes of terminals, which come back whatever happens. Internal to io; shared by
 * terminal_mode.c and terminal.c.
 */
#ifndef COIR_IO_TERMINAL_H
#define COIR_IO_TERMINAL_H

#include <coir/terminal.h>

/* A terminal whose mode was changed; opaque. */
struct coir__mode;

/* Changes the mode of fd. *mode is NULL at first, and again when the mode is the original one.
 * Returns 0 or a negative errno; then the mode is as it was. */
int coir__mode_set(struct coir__mode **mode, int fd, enum coir_terminal_mode wanted);

/* Gives all terminals their original modes, for the program is about to end. Async-signal-safe. */
void coir__terminal_restore(void);

#endif
