/* coir/activation.h: sockets that a service manager has opened before it started the program, so
 * that nobody is refused while the program starts, or starts again (systemd.socket(5)).
 *
 *     static int open_listener(coir_listener **ret_listener)
 *     {
 *         int r = coir_listen_activated("http", NULL, ret_listener);
 *         return r == -ENOENT ? coir_tcp_listen("127.0.0.1:8080", NULL, ret_listener) : r;
 *     }
 *
 * The manager says which descriptors they are by the environment: LISTEN_PID, LISTEN_FDS and
 * LISTEN_FDNAMES. The first call here reads these, when LISTEN_PID is this process, makes the
 * descriptors close-on-exec, and takes the variables out of the environment, so that no child
 * process believes that they are for it: that call belongs before other threads read the
 * environment.
 */
#ifndef COIR_ACTIVATION_H
#define COIR_ACTIVATION_H

#include <coir/tcp.h>
#include <coir/udp.h>

COIR__BEGIN

/* Takes the next descriptor that was given under name, which nobody has taken yet; NULL: under any.
 * It is the caller's from here. Returns 0, and writes *ret_fd. Errors: -ENOENT when there is none,
 * as in a program that was started by hand. Cancel safety: never waits. Thread safety: any thread.
 */
COIR__CHECKED int coir_activation_take(const char *name, int *ret_fd);

/* Takes the next one under name that is a listening socket for streams, as coir_listener_adopt.
 * Returns 0, and writes *ret_listener. Errors: -ENOENT when there is none, -ENOTSOCK and
 * -EPROTOTYPE when it is something else (then it is closed), else as coir_listener_adopt. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_listen_activated(const char *name, const coir_listen_opts *opts,
                                        coir_listener **ret_listener);

/* The same for a socket for datagrams, as coir_udp_adopt.
 * Returns 0, and writes *ret_udp. Errors: as coir_listen_activated. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_udp_activated(const char *name, coir_udp **ret_udp);

COIR__END
#endif
