/* net_udp.c: tests of datagrams one at a time: what arrives, from whom, what was cut, who is told
 * of an error, waiting, cancelling, closing, limits. */
#include <netinet/in.h>

#include "net_datagram.h"

static const char *message_of_last_error(void)
{
    const coir_error *error = coir_last_error();
    return error != NULL ? coir_error_message(error) : "";
}

COIR_TEST(there_and_back)
{
    TWO_SOCKETS(a, b, NULL);
    char data[16] = "", text[COIR_ADDRESS_TEXT];
    size_t length;
    coir_address from;
    COIR_REQUIRE_OK(send_text(a, "hello", &b_address));
    COIR_REQUIRE_OK(coir_udp_receive(b, data, sizeof data, &length, &from));
    COIR_EXPECT_EQ(length, 5);
    COIR_EXPECT_STR(data, "hello");
    coir_address_format(&from, text, sizeof text);
    COIR_EXPECT_STR(text, a_name);
    COIR_REQUIRE_OK(send_text(b, "back", &from));
    COIR_EXPECT_OK(receive_text(a, "back"));
}

COIR_TEST(an_empty_datagram_is_one)
{
    TWO_SOCKETS(a, b, NULL);
    char byte;
    size_t length = 9;
    COIR_REQUIRE_OK(coir_udp_send(a, NULL, 0, &b_address));
    COIR_REQUIRE_OK(coir_udp_receive(b, &byte, 1, &length, NULL));
    COIR_EXPECT_EQ(length, 0);
}

COIR_TEST(what_is_too_long_is_cut_and_says_so)
{
    TWO_SOCKETS(a, b, NULL);
    char data[5] = "";
    size_t length = 0;
    coir_address from;
    COIR_REQUIRE_OK(send_text(a, "0123456789", &b_address));
    COIR_REQUIRE_OK(send_text(a, "next", &b_address));
    COIR_REQUIRE_CODE(coir_udp_receive(b, data, 4, &length, &from), -EMSGSIZE);
    COIR_EXPECT_EQ(length, 10);
    COIR_EXPECT_STR(data, "0123");
    COIR_EXPECT_EQ(from.length, a_address.length);
    COIR_EXPECT_OK(receive_text(b, "next"));
    static char huge[70000];
    COIR_EXPECT_CODE(coir_udp_send(a, huge, sizeof huge, &b_address), -EMSGSIZE);
}

COIR_TEST(connected_to_nobody)
{
    TWO_SOCKETS(a, b, NULL);
    COIR_AUTO(coir_udp) *client = NULL;
    coir_udp_close(COIR_TAKE(b));
    COIR_REQUIRE_OK(coir_udp_open(NULL, b_name, NULL, &client));
    COIR_EXPECT_OK(coir_udp_send(client, "x", 1, NULL));
    COIR_EXPECT_CODE(receive_one(client), -ECONNREFUSED);
    COIR_EXPECT_OK(coir_udp_send(client, "x", 1, NULL)); /* it was told once */
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_CODE(coir_udp_send(client, "x", 1, NULL), -ECONNREFUSED);
    /* Who is not connected is not told. */
    COIR_EXPECT_OK(coir_udp_send(a, "x", 1, &b_address));
    COIR_EXPECT_OK(coir_udp_send(a, "x", 1, &b_address));
}

/* A waiting task is told too. */
COIR_TEST(an_answer_wakes_who_receives)
{
    TWO_SOCKETS(a, b, NULL);
    COIR_AUTO(coir_udp) *client = NULL;
    coir_udp_close(COIR_TAKE(b));
    COIR_REQUIRE_OK(coir_udp_open(NULL, b_name, NULL, &client));
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, receive_one, client, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_OK(coir_udp_send(client, "x", 1, NULL));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -ECONNREFUSED);
    (void)coir_group_errors(&group);
}

COIR_TEST(connected_receives_from_one_only)
{
    TWO_SOCKETS(a, b, NULL);
    COIR_AUTO(coir_udp) *client = NULL;
    char name[COIR_ADDRESS_TEXT];
    coir_address address;
    COIR_REQUIRE_OK(coir_udp_open("127.0.0.1:0", b_name, NULL, &client));
    COIR_REQUIRE_OK(coir_udp_address(client, name, sizeof name));
    COIR_REQUIRE_OK(coir_address_parse(name, &address));
    COIR_REQUIRE_OK(send_text(a, "not for you", &address));
    COIR_REQUIRE_OK(send_text(b, "for you", &address));
    COIR_EXPECT_OK(receive_text(client, "for you"));
    COIR_REQUIRE_OK(coir_udp_send(client, "thanks", 6, NULL));
    COIR_EXPECT_OK(receive_text(b, "thanks"));
}

COIR_TEST(without_an_address)
{
    TWO_SOCKETS(a, b, NULL);
    COIR_EXPECT_CODE(coir_udp_send(a, "x", 1, NULL), -EDESTADDRREQ);
    COIR_EXPECT_CODE(coir_udp_open(NULL, NULL, NULL, &(coir_udp *){NULL}), -EINVAL);
    coir_udp *none = NULL;
    COIR_EXPECT_CODE(coir_udp_open("nowhere", NULL, NULL, &none), -COIR_EADDRESS);
    COIR_EXPECT_CODE(coir_udp_open(b_name, NULL, NULL, &none), -EADDRINUSE);
    char text[COIR_ADDRESS_TEXT + 64];
    (void)snprintf(text, sizeof text, "bind %s: %s", b_name, coir_error_text(-EADDRINUSE));
    COIR_EXPECT_STR(message_of_last_error(), text);
    COIR_EXPECT_CODE(coir_udp_open("127.0.0.1:0", "[::1]:9", NULL, &none), -EAFNOSUPPORT);
}

COIR_TEST(two_may_not_receive)
{
    TWO_SOCKETS(a, b, NULL);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, receive_one, b, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(receive_one(b), -EBUSY);
    COIR_REQUIRE_OK(send_text(a, "x", &b_address));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

COIR_TEST(cancel_loses_nothing)
{
    TWO_SOCKETS(a, b, NULL);
    COIR_GROUP(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, receive_one, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(send_text(a, "x", &b_address));
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_join(task, &result));
    if (result != 0) {
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
        COIR_EXPECT_OK(receive_text(b, "x"));
    }
    COIR_EXPECT_CODE(try_receive(b, &(char){0}, 1), -EAGAIN);
}

COIR_TEST(close_while_receiving)
{
    TWO_SOCKETS(a, b, NULL);
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, receive_one, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_udp_close(COIR_TAKE(b));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    COIR_EXPECT_OK(open_somewhere(NULL, &b, b_name, &b_address));
    (void)coir_group_errors(&group);
}

/* What nobody receives in time is dropped, and the oldest stay. */
COIR_TEST(the_queue_has_a_limit)
{
    TWO_SOCKETS(a, b, &(coir_udp_opts){.receive_buffer = 8192});
    enum { SENT = 200, SIZE = 1000 };
    unsigned char data[SIZE] = {0};
    for (int i = 0; i < SENT; i++) {
        data[0] = (unsigned char)i;
        COIR_REQUIRE_OK(coir_udp_send(a, data, sizeof data, &b_address));
    }
    int count = 0, r;
    while ((r = try_receive(b, data, sizeof data)) == 0)
        COIR_EXPECT_EQ(data[0], count++);
    COIR_EXPECT_CODE(r, -EAGAIN);
    COIR_EXPECT_GT(count, 3);
    COIR_EXPECT_LT(count, 40);
    COIR_REQUIRE_OK(send_text(a, "room again", &b_address));
    COIR_EXPECT_OK(receive_text(b, "room again"));
}

COIR_TEST(both_families_on_one_socket)
{
    PATIENCE;
    COIR_AUTO(coir_udp) *both = NULL;
    COIR_AUTO(coir_udp) *old = NULL;
    char name[COIR_ADDRESS_TEXT], target[COIR_ADDRESS_TEXT], data[8];
    size_t length;
    coir_address from;
    COIR_REQUIRE_OK(coir_udp_open("[::]:0", NULL, NULL, &both));
    COIR_REQUIRE_OK(coir_udp_address(both, name, sizeof name));
    (void)snprintf(target, sizeof target, "localhost%s", strrchr(name, ':'));
    COIR_REQUIRE_OK(coir_udp_open(NULL, target, NULL, &old));
    COIR_REQUIRE_OK(coir_udp_send(old, "x", 1, NULL));
    COIR_REQUIRE_OK(coir_udp_receive(both, data, sizeof data, &length, &from));
    COIR_EXPECT_EQ(from.storage.ss_family, AF_INET6);
    COIR_REQUIRE_OK(coir_udp_send(both, "y", 1, &from));
    COIR_EXPECT_OK(receive_text(old, "y"));

    COIR_AUTO(coir_udp) *only = NULL;
    coir_udp_close(COIR_TAKE(both));
    COIR_REQUIRE_OK(coir_udp_open(name, NULL, &(coir_udp_opts){.only_ipv6 = true}, &only));
    COIR_EXPECT_OK(coir_udp_send(old, "x", 1, NULL));
    COIR_EXPECT_CODE(receive_one(old), -ECONNREFUSED);
}

COIR_TEST(sockets_share_a_port)
{
    PATIENCE;
    coir_udp_opts opts = {.reuse_port = true, .broadcast = true};
    COIR_AUTO(coir_udp) *one = NULL;
    COIR_AUTO(coir_udp) *other = NULL;
    COIR_AUTO(coir_udp) *none = NULL;
    char name[COIR_ADDRESS_TEXT];
    coir_address address;
    COIR_REQUIRE_OK(open_somewhere(&opts, &one, name, &address));
    COIR_REQUIRE_OK(coir_udp_open(name, NULL, &opts, &other));
    COIR_EXPECT_CODE(coir_udp_open(name, NULL, NULL, &none), -EADDRINUSE);
    int received = 0;
    for (int i = 0; i < 8; i++) { /* each from a port of its own */
        COIR_AUTO(coir_udp) *client = NULL;
        COIR_REQUIRE_OK(coir_udp_open(NULL, name, NULL, &client));
        COIR_REQUIRE_OK(coir_udp_send(client, "x", 1, NULL));
    }
    for (int tries = 0; tries < 1000 && received < 8; tries++) {
        char data[8];
        int found = (try_receive(one, data, sizeof data) == 0) +
                    (try_receive(other, data, sizeof data) == 0);
        received += found;
        COIR_REQUIRE_OK(found > 0 ? coir_yield() : coir_sleep(COIR_MS(1)));
    }
    COIR_EXPECT_EQ(received, 8);
}

/* The words of the system, for those who want no more. */
COIR_TEST(messages_without_waiting)
{
    PATIENCE;
    COIR_AUTO(coir_socket) *a = NULL;
    COIR_AUTO(coir_socket) *b = NULL;
    char data[4] = "abc";
    struct iovec vector = {data, sizeof data};
    coir_message message = {.header = {.msg_iov = &vector, .msg_iovlen = 1}};
    size_t count = 0;
    COIR_REQUIRE_OK(coir_socket_pair(SOCK_DGRAM, &a, &b));
    COIR_EXPECT_CODE(coir_socket_receive(b, &message, 1, MSG_DONTWAIT, &count), -EAGAIN);
    COIR_REQUIRE_OK(coir_socket_send(a, &message, 1, MSG_DONTWAIT, &count));
    COIR_EXPECT_EQ(count, 1);
    COIR_REQUIRE_OK(coir_socket_receive(b, &message, 1, 0, &count));
    COIR_EXPECT_EQ(message.length, 4);
    COIR_EXPECT_CODE(coir_socket_receive(b, &message, 1, MSG_PEEK, &count), -EINVAL);
    COIR_EXPECT_CODE(coir_socket_receive(b, &message, 0, 0, &count), -EINVAL);
    COIR_EXPECT_CODE(coir_socket_send(b, &message, 1, MSG_OOB, &count), -EINVAL);
    COIR_EXPECT_CODE(coir_socket_pair(15, &a, &b) < 0 ? -EINVAL : 0, -EINVAL);
}

static void receive_in_a_callback(void *arg)
{
    COIR_EXPECT_CODE(receive_one(arg), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_udp_send(arg, "x", 1, NULL), -COIR_ENOTASK);
}

COIR_TEST_TAGGED(only_in_a_task, "no_torture")
{
    TWO_SOCKETS(a, b, NULL);
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), receive_in_a_callback, b, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT(coir_udp_socket(a) != NULL);
}

/* ---- mishaps on the way ---- */

/* Sends count numbers and receives what comes; told which came, how often, and how many came after
 * a later one. */
static int exchange(coir_udp *a, coir_udp *b, const coir_address *to, int count, int *seen,
                    bool may_differ, int *ret_late)
{
    int highest = -1;
    *ret_late = 0;
    memset(seen, 0, (size_t)count * sizeof *seen);
    for (int i = 0; i < count; i++)
        COIR_TRY(coir_udp_send(a, &i, sizeof i, to));
    for (int received = 0, number; received < count || may_differ; received++) {
        int r = try_receive(b, &number, sizeof number);
        if (r == -EAGAIN && may_differ)
            return 0;
        if (r == -EAGAIN) { /* a kernel that is busy may deliver late */
            received--;
            r = coir_sleep(COIR_MS(1));
        } else if (r == 0) {
            seen[number]++;
            *ret_late += number < highest;
            highest = number > highest ? number : highest;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

COIR_TEST(mishaps_come_when_they_are_asked_for)
{
    enum { COUNT = 200 };
    TWO_SOCKETS(a, b, NULL);
    int seen[COUNT], late, lost = 0, twice = 0;
    COIR_REQUIRE_OK(exchange(a, b, &b_address, COUNT, seen, false, &late));
    for (int i = 0; i < COUNT; i++)
        COIR_EXPECT_EQ(seen[i], 1);
    COIR_EXPECT_EQ(late, 0);
    if (strcmp(coir_test_backend(), "sim") != 0) {
        COIR_EXPECT_CODE(coir_test_datagrams(10, 10, 10), -EOPNOTSUPP);
        return;
    }
    COIR_EXPECT_CODE(coir_test_datagrams(101, 0, 0), -EINVAL);
    COIR_REQUIRE_OK(coir_test_datagrams(20, 20, 20));
    COIR_REQUIRE_OK(exchange(a, b, &b_address, COUNT, seen, true, &late));
    for (int i = 0; i < COUNT; i++) {
        lost += seen[i] == 0;
        twice += seen[i] == 2;
    }
    COIR_EXPECT_GT(lost, 10);
    COIR_EXPECT_GT(twice, 10);
    COIR_EXPECT_GT(late, 10);
    COIR_REQUIRE_OK(coir_test_datagrams(100, 0, 0));
    COIR_REQUIRE_OK(exchange(a, b, &b_address, COUNT, seen, true, &late));
    for (int i = 0; i < COUNT; i++)
        COIR_EXPECT_EQ(seen[i], 0);
}
