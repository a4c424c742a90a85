/* datagram.c: datagrams in the simulation, and descriptors that are passed.
 *
 * A datagram goes from the sender's memory into the inbox of the socket that its address leads to;
 * there is no network between, unless a test asks for mishaps (loop->mishaps): then the loop's seed
 * says which datagrams are lost, come twice, or come after the next one. A full inbox drops what
 * comes by UDP and makes Unix sockets wait, as in Linux. Descriptors that are passed are real, and
 * duplicates: they are closed with the memory that they lie in. Called by sim.c and net.c.
 */
#include <string.h>

#include <coir/socket.h>

#include "io/descriptor/message.h"
#include "io/sim/sim.h"

#define LARGEST_UDP 65507
#define LARGEST_UNIX 200000

/* ---- descriptors ---- */

static void luggage_free(struct coir__sim_luggage *luggage)
{
    for (size_t i = 0; i < luggage->count; i++)
        coir__sys_close(luggage->fds[i]);
    coir__free(luggage);
}

void coir__sim_luggage_drop(struct coir__sim_luggage *luggage)
{
    while (luggage != NULL) {
        struct coir__sim_luggage *next = luggage->next;
        luggage_free(luggage);
        luggage = next;
    }
}

static const struct cmsghdr *rights_of(const struct msghdr *header)
{
    const struct cmsghdr *part = header->msg_controllen > 0 ? CMSG_FIRSTHDR(header) : NULL;
    bool right = part != NULL && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS;
    return right ? part : NULL;
}

/* Duplicates what a message carries. */
static int pack(const struct msghdr *header, struct coir__sim_luggage **ret_luggage)
{
    const struct cmsghdr *part = rights_of(header);
    *ret_luggage = NULL;
    if (part == NULL)
        return 0;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    struct coir__sim_luggage *luggage = coir__alloc(sizeof *luggage + count * sizeof(int));
    if (luggage == NULL)
        return -ENOBUFS;
    *luggage = (struct coir__sim_luggage){.at = 0};
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
        luggage->fds[i] = coir__sys_duplicate(fd);
        if (luggage->fds[i] < 0) {
            int r = luggage->fds[i];
            luggage_free(luggage);
            return r == -EMFILE ? -ETOOMANYREFS : r;
        }
        luggage->count++;
    }
    *ret_luggage = luggage;
    return 0;
}

/* Gives a message what it came with, as far as there is room; luggage may be NULL. */
static void unpack(struct msghdr *header, struct coir__sim_luggage *luggage)
{
    size_t room = header->msg_controllen, count = 0;
    if (luggage != NULL && room >= CMSG_LEN(sizeof(int))) {
        size_t fit = (room - CMSG_LEN(0)) / sizeof(int);
        count = luggage->count < fit ? luggage->count : fit;
    }
    header->msg_controllen = 0;
    header->msg_flags = 0;
    if (luggage == NULL)
        return;
    if (count > 0) {
        struct cmsghdr *part = header->msg_control;
        *part = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)),
                                 .cmsg_level = SOL_SOCKET,
                                 .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(part), luggage->fds, count * sizeof(int));
        size_t space = CMSG_SPACE(count * sizeof(int));
        header->msg_controllen = space < room ? space : room;
    }
    if (count < luggage->count)
        header->msg_flags |= MSG_CTRUNC;
    memmove(luggage->fds, luggage->fds + count, (luggage->count - count) * sizeof(int));
    luggage->count -= count;
    luggage_free(luggage);
}

/* ---- messages in streams ---- */

static long receive_bytes(struct coir__sim_file *file, struct coir__op *op)
{
    struct msghdr *header = &op->messages->header;
    struct coir__sim_luggage *luggage = NULL;
    struct coir__op read = {
        .file = op->file, .data = header->msg_iov->iov_base, .length = header->msg_iov->iov_len};
    long n = coir__sim_read(file, &read, &luggage);
    if (n < 0)
        return n;
    unpack(header, luggage);
    header->msg_namelen = 0;
    op->messages->length = (unsigned)n;
    return 1;
}

static long send_bytes(struct coir__sim_file *file, struct coir__op *op)
{
    const struct msghdr *header = &op->messages->header;
    struct coir__sim_file *peer = file->peer;
    struct coir__sim_luggage *luggage;
    int r = pack(header, &luggage);
    if (r < 0)
        return r;
    size_t before = peer != NULL ? peer->count : 0;
    struct coir__op write = {
        .file = op->file, .vectors = header->msg_iov, .count = (int)header->msg_iovlen};
    long n = coir__sim_write(file, &write);
    if (n <= 0 || peer == NULL) {
        coir__sim_luggage_drop(luggage);
    } else if (luggage != NULL) {
        struct coir__sim_luggage **link = &peer->luggage;
        while (*link != NULL)
            link = &(*link)->next;
        luggage->at = before;
        luggage->length = (size_t)n;
        *link = luggage;
    }
    if (n < 0)
        return n;
    op->messages->length = (unsigned)n;
    return 1;
}

/* ---- inboxes ---- */

static void datagram_free(struct coir__sim_datagram *datagram)
{
    coir__sim_luggage_drop(datagram->luggage);
    coir__free(datagram);
}

static void enqueue(struct coir__sim_file *file, struct coir__sim_datagram *datagram)
{
    datagram->next = NULL;
    if (file->inbox_last != NULL)
        file->inbox_last->next = datagram;
    else
        file->inbox_first = datagram;
    file->inbox_last = datagram;
    file->inbox_size += datagram->length + COIR__SIM_OVERHEAD;
    file->inbox_count++;
}

static struct coir__sim_datagram *dequeue(struct coir__sim_file *file)
{
    struct coir__sim_datagram *datagram = file->inbox_first;
    if (datagram == NULL)
        return NULL;
    file->inbox_first = datagram->next;
    if (file->inbox_first == NULL)
        file->inbox_last = NULL;
    file->inbox_size -= datagram->length + COIR__SIM_OVERHEAD;
    file->inbox_count--;
    return datagram;
}

/* What was held back comes after what has just arrived, or when nothing else is there. */
static void release_held(struct coir__sim_file *file)
{
    if (file->held == NULL)
        return;
    enqueue(file, file->held);
    file->held = NULL;
}

void coir__sim_datagrams_forget(struct coir__sim_file *file)
{
    struct coir__sim *sim = coir__sim_of(file->file.stream.loop);
    struct coir__sim_datagram *datagram;
    coir__sim_luggage_drop(file->luggage);
    release_held(file);
    while ((datagram = dequeue(file)) != NULL)
        datagram_free(datagram);
    if (!file->datagrams)
        return;
    for (struct coir__sim_file *other = sim->files.next; other != &sim->files; other = other->next)
        if (other->target == file)
            other->target = NULL;
    coir__sim_kick_stuck(sim);
}

/* ---- receiving ---- */

static void put_name(struct msghdr *header, const struct coir__sim_name *name)
{
    struct sockaddr_storage address;
    socklen_t length =
        name->family == AF_UNIX && name->length == 0 ? 0 : coir__sim_name_to(name, &address);
    if (header->msg_name != NULL)
        memcpy(header->msg_name, &address,
               header->msg_namelen < length ? header->msg_namelen : length);
    header->msg_namelen = header->msg_name != NULL ? length : 0;
}

static void deliver(struct coir_message *message, struct coir__sim_datagram *datagram, int flags)
{
    struct msghdr *header = &message->header;
    size_t done = 0;
    for (size_t i = 0; i < header->msg_iovlen && done < datagram->length; i++) {
        size_t left = datagram->length - done, n = header->msg_iov[i].iov_len;
        n = n < left ? n : left;
        memcpy(header->msg_iov[i].iov_base, datagram->data + done, n);
        done += n;
    }
    put_name(header, &datagram->from);
    unpack(header, datagram->luggage);
    datagram->luggage = NULL;
    if (done < datagram->length)
        header->msg_flags |= MSG_TRUNC;
    message->length = (unsigned)(flags & MSG_TRUNC ? datagram->length : done);
    datagram_free(datagram);
}

long coir__sim_receive(struct coir__sim_file *file, struct coir__op *op)
{
    if (!file->datagrams)
        return receive_bytes(file, op);
    if (file->error != 0)
        return coir__sim_take_error(file);
    if (file->inbox_first == NULL)
        release_held(file);
    long count = 0;
    struct coir__sim_datagram *datagram;
    while (count < op->message_count && (datagram = dequeue(file)) != NULL)
        deliver(&op->messages[count++], datagram, op->flags);
    if (count == 0)
        return COIR__STARTED;
    coir__sim_kick_stuck(coir__sim_of(file->file.stream.loop));
    return count;
}

/* ---- sending ---- */

static bool same_end(const struct coir__sim_name *a, const struct coir__sim_name *b)
{
    return a->port == b->port && IN6_ARE_ADDR_EQUAL(&a->address, &b->address);
}

/* How well file suits a datagram: who is connected to the sender comes before who has exactly that
 * address. 0: not at all. */
static int suits(const struct coir__sim_file *file, const struct coir__sim_name *to,
                 const struct coir__sim_name *from)
{
    if (!file->datagrams || !file->bound || !coir__sim_is_tcp(file) || !coir__sim_reaches(file, to))
        return 0;
    if (file->state == COIR__SIM_CONNECTED)
        return same_end(&file->remote, from) ? 3 : 0;
    return coir__sim_name_is_any(&file->local) ? 1 : 2;
}

/* Of sockets that share an address each sender has its own. */
static struct coir__sim_file *find_receiver(struct coir__sim *sim, const struct coir__sim_name *to,
                                            const struct coir__sim_name *from)
{
    struct coir__sim_file *found = NULL, *file;
    int best = 0;
    unsigned equals = 0;
    for (file = sim->files.next; file != &sim->files; file = file->next) {
        int rank = suits(file, to, from);
        equals = rank > best ? 0 : equals;
        if (rank == 0 || rank < best)
            continue;
        best = rank;
        if (from->port % ++equals == 0)
            found = file;
    }
    return found;
}

static struct coir__sim_datagram *copy_of(const struct coir__sim_datagram *datagram)
{
    struct coir__sim_datagram *copy = coir__alloc(sizeof *copy + datagram->length);
    if (copy == NULL)
        return NULL;
    memcpy(copy, datagram, sizeof *copy + datagram->length);
    copy->luggage = NULL;
    return copy;
}

static bool happens(struct coir_loop *loop, unsigned of_hundred)
{
    return of_hundred > 0 && coir__random(&loop->random) % 100 < of_hundred;
}

static bool fits(const struct coir__sim_file *file, size_t length)
{
    return file->inbox_size + length + COIR__SIM_OVERHEAD <= file->inbox_limit;
}

/* The way of a datagram to a socket, which may be the end of it. */
static void travel(struct coir__sim_file *to, struct coir__sim_datagram *datagram)
{
    struct coir_loop *loop = to->file.stream.loop;
    if (happens(loop, loop->mishaps.lost) || !fits(to, datagram->length)) {
        datagram_free(datagram);
        return;
    }
    struct coir__sim_datagram *again = NULL;
    if (happens(loop, loop->mishaps.doubled))
        again = copy_of(datagram);
    if (to->held == NULL && happens(loop, loop->mishaps.late)) {
        to->held = datagram;
    } else {
        enqueue(to, datagram);
        release_held(to);
    }
    if (again != NULL)
        enqueue(to, again);
    coir__sim_kick(to);
}

static size_t length_of(const struct msghdr *header)
{
    size_t length = 0;
    for (size_t i = 0; i < header->msg_iovlen; i++)
        length += header->msg_iov[i].iov_len;
    return length;
}

static int make_datagram(struct coir__sim_file *file, const struct msghdr *header,
                         struct coir__sim_datagram **ret_datagram)
{
    size_t length = length_of(header), done = 0;
    if (length > (coir__sim_is_tcp(file) ? LARGEST_UDP : LARGEST_UNIX))
        return -EMSGSIZE;
    struct coir__sim_datagram *datagram = coir__alloc(sizeof *datagram + length);
    if (datagram == NULL)
        return -ENOBUFS;
    *datagram = (struct coir__sim_datagram){.from = file->local, .length = length};
    int r = pack(header, &datagram->luggage);
    if (r < 0) {
        coir__free(datagram);
        return r;
    }
    for (size_t i = 0; i < header->msg_iovlen; i++) {
        if (header->msg_iov[i].iov_len > 0)
            memcpy(datagram->data + done, header->msg_iov[i].iov_base, header->msg_iov[i].iov_len);
        done += header->msg_iov[i].iov_len;
    }
    *ret_datagram = datagram;
    return 0;
}

/* Where a message goes. */
static int name_of(struct coir__sim_file *file, const struct msghdr *header,
                   struct coir__sim_name *ret_name)
{
    if (header->msg_name != NULL && header->msg_namelen > 0)
        return coir__sim_name_from(file, header->msg_name, header->msg_namelen, ret_name);
    if (file->state != COIR__SIM_CONNECTED)
        return coir__sim_is_tcp(file) ? -EDESTADDRREQ : -ENOTCONN;
    *ret_name = file->remote;
    return 0;
}

/* Several datagrams as one are not known here, as in older kernels. */
static bool is_several(const struct msghdr *header)
{
    const struct cmsghdr *part = header->msg_controllen > 0 ? CMSG_FIRSTHDR(header) : NULL;
    return part != NULL && part->cmsg_level == IPPROTO_UDP;
}

static long send_by_udp(struct coir__sim_file *file, const struct msghdr *header)
{
    struct coir__sim *sim = coir__sim_of(file->file.stream.loop);
    struct coir__sim_name to;
    struct coir__sim_datagram *datagram;
    if (file->error != 0)
        return coir__sim_take_error(file);
    int r = name_of(file, header, &to);
    if (r == 0 && (to.port == 0 || is_several(header)))
        r = -EINVAL;
    if (r == 0 && !coir__sim_name_is_local(&to))
        r = -ENETUNREACH; /* as on a host without routes */
    if (r == 0 && !file->bound) {
        struct in6_addr any = IN6ADDR_ANY_INIT;
        if (file->family == AF_INET)
            memset(&any.s6_addr[10], 0xff, 2);
        r = coir__sim_bind_somewhere(sim, file, &any);
    }
    if (r == 0)
        r = make_datagram(file, header, &datagram);
    if (r < 0)
        return r;
    if (coir__sim_name_is_any(&to)) /* this host */
        to.address = file->family == AF_INET6
                         ? in6addr_loopback
                         : (struct in6_addr){{{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}}};
    if (coir__sim_name_is_any(&datagram->from))
        datagram->from.address = to.address;
    struct coir__sim_file *receiver = find_receiver(sim, &to, &datagram->from);
    if (receiver != NULL) {
        datagram->from.family = receiver->family;
        travel(receiver, datagram);
        return 0;
    }
    if (file->state == COIR__SIM_CONNECTED) { /* an answer says that nobody is there */
        file->error = -ECONNREFUSED;
        coir__sim_kick(file);
    }
    datagram_free(datagram);
    return 0;
}

static int find_unix(struct coir__sim *sim, const struct coir__sim_name *name,
                     struct coir__sim_file **ret_file)
{
    for (struct coir__sim_file *file = sim->files.next; file != &sim->files; file = file->next) {
        if (file->family != AF_UNIX || !file->bound || !coir__sim_same_path(&file->local, name))
            continue;
        *ret_file = file;
        return file->datagrams ? 0 : -EPROTOTYPE;
    }
    bool named = name->path[0] != '\0';
    return named && !coir__sim_has_path(sim, name) ? -ENOENT : -ECONNREFUSED;
}

static long send_by_unix(struct coir__sim_file *file, const struct msghdr *header)
{
    struct coir__sim *sim = coir__sim_of(file->file.stream.loop);
    struct coir__sim_file *to = file->target;
    struct coir__sim_name name;
    struct coir__sim_datagram *datagram;
    int r = name_of(file, header, &name);
    if (r == 0 && header->msg_namelen > 0)
        r = find_unix(sim, &name, &to);
    else if (r == 0 && to == NULL)
        r = -ECONNREFUSED;
    if (r < 0)
        return r;
    if (to->state == COIR__SIM_CONNECTED && to->target != file)
        return -EPERM;
    if (to->inbox_count > COIR__SIM_UNIX_QUEUE) {
        sim->stuck++;
        return COIR__STARTED;
    }
    r = make_datagram(file, header, &datagram);
    if (r < 0)
        return r;
    enqueue(to, datagram);
    coir__sim_kick(to);
    return 0;
}

long coir__sim_send(struct coir__sim_file *file, struct coir__op *op)
{
    if (!file->datagrams)
        return send_bytes(file, op);
    for (long i = 0; i < op->message_count; i++) {
        struct coir_message *message = &op->messages[i];
        long r = coir__sim_is_tcp(file) ? send_by_udp(file, &message->header)
                                        : send_by_unix(file, &message->header);
        if (r != 0)
            return i > 0 ? i : r;
        message->length = (unsigned)length_of(&message->header);
    }
    return op->message_count;
}

/* ---- connecting ---- */

long coir__sim_connect_datagrams(struct coir__sim_file *file, const struct coir__sim_name *name)
{
    struct coir__sim *sim = coir__sim_of(file->file.stream.loop);
    int r = 0;
    if (!coir__sim_is_tcp(file))
        r = find_unix(sim, name, &file->target);
    else if (!file->bound)
        r = coir__sim_bind_somewhere(sim, file, &name->address);
    else if (coir__sim_name_is_any(&file->local))
        file->local.address = name->address;
    if (r < 0)
        return r;
    file->state = COIR__SIM_CONNECTED;
    file->remote = *name;
    return 0;
}

int coir__sim_pair(struct coir_loop *loop, int type, struct coir__file *ret_files[2])
{
    struct coir__sim_file *files[2];
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return -EPROTONOSUPPORT;
    if (!coir__sim_has_room(loop, 2))
        return -EMFILE;
    for (int i = 0; i < 2; i++) {
        files[i] = coir__sim_file_new(loop, AF_UNIX);
        if (files[i] == NULL && i > 0)
            coir__sim_file_free(files[0]);
        if (files[i] == NULL)
            return -ENOMEM;
        files[i]->datagrams = type == SOCK_DGRAM;
        files[i]->state = COIR__SIM_CONNECTED;
    }
    for (int i = 0; i < 2; i++) {
        if (type == SOCK_DGRAM)
            files[i]->target = files[1 - i];
        else
            files[i]->peer = files[1 - i];
        ret_files[i] = &files[i]->file;
    }
    loop->descriptors += 2;
    return 0;
}
