/* sim.h: the inside of the simulated backend, shared by sim.c (operations, scheduling, data) and
 * sim_net.c (addresses, listeners, connecting).
 *
 * A simulated file is one end of a connection, a listener, or neither yet. Nothing moves when an
 * operation is started: each attempt is scheduled, after a latency drawn from the loop's seed, and
 * made by a callback of the loop. An attempt that cannot do anything yet is made again when
 * something about its file changes (coir__sim_kick).
 */
#ifndef COIR_IO_SIM_H
#define COIR_IO_SIM_H

#include <netinet/in.h>
#include <sys/un.h>

#include "core/backend.h"
#include "core/sys.h"

#define COIR__SIM_BUFFER 65536 /* bytes that may be under way to one end */

/* An address in comparable form: IPv4 is mapped into IPv6, other families have their path. */
struct coir__sim_name {
    sa_family_t family;
    uint16_t port;
    size_t length; /* of the path; 0: unnamed */
    union {
        struct in6_addr address;
        char path[sizeof((struct sockaddr_un *)0)->sun_path];
    };
};

enum coir__sim_state { COIR__SIM_FRESH, COIR__SIM_LISTENING, COIR__SIM_CONNECTED };

enum coir__sim_stage { COIR__SIM_IDLE, COIR__SIM_DELAYED, COIR__SIM_DUE };

/* The next attempt of one operation. */
struct coir__sim_event {
    struct coir__sim_event *next, *previous; /* while due */
    struct coir__op *op;
    coir_timer timer; /* while delayed */
    enum coir__sim_stage stage;
    bool cancelled; /* its end was asked for and comes later */
};

struct coir__sim_file {
    struct coir__file file;
    struct coir__sim_event read, write;
    struct coir__sim_file *next, *previous; /* of all */
    enum coir__sim_state state;
    sa_family_t family;
    bool bound, reuse_address, reuse_port, only_ipv6;
    struct coir__sim_name local, remote;
    /* an end of a connection */
    struct coir__sim_file *peer; /* NULL: it was closed */
    char *buffer; /* what has arrived, a ring of COIR__SIM_BUFFER; NULL: nothing yet */
    size_t first, count;
    int error; /* reported once, negative */
    bool fin;  /* nothing will arrive any more */
    bool dead; /* reset */
    bool shut_read, shut_write;
    /* a listener, and what waits there to be accepted */
    struct coir__sim_file *queue_first, *queue_last, *queue_next;
    int queued, backlog;
};

/* A path that a socket was bound to; it stays when the socket is closed. */
struct coir__sim_path {
    struct coir__sim_path *next;
    struct coir__sim_file *owner; /* NULL: closed */
    struct coir__sim_name name;
};

struct coir__sim {
    struct coir_loop *loop;
    int wakefd;
    int next_fd;
    uint32_t generation;
    uint16_t next_port;
    size_t stuck; /* connections that once found a full queue: whether it is worth looking */
    struct coir__sim_event due;  /* head of a ring */
    struct coir__ready ready;    /* runs what is due */
    bool queued;                 /* it is in the loop's queue */
    struct coir__sim_file files; /* head of a ring */
    struct coir__sim_path *paths;
};

static inline struct coir__sim *coir__sim_of(struct coir_loop *loop)
{
    return loop->backend_state;
}

static inline struct coir__sim_file *coir__sim_file_of(struct coir__file *file)
{
    return coir__container(file, struct coir__sim_file, file);
}

static inline bool coir__sim_is_tcp(const struct coir__sim_file *file)
{
    return file->family != AF_UNIX;
}

/* sim.c */

/* Schedules new attempts of what is active on file. */
void coir__sim_kick(struct coir__sim_file *file);
/* A new file, not counted as a descriptor yet; NULL: no memory. */
struct coir__sim_file *coir__sim_file_new(struct coir_loop *loop, sa_family_t family);
/* Closes one end: the other one is told. */
void coir__sim_hang_up(struct coir__sim_file *file, bool abrupt);
/* Closes an end that nobody has accepted: the other one is reset, on Unix sockets too. */
void coir__sim_reset(struct coir__sim_file *file);
void coir__sim_file_free(struct coir__sim_file *file);

/* sim_net.c: attempts return the result or COIR__STARTED */
long coir__sim_connect(struct coir__sim_file *file, struct coir__op *op);
long coir__sim_accept(struct coir__sim_file *file, struct coir__op *op);
/* Ends listening and gives up the names of a file that is about to be freed. */
void coir__sim_forget(struct coir__sim_file *file);
int coir__sim_bind(struct coir_loop *loop, struct coir__file *file, const struct sockaddr *address,
                   socklen_t length);
int coir__sim_listen(struct coir_loop *loop, struct coir__file *file, int backlog);
int coir__sim_option(struct coir_loop *loop, struct coir__file *file, int level, int name,
                     const void *value, socklen_t length);
int coir__sim_name(struct coir_loop *loop, struct coir__file *file, bool peer,
                   struct sockaddr *ret_address, socklen_t *length);
int coir__sim_path_mode(struct coir_loop *loop, const char *path, unsigned mode);
int coir__sim_path_remove(struct coir_loop *loop, const char *path, struct coir__file *file);

#endif
