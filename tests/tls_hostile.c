/* tls_hostile.c: tests of TLS connections whose peer does not keep to the rules: records that no
 * good peer sends, floods of what must be answered, and what such a peer can make us hold.
 *
 * The forger knows the keys of a connection, since OpenSSL tells them in the client's place, and
 * makes records by hand. They are good ones for the cipher; what is in them is not.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>

#include "tls/tls.h"

#include "tls_kit.h"

static struct coir__tls *inside(coir_stream *stream)
{
    struct coir__tls *tls = NULL;
    return coir_stream_query(stream, COIR__TLS_QUERY, &tls) == 0 ? tls : NULL;
}

static coir_stream *below(coir_stream *stream)
{
    coir_stream *lower = NULL;
    return coir_stream_query(stream, COIR_QUERY_LOWER, &lower) == 0 ? lower : NULL;
}

/* ---- the forger ---- */

enum { SECRET = 48, TAG = 16 }; /* of TLS_AES_256_GCM_SHA384 */

struct forger {
    coir_stream *lower;
    unsigned char key[32], iv[12];
    uint64_t number; /* of the next record */
};

static unsigned char secret[SECRET];

/* OpenSSL tells the secrets of its connections, one a line: a label, a number, the secret. */
static void learn_secret(const SSL *ssl, const char *line)
{
    (void)ssl;
    const char *at = strrchr(line, ' ');
    unsigned byte;
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) != 0)
        return;
    for (size_t i = 0; i < SECRET && sscanf(at + 1 + 2 * i, "%2x", &byte) == 1; i++)
        secret[i] = (unsigned char)byte;
}

static int expand(const char *label, unsigned char *ret_data, size_t size)
{
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){"SHA384"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret, sizeof secret),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, (char[]){"tls13 "}, 6),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)(uintptr_t)label,
                                          strlen(label)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_DATA, secret, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    int r = EVP_KDF_derive(context, ret_data, size, params);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return r == 1 ? 0 : -EIO;
}

/* Sends one record of that type from the client's end, which is over lower. */
static int forge(struct forger *forger, unsigned char type, const char *data, size_t size)
{
    unsigned char record[5 + 64 + 1 + TAG] = {23, 3, 3, 0, (unsigned char)(size + 1 + TAG)};
    unsigned char nonce[12];
    int n;
    memcpy(nonce, forger->iv, sizeof nonce);
    for (size_t i = 0; i < 8; i++)
        nonce[11 - i] ^= (unsigned char)(forger->number >> 8 * i);
    forger->number++;
    memcpy(record + 5, data, size);
    record[5 + size] = type;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    bool done = EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, forger->key, nonce) == 1 &&
                EVP_EncryptUpdate(cipher, NULL, &n, record, 5) == 1 &&
                EVP_EncryptUpdate(cipher, record + 5, &n, record + 5, (int)size + 1) == 1 &&
                EVP_EncryptFinal_ex(cipher, record + 5, &n) == 1 &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG, record + 5 + size + 1) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return done ? coir_stream_write(forger->lower, record, 5 + size + 1 + TAG) : -EIO;
}

/* Takes the place of client, which has not said anything yet. */
static int forger_begin(struct forger *forger, coir_stream *client)
{
    *forger = (struct forger){.lower = below(client)};
    COIR_TRY(expand("key", forger->key, sizeof forger->key));
    return expand("iv", forger->iv, sizeof forger->iv);
}

/* A connection from whose client's end forger sends. */
#define FORGED(contexts, forger, a, b)                                                             \
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);                                                    \
    SSL_CTX_set_keylog_callback(contexts.client->ssl, learn_secret);                               \
    TLS_PAIR(contexts, a, b);                                                                      \
    struct forger forger;                                                                          \
    COIR_REQUIRE_OK(forger_begin(&forger, a))

/* ---- records ---- */

COIR_TEST(records_that_no_good_peer_sends)
{
    static const struct {
        unsigned char type;
        const char *data;
        size_t size;
        int times, code;
        const char *text;
    } rows[] = {
        {23, "", 0, 33, -COIR_ETLS, "record too small"},
        {21, "\1\132", 2, 5, -COIR_ETLS, "too many warn alerts"},
        {21, "\2\120", 2, 1, -COIR_ETLS, "the peer refuses: internal error"},
        {21, "\2", 1, 1, -COIR_ETLS, "invalid alert"},
        {21, "\1\0\1\0", 4, 1, -COIR_ETLS, "invalid alert"},
        {21, "", 0, 1, -COIR_ETLS, "bad length"},
        {22, "", 0, 1, -COIR_ETLS, "bad length"},
        {22, "\0\0\0\0", 4, 1, -COIR_ETLS, "unexpected message"},
        {22, "\1\0\0\1x", 5, 1, -COIR_ETLS, "unexpected message"},
        {22, "\4\0\0\0", 4, 1, -COIR_ETLS, "unexpected message"},
        {22, "\13\377\377\377", 4, 1, -COIR_ETLS, "unexpected message"},
        {22, "\30\377\377\377", 4, 1, -COIR_ETLS, "excessive message size"},
        {22, "\30\0\0\1\7", 5, 1, -COIR_ETLS, "bad key update"},
        {20, "\1", 1, 1, -COIR_ETLS, "bad record type"},
        {24, "\1\0\1x", 4, 1, -COIR_ETLS, "bad record type"},
        {0, "\0\0\0", 3, 1, -COIR_ETLS, "bad record type"},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        FORGED(contexts, forger, a, b);
        COIR_REQUIRE_OK(forge(&forger, 23, "hello", 5));
        for (int k = 0; k < rows[i].times; k++)
            COIR_REQUIRE_OK(forge(&forger, rows[i].type, rows[i].data, rows[i].size));
        char data[5];
        COIR_EXPECT_OK(coir_stream_read_exactly(b, data, 5));
        for (int k = 0; k < 2; k++)
            COIR_EXPECT_CODE(read_some(b), rows[i].code);
        COIR_EXPECT_CONTAINS(coir_last_message(rows[i].code), rows[i].text);
        COIR_EXPECT_CODE(coir_stream_write(b, "x", 1), rows[i].code);
    }
}

/* A few empty records, and warnings of which nothing follows, are in nobody's way. */
COIR_TEST(records_that_say_nothing)
{
    FORGED(contexts, forger, a, b);
    char data[6];
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 20; k++)
            COIR_REQUIRE_OK(forge(&forger, 23, "", 0));
        COIR_REQUIRE_OK(forge(&forger, 21, "\1\132", 2));
        COIR_REQUIRE_OK(forge(&forger, 23, "hello", 5));
        COIR_EXPECT_OK(coir_stream_read_exactly(b, data, 5));
    }
    COIR_EXPECT_OK(say(b, a, "hello"));
}

/* What comes behind a goodbye is not read. */
COIR_TEST(words_behind_the_goodbye)
{
    FORGED(contexts, forger, a, b);
    COIR_REQUIRE_OK(forge(&forger, 21, "\1\0", 2));
    COIR_REQUIRE_OK(forge(&forger, 23, "hello", 5));
    for (int i = 0; i < 2; i++)
        COIR_EXPECT_CODE(read_some(b), 0);
    COIR_EXPECT_OK(say(b, a, "hello"));
}

/* A record that is cut in its middle, at each byte, is a cut connection. */
COIR_TEST_TAGGED(records_that_are_cut, "no_torture")
{
    enum { WHOLE = 5 + 5 + 1 + TAG };
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    for (size_t length = 1; length < WHOLE; length++) {
        TLS_PAIR(contexts, a, b);
        size_t n;
        COIR_REQUIRE_EQ(SSL_write_ex(inside(a)->ssl, "hello", 5, &n), 1);
        COIR_REQUIRE_EQ(inside(a)->out.length, WHOLE);
        COIR_REQUIRE_OK(coir_stream_write(below(a), inside(a)->out.data, length));
        COIR_REQUIRE_OK(coir_stream_shutdown(below(a)));
        for (int i = 0; i < 2; i++)
            COIR_EXPECT_CODE(read_some(b), -COIR_ETRUNCATED);
        COIR_EXPECT_OK(say(b, a, "the other direction is whole"));
        coir_stream_abort(COIR_TAKE(a));
    }
}

/* ---- floods ---- */

/* Sends requests for new keys, as many as the pair takes. Returns how many. */
static size_t ask_for_keys(coir_stream *stream, size_t count)
{
    struct coir__tls *tls = inside(stream);
    for (size_t i = 0; i < count; i++) {
        if (SSL_key_update(tls->ssl, SSL_KEY_UPDATE_REQUESTED) != 1 ||
            SSL_do_handshake(tls->ssl) != 1 ||
            coir_stream_write(below(stream), tls->out.data, tls->out.length) < 0)
            return i;
        tls->out.length = 0;
    }
    return count;
}

static int write_much(void *arg)
{
    static const char data[100000];
    return coir_stream_write(arg, data, sizeof data);
}

/* A peer that asks for new keys again and again, and does not read the answers, is left when they
 * have become many; they wait behind a write that waits for the same peer. */
COIR_TEST_TAGGED(answers_that_nobody_reads, "no_torture")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    COIR_GROUP_COLLECT(group);
    coir_task *reader, *writer;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, write_much, b, &writer));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    size_t asked = 0;
    for (; asked < 2000 && !coir_task_done(reader); asked += 100) {
        COIR_EXPECT_EQ(ask_for_keys(a, 100), 100);
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    }
    COIR_EXPECT_GT(asked, 500); /* that is no fault of the first few */
    COIR_EXPECT_LT(asked, 1000);
    COIR_EXPECT_LT(inside(b)->out.capacity, 40000);
    COIR_REQUIRE_OK(coir_join(reader, &result));
    COIR_EXPECT_CODE(result, -COIR_ETLS);
    coir_cancel(writer, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    (void)coir_group_errors(&group);
    COIR_EXPECT_CODE(read_some(b), -COIR_ETLS);
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ETLS), "wants answers and does not read them");
}

/* The answers to those who do read them are no matter, however many. */
COIR_TEST_TAGGED(answers_that_are_read, "no_torture")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    for (int i = 0; i < 6; i++) {
        COIR_EXPECT_EQ(ask_for_keys(a, 500), 500);
        COIR_EXPECT_OK(say(a, b, "question"));
        COIR_EXPECT_OK(say(b, a, "answer"));
    }
    COIR_EXPECT_LT(inside(b)->out.capacity, 40000);
}

static int close_it(void *arg)
{
    coir_stream_close(arg);
    return 0;
}

/* While a closer waits for a goodbye nothing is answered any more, nor kept to be answered. */
COIR_TEST_TAGGED(questions_behind_the_goodbye, "no_torture")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    TLS_PAIR(contexts, a, b);
    const struct coir__tls *closing = inside(b);
    coir_time start = coir_now();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, close_it, COIR_TAKE(b), NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    for (int i = 0; i < 10; i++) {
        COIR_EXPECT_EQ(ask_for_keys(a, 200), 200);
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        COIR_EXPECT_EQ(closing->out.length, 0);
    }
    COIR_EXPECT_CODE(read_some(a), 0);
    coir_stream_close(COIR_TAKE(a));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_now() - start, 0);
}

/* A reader that has found a broken record tells the peer so; but one that reads nothing does not
 * keep it for ever. */
COIR_TEST(alerts_that_nobody_reads)
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    contexts.capacity = 1000;
    TLS_PAIR(contexts, a, b);
    char data[967] = "fills the pair";
    COIR_REQUIRE_OK(coir_stream_write(a, data, sizeof data)); /* a record has 22 bytes more */
    COIR_REQUIRE_OK(
        coir_stream_write(below(b), "\27\3\3\0\40################################", 37));
    coir_time start = coir_now();
    COIR_EXPECT_CODE(read_some(a), -COIR_ETLS);
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ETLS), "decryption failed");
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT_CODE(read_some(a), -COIR_ETLS);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT_OK(coir_stream_read_exactly(b, data, sizeof data));
}
