/* net_activation.c: tests of sockets that the program did not open itself: inherited descriptors,
 * and those of a service manager; and of the options of connections. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include <coir/activation.h>

#include "child.h"
#include "net_pair.h"

/* ---- options ---- */

static int option_of(coir_stream *stream, int level, int name)
{
    int fd, value = -1;
    socklen_t length = sizeof value;
    if (coir_stream_query(stream, COIR_QUERY_DESCRIPTOR, &fd) < 0)
        return -1;
    return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

COIR_TEST_TAGGED(connections_are_kept_alive, "real")
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_stream) *server = NULL;
    char name[COIR_ADDRESS_TEXT];
    coir_keep_alive keep_alive = {.idle = COIR_SEC(29.5), .interval = COIR_SEC(7), .count = 4};
    coir_listen_opts listen_opts = {.keep_alive = keep_alive};
    coir_connect_opts connect_opts = {.keep_alive = {.idle = COIR_SEC(100000)}};
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", &listen_opts, &listener));
    COIR_REQUIRE_OK(coir_listener_address(listener, name, sizeof name));
    COIR_REQUIRE_OK(coir_tcp_connect(name, &connect_opts, &client));
    COIR_REQUIRE_OK(coir_listener_accept(listener, &server));
    COIR_EXPECT_EQ(option_of(server, SOL_SOCKET, SO_KEEPALIVE), 1);
    COIR_EXPECT_EQ(option_of(server, IPPROTO_TCP, TCP_KEEPIDLE), 30);
    COIR_EXPECT_EQ(option_of(server, IPPROTO_TCP, TCP_KEEPINTVL), 7);
    COIR_EXPECT_EQ(option_of(server, IPPROTO_TCP, TCP_KEEPCNT), 4);
    COIR_EXPECT_EQ(option_of(server, IPPROTO_TCP, TCP_NODELAY), 1);
    COIR_EXPECT_EQ(option_of(client, SOL_SOCKET, SO_KEEPALIVE), 1);
    COIR_EXPECT_EQ(option_of(client, IPPROTO_TCP, TCP_KEEPIDLE), 32767);
    COIR_EXPECT_EQ(option_of(client, IPPROTO_TCP, TCP_NODELAY), 1);
}

COIR_TEST(keep_alive_is_checked)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    static const coir_keep_alive wrong[] = {{.idle = -1}, {.interval = -1}, {.count = 128}};
    for (size_t i = 0; i < COIR_COUNT(wrong); i++)
        COIR_EXPECT_CODE(
            coir_tcp_listen("127.0.0.1:0", &(coir_listen_opts){.keep_alive = wrong[i]}, &listener),
            -EINVAL);
}

/* Nothing is set where nothing was asked for, but for the delay. */
COIR_TEST_TAGGED(defaults_of_connections, "real")
{
    PAIR(BY_TCP, client, server);
    COIR_EXPECT_EQ(option_of(client, SOL_SOCKET, SO_KEEPALIVE), 0);
    COIR_EXPECT_EQ(option_of(server, SOL_SOCKET, SO_KEEPALIVE), 0);
    COIR_EXPECT_EQ(option_of(client, IPPROTO_TCP, TCP_NODELAY), 1);
    COIR_EXPECT_EQ(option_of(server, IPPROTO_TCP, TCP_NODELAY), 1);
}

/* ---- inherited ---- */

/* A socket of the system that is bound to 127.0.0.1, or -1. */
static int open_plain(int type, bool listens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        (listens && listen(fd, 16) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int talk(coir_listener *listener)
{
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_stream) *server = NULL;
    char name[COIR_ADDRESS_TEXT], byte = 'x';
    COIR_TRY(coir_listener_address(listener, name, sizeof name));
    COIR_TRY(coir_tcp_connect(name, NULL, &client));
    COIR_TRY(coir_listener_accept(listener, &server));
    COIR_TRY(coir_stream_write(client, &byte, 1));
    return coir_stream_read_exactly(server, &byte, 1);
}

static void close_descriptor(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

typedef int auto_descriptor;
COIR_CLOSER_VALUE(auto_descriptor, close_descriptor);

COIR_TEST_TAGGED(adopt_a_listener, "real")
{
    PATIENCE;
    COIR_AUTO(auto_descriptor) fd = open_plain(SOCK_STREAM, true);
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_REQUIRE_GE(fd, 0);
    COIR_EXPECT_CODE(
        coir_listener_adopt(fd, &(coir_listen_opts){.keep_alive = {.count = -1}}, &listener),
        -EINVAL);
    COIR_REQUIRE_OK(
        coir_listener_adopt(fd, &(coir_listen_opts){.keep_alive = {.count = 3}}, &listener));
    fd = -1;
    COIR_EXPECT_OK(talk(listener));
}

COIR_TEST_TAGGED(adopt_the_wrong_thing, "real")
{
    PATIENCE;
    COIR_AUTO(auto_descriptor) silent = open_plain(SOCK_STREAM, false);
    COIR_AUTO(auto_descriptor) datagrams = open_plain(SOCK_DGRAM, false);
    COIR_AUTO(auto_descriptor) file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_udp) *udp = NULL;
    COIR_EXPECT_CODE(coir_listener_adopt(silent, NULL, &listener), -EPROTOTYPE);
    COIR_EXPECT_CODE(coir_listener_adopt(datagrams, NULL, &listener), -EPROTOTYPE);
    COIR_EXPECT_CODE(coir_listener_adopt(file, NULL, &listener), -ENOTSOCK);
    COIR_EXPECT_CODE(coir_listener_adopt(-1, NULL, &listener), -EBADF);
    COIR_EXPECT_CODE(coir_udp_adopt(silent, &udp), -EPROTOTYPE);
    COIR_EXPECT_CODE(coir_udp_adopt(file, &udp), -ENOTSOCK);
    COIR_REQUIRE_OK(coir_udp_adopt(datagrams, &udp));
    datagrams = -1;
    char text[COIR_ADDRESS_TEXT];
    COIR_EXPECT_OK(coir_udp_address(udp, text, sizeof text));
    COIR_EXPECT_CONTAINS(text, "127.0.0.1:");
}

/* ---- by a service manager ---- */

struct manager {
    const char *pid, *fds, *names; /* "" for pid: the child's own; NULL: not set */
    coir_fn program;
};

static void set_or_not(const char *name, const char *value)
{
    if (value != NULL)
        (void)setenv(name, value, 1);
    else
        (void)unsetenv(name);
}

/* In a process of its own: 3 listens, 4 is for datagrams, 5 is no socket. */
static int start_program(void *arg)
{
    struct manager *manager = arg;
    char own[16];
    int listens = fcntl(open_plain(SOCK_STREAM, true), F_DUPFD, 20);
    int datagrams = fcntl(open_plain(SOCK_DGRAM, false), F_DUPFD, 20);
    int file = fcntl(open("/dev/null", O_RDONLY), F_DUPFD, 20);
    if (dup2(listens, 3) < 0 || dup2(datagrams, 4) < 0 || dup2(file, 5) < 0)
        return 99;
    (void)snprintf(own, sizeof own, "%d", (int)getpid());
    set_or_not("LISTEN_PID", manager->pid != NULL && manager->pid[0] == '\0' ? own : manager->pid);
    set_or_not("LISTEN_FDS", manager->fds);
    set_or_not("LISTEN_FDNAMES", manager->names);
    int r = coir_run(manager->program, NULL, NULL, NULL);
    if (r < 0)
        printf("%s: %s\n", coir_error_name(r), coir_error_text(r));
    return r == 0 ? 0 : 1;
}

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return coir_fail(-EBADMSG, "line %d: " #condition, __LINE__);                          \
    } while (0)

/* By name, in any order, each once. */
static int take_by_name(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_udp) *udp = NULL;
    int fd;
    COIR_TRY(coir_udp_activated("dns", &udp));
    REQUIRE(getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL);
    REQUIRE(getenv("LISTEN_FDNAMES") == NULL);
    REQUIRE(fcntl(3, F_GETFD) & FD_CLOEXEC);
    COIR_TRY(coir_listen_activated("web", NULL, &listener));
    REQUIRE(coir_listen_activated("web", NULL, &listener) == -ENOENT);
    REQUIRE(coir_activation_take("gone", &fd) == -ENOENT);
    REQUIRE(coir_listen_activated("file", NULL, &listener) == -ENOTSOCK);
    REQUIRE(strstr(coir_last_message(-ENOTSOCK), "'file'") != NULL);
    REQUIRE(fcntl(5, F_GETFD) < 0); /* what is no listener was closed */
    return talk(listener);
}

static int take_in_order(void *arg)
{
    (void)arg;
    int fds[2], none;
    COIR_TRY(coir_activation_take(NULL, &fds[0]));
    COIR_TRY(coir_activation_take("unknown", &fds[1]));
    REQUIRE(fds[0] == 3 && fds[1] == 4);
    REQUIRE(coir_activation_take(NULL, &none) == -ENOENT);
    return 0;
}

static int take_none(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    int fd;
    REQUIRE(coir_listen_activated(NULL, NULL, &listener) == -ENOENT);
    REQUIRE(coir_activation_take(NULL, &fd) == -ENOENT);
    REQUIRE(coir_activation_take(NULL, NULL) == -EINVAL);
    REQUIRE(!(fcntl(3, F_GETFD) & FD_CLOEXEC)); /* not ours */
    return 0;
}

COIR_TEST_TAGGED(descriptors_of_a_service_manager, "own_loop,real,no_torture")
{
    static struct manager managers[] = {
        {"", "3", "web:dns:file", take_by_name},
        {"", "2", NULL, take_in_order},
        {"", "2", "just-one", take_in_order}, /* as good as none */
        {NULL, NULL, NULL, take_none},
        {"1", "2", "web:dns", take_none}, /* for another process */
        {"", "0", NULL, take_none},
        {"", "-2", NULL, take_none},
        {"", "2x", NULL, take_none},
        {"", "99999999999999999999", NULL, take_none},
        {"x", "2", NULL, take_none},
    };
    for (size_t i = 0; i < COIR_COUNT(managers); i++) {
        static struct child child;
        memset(&child, 0, sizeof child);
        COIR_REQUIRE_EQ(child_run(&child, start_program, &managers[i]), 0);
        COIR_EXPECT_EQ(child.status, 0);
        COIR_EXPECT_STR(child.output, "");
    }
}
