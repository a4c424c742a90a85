/* net_overload.c: tests of servers that have run out of descriptors: what is reported, who waits,
 * who is refused, and that they go on afterwards. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <coir/semaphore.h>

#include "net_pair.h"

enum { CLIENTS = 5 };

/* A server that accepts and keeps what it accepts. */
struct keeper {
    coir_listener *listener;
    char name[COIR_ADDRESS_TEXT];
    coir_stream *accepted[64];
    int count;
};

static int keep_accepting(void *arg)
{
    struct keeper *keeper = arg;
    for (;;) {
        COIR_TRY(coir_listener_accept(keeper->listener, &keeper->accepted[keeper->count]));
        keeper->count++;
    }
}

static void close_keeper(struct keeper *keeper)
{
    coir_listener_close(keeper->listener);
    for (int i = 0; i < keeper->count; i++)
        coir_stream_abort(keeper->accepted[i]);
}

typedef struct keeper auto_keeper;
COIR_CLOSER_VALUE(auto_keeper, close_keeper);

struct clients {
    coir_stream *streams[CLIENTS];
};

static void close_clients(struct clients *clients)
{
    for (int i = 0; i < CLIENTS; i++)
        coir_stream_abort(clients->streams[i]);
}

typedef struct clients auto_clients;
COIR_CLOSER_VALUE(auto_clients, close_clients);

static uint64_t descriptors(void)
{
    struct coir_loop_stats stats;
    coir_loop_stats(NULL, &stats);
    return stats.descriptors;
}

static bool simulated(void)
{
    return strcmp(coir_test_backend(), "sim") == 0;
}

/* Whether the peer has reset a connection; it says nothing else. */
static bool was_reset(coir_stream *stream)
{
    char byte;
    size_t n;
    COIR_DEADLINE(COIR_MS(200));
    return coir_stream_read(stream, &byte, 1, &n) == -ECONNRESET;
}

static int count_reset(const struct clients *clients)
{
    int count = 0;
    for (int i = 0; i < CLIENTS; i++)
        count += was_reset(clients->streams[i]);
    return count;
}

/* From connections that wait to refusal and back, in virtual time. */
COIR_TEST(waiting_then_refused_then_served_again)
{
    if (!simulated())
        COIR_SKIP("its descriptors are those of the simulation");
    coir_test_expect_reports(COIR_REPORT_OVERLOAD, 2);
    PATIENCE;
    COIR_AUTO(auto_keeper) keeper = {.listener = NULL};
    COIR_AUTO(auto_clients) clients = {{NULL}};
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &keeper.listener, keeper.name));
    COIR_GROUP(group);
    for (int i = 0; i < CLIENTS; i++)
        COIR_REQUIRE_OK(coir_tcp_connect(keeper.name, NULL, &clients.streams[i]));
    COIR_REQUIRE_OK(coir_test_descriptors(descriptors()));
    COIR_REQUIRE_OK(coir_spawn(&group, keep_accepting, &keeper, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(600)));
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_OVERLOAD), 1);
    COIR_EXPECT(!was_reset(clients.streams[0]));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(120))); /* some are slow to be told */
    COIR_EXPECT_EQ(count_reset(&clients), CLIENTS);
    COIR_EXPECT_EQ(keeper.count, 0);
    /* Once there are descriptors it goes on, and the next shortage is another one. */
    COIR_REQUIRE_OK(coir_test_descriptors(0));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(3)));
    for (int i = 0; i < CLIENTS; i++) {
        coir_stream_abort(COIR_TAKE(clients.streams[i]));
        COIR_REQUIRE_OK(coir_tcp_connect(keeper.name, NULL, &clients.streams[i]));
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(3)));
        COIR_EXPECT_EQ(keeper.count, i + 1);
    }
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_OVERLOAD), 1);
    coir_stream_abort(COIR_TAKE(clients.streams[0]));
    COIR_REQUIRE_OK(coir_tcp_connect(keeper.name, NULL, &clients.streams[0]));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(3)));
    COIR_REQUIRE_OK(coir_test_descriptors(descriptors() + 1));
    COIR_AUTO(coir_stream) *one_more = NULL;
    COIR_REQUIRE_OK(coir_tcp_connect(keeper.name, NULL, &one_more));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(500)));
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_OVERLOAD), 2);
    COIR_REQUIRE_OK(coir_test_descriptors(0));
}

/* Not even the reserve could be had. */
COIR_TEST(a_listener_without_a_reserve)
{
    if (!simulated())
        COIR_SKIP("its descriptors are those of the simulation");
    coir_test_expect_reports(COIR_REPORT_OVERLOAD, 1);
    COIR_AUTO(auto_keeper) keeper = {.listener = NULL};
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_REQUIRE_OK(coir_test_descriptors(descriptors() + 1));
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &keeper.listener, keeper.name));
    COIR_REQUIRE_OK(coir_test_descriptors(descriptors() + 1));
    COIR_REQUIRE_OK(coir_tcp_connect(keeper.name, NULL, &client));
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, keep_accepting, &keeper, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(5)));
    COIR_EXPECT(!was_reset(client));
    COIR_REQUIRE_OK(coir_test_descriptors(0));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2)));
    COIR_EXPECT_EQ(keeper.count, 1);
}

/* Waiting for descriptors is a wait like others. */
COIR_TEST(cancelled_and_closed_without_descriptors)
{
    if (!simulated())
        COIR_SKIP("its descriptors are those of the simulation");
    coir_test_expect_reports(COIR_REPORT_OVERLOAD, 1);
    COIR_AUTO(auto_keeper) keeper = {.listener = NULL};
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &keeper.listener, keeper.name));
    COIR_REQUIRE_OK(coir_tcp_connect(keeper.name, NULL, &client));
    COIR_REQUIRE_OK(coir_test_descriptors(descriptors()));
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, keep_accepting, &keeper, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(50)));
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    COIR_REQUIRE_OK(coir_spawn(&group, keep_accepting, &keeper, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(50)));
    coir_listener_close(COIR_TAKE(keeper.listener));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

/* ---- with the kernel's limit ---- */

static rlim_t set_descriptor_limit(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = most;
    setrlimit(RLIMIT_NOFILE, &limit);
    return before;
}

/* Sockets that are there before the descriptors run out. */
struct plain_clients {
    int fds[CLIENTS];
};

static void close_plain(struct plain_clients *clients)
{
    for (int i = 0; i < CLIENTS; i++)
        if (clients->fds[i] >= 0)
            close(clients->fds[i]);
}

typedef struct plain_clients auto_plain;
COIR_CLOSER_VALUE(auto_plain, close_plain);

static int connect_plain(const struct plain_clients *clients, coir_listener *listener)
{
    coir_address address;
    char name[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_listener_address(listener, name, sizeof name));
    COIR_TRY(coir_address_parse(name, &address));
    for (int i = 0; i < CLIENTS; i++)
        if (connect(clients->fds[i], (struct sockaddr *)&address.storage, address.length) < 0)
            return -errno;
    return 0;
}

static int count_plain(const struct plain_clients *clients, int error)
{
    char byte;
    int count = 0;
    for (int i = 0; i < CLIENTS; i++)
        count += recv(clients->fds[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == error;
    return count;
}

COIR_TEST_TAGGED(the_limit_of_the_process, "real")
{
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        COIR_SKIP("valgrind drops the connection that has no descriptor");
    coir_test_expect_reports(COIR_REPORT_OVERLOAD, 1);
    PATIENCE;
    COIR_AUTO(auto_keeper) keeper = {.listener = NULL};
    COIR_AUTO(auto_plain) clients = {{-1, -1, -1, -1, -1}};
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &keeper.listener, keeper.name));
    for (int i = 0; i < CLIENTS; i++)
        COIR_REQUIRE_GE(clients.fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 0);
    COIR_REQUIRE_OK(connect_plain(&clients, keeper.listener));
    int next = dup(0);
    close(next);
    rlim_t before = set_descriptor_limit((rlim_t)next);
    COIR_GROUP(group);
    int r = coir_spawn(&group, keep_accepting, &keeper, NULL);
    r = r == 0 ? coir_sleep(COIR_MS(500)) : r;
    int waiting = count_plain(&clients, EAGAIN);
    r = r == 0 ? coir_sleep(COIR_SEC(3)) : r;
    int refused = count_plain(&clients, ECONNRESET);
    (void)set_descriptor_limit(before);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_EQ(waiting, CLIENTS);
    COIR_EXPECT_EQ(refused, CLIENTS);
    COIR_EXPECT_EQ(keeper.count, 0);
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_REQUIRE_OK(coir_tcp_connect(keeper.name, NULL, &client));
    for (int i = 0; i < 5000 && keeper.count == 0 && !coir_test_tortured(); i++)
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_EQ(keeper.count, 1);
}
