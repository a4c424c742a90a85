/* sim.h: the inside of the simulated backend, shared by sim.c (operations, scheduling, data),
 * net.c (addresses, listeners, connecting) and datagram.c (datagrams, and descriptors that
 * are passed).
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

#include "io/descriptor/file.h"
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
    struct coir__op *op;                     /* NULL: none is under way */
    coir_timer timer;                        /* while delayed */
    enum coir__sim_stage stage;
    bool cancelled; /* its end was asked for and comes later */
};

/* Descriptors on the way: real ones, duplicates of what the sender has. */
struct coir__sim_luggage {
    struct coir__sim_luggage *next;
    size_t at, length; /* of a stream: bytes before its message, and of that */
    size_t count;
    int fds[];
};

struct coir__sim_datagram {
    struct coir__sim_datagram *next;
    struct coir__sim_name from;
    struct coir__sim_luggage *luggage; /* or NULL */
    size_t length;
    char data[];
};

struct coir__sim_file {
    struct coir__file file;
    struct coir__sim_event read, write;
    struct coir__sim_file *next, *previous; /* of all */
    enum coir__sim_state state;
    sa_family_t family;
    bool bound, reuse_address, reuse_port, only_ipv6, resets;
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
    struct coir__sim_luggage *luggage; /* in the stream, in order */
    /* a socket for datagrams; connected, it has no peer: the name or the target says who it is */
    bool datagrams;
    struct coir__sim_file *target; /* that a Unix socket is connected to; NULL: it was closed */
    struct coir__sim_datagram *inbox_first, *inbox_last;
    struct coir__sim_datagram *held; /* comes after the next one */
    size_t inbox_size, inbox_limit;  /* in bytes; a datagram counts COIR__SIM_OVERHEAD more */
    int inbox_count;
};

#define COIR__SIM_OVERHEAD 512  /* about what the kernel charges for a datagram's own record */
#define COIR__SIM_INBOX 212992  /* as net.core.rmem_default */
#define COIR__SIM_UNIX_QUEUE 10 /* as net.unix.max_dgram_qlen */

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
    uint16_t next_port;
    size_t stuck; /* connections and datagrams that once found a full queue: worth a look */
    struct coir__sim_event due;  /* head of a ring */
    struct coir__ready ready;    /* runs what is due */
    bool queued;                 /* it is in the loop's queue */
    struct coir__sim_file files; /* head of a ring */
    struct coir__sim_path *paths;
    struct coir__op *outside; /* polls of descriptors of the machine */
};

static inline struct coir__sim *coir__sim_of(struct coir_loop *loop)
{
    return loop->backend_state;
}

static inline struct coir__sim_file *coir__sim_file_of(struct coir__file *file)
{
    return coir__container(file, struct coir__sim_file, file);
}

/* Whether the loop may have count more descriptors. */
static inline bool coir__sim_has_room(const struct coir_loop *loop, uint64_t count)
{
    uint64_t most = loop->mishaps.descriptors;
    return most == 0 || loop->descriptors + count <= most;
}

static inline bool coir__sim_is_tcp(const struct coir__sim_file *file)
{
    return file->family != AF_UNIX;
}

/* sim.c */

/* Reads and writes a stream; descriptors that come with the first byte go to *ret_luggage, or, with
 * NULL, nowhere. Both give the result or COIR__STARTED. */
long coir__sim_read(struct coir__sim_file *file, struct coir__op *op,
                    struct coir__sim_luggage **ret_luggage);
long coir__sim_write(struct coir__sim_file *file, struct coir__op *op);
/* An error that is reported once, or 0. */
int coir__sim_take_error(struct coir__sim_file *file);
/* Schedules new attempts of what is active on file. */
void coir__sim_kick(struct coir__sim_file *file);
/* A new file, not counted as a descriptor yet; NULL: no memory. */
struct coir__sim_file *coir__sim_file_new(struct coir_loop *loop, sa_family_t family);
/* Closes one end: the other one is told. */
void coir__sim_hang_up(struct coir__sim_file *file, bool abrupt);
/* Closes an end that nobody has accepted: the other one is reset, on Unix sockets too. */
void coir__sim_reset(struct coir__sim_file *file);
void coir__sim_file_free(struct coir__sim_file *file);

/* datagram.c: attempts return the result or COIR__STARTED */
long coir__sim_receive(struct coir__sim_file *file, struct coir__op *op);
long coir__sim_send(struct coir__sim_file *file, struct coir__op *op);
long coir__sim_connect_datagrams(struct coir__sim_file *file, const struct coir__sim_name *name);
int coir__sim_pair(struct coir_loop *loop, int type, struct coir__file *ret_files[2]);
void coir__sim_luggage_drop(struct coir__sim_luggage *luggage);
/* Frees what has arrived for file, and tells those who are connected to it. */
void coir__sim_datagrams_forget(struct coir__sim_file *file);

/* outside.c: polls of descriptors of the machine */
long coir__sim_outside_start(struct coir__sim *sim, struct coir__op *op);
void coir__sim_outside_cancel(struct coir__sim *sim, struct coir__op *op);
/* Waits for one of them, or to be woken, up to timeout. Returns how many are complete. */
int coir__sim_outside_poll(struct coir__sim *sim, coir_time timeout);

/* net.c: attempts return the result or COIR__STARTED */
int coir__sim_name_from(const struct coir__sim_file *file, const struct sockaddr *address,
                        socklen_t length, struct coir__sim_name *ret_name);
socklen_t coir__sim_name_to(const struct coir__sim_name *name,
                            struct sockaddr_storage *ret_address);
bool coir__sim_name_is_any(const struct coir__sim_name *name);
bool coir__sim_name_is_local(const struct coir__sim_name *name);
bool coir__sim_same_path(const struct coir__sim_name *a, const struct coir__sim_name *b);
/* Whether something to name may be meant for a socket that is bound. */
bool coir__sim_reaches(const struct coir__sim_file *file, const struct coir__sim_name *name);
/* Whether a socket was bound to the path, and its file was not removed. */
bool coir__sim_has_path(struct coir__sim *sim, const struct coir__sim_name *name);
/* What the kernel does when a socket that was not bound has to have a name. */
int coir__sim_bind_somewhere(struct coir__sim *sim, struct coir__sim_file *file,
                             const struct in6_addr *address);
/* Lets those look again who found a queue full. */
void coir__sim_kick_stuck(struct coir__sim *sim);
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
