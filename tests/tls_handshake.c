/* tls_handshake.c: tests of handshakes: protocols and versions, sessions that are resumed, limits
 * of time and number, peers that say nothing or nonsense, connections that become TLS half way, and
 * faults after each byte.
 */
#include <openssl/ssl.h>

#include "tls/tls.h"

#include "tls_kit.h"
#include "under_valgrind.h"

/* ---- what is agreed on ---- */

static void expect_info(coir_stream *stream, const char *protocol, bool resumed)
{
    coir_tls_info info;
    COIR_REQUIRE_OK(coir_tls_stream_info(stream, &info));
    COIR_EXPECT_STR(info.version, "TLSv1.3");
    COIR_EXPECT_CONTAINS(info.cipher, "TLS_");
    COIR_EXPECT_STR(info.protocol, protocol);
    COIR_EXPECT_STR(info.name, "example.org");
    COIR_EXPECT_EQ(info.resumed, resumed);
}

COIR_TEST(protocols)
{
    static const struct {
        const char *client, *server, *agreed; /* NULL: refused */
    } cases[] = {
        {"h2,http/1.1", "h2,http/1.1", "h2"},
        {"h2,http/1.1", "http/1.1", "http/1.1"},
        {"http/1.1,h2", "h2,http/1.1", "h2"},
        {NULL, "h2", ""},
        {"h2", NULL, ""},
        {"h2", "http/1.1", NULL},
    };
    PATIENCE;
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        COIR_AUTO(both) contexts = {.transport = -1};
        COIR_REQUIRE_OK(both_open((coir_tls_opts){.alpn = cases[i].client},
                                  (coir_tls_opts){.alpn = cases[i].server}, &contexts));
        struct side a = {.context = contexts.client, .host = "example.org"};
        struct side b = {.context = contexts.server};
        COIR_REQUIRE_OK(coir_stream_pair(0, &a.lower, &b.lower));
        COIR_REQUIRE_OK(shake(&a, &b));
        if (cases[i].agreed == NULL) {
            COIR_EXPECT_CODE(a.result, -COIR_ETLS);
            COIR_EXPECT_CONTAINS(a.text, "no application protocol in common");
            COIR_EXPECT_CODE(b.result, -COIR_ETLS);
        } else if (COIR_EXPECT(a.stream != NULL && b.stream != NULL)) {
            expect_info(a.stream, cases[i].agreed, false);
            expect_info(b.stream, cases[i].agreed, false);
        }
        side_close(&a);
        side_close(&b);
    }
}

/* What cannot agree says why. */
COIR_TEST(versions)
{
    TLS_CONTEXTS(contexts, DEFAULTS, ((coir_tls_opts){.oldest = COIR_TLS_1_3}));
    SSL_CTX_set_max_proto_version(contexts.client->ssl, TLS1_2_VERSION);
    struct side a = {.context = contexts.client, .host = "example.org"};
    struct side b = {.context = contexts.server};
    COIR_REQUIRE_OK(coir_stream_pair(0, &a.lower, &b.lower));
    COIR_REQUIRE_OK(shake(&a, &b));
    COIR_EXPECT_CODE(a.result, -COIR_ETLS);
    COIR_EXPECT_STR(a.text, "tls example.org: the peer refuses: protocol version");
    COIR_EXPECT_CODE(b.result, -COIR_ETLS);
    COIR_EXPECT_STR(b.text, "tls client: unsupported protocol");
    coir_tls_stats stats;
    coir_tls_context_stats(contexts.server, &stats);
    COIR_EXPECT_EQ(stats.failed, 1);
    COIR_EXPECT_EQ(stats.under_way, 0);
}

COIR_TEST(who_the_peer_is)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    coir_tls_certificate peer;
    COIR_REQUIRE_OK(coir_tls_stream_peer(a, &peer));
    COIR_EXPECT_STR(peer.subject, "CN=good");
    COIR_EXPECT_STR(peer.issuer, "CN=intermediate");
    COIR_EXPECT_STR(peer.names, "example.org, localhost, 127.0.0.1, ::1");
    COIR_EXPECT_EQ(strlen(peer.fingerprint), 64);
    COIR_EXPECT_EQ(peer.since, 1577836800); /* 2020-01-01 */
    COIR_EXPECT_GT(peer.until, peer.since);
    COIR_EXPECT_CODE(coir_tls_stream_peer(b, &peer), -ENOENT);
    coir_tls_info info;
    COIR_EXPECT_CODE(coir_tls_stream_info(a, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_tls_stream_info(NULL, &info), -EINVAL);
    COIR_AUTO(coir_stream) *plain = NULL;
    COIR_AUTO(coir_stream) *other = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &plain, &other));
    COIR_EXPECT_CODE(coir_tls_stream_info(plain, &info), -EOPNOTSUPP);
}

/* ---- sessions ---- */

/* A connection, over which something is said both ways. Returns whether it resumed a session. */
static bool visit(struct both *contexts)
{
    coir_stream *a = NULL, *b = NULL;
    coir_tls_info info = {0};
    if (!COIR_EXPECT_OK(make_tls(contexts, &a, &b)))
        return false;
    COIR_EXPECT_OK(say(a, b, "question"));
    COIR_EXPECT_OK(say(b, a, "answer"));
    COIR_EXPECT_OK(coir_tls_stream_info(a, &info));
    bool resumed = info.resumed;
    COIR_EXPECT_OK(coir_tls_stream_info(b, &info));
    COIR_EXPECT_EQ(info.resumed, resumed);
    coir_tls_certificate peer;
    COIR_EXPECT_OK(coir_tls_stream_peer(a, &peer));
    COIR_EXPECT_STR(peer.subject, "CN=good");
    COIR_EXPECT(info.version != NULL);
    coir_stream_close(a);
    coir_stream_close(b);
    return resumed;
}

COIR_TEST(sessions_are_resumed)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    coir_tls_stats stats;
    COIR_EXPECT(!visit(&contexts));
    for (int i = 0; i < 5; i++)
        COIR_EXPECT(visit(&contexts));
    coir_tls_context_stats(contexts.client, &stats);
    COIR_EXPECT_EQ(stats.done, 6);
    COIR_EXPECT_EQ(stats.resumed, 5);
    COIR_EXPECT_EQ(stats.streams, 0);
    COIR_EXPECT_GT(stats.sessions, 0);
    COIR_EXPECT_LE(stats.sessions, 64);
}

COIR_TEST(sessions_of_version_1_2)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    SSL_CTX_set_max_proto_version(contexts.client->ssl, TLS1_2_VERSION);
    COIR_EXPECT(!visit(&contexts));
    COIR_EXPECT(visit(&contexts));
    COIR_EXPECT(visit(&contexts));
}

COIR_TEST(sessions_can_be_forbidden)
{
    TLS_CONTEXTS(contexts, ((coir_tls_opts){.sessions = SIZE_MAX}), DEFAULTS);
    COIR_EXPECT(!visit(&contexts));
    COIR_EXPECT(!visit(&contexts));
}

COIR_TEST(sessions_are_bounded)
{
    TLS_CONTEXTS(contexts, ((coir_tls_opts){.sessions = 3}), DEFAULTS);
    coir_tls_stats stats;
    for (int i = 0; i < 5; i++)
        (void)visit(&contexts);
    coir_tls_context_stats(contexts.client, &stats);
    COIR_EXPECT_LE(stats.sessions, 3);
}

/* A session is not resumed under another name, though the certificate is for both. */
COIR_TEST(sessions_belong_to_a_name)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    COIR_EXPECT(!visit(&contexts));
    struct side a = {.context = contexts.client, .host = "localhost"};
    struct side b = {.context = contexts.server};
    coir_tls_info info = {0};
    COIR_REQUIRE_OK(coir_stream_pair(0, &a.lower, &b.lower));
    COIR_REQUIRE_OK(shake(&a, &b));
    if (COIR_EXPECT(a.stream != NULL)) {
        COIR_EXPECT_OK(coir_tls_stream_info(a.stream, &info));
        COIR_EXPECT(!info.resumed);
        COIR_EXPECT_STR(info.name, "localhost");
    }
    side_close(&a);
    side_close(&b);
}

/* Keys of tickets change; the one before still opens them, the one before that does not. */
COIR_TEST(ticket_keys_change)
{
    TLS_CONTEXTS(contexts, DEFAULTS, ((coir_tls_opts){.rotation = COIR_SEC(1000)}));
    unsigned char name[16];
    COIR_EXPECT(!visit(&contexts));
    memcpy(name, contexts.server->keys[0].name, sizeof name);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1500)));
    COIR_EXPECT(visit(&contexts));
    COIR_EXPECT(memcmp(name, contexts.server->keys[0].name, sizeof name) != 0);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(2500)));
    COIR_EXPECT(!visit(&contexts));
}

/* ---- limits ---- */

struct guest {
    coir_tls_context *context;
    coir_stream *lower, *peer;
    int result;
    coir_time ended;
};

static int receive_guest(void *arg)
{
    struct guest *guest = arg;
    coir_stream *stream = NULL;
    guest->result = coir_tls_accept(guest->context, COIR_TAKE(guest->lower), &stream);
    guest->ended = coir_now();
    coir_stream_abort(stream);
    return 0;
}

static int start_guest(struct guest *guest, coir_group *group)
{
    COIR_TRY(coir_stream_pair(0, &guest->peer, &guest->lower));
    return coir_spawn(group, receive_guest, guest, NULL);
}

static void guest_close(struct guest *guest)
{
    coir_stream_abort(COIR_TAKE(guest->peer));
    coir_stream_abort(COIR_TAKE(guest->lower));
}

COIR_TEST(handshakes_have_a_deadline)
{
    TLS_CONTEXTS(contexts, ((coir_tls_opts){.handshake = COIR_SEC(3)}), DEFAULTS);
    coir_time start = coir_now();
    struct guest guest = {.context = contexts.server};
    struct side client = {.context = contexts.client, .host = "example.org"};
    {
        COIR_GROUP_COLLECT(group);
        COIR_EXPECT_OK(start_guest(&guest, &group));
        COIR_EXPECT_OK(coir_group_wait(&group));
    }
    guest_close(&guest);
    COIR_EXPECT_CODE(guest.result, -ETIMEDOUT);
    COIR_EXPECT_EQ(guest.ended - start, COIR_SEC(10));
    COIR_AUTO(coir_stream) *silent = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &client.lower, &silent));
    start = coir_now();
    (void)connect_side(&client);
    COIR_EXPECT_CODE(client.result, -ETIMEDOUT);
    COIR_EXPECT_STR(client.text, "tls example.org: the handshake took too long");
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
    side_close(&client);
}

/* A deadline of the caller's is the caller's. */
COIR_TEST(deadlines_of_the_caller)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    coir_stream *lower, *stream;
    COIR_AUTO(coir_stream) *silent = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &lower, &silent));
    COIR_SCOPE(scope, COIR_SEC(1));
    COIR_EXPECT_CODE(coir_tls_connect(contexts.client, "example.org", lower, NULL, &stream),
                     -ETIME);
    coir_scope_leave(&scope);
    size_t n;
    char data[600];
    int r;
    while ((r = coir_stream_read(silent, data, sizeof data, &n)) > 0)
        ;
    COIR_EXPECT_CODE(r, -ECONNRESET);
}

/* A client's first message, as long as it claims to be and no longer. */
static int send_hello(coir_stream *stream, bool half)
{
    unsigned char hello[] = {22, 3, 1, 0, 4, 1, 0, 0x10, 0};
    return coir_stream_write(stream, hello, half ? 5 : sizeof hello);
}

/* Two thousand connections that say nothing, half a record, or half a message in a whole record,
 * keep nobody out. */
COIR_TEST_TAGGED(silent_clients_keep_nobody_out, "no_torture,limit=60")
{
    enum { GUESTS = 2000 };
    static struct guest guests[GUESTS];
    TLS_CONTEXTS(contexts, DEFAULTS, ((coir_tls_opts){.handshakes = 2}));
    coir_time start = coir_now();
    coir_tls_stats stats;
    {
        COIR_GROUP(group);
        for (size_t i = 0; i < GUESTS; i++) {
            guests[i] = (struct guest){.context = contexts.server};
            COIR_REQUIRE_OK(start_guest(&guests[i], &group));
            if (i % 3 == 0)
                COIR_REQUIRE_OK(send_hello(guests[i].peer, true));
            else if (i % 3 == 1)
                COIR_REQUIRE_OK(coir_stream_write(guests[i].peer, "\x16\x03\x01\0\x01\x01", 6));
        }
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_tls_context_stats(contexts.server, &stats);
        COIR_EXPECT_EQ(stats.under_way, 0);
        TLS_PAIR(contexts, a, b);
        COIR_EXPECT_OK(say(a, b, "hello"));
        COIR_EXPECT_LT(coir_now() - start, COIR_MS(100));
        COIR_EXPECT_OK(coir_group_wait(&group));
    }
    for (size_t i = 0; i < GUESTS; i++) {
        COIR_EXPECT_CODE(guests[i].result, -ETIMEDOUT);
        guest_close(&guests[i]);
    }
}

/* Writes what a client says first, as a whole, to each guest. */
static void send_hellos(coir_tls_context *client, struct guest *guests, size_t count)
{
    SSL *ssl = SSL_new(client->ssl);
    BIO *out = BIO_new(BIO_s_mem()), *in = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    SSL_set_app_data(ssl, &(struct coir__tls){.context = client});
    (void)SSL_do_handshake(ssl);
    char *hello;
    long length = BIO_get_mem_data(out, &hello);
    for (size_t i = 0; i < count; i++)
        if (guests[i].peer != NULL)
            COIR_EXPECT_OK(coir_stream_write(guests[i].peer, hello, (size_t)length));
    SSL_free(ssl);
}

/* Those who begin and do not go on take all places, for a moment each: then the next have their
 * turn, although the handshakes are still under way. */
COIR_TEST(others_wait_for_a_place)
{
    enum { PLACES = 2, GUESTS = 5 };
    struct guest guests[GUESTS];
    TLS_CONTEXTS(contexts, DEFAULTS,
                 ((coir_tls_opts){.handshakes = PLACES, .handshake = COIR_SEC(4)}));
    coir_tls_stats stats;
    for (size_t i = 0; i < GUESTS; i++)
        guests[i] = (struct guest){.context = contexts.server};
    {
        COIR_GROUP_COLLECT(group);
        for (size_t i = 0; i < GUESTS; i++)
            COIR_EXPECT_OK(start_guest(&guests[i], &group));
        send_hellos(contexts.client, guests, GUESTS);
        COIR_EXPECT_OK(coir_test_wait_all_blocked());
        for (size_t most = PLACES; most < GUESTS + PLACES; most += PLACES) {
            size_t expected = most < GUESTS ? most : GUESTS;
            coir_tls_context_stats(contexts.server, &stats);
            COIR_EXPECT_EQ(stats.under_way, expected);
            COIR_EXPECT_EQ(stats.waiting, GUESTS - expected);
            COIR_EXPECT_OK(coir_sleep(COIR_MS(21)));
        }
        COIR_EXPECT_OK(coir_group_wait(&group));
        (void)coir_group_errors(&group);
    }
    for (size_t i = 0; i < GUESTS; i++) {
        COIR_EXPECT_CODE(guests[i].result, -ETIMEDOUT);
        guest_close(&guests[i]);
    }
    coir_tls_context_stats(contexts.server, &stats);
    COIR_EXPECT_EQ(stats.under_way, 0);
    COIR_EXPECT_EQ(stats.waiting, 0);
    TLS_PAIR(contexts, a, b);
    COIR_EXPECT_OK(say(a, b, "hello"));
}

/* Two thousand that say hello as they should, and then nothing, keep a client waiting for half a
 * second, not for their deadlines. */
COIR_TEST_TAGGED(half_open_handshakes_keep_nobody_out, "no_torture,slow,limit=60")
{
    enum { GUESTS = 2000 };
    static struct guest guests[GUESTS];
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    coir_time start = coir_now();
    {
        COIR_GROUP(group);
        for (size_t i = 0; i < GUESTS; i++) {
            guests[i] = (struct guest){.context = contexts.server};
            COIR_REQUIRE_OK(start_guest(&guests[i], &group));
        }
        send_hellos(contexts.client, guests, GUESTS);
        TLS_PAIR(contexts, a, b);
        COIR_EXPECT_OK(say(a, b, "hello"));
        COIR_EXPECT_LT(coir_now() - start, COIR_MS(600));
        COIR_EXPECT_OK(coir_group_wait(&group));
    }
    for (size_t i = 0; i < GUESTS; i++) {
        COIR_EXPECT_CODE(guests[i].result, -ETIMEDOUT);
        guest_close(&guests[i]);
    }
}

/* ---- nonsense ---- */

COIR_TEST(what_is_no_tls)
{
    static const struct {
        const char *said;
        int code;
        const char *text;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", -COIR_ETLS, "tls client: http request"},
        {"hello, is anybody there?\n", -COIR_ETLS, "tls client: wrong version number"},
        {"\x16\x03\x01\xff\xff....", -COIR_ETLS, "tls client: "},
        {"\x16\x03\x01", -COIR_EEOF, "tls client: closed during the handshake"},
        {"", -COIR_EEOF, "tls client: closed during the handshake"},
    };
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        struct side server = {.context = contexts.server};
        COIR_AUTO(coir_stream) *peer = NULL;
        COIR_REQUIRE_OK(coir_stream_pair(0, &peer, &server.lower));
        COIR_EXPECT_OK(coir_stream_write(peer, cases[i].said, strlen(cases[i].said)));
        COIR_EXPECT_OK(coir_stream_shutdown(peer));
        (void)accept_side(&server);
        COIR_EXPECT_CODE(server.result, cases[i].code);
        COIR_EXPECT_CONTAINS(server.text, cases[i].text);
        side_close(&server);
    }
}

COIR_TEST(wrong_calls)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    coir_stream *stream = NULL, *lower, *peer;
    COIR_EXPECT_CODE(coir_tls_connect(contexts.client, "x", NULL, NULL, &stream), -EINVAL);
    COIR_EXPECT_CODE(coir_tls_accept(contexts.server, NULL, &stream), -EINVAL);
    COIR_EXPECT_CODE(coir_tls_dial(contexts.client, NULL, NULL, &stream), -COIR_EADDRESS);
    COIR_EXPECT_CODE(coir_tls_dial(contexts.client, "nothing", NULL, &stream), -COIR_EADDRESS);
    COIR_EXPECT_CODE(coir_tls_serve(NULL, contexts.client, NULL, NULL), -EINVAL);
    for (int i = 0; i < 2; i++) { /* the lower stream is closed in any case */
        COIR_REQUIRE_OK(coir_stream_pair(0, &lower, &peer));
        int r = i == 0 ? coir_tls_connect(contexts.server, "x", lower, NULL, &stream)
                       : coir_tls_accept(contexts.client, lower, &stream);
        COIR_EXPECT_CODE(r, -EINVAL);
        COIR_EXPECT_CODE(read_some(peer), 0);
        coir_stream_close(peer);
    }
}

/* ---- half way ---- */

static int upgrade(void *arg)
{
    struct side *side = arg;
    coir_bytes line;
    COIR_TRY(coir_stream_write(side->lower, "220 ready\r\n", 11));
    if (COIR_TRY(coir_stream_read_line(side->lower, 0, &line)) == 0 || line.length != 8)
        return -EIO;
    COIR_TRY(coir_stream_write(side->lower, "220 go ahead\r\n", 14));
    return accept_side(side);
}

/* The client's first bytes of TLS may come with its last line; and what somebody puts in between
 * is not taken for what was said in secret. */
COIR_TEST(start_tls)
{
    for (int injected = 0; injected < 2; injected++) {
        TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
        struct side a = {.context = contexts.client, .host = "example.org"};
        struct side b = {.context = contexts.server};
        COIR_REQUIRE_OK(coir_stream_pair(0, &a.lower, &b.lower));
        coir_bytes line;
        {
            COIR_GROUP_COLLECT(group);
            if (COIR_EXPECT_OK(coir_spawn(&group, upgrade, &b, NULL))) {
                COIR_EXPECT_CODE(coir_stream_read_line(a.lower, 0, &line), 1);
                const char *text = injected ? "STARTTLS\r\nRSET\r\n" : "STARTTLS\r\n";
                COIR_EXPECT_OK(coir_stream_write(a.lower, text, strlen(text)));
                COIR_EXPECT_CODE(coir_stream_read_line(a.lower, 0, &line), 1);
                (void)connect_side(&a);
            }
            (void)!coir_group_wait(&group);
            (void)coir_group_errors(&group);
        }
        if (injected) {
            COIR_EXPECT_CODE(b.result, -COIR_ETLS);
            COIR_EXPECT(b.stream == NULL);
        } else if (COIR_EXPECT(a.stream != NULL && b.stream != NULL)) {
            COIR_EXPECT_OK(say(a.stream, b.stream, "EHLO\r\n"));
            COIR_EXPECT_OK(say(b.stream, a.stream, "250 ok\r\n"));
        }
        side_close(&a);
        side_close(&b);
    }
}

/* ---- servers ---- */

static int greet(coir_stream *stream, void *arg)
{
    coir_bytes line;
    (void)arg;
    int r = coir_stream_read_line(stream, 0, &line);
    if (r <= 0)
        return r;
    COIR_TRY(coir_stream_write(stream, "hello ", 6));
    COIR_TRY(coir_stream_write(stream, line.data, line.length));
    return coir_stream_write(stream, "\n", 1);
}

struct server {
    coir_listener *listener;
    coir_tls_context *context;
};

static int serve(void *arg)
{
    struct server *server = arg;
    return coir_tls_serve(server->listener, server->context, greet, NULL);
}

COIR_TEST(serving)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    COIR_AUTO(coir_listener) *listener = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &listener, name));
    struct server server = {listener, contexts.server};
    coir_tls_connect_opts opts = {.name = "example.org"};
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, serve, &server, NULL));
    for (int i = 0; i < 3; i++) {
        COIR_AUTO(coir_stream) *stream = NULL;
        coir_bytes line;
        COIR_REQUIRE_OK(
            coir_tls_dial(contexts.client, name, i == 2 ? NULL : &opts, &stream)); /* its address */
        COIR_REQUIRE_OK(coir_stream_write(stream, "you\n", 4));
        COIR_REQUIRE_CODE(coir_stream_read_line(stream, 0, &line), 1);
        COIR_EXPECT_EQ(line.length, 9);
        COIR_EXPECT_CODE(read_some(stream), 0); /* it has said goodbye */
    }
    COIR_AUTO(coir_stream) *plain = NULL; /* is no event */
    COIR_REQUIRE_OK(coir_tcp_connect(name, NULL, &plain));
    COIR_REQUIRE_OK(coir_stream_write(plain, "GET / HTTP/1.1\r\n\r\n", 18));
    char data[64];
    size_t n;
    while (coir_stream_read(plain, data, sizeof data, &n) > 0)
        ;
    coir_tls_stats stats;
    coir_tls_context_stats(contexts.server, &stats);
    COIR_EXPECT_EQ(stats.done, 3);
    COIR_EXPECT_EQ(stats.failed, 1);
    coir_group_cancel(&group, NULL);
    (void)!coir_group_wait(&group);
    (void)coir_group_errors(&group);
}

/* ---- after each byte ---- */

/* What a client sends depends on what its server sends, so a session cannot be recorded: the two
 * talk, and the fault is between them. */
static void talk_with_fault(struct both *both, coir_fault fault, size_t after, bool of_client,
                            size_t *ret_passed)
{
    struct side a = {.context = both->client, .host = "example.org"}, b = {.context = both->server};
    coir_fault_opts opts = {0};
    *(of_client ? &opts.write_fault : &opts.read_fault) = fault;
    opts.write_after = opts.read_after = after;
    COIR_REQUIRE_OK(coir_stream_pair(0, &a.lower, &b.lower));
    COIR_REQUIRE_OK(coir_fault_stream_open(COIR_TAKE(a.lower), &opts, &a.lower));
    COIR_EXPECT_OK(shake(&a, &b));
    *ret_passed = 0;
    if (a.stream != NULL && b.stream != NULL) {
        COIR_SCOPE(scope, COIR_SEC(30));
        int r = say(a.stream, b.stream, "question");
        if (r == 0)
            r = say(b.stream, a.stream, "answer");
        *ret_passed = r == 0;
        coir_scope_leave(&scope);
        coir_stream_close(COIR_TAKE(a.stream));
        coir_stream_close(COIR_TAKE(b.stream));
    }
    side_close(&a);
    side_close(&b);
}

/* Handshakes are work, and there are thousands of bytes: of those behind the first record's head
 * each run takes some, from where its seed says. Under valgrind fewer. */
static size_t next_byte(size_t after)
{
    size_t step = RUNNING_ON_VALGRIND ? 111 : 11;
    return after < 8 ? after + 1 : after == 8 ? 9 + coir_test_seed() % step : after + step;
}

COIR_TEST_TAGGED(after_each_byte, "no_torture,limit=120")
{
    static const coir_fault faults[] = {COIR_FAULT_CUT, COIR_FAULT_STALL, COIR_FAULT_RESET};
    TLS_CONTEXTS(contexts, ((coir_tls_opts){.sessions = SIZE_MAX}), DEFAULTS);
    for (size_t i = 0; i < COIR_COUNT(faults); i++) {
        for (int of_client = 0; of_client < 2; of_client++) {
            size_t passed = 0, after = 0;
            struct coir_loop_stats before, then;
            coir_loop_stats(NULL, &before);
            for (; passed == 0 && after < 5000; after = next_byte(after))
                talk_with_fault(&contexts, faults[i], after, of_client, &passed);
            coir_loop_stats(NULL, &then);
            COIR_EXPECT_GT(after, 300);
            COIR_EXPECT_LT(after, 5000);
            COIR_EXPECT_LE(then.memory, before.memory + 2); /* each context keeps one block */
            COIR_EXPECT_EQ(then.tasks, before.tasks);
        }
    }
}
