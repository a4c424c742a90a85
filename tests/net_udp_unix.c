/* net_udp_unix.c: tests of datagrams by Unix sockets: names, pairs, full queues. */
#include <stdlib.h>

#include "net_datagram.h"

static const char *path_in_tmpdir(char *path, const char *name)
{
    (void)snprintf(path, COIR_ADDRESS_TEXT, "%s/%s", coir_test_tmpdir(), name);
    return path;
}

COIR_TEST(paths)
{
    PATIENCE;
    COIR_AUTO(coir_udp) *server = NULL;
    COIR_AUTO(coir_udp) *client = NULL;
    COIR_AUTO(coir_udp) *second = NULL;
    char here[COIR_ADDRESS_TEXT], there[COIR_ADDRESS_TEXT], text[COIR_ADDRESS_TEXT], data[8];
    size_t length;
    coir_address from;
    path_in_tmpdir(here, "server");
    path_in_tmpdir(there, "client");
    COIR_REQUIRE_OK(coir_udp_open_unix(here, NULL, &(coir_udp_opts){.mode = 0600}, &server));
    COIR_EXPECT_CODE(coir_udp_open_unix(here, NULL, NULL, &second), -EADDRINUSE);
    COIR_REQUIRE_OK(coir_udp_open_unix(there, here, NULL, &client));
    COIR_REQUIRE_OK(coir_udp_send(client, "x", 1, NULL));
    COIR_REQUIRE_OK(coir_udp_receive(server, data, sizeof data, &length, &from));
    coir_address_format(&from, text, sizeof text);
    COIR_EXPECT_STR(text, there);
    COIR_REQUIRE_OK(send_text(server, "back", &from));
    COIR_EXPECT_OK(receive_text(client, "back"));
    COIR_REQUIRE_OK(coir_udp_address(server, text, sizeof text));
    COIR_EXPECT_STR(text, here);
    coir_udp_close(COIR_TAKE(server));
    COIR_EXPECT_CODE(coir_udp_send(client, "x", 1, NULL), -ECONNREFUSED);
    COIR_EXPECT_CODE(coir_udp_open_unix(NULL, here, NULL, &second), -ENOENT);
}

COIR_TEST(abstract_names)
{
    PATIENCE;
    COIR_AUTO(coir_udp) *server = NULL;
    COIR_AUTO(coir_udp) *client = NULL;
    char name[COIR_ADDRESS_TEXT], data[8];
    size_t length;
    coir_address from;
    (void)snprintf(name, sizeof name, "@coir-udp-%d", (int)getpid());
    COIR_REQUIRE_OK(coir_udp_open_unix(name, NULL, NULL, &server));
    COIR_REQUIRE_OK(coir_udp_open_unix(NULL, name, NULL, &client));
    COIR_REQUIRE_OK(coir_udp_send(client, "x", 1, NULL));
    COIR_REQUIRE_OK(coir_udp_receive(server, data, sizeof data, &length, &from));
    COIR_EXPECT_EQ(from.length, 0); /* nobody can answer */
    COIR_EXPECT_CODE(coir_udp_open_unix(NULL, "@coir-udp-nobody", NULL, &client), -ECONNREFUSED);
    COIR_EXPECT_CODE(coir_udp_open_unix("", NULL, NULL, &client), -COIR_EADDRESS);
    COIR_EXPECT_CODE(coir_udp_open_unix(NULL, NULL, NULL, &client), -EINVAL);
}

/* A name that a dead owner has left is taken; a socket of another kind is not. */
COIR_TEST(names_of_the_dead)
{
    PATIENCE;
    COIR_AUTO(coir_socket) *dead = NULL;
    COIR_AUTO(coir_udp) *udp = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    char path[COIR_ADDRESS_TEXT];
    coir_address address;
    path_in_tmpdir(path, "x");
    COIR_REQUIRE_OK(coir_address_unix(path, &address));
    COIR_REQUIRE_OK(coir_socket_open(AF_UNIX, SOCK_DGRAM, &dead));
    COIR_REQUIRE_OK(coir_socket_bind(dead, (struct sockaddr *)&address.storage, address.length));
    coir_socket_close(COIR_TAKE(dead));
    COIR_REQUIRE_OK(coir_udp_open_unix(path, NULL, NULL, &udp));
    coir_udp_close(COIR_TAKE(udp));
    COIR_REQUIRE_OK(coir_unix_listen(path, NULL, &listener));
    COIR_EXPECT_CODE(coir_udp_open_unix(path, NULL, NULL, &udp), -EADDRINUSE);
}

COIR_TEST(a_pair)
{
    PATIENCE;
    COIR_AUTO(coir_udp) *a = NULL;
    COIR_AUTO(coir_udp) *b = NULL;
    COIR_REQUIRE_OK(coir_udp_pair(&a, &b));
    COIR_REQUIRE_OK(coir_udp_send(a, "one", 3, NULL));
    COIR_REQUIRE_OK(coir_udp_send(a, "two", 3, NULL));
    COIR_REQUIRE_OK(coir_udp_send(b, "three", 5, NULL));
    COIR_EXPECT_OK(receive_text(b, "one"));
    COIR_EXPECT_OK(receive_text(b, "two"));
    COIR_EXPECT_OK(receive_text(a, "three"));
    coir_udp_close(COIR_TAKE(b));
    COIR_EXPECT_CODE(coir_udp_send(a, "x", 1, NULL), -ECONNREFUSED);
    COIR_EXPECT_CODE(coir_udp_pair(NULL, &b), -EINVAL);
}

struct flood {
    coir_udp *udp;
    const coir_address *to; /* NULL: the one that it is connected to */
    int count, sent;
};

static int flood(void *arg)
{
    struct flood *flood = arg;
    static char data[20000]; /* few fit into a buffer */
    for (; flood->sent < flood->count; flood->sent++) {
        memcpy(data, &flood->sent, sizeof flood->sent);
        COIR_TRY(coir_udp_send(flood->udp, data, sizeof data, flood->to));
    }
    return 0;
}

static int receive_all(coir_udp *udp, int count)
{
    static char data[20000];
    for (int i = 0, number; i < count; i++) {
        size_t length;
        COIR_TRY(coir_udp_receive(udp, data, sizeof data, &length, NULL));
        memcpy(&number, data, sizeof number);
        if (!COIR_EXPECT_EQ(number, i))
            return -EBADMSG;
    }
    return 0;
}

/* The sender waits for room, whoever it sends to, and nothing is lost. */
static void expect_waiting(coir_udp *from, coir_udp *to, const coir_address *address)
{
    struct flood job = {.udp = from, .to = address, .count = 300};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, flood, &job, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_LT(job.sent, job.count);
    COIR_REQUIRE_OK(receive_all(to, job.count));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

COIR_TEST(a_full_queue_is_waited_for)
{
    PATIENCE;
    COIR_AUTO(coir_udp) *server = NULL;
    COIR_AUTO(coir_udp) *client = NULL;
    COIR_AUTO(coir_udp) *other = NULL;
    char name[COIR_ADDRESS_TEXT];
    coir_address address;
    path_in_tmpdir(name, "x");
    COIR_REQUIRE_OK(coir_address_unix(name, &address));
    COIR_REQUIRE_OK(coir_udp_open_unix(name, NULL, NULL, &server));
    COIR_REQUIRE_OK(coir_udp_open_unix(NULL, name, NULL, &client));
    expect_waiting(client, server, NULL);
    expect_waiting(client, server, &address);
    coir_udp_close(COIR_TAKE(client));
    coir_udp_close(COIR_TAKE(server));
    COIR_REQUIRE_OK(coir_udp_pair(&server, &other));
    expect_waiting(other, server, NULL);
}

/* Should it wait after all, that is for a moment only. */
static void expect_busy(coir_udp *udp, const coir_address *to)
{
    COIR_DEADLINE(COIR_MS(100));
    COIR_EXPECT_CODE(coir_udp_send(udp, "x", 1, to), -EBUSY);
}

/* Who waits for room is cancelled, refused a second one, and told of a close. */
COIR_TEST(a_sender_that_waits)
{
    PATIENCE;
    COIR_AUTO(coir_udp) *server = NULL;
    COIR_AUTO(coir_udp) *client = NULL;
    char name[COIR_ADDRESS_TEXT];
    coir_address address;
    path_in_tmpdir(name, "x");
    COIR_REQUIRE_OK(coir_address_unix(name, &address));
    for (int i = 0; i < 2; i++) { /* connected, and not */
        COIR_REQUIRE_OK(coir_udp_open_unix(name, NULL, NULL, &server));
        COIR_REQUIRE_OK(coir_udp_open_unix(NULL, name, NULL, &client));
        struct flood job = {.udp = client, .to = i == 0 ? NULL : &address, .count = 300};
        COIR_GROUP_COLLECT(group);
        coir_task *task;
        int result = 0;
        COIR_REQUIRE_OK(coir_spawn(&group, flood, &job, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        expect_busy(client, job.to);
        coir_cancel(task, NULL);
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
        COIR_REQUIRE_OK(receive_all(server, job.sent));
        COIR_REQUIRE_OK(coir_spawn(&group, flood, &job, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_udp_close(COIR_TAKE(client));
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT_EQ(result, -COIR_ECLOSED);
        (void)coir_group_errors(&group);
        coir_udp_close(COIR_TAKE(server));
    }
}
