/* net.c: the simulated network: names, listeners, and how connections come about.
 *
 * Owns one table of names per loop: ports of IPv4 and IPv6, which is IPv4 mapped where both meet,
 * and paths of Unix sockets. Only the own host exists (127.0.0.0/8, ::1). A connection is made when
 * there is room in the listener's queue, before anybody accepts it, as in Linux; a full queue makes
 * TCP wait and gives -EAGAIN on Unix sockets. Called by sim.c and through the backend's table.
 */
#include <arpa/inet.h>
#include <string.h>

#include "io/sim/sim.h"

/* ---- names ---- */

static void map_ipv4(struct in6_addr *address, uint32_t ipv4)
{
    memset(address, 0, sizeof *address);
    address->s6_addr[10] = address->s6_addr[11] = 0xff;
    memcpy(&address->s6_addr[12], &ipv4, sizeof ipv4);
}

static bool is_ipv4(const struct in6_addr *address)
{
    return IN6_IS_ADDR_V4MAPPED(address);
}

/* 0.0.0.0 or :: */
static bool is_any(const struct in6_addr *address)
{
    static const unsigned char zero[4];
    return IN6_IS_ADDR_UNSPECIFIED(address) ||
           (is_ipv4(address) && memcmp(&address->s6_addr[12], zero, 4) == 0);
}

static bool is_local(const struct in6_addr *address)
{
    return is_any(address) || IN6_IS_ADDR_LOOPBACK(address) ||
           (is_ipv4(address) && address->s6_addr[12] == 127);
}

int coir__sim_name_from(const struct coir__sim_file *file, const struct sockaddr *address,
                        socklen_t length, struct coir__sim_name *ret_name)
{
    *ret_name = (struct coir__sim_name){.family = file->family};
    if (length < sizeof address->sa_family || address->sa_family != file->family)
        return file->family == AF_UNIX ? -EINVAL : -EAFNOSUPPORT;
    if (file->family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        if (length < sizeof *in)
            return -EINVAL;
        map_ipv4(&ret_name->address, in->sin_addr.s_addr);
        ret_name->port = ntohs(in->sin_port);
    } else if (file->family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        if (length < sizeof *in)
            return -EINVAL;
        ret_name->address = in->sin6_addr;
        ret_name->port = ntohs(in->sin6_port);
    } else {
        const char *path = ((const struct sockaddr_un *)address)->sun_path;
        size_t most = length - offsetof(struct sockaddr_un, sun_path);
        if (length <= offsetof(struct sockaddr_un, sun_path) || most > sizeof ret_name->path)
            return -EINVAL;
        ret_name->length = path[0] == '\0' ? most : strnlen(path, most);
        memcpy(ret_name->path, path, ret_name->length);
    }
    return 0;
}

socklen_t coir__sim_name_to(const struct coir__sim_name *name, struct sockaddr_storage *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->ss_family = name->family;
    if (name->family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret_address;
        memcpy(&in->sin_addr, &name->address.s6_addr[12], 4);
        in->sin_port = htons(name->port);
        return sizeof *in;
    }
    if (name->family == AF_INET6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)ret_address;
        in->sin6_addr = name->address;
        in->sin6_port = htons(name->port);
        return sizeof *in;
    }
    struct sockaddr_un *un = (struct sockaddr_un *)ret_address;
    memcpy(un->sun_path, name->path, name->length);
    size_t length = offsetof(struct sockaddr_un, sun_path) + name->length;
    if (name->length > 0 && name->path[0] != '\0')
        length++; /* the terminator counts */
    return (socklen_t)length;
}

bool coir__sim_same_path(const struct coir__sim_name *a, const struct coir__sim_name *b)
{
    return a->length == b->length && memcmp(a->path, b->path, a->length) == 0;
}

bool coir__sim_reaches(const struct coir__sim_file *file, const struct coir__sim_name *name)
{
    const struct in6_addr *local = &file->local.address;
    if (file->local.port != name->port)
        return false;
    if (IN6_IS_ADDR_UNSPECIFIED(local))
        return !(file->only_ipv6 && is_ipv4(&name->address));
    if (is_any(local))
        return is_ipv4(&name->address);
    return IN6_ARE_ADDR_EQUAL(local, &name->address);
}

/* Whether two sockets would compete for connections. */
static bool overlap(const struct coir__sim_file *a, const struct coir__sim_file *b)
{
    return coir__sim_reaches(a, &b->local) || coir__sim_reaches(b, &a->local);
}

bool coir__sim_name_is_any(const struct coir__sim_name *name)
{
    return is_any(&name->address);
}

bool coir__sim_name_is_local(const struct coir__sim_name *name)
{
    return is_local(&name->address);
}

static struct coir__sim_path *find_path(struct coir__sim *sim, const struct coir__sim_name *name)
{
    struct coir__sim_path *path = sim->paths;
    while (path != NULL && !coir__sim_same_path(&path->name, name))
        path = path->next;
    return path;
}

bool coir__sim_has_path(struct coir__sim *sim, const struct coir__sim_name *name)
{
    return find_path(sim, name) != NULL;
}

/* ---- binding and listening ---- */

static bool may_share(const struct coir__sim_file *file, const struct coir__sim_file *other)
{
    if (file->reuse_port && other->reuse_port)
        return true;
    return file->reuse_address && other->reuse_address && other->state != COIR__SIM_LISTENING &&
           file->state != COIR__SIM_LISTENING;
}

static bool in_use(struct coir__sim *sim, const struct coir__sim_file *file)
{
    for (struct coir__sim_file *other = sim->files.next; other != &sim->files;
         other = other->next) {
        if (other == file || !other->bound || coir__sim_is_tcp(other) != coir__sim_is_tcp(file) ||
            (coir__sim_is_tcp(file) && other->datagrams != file->datagrams))
            continue;
        if (coir__sim_is_tcp(file) ? overlap(file, other) && !may_share(file, other)
                                   : coir__sim_same_path(&file->local, &other->local))
            return true;
    }
    return false;
}

/* Gives file a port that nobody has. */
static int choose_port(struct coir__sim *sim, struct coir__sim_file *file)
{
    for (int tries = 0; tries < 32768; tries++) {
        file->local.port = sim->next_port;
        sim->next_port = sim->next_port == UINT16_MAX ? 32768 : (uint16_t)(sim->next_port + 1);
        bool reuse = file->reuse_address;
        file->reuse_address = false;
        bool used = in_use(sim, file);
        file->reuse_address = reuse;
        if (!used)
            return 0;
    }
    file->local.port = 0;
    return -EADDRINUSE;
}

static int bind_path(struct coir__sim *sim, struct coir__sim_file *file)
{
    if (file->local.path[0] == '\0')
        return in_use(sim, file) ? -EADDRINUSE : 0;
    if (find_path(sim, &file->local) != NULL)
        return -EADDRINUSE;
    struct coir__sim_path *path = coir__alloc_own(sizeof *path);
    if (path == NULL)
        return -ENOMEM;
    *path = (struct coir__sim_path){.next = sim->paths, .owner = file, .name = file->local};
    sim->paths = path;
    return 0;
}

int coir__sim_bind(struct coir_loop *loop, struct coir__file *base, const struct sockaddr *address,
                   socklen_t length)
{
    struct coir__sim *sim = coir__sim_of(loop);
    struct coir__sim_file *file = coir__sim_file_of(base);
    struct coir__sim_name name, before = file->local;
    int r = coir__sim_name_from(file, address, length, &name);
    if (r < 0 || file->bound || file->state != COIR__SIM_FRESH)
        return r < 0 ? r : -EINVAL;
    file->local = name;
    if (!coir__sim_is_tcp(file))
        r = bind_path(sim, file);
    else if (!is_local(&name.address))
        r = -EADDRNOTAVAIL;
    else if (name.port == 0)
        r = choose_port(sim, file);
    else if (in_use(sim, file))
        r = -EADDRINUSE;
    if (r < 0)
        file->local = before;
    file->bound = r == 0;
    return r;
}

int coir__sim_bind_somewhere(struct coir__sim *sim, struct coir__sim_file *file,
                             const struct in6_addr *address)
{
    file->local.address = *address;
    int r = choose_port(sim, file);
    file->bound = r == 0;
    return r;
}

int coir__sim_listen(struct coir_loop *loop, struct coir__file *base, int backlog)
{
    struct coir__sim_file *file = coir__sim_file_of(base);
    if (file->datagrams)
        return -EOPNOTSUPP;
    if (file->state == COIR__SIM_CONNECTED || (!coir__sim_is_tcp(file) && !file->bound))
        return -EINVAL;
    if (!file->bound) {
        struct in6_addr any = IN6ADDR_ANY_INIT;
        if (file->family == AF_INET)
            map_ipv4(&any, INADDR_ANY);
        int r = coir__sim_bind_somewhere(coir__sim_of(loop), file, &any);
        if (r < 0)
            return r;
    }
    enum coir__sim_state before = file->state;
    file->state = COIR__SIM_LISTENING; /* as one that listens, it shares with no other that does */
    if (coir__sim_is_tcp(file) && before == COIR__SIM_FRESH && in_use(coir__sim_of(loop), file)) {
        file->state = before;
        return -EADDRINUSE;
    }
    file->backlog = backlog < 0 ? 0 : backlog;
    return 0;
}

int coir__sim_option(struct coir_loop *loop, struct coir__file *base, int level, int name,
                     const void *value, socklen_t length)
{
    (void)loop;
    struct coir__sim_file *file = coir__sim_file_of(base);
    int number = 0;
    if (length < sizeof number)
        return -EINVAL;
    memcpy(&number, value, sizeof number);
    if (level == SOL_SOCKET && name == SO_REUSEADDR)
        file->reuse_address = number != 0;
    else if (level == SOL_SOCKET && name == SO_REUSEPORT)
        file->reuse_port = number != 0;
    else if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        file->only_ipv6 = number != 0;
    else if (level == SOL_SOCKET && name == SO_LINGER && length >= sizeof(struct linger))
        file->resets = number != 0 && ((const struct linger *)value)->l_linger == 0;
    else if (level == SOL_SOCKET && name == SO_RCVBUF)
        file->inbox_limit = number < 1152 ? 2304 : (size_t)number * 2; /* as Linux does */
    return 0;
}

int coir__sim_name(struct coir_loop *loop, struct coir__file *base, bool peer,
                   struct sockaddr *ret_address, socklen_t *length)
{
    (void)loop;
    struct coir__sim_file *file = coir__sim_file_of(base);
    if (peer && (file->state != COIR__SIM_CONNECTED || file->dead))
        return -ENOTCONN;
    struct sockaddr_storage address;
    socklen_t whole = coir__sim_name_to(peer ? &file->remote : &file->local, &address);
    memcpy(ret_address, &address, *length < whole ? *length : whole);
    *length = whole;
    return 0;
}

/* ---- connecting and accepting ---- */

static struct coir__sim_file *find_listener(struct coir__sim *sim, sa_family_t family,
                                            const struct coir__sim_name *name)
{
    for (struct coir__sim_file *file = sim->files.next; file != &sim->files; file = file->next) {
        if (file->state != COIR__SIM_LISTENING || (file->family == AF_UNIX) != (family == AF_UNIX))
            continue;
        if (family == AF_UNIX ? coir__sim_same_path(&file->local, name)
                              : coir__sim_reaches(file, name))
            return file;
    }
    return NULL;
}

/* The other end of a new connection, waiting to be accepted. */
static struct coir__sim_file *make_peer(struct coir__sim_file *listener,
                                        struct coir__sim_file *file,
                                        const struct coir__sim_name *target)
{
    struct coir__sim_file *peer = coir__sim_file_new(file->file.stream.loop, listener->family);
    if (peer == NULL)
        return NULL;
    peer->state = file->state = COIR__SIM_CONNECTED;
    peer->peer = file;
    file->peer = peer;
    peer->local = file->remote = *target;
    peer->remote = file->local;
    peer->local.family = peer->remote.family = listener->family;
    if (listener->queue_last != NULL)
        listener->queue_last->queue_next = peer;
    else
        listener->queue_first = peer;
    listener->queue_last = peer;
    listener->queued++;
    coir__sim_kick(listener);
    return peer;
}

static long connect_to(struct coir__sim *sim, struct coir__sim_file *file,
                       struct coir__sim_file *listener, struct coir__sim_name *target)
{
    if (listener->queued > listener->backlog) {
        sim->stuck += coir__sim_is_tcp(file);
        return coir__sim_is_tcp(file) ? COIR__STARTED : -EAGAIN;
    }
    if (coir__sim_is_tcp(file) && !file->bound) {
        int r = coir__sim_bind_somewhere(sim, file, &target->address);
        if (r < 0)
            return r == -EADDRINUSE ? -EADDRNOTAVAIL : r;
    }
    return make_peer(listener, file, target) != NULL ? 0 : -ENOMEM;
}

long coir__sim_connect(struct coir__sim_file *file, struct coir__op *op)
{
    struct coir__sim *sim = coir__sim_of(file->file.stream.loop);
    struct coir__sim_name name;
    int r = coir__sim_name_from(file, op->address, op->address_length, &name);
    if (r < 0)
        return r;
    if (file->state != COIR__SIM_FRESH && !file->datagrams)
        return file->state == COIR__SIM_CONNECTED ? -EISCONN
               : coir__sim_is_tcp(file)           ? -EISCONN
                                                  : -EINVAL;
    if (file->family == AF_INET && is_any(&name.address))
        map_ipv4(&name.address, htonl(INADDR_LOOPBACK));
    else if (file->family == AF_INET6 && is_any(&name.address))
        name.address = in6addr_loopback;
    if (coir__sim_is_tcp(file) && !is_local(&name.address))
        return -ENETUNREACH; /* as on a host without routes */
    if (file->datagrams)
        return coir__sim_connect_datagrams(file, &name);
    struct coir__sim_file *listener = find_listener(sim, file->family, &name);
    if (listener != NULL)
        return connect_to(sim, file, listener, &name);
    bool named = file->family == AF_UNIX && name.path[0] != '\0';
    return named && find_path(sim, &name) == NULL ? -ENOENT : -ECONNREFUSED;
}

void coir__sim_kick_stuck(struct coir__sim *sim)
{
    if (sim->stuck == 0)
        return;
    sim->stuck = 0;
    for (struct coir__sim_file *file = sim->files.next; file != &sim->files; file = file->next)
        if (file->file.write != NULL &&
            (file->file.write->kind == COIR__OP_CONNECT || file->file.write->kind == COIR__OP_SEND))
            coir__sim_kick(file);
}

static struct coir__sim_file *dequeue(struct coir__sim_file *listener)
{
    struct coir__sim_file *file = listener->queue_first;
    if (file == NULL)
        return NULL;
    listener->queue_first = file->queue_next;
    if (listener->queue_first == NULL)
        listener->queue_last = NULL;
    listener->queued--;
    return file;
}

long coir__sim_accept(struct coir__sim_file *file, struct coir__op *op)
{
    if (file->state != COIR__SIM_LISTENING)
        return -EINVAL;
    if (file->queued > 0 && !coir__sim_has_room(file->file.stream.loop, 1))
        return -EMFILE;
    struct coir__sim_file *accepted = dequeue(file);
    if (accepted == NULL)
        return COIR__STARTED;
    file->file.stream.loop->descriptors++;
    op->accepted = &accepted->file;
    coir__sim_kick_stuck(coir__sim_of(file->file.stream.loop));
    return 0;
}

void coir__sim_forget(struct coir__sim_file *file)
{
    struct coir__sim *sim = coir__sim_of(file->file.stream.loop);
    struct coir__sim_file *waiting;
    while ((waiting = dequeue(file)) != NULL) {
        coir__sim_reset(waiting);
        coir__sim_file_free(waiting);
    }
    for (struct coir__sim_path *path = sim->paths; path != NULL; path = path->next)
        if (path->owner == file)
            path->owner = NULL;
    if (file->state == COIR__SIM_LISTENING) {
        file->state = COIR__SIM_FRESH;
        coir__sim_kick_stuck(sim);
    }
}

/* ---- paths ---- */

static struct coir__sim_path **path_link(struct coir__sim *sim, const char *text)
{
    size_t length = strlen(text);
    struct coir__sim_path **link = &sim->paths;
    while (*link != NULL &&
           ((*link)->name.length != length || memcmp((*link)->name.path, text, length) != 0))
        link = &(*link)->next;
    return link;
}

int coir__sim_path_mode(struct coir_loop *loop, const char *path, unsigned mode)
{
    (void)mode;
    return *path_link(coir__sim_of(loop), path) != NULL ? 0 : -ENOENT;
}

int coir__sim_path_remove(struct coir_loop *loop, const char *path, struct coir__file *file)
{
    struct coir__sim_path **link = path_link(coir__sim_of(loop), path);
    struct coir__sim_path *entry = *link;
    if (entry == NULL || (file != NULL && entry->owner != coir__sim_file_of(file)))
        return -ENOENT;
    *link = entry->next;
    coir__free_own(entry);
    return 0;
}
