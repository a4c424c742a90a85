/* terminal.h: standard output: lines on it, or a screen of its own that is always left as it was
 * found.
 *
 * Between terminal_enter and terminal_leave the alternate screen is shown, the cursor hidden, and
 * typed keys are not echoed. There is one terminal, so there is no object.
 */
#ifndef PULSE_TERMINAL_H
#define PULSE_TERMINAL_H

#include <coir/base.h>

struct terminal_size {
    int columns, rows;
};

/* Whether standard output is a terminal that can move its cursor. */
bool terminal_is_there(void);

/* Takes the terminal over, until terminal_leave or the end of the process by a signal that can be
 * caught. */
void terminal_enter(void);

/* Gives it back. Without terminal_enter it does nothing. */
void terminal_leave(void);

/* Stops the process until it is continued (Ctrl-Z), with the terminal given back meanwhile. */
void terminal_stop(void);

struct terminal_size terminal_size(void);

/* The descriptor to wait for when the terminal takes no more. */
int terminal_descriptor(void);

/* Writes what the terminal takes now. Returns the number of bytes, 0 when it takes none, or a
 * negative code. */
int terminal_write(const char *text, size_t length);

/* Writes all of text to standard output, a terminal or not, waiting while it takes no more.
 * Returns 0 or a negative code. */
int output_write(const char *text, size_t length);

#endif
