/* net_udp_batch.c: tests of many datagrams at once: batches, what the kernel sends and receives as
 * one, and that nobody can tell. */
#include <netinet/in.h>
#include <netinet/udp.h>

#include "net_datagram.h"

enum { MOST = 150, SIZE = 1200 };

/* A batch with memory for each. */
struct many {
    coir_datagram datagrams[MOST];
    unsigned char data[MOST][SIZE];
};

static void prepare(struct many *many)
{
    memset(many, 0, sizeof *many);
    for (size_t i = 0; i < MOST; i++) {
        many->datagrams[i].data = many->data[i];
        many->datagrams[i].size = SIZE;
    }
}

/* Datagram i, of length bytes: its number, then a pattern. */
static void write_datagram(struct many *many, size_t i, size_t length, const coir_address *to)
{
    for (size_t at = 0; at < length; at++)
        many->data[i][at] = at == 0 ? (unsigned char)i : pattern(at + i);
    many->datagrams[i].length = length;
    if (to != NULL)
        many->datagrams[i].address = *to;
}

static bool is_intact(const coir_datagram *datagram, size_t i, size_t length)
{
    const unsigned char *data = datagram->data;
    bool intact = datagram->length == length && !datagram->cut;
    for (size_t at = 0; intact && at < length; at++)
        intact = data[at] == (at == 0 ? (unsigned char)i : pattern(at + i));
    return intact;
}

/* Lengths that make runs, the ends of runs, and no runs. */
static size_t length_of(size_t i)
{
    static const size_t lengths[] = {1000, 1000, 1000, 300, 1, 1, 1, 0, 7, 9, SIZE, SIZE};
    return lengths[i % COIR_COUNT(lengths)];
}

static struct many sent, received;

/* Sends MOST datagrams, and receives them in batches of step. */
static int go_through(coir_udp *from, coir_udp *to, const coir_address *address, size_t step)
{
    size_t count, done = 0;
    prepare(&sent);
    for (size_t i = 0; i < MOST; i++)
        write_datagram(&sent, i, length_of(i), address);
    COIR_TRY(coir_udp_send_batch(from, sent.datagrams, MOST, &count));
    if (!COIR_EXPECT_EQ(count, MOST))
        return -EBADMSG;
    while (done < MOST) {
        prepare(&received);
        COIR_TRY(coir_udp_receive_batch(to, received.datagrams, step, &count));
        for (size_t i = 0; i < count; i++, done++)
            if (!COIR_EXPECT(is_intact(&received.datagrams[i], done, length_of(done))))
                return -EBADMSG;
    }
    return 0;
}

COIR_TEST(in_any_steps)
{
    TWO_SOCKETS(a, b, &(coir_udp_opts){.receive_buffer = 1 << 20});
    static const size_t steps[] = {1, 3, 64, MOST};
    for (size_t i = 0; i < COIR_COUNT(steps); i++)
        COIR_REQUIRE_OK(go_through(a, b, &b_address, steps[i]));
    coir_address from = received.datagrams[0].address;
    COIR_EXPECT_EQ(from.length, a_address.length);
    COIR_EXPECT_BYTES(&from.storage, &a_address.storage, sizeof(struct sockaddr_in));
}

COIR_TEST(gathered_by_the_kernel)
{
    TWO_SOCKETS(a, b, (&(coir_udp_opts){.receive_buffer = 1 << 20, .gather = true}));
    static const size_t steps[] = {1, 3, 64, MOST};
    for (size_t i = 0; i < COIR_COUNT(steps); i++)
        COIR_REQUIRE_OK(go_through(a, b, &b_address, steps[i]));
    COIR_REQUIRE_OK(coir_udp_send(a, "0123456789", 10, &b_address));
    char data[4];
    size_t length;
    COIR_EXPECT_CODE(coir_udp_receive(b, data, sizeof data, &length, NULL), -EMSGSIZE);
    COIR_EXPECT_EQ(length, 10);
}

COIR_TEST(one_by_one_on_request)
{
    TWO_SOCKETS(a, b, &(coir_udp_opts){.receive_buffer = 1 << 20});
    coir_udp_close(COIR_TAKE(a));
    COIR_REQUIRE_OK(coir_udp_open("127.0.0.1:0", b_name, &(coir_udp_opts){.separate = true}, &a));
    COIR_REQUIRE_OK(go_through(a, b, NULL, 64));
}

COIR_TEST(connected)
{
    TWO_SOCKETS(a, b, &(coir_udp_opts){.receive_buffer = 1 << 20});
    coir_udp_close(COIR_TAKE(a));
    COIR_REQUIRE_OK(coir_udp_open(NULL, b_name, NULL, &a));
    COIR_REQUIRE_OK(go_through(a, b, NULL, 64));
}

/* What the kernel refuses as one goes one by one: here by a length that no such message may have.
 */
COIR_TEST(what_is_refused_as_one_goes_one_by_one)
{
    TWO_SOCKETS(a, b, &(coir_udp_opts){.receive_buffer = 1 << 20});
    int off = 1;
    /* Checksums that are not computed cannot be left to whoever takes the message apart. */
    COIR_REQUIRE_OK(
        coir_socket_set_option(coir_udp_socket(a), SOL_SOCKET, SO_NO_CHECK, &off, sizeof off));
    COIR_REQUIRE_OK(go_through(a, b, &b_address, 64));
    COIR_REQUIRE_OK(go_through(a, b, &b_address, 64));
}

COIR_TEST(cut_in_a_batch)
{
    TWO_SOCKETS(a, b, NULL);
    char data[2][4];
    coir_datagram datagrams[2] = {{.data = data[0], .size = 4}, {.data = data[1], .size = 4}};
    size_t count = 0, done = 0;
    COIR_REQUIRE_OK(send_text(a, "0123456789", &b_address));
    COIR_REQUIRE_OK(send_text(a, "abc", &b_address));
    while (done < 2) {
        COIR_REQUIRE_OK(coir_udp_receive_batch(b, datagrams + done, 2 - done, &count));
        done += count;
    }
    COIR_EXPECT(datagrams[0].cut);
    COIR_EXPECT_EQ(datagrams[0].length, 4);
    COIR_EXPECT_BYTES(data[0], "0123", 4);
    COIR_EXPECT(!datagrams[1].cut);
    COIR_EXPECT_EQ(datagrams[1].length, 3);
}

/* An error in the midst says how many were sent before. */
COIR_TEST(the_first_that_is_not_sent)
{
    TWO_SOCKETS(a, b, NULL);
    static char huge[70000];
    coir_datagram datagrams[3] = {{.data = huge, .length = 10, .address = b_address},
                                  {.data = huge, .length = sizeof huge, .address = b_address},
                                  {.data = huge, .length = 10, .address = b_address}};
    size_t sent_count = 9;
    COIR_EXPECT_CODE(coir_udp_send_batch(a, datagrams, 3, &sent_count), -EMSGSIZE);
    COIR_EXPECT_EQ(sent_count, 1);
    COIR_EXPECT_OK(coir_udp_send_batch(a, datagrams, 0, &sent_count));
    COIR_EXPECT_EQ(sent_count, 0);
    COIR_EXPECT_CODE(coir_udp_receive_batch(b, datagrams, 0, &sent_count), -EINVAL);
    COIR_EXPECT_CODE(coir_udp_send_batch(a, NULL, 1, NULL), -EINVAL);
}

struct batch_reader {
    coir_udp *udp;
    size_t count;
};

static int read_batch(void *arg)
{
    struct batch_reader *reader = arg;
    char data[4][8];
    coir_datagram datagrams[4];
    for (size_t i = 0; i < 4; i++)
        datagrams[i] = (coir_datagram){.data = data[i], .size = sizeof data[i]};
    return coir_udp_receive_batch(reader->udp, datagrams, 4, &reader->count);
}

/* Waiting, cancelling, a second one, closing: as for single ones. */
COIR_TEST(a_batch_waits)
{
    TWO_SOCKETS(a, b, NULL);
    COIR_GROUP_COLLECT(group);
    struct batch_reader reader = {.udp = b};
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, read_batch, &reader, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(read_batch(&reader), -EBUSY);
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    COIR_REQUIRE_OK(coir_spawn(&group, read_batch, &reader, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(send_text(a, "x", &b_address));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, 0);
    COIR_EXPECT_EQ(reader.count, 1);
    COIR_REQUIRE_OK(coir_spawn(&group, read_batch, &reader, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_udp_close(COIR_TAKE(b));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

/* With a run: the same, while the run's memory is the kernel's. */
COIR_TEST(close_while_gathering)
{
    TWO_SOCKETS(a, b, &(coir_udp_opts){.gather = true});
    COIR_GROUP_COLLECT(group);
    struct batch_reader reader = {.udp = b};
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, read_batch, &reader, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(receive_one(b), -EBUSY);
    coir_udp_close(COIR_TAKE(b));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}
