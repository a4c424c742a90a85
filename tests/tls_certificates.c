/* tls_certificates.c: which certificates are accepted, of servers and of clients, and what is said
 * about those that are not: which one, and why. tests/certificates.sh has made them, one for each
 * way of being bad.
 */
#include <openssl/ssl.h>

#include "tls/tls.h"

#include "tls_kit.h"

/* Any certificate, as a server of somebody else's would show it; its own context might refuse. The
 * one that it begins with is of the same kind, and so replaced. */
static int server_that_shows(const char *name, coir_tls_context **ret_context)
{
    COIR_AUTO(coir_tls_context) *server = NULL;
    bool is_rsa = strcmp(name, "rsa") == 0 || strcmp(name, "weak") == 0;
    COIR_TRY(server_with(is_rsa ? "rsa" : "good", DEFAULTS, &server));
    SSL_CTX_set_security_level(server->ssl, 0);
    if (SSL_CTX_use_certificate_chain_file(server->ssl, certificate_file(name, "pem")) != 1 ||
        SSL_CTX_use_PrivateKey_file(server->ssl, certificate_file(name, "key"), SSL_FILETYPE_PEM) !=
            1)
        return -EINVAL;
    *ret_context = COIR_TAKE(server);
    return 0;
}

static int open_lower(struct side *client, struct side *server)
{
    return coir_stream_pair(0, &client->lower, &server->lower);
}

/* Tries a server's certificate under a name. The results are the client's; it is closed. */
static void try_certificate(const char *shown, const char *host, const coir_tls_connect_opts *opts,
                            coir_tls_opts client_opts, struct side *ret_client,
                            struct side *ret_server)
{
    COIR_AUTO(coir_tls_context) *client = NULL;
    COIR_AUTO(coir_tls_context) *server = NULL;
    *ret_client = *ret_server = (struct side){.result = -ENOENT};
    COIR_REQUIRE_OK(server_that_shows(shown, &server));
    COIR_REQUIRE_OK(client_with(client_opts, &client));
    *ret_client = (struct side){.context = client, .host = host, .opts = opts};
    *ret_server = (struct side){.context = server};
    COIR_REQUIRE_OK(open_lower(ret_client, ret_server));
    COIR_REQUIRE_OK(shake(ret_client, ret_server));
    if (ret_client->result == 0)
        COIR_EXPECT_OK(say(ret_client->stream, ret_server->stream, "hello"));
    side_close(ret_client);
    side_close(ret_server);
}

/* ---- of servers ---- */

enum { LISTS = 1, STALE = 2, OLD_ROOT = 4, ONLY_ISSUER = 8, SYSTEM = 16 }; /* what is trusted */

struct trial {
    const char *shown, *host;
    const char *text; /* part of what is said; NULL: accepted */
    unsigned flags;
};

static const struct trial trials[] = {
    {"good", "example.org", NULL, 0},
    {"good", "EXAMPLE.org", NULL, 0},
    {"good", "example.org.", NULL, 0},
    {"good", "localhost", NULL, 0},
    {"good", "127.0.0.1", NULL, 0},
    {"good", "::1", NULL, 0},
    {"direct", "example.org", NULL, 0},
    {"rsa", "example.org", NULL, 0},
    {"good", "example.org", NULL, ONLY_ISSUER},
    {"expired", "example.org", "'CN=expired' (depth 0): certificate has expired", 0},
    {"early", "example.org", "'CN=early' (depth 0): certificate is not yet valid", 0},
    {"other", "example.org", "'CN=other' (depth 0): it is for other.example, www.other.example", 0},
    {"good", "127.0.0.2", "it is for example.org, localhost, 127.0.0.1, ::1", 0},
    {"good", "www.example.org", "'CN=good' (depth 0): it is for", 0},
    {"dns_address", "127.0.0.1", "'CN=dns_address' (depth 0): it is for 127.0.0.1", 0},
    {"wildcard", "www.example.org", NULL, 0},
    {"wildcard", "example.org", "it is for *.example.org", 0},
    {"wildcard", "a.www.example.org", "it is for *.example.org", 0},
    {"partial", "www.example.org", "it is for w*.example.org", 0},
    {"wide", "example.org", "it is for *.org", 0},
    {"nothing", "nothing", "'CN=nothing' (depth 0): it is for no name", 0},
    {"with_nul", "example.org", "it is for example.org?.evil.test", 0},
    {"self", "example.org", "'CN=self' (depth 0): self-signed certificate", 0},
    {"unknown", "example.org", "'CN=unknown' (depth 0): unable to get local issuer", 0},
    {"good", "example.org", "unable to get local issuer", SYSTEM},
    {"without", "example.org", "'CN=good' (depth 0): unable to get local issuer", 0},
    {"by_old", "example.org", "'CN=old' (depth 1): certificate has expired", 0},
    {"by_old_root", "example.org", "'CN=old_root' (depth 1): certificate has expired", OLD_ROOT},
    {"client_only", "example.org", "'CN=client_only' (depth 0): unsuitable certificate purpose", 0},
    {"critical", "example.org", "'CN=critical' (depth 0): unhandled critical extension", 0},
    {"weak", "example.org", "'CN=weak' (depth 0): EE certificate key too weak", 0},
    {"sha1", "example.org", "'CN=sha1' (depth 0): CA signature digest algorithm too weak", 0},
    {"forged", "example.org", "'CN=good' (depth 0): certificate signature failure", 0},
    {"inside", "example.org", NULL, 0},
    {"outside", "other.example", "(depth 0): permitted subtree violation", 0},
    {"too_deep", "example.org", "(depth 2): path length constraint exceeded", 0},
    {"by_leaf", "example.org", "'CN=good' (depth 1): invalid CA certificate", 0},
    {"by_no_authority", "example.org", "(depth 1): ", 0},
    {"good", "example.org", NULL, LISTS},
    {"revoked", "example.org", NULL, 0},
    {"revoked", "example.org", "'CN=revoked' (depth 0): certificate revoked", LISTS},
    {"by_revoked", "example.org", "(depth ", LISTS},
    {"direct", "example.org", NULL, LISTS},
    {"inside", "example.org", "'CN=inside' (depth 0): unable to get certificate CRL", LISTS},
    {"good", "example.org", "'CN=good' (depth 0): CRL has expired", STALE},
};

static coir_tls_opts opts_of(unsigned flags)
{
    coir_tls_opts opts = {0};
    if ((flags & LISTS) != 0)
        opts.revoked_file = certificate_file("all", "crl");
    if ((flags & STALE) != 0)
        opts.revoked_file = certificate_file("stale", "crl");
    if ((flags & OLD_ROOT) != 0)
        opts.trust_file = certificate_file("old_root", "pem");
    if ((flags & ONLY_ISSUER) != 0)
        opts.trust_file = certificate_file("intermediate", "one");
    if ((flags & SYSTEM) != 0)
        opts.trust_file = "/etc/ssl/certs/ca-certificates.crt";
    return opts;
}

COIR_TEST(of_servers)
{
    PATIENCE;
    for (size_t i = 0; i < COIR_COUNT(trials); i++) {
        const struct trial *trial = &trials[i];
        struct side client, server;
        if ((trial->flags & SYSTEM) != 0 && access("/etc/ssl/certs/ca-certificates.crt", R_OK) != 0)
            continue;
        try_certificate(trial->shown, trial->host, NULL, opts_of(trial->flags), &client, &server);
        bool held = trial->text == NULL ? COIR_EXPECT_CODE(client.result, 0)
                                        : COIR_EXPECT_CODE(client.result, -COIR_ECERTIFICATE) &&
                                              COIR_EXPECT_CONTAINS(client.text, trial->text);
        if (trial->text != NULL)
            held = held && COIR_EXPECT_CONTAINS(client.text, trial->host);
        if (coir_test_tortured())
            return; /* one is enough */
        if (!held)
            COIR_FAIL("for '%s' under the name %s: %s", trial->shown, trial->host, client.text);
    }
}

/* Both sides know why. */
COIR_TEST(the_server_is_told)
{
    PATIENCE;
    struct side client, server;
    try_certificate("expired", "example.org", NULL, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(server.result, -COIR_ETLS);
    COIR_EXPECT_STR(server.text, "tls client: the peer refuses: certificate expired");
}

COIR_TEST(whoever_answers)
{
    PATIENCE;
    struct side client, server;
    coir_tls_opts opts = {.verify = COIR_TLS_INSECURE_ANYONE};
    try_certificate("expired", "somebody.else", NULL, opts, &client, &server);
    COIR_EXPECT_CODE(client.result, 0);
    try_certificate("self", NULL, NULL, opts, &client, &server);
    COIR_EXPECT_CODE(client.result, 0);
}

COIR_TEST(fingerprints)
{
    PATIENCE;
    char text[200] = "";
    struct side client, server;
    FILE *file = fopen(certificate_file("self", "fingerprint"), "re");
    COIR_REQUIRE(file != NULL);
    bool read = fgets(text, sizeof text, file) != NULL;
    (void)fclose(file);
    COIR_REQUIRE(read);
    text[strcspn(text, "\n")] = '\0';
    coir_tls_connect_opts opts = {.fingerprint = text};
    try_certificate("self", "any.name", &opts, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, 0);
    try_certificate("self", NULL, &opts, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, 0);
    try_certificate("good", "example.org", &opts, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, -COIR_ECERTIFICATE);
    COIR_EXPECT_CONTAINS(client.text, "has another fingerprint");
    opts.fingerprint = "12:34";
    try_certificate("self", "any.name", &opts, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, -EINVAL);
}

/* The name may differ from what is dialled. */
COIR_TEST(another_name)
{
    PATIENCE;
    struct side client, server;
    coir_tls_connect_opts opts = {.name = "example.org"};
    try_certificate("good", "192.0.2.1", &opts, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, 0);
    try_certificate("good", NULL, NULL, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, -EINVAL);
    try_certificate("good", "exa mple.org", NULL, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, -EINVAL);
    try_certificate("good", "", NULL, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, -EINVAL);
    /* OpenSSL takes such a name for any name below it */
    try_certificate("good", ".org", NULL, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, -EINVAL);
    opts.name = ".org";
    try_certificate("good", "example.org", &opts, DEFAULTS, &client, &server);
    COIR_EXPECT_CODE(client.result, -EINVAL);
}

/* ---- of clients ---- */

struct visit {
    const char *shown; /* NULL: none */
    coir_tls_verify verify;
    int code; /* of the server */
    const char *text;
};

static const struct visit visits[] = {
    {"client", COIR_TLS_VERIFY_REQUIRED, 0, NULL},
    {"client", COIR_TLS_VERIFY_OPTIONAL, 0, NULL},
    {"client", COIR_TLS_VERIFY_DEFAULT, 0, NULL},
    {NULL, COIR_TLS_VERIFY_OPTIONAL, 0, NULL},
    {NULL, COIR_TLS_VERIFY_REQUIRED, -COIR_ECERTIFICATE, "the client has shown no certificate"},
    {"client_unknown", COIR_TLS_VERIFY_REQUIRED, -COIR_ECERTIFICATE,
     "'CN=client_unknown' (depth 0): unable to get local issuer"},
    {"client_unknown", COIR_TLS_VERIFY_OPTIONAL, -COIR_ECERTIFICATE, "'CN=client_unknown'"},
    {"client_expired", COIR_TLS_VERIFY_REQUIRED, -COIR_ECERTIFICATE, "has expired"},
    {"good", COIR_TLS_VERIFY_REQUIRED, -COIR_ECERTIFICATE, "unsuitable certificate purpose"},
};

static void try_visit(const struct visit *visit)
{
    COIR_AUTO(coir_tls_context) *client = NULL;
    COIR_AUTO(coir_tls_context) *server = NULL;
    coir_tls_opts client_opts = {0}, server_opts = {.verify = visit->verify};
    if (visit->shown != NULL) {
        client_opts.certificate_file = certificate_file(visit->shown, "pem");
        client_opts.key_file = certificate_file(visit->shown, "key");
    }
    COIR_REQUIRE_OK(server_with("good", server_opts, &server));
    COIR_REQUIRE_OK(client_with(client_opts, &client));
    struct side a = {.context = client, .host = "example.org"}, b = {.context = server};
    COIR_REQUIRE_OK(open_lower(&a, &b));
    COIR_REQUIRE_OK(shake(&a, &b));
    COIR_EXPECT_CODE(b.result, visit->code);
    if (visit->text != NULL)
        COIR_EXPECT_CONTAINS(b.text, visit->text);
    coir_tls_certificate peer;
    coir_tls_info info;
    if (b.stream != NULL) {
        bool shows = visit->shown != NULL && visit->verify != COIR_TLS_VERIFY_DEFAULT;
        COIR_EXPECT_OK(say(a.stream, b.stream, "hello"));
        COIR_EXPECT_CODE(coir_tls_stream_peer(b.stream, &peer), shows ? 0 : -ENOENT);
        if (shows)
            COIR_EXPECT_STR(peer.subject, "CN=client");
        COIR_EXPECT_OK(coir_tls_stream_info(b.stream, &info));
        COIR_EXPECT_EQ(info.verified, shows);
    } else if (a.stream != NULL) { /* in TLS 1.3 the client is told when it reads */
        COIR_EXPECT_CODE(read_some(a.stream), -COIR_ETLS);
        COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ETLS), "tls example.org: the peer refuses: ");
        COIR_EXPECT_CODE(coir_stream_write(a.stream, "x", 1), -COIR_ETLS);
    }
    side_close(&a);
    side_close(&b);
}

COIR_TEST(of_clients)
{
    PATIENCE;
    for (size_t i = 0; i < COIR_COUNT(visits); i++)
        if (i < 2 || !coir_test_tortured())
            try_visit(&visits[i]);
}

/* ---- contexts ---- */

static void expect_context(coir_tls_role role, coir_tls_opts opts, int code, const char *text)
{
    coir_tls_context *context = NULL;
    coir_clear_error();
    COIR_EXPECT_CODE(coir_tls_context_open(role, &opts, &context), code);
    if (text != NULL)
        COIR_EXPECT_CONTAINS(coir_last_message(code), text);
    coir_tls_context_close(context);
}

COIR_TEST(options_that_are_wrong)
{
    const char *chain = certificate_file("good", "pem"), *key = certificate_file("good", "key");
    const char *other = certificate_file("other", "key"), *root = certificate_file("root", "pem");
    const char *locked = certificate_file("locked", "key");
    coir_tls_context *context;
    COIR_EXPECT_CODE(coir_tls_context_open(COIR_TLS_CLIENT, NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_tls_context_open((coir_tls_role)7, NULL, &context), -EINVAL);
    coir_tls_role server = COIR_TLS_SERVER, client = COIR_TLS_CLIENT;
#define OPTS(...) ((coir_tls_opts){__VA_ARGS__})
    expect_context(server, DEFAULTS, -EINVAL, "a server needs a certificate");
    expect_context(server, OPTS(.certificate_file = "/nowhere"), -ENOENT, "certificate /nowhere");
    expect_context(server, OPTS(.certificate_file = chain), -EINVAL, "key ");
    expect_context(server, OPTS(.certificate_file = key, .key_file = key), -EINVAL, "certificate ");
    expect_context(server, OPTS(.certificate_file = chain, .key_file = other), -EINVAL, "mismatch");
    expect_context(server, OPTS(.certificate_file = chain, .key_file = locked), -EINVAL, "key ");
    expect_context(server, OPTS(.certificate_file = chain, .key_file = locked, .password = "wrong"),
                   -EINVAL, "key ");
    expect_context(
        server, OPTS(.certificate_file = chain, .key_file = locked, .password = "sesame"), 0, NULL);
    expect_context(
        server,
        OPTS(.certificate_file = chain, .key_file = key, .verify = COIR_TLS_VERIFY_REQUIRED),
        -EINVAL, "whom to trust");
    expect_context(
        server,
        OPTS(.certificate_file = chain, .key_file = key, .verify = COIR_TLS_INSECURE_ANYONE),
        -EINVAL, "no sense");
    expect_context(client, OPTS(.verify = COIR_TLS_VERIFY_OPTIONAL), -EINVAL, "no sense");
    expect_context(client, OPTS(.key_file = key), -EINVAL, "a key without");
    expect_context(client, OPTS(.trust_file = key), -EINVAL, "there is none in it");
    expect_context(client, OPTS(.trust_file = root, .revoked_file = root), -EINVAL, "none in it");
    expect_context(client, OPTS(.alpn = "h2,,http/1.1"), -EINVAL, "no list of protocols");
    expect_context(client, OPTS(.alpn = "h2,"), -EINVAL, "no list of protocols");
    expect_context(client, OPTS(.alpn = ""), -EINVAL, "no list of protocols");
    expect_context(client, OPTS(.handshake = -1), -EINVAL, "no sense");
    expect_context(client, OPTS(.trust_directory = "/etc/ssl/certs"), 0, NULL);
    expect_context(client, DEFAULTS, 0, NULL);
    coir_tls_context_close(NULL);
}

static coir_bytes contents(const char *path, char *data, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return (coir_bytes){data, 0};
    size_t n = fread(data, 1, size, file);
    (void)fclose(file);
    return (coir_bytes){data, n};
}

/* What stands in files can be given as bytes. */
COIR_TEST(from_memory)
{
    PATIENCE;
    char chain[8192], key[4096], root[4096];
    coir_tls_opts server_opts = {0}, client_opts = {0};
    server_opts.certificate = contents(certificate_file("good", "pem"), chain, sizeof chain);
    server_opts.key = contents(certificate_file("good", "key"), key, sizeof key);
    client_opts.trust = contents(certificate_file("root", "pem"), root, sizeof root);
    COIR_AUTO(both) contexts = {.transport = -1};
    COIR_REQUIRE_OK(coir_tls_context_open(COIR_TLS_SERVER, &server_opts, &contexts.server));
    COIR_REQUIRE_OK(coir_tls_context_open(COIR_TLS_CLIENT, &client_opts, &contexts.client));
    TLS_PAIR(contexts, a, b);
    COIR_EXPECT_OK(say(a, b, "hello"));
}
