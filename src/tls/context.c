/* context.c: opening contexts: options, certificates, keys, lists of whom to trust; and what
 * OpenSSL's errors say.
 *
 * Files and bytes are read by the same functions, each by a BIO of OpenSSL's. Whatever OpenSSL
 * would ask a person at the terminal (a password) it is not asked here. A context is counted by its
 * owner, its handshakes and its streams, and goes with the last of them.
 */
#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "tls.h"

#define HANDSHAKE COIR_SEC(10)
#define HANDSHAKES 100
#define SESSIONS 64
#define LINGER COIR_SEC(1)
#define ROTATION COIR_SEC(12 * 3600)
#define SECURITY_LEVEL 2 /* 112 bits: RSA from 2048 on, no SHA-1 */

/* ---- errors ---- */

static bool is_no_memory(unsigned long error)
{
    return !ERR_SYSTEM_ERROR(error) && ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
}

/* Errors of the library from 1000 on are alerts that the peer has sent. */
static const char *alert_of(unsigned long error)
{
    int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) != ERR_LIB_SSL || reason < SSL_AD_REASON_OFFSET ||
        reason >= SSL_AD_REASON_OFFSET + 256)
        return NULL;
    static const char *const texts[] = {
        [0] = "the peer ends it",
        [10] = "the peer refuses: unexpected message",
        [20] = "the peer refuses: bad record",
        [40] = "the peer refuses: no version or cipher in common",
        [42] = "the peer refuses: bad certificate",
        [43] = "the peer refuses: unsupported certificate",
        [44] = "the peer refuses: certificate revoked",
        [45] = "the peer refuses: certificate expired",
        [46] = "the peer refuses: certificate unknown",
        [47] = "the peer refuses: illegal parameter",
        [48] = "the peer refuses: certificate of an unknown issuer",
        [49] = "the peer refuses: access denied",
        [70] = "the peer refuses: protocol version",
        [71] = "the peer refuses: insufficient security",
        [80] = "the peer refuses: internal error",
        [112] = "the peer refuses: unrecognized name",
        [116] = "the peer refuses: certificate required",
        [120] = "the peer refuses: no application protocol in common",
    };
    size_t number = (size_t)(reason - SSL_AD_REASON_OFFSET);
    return number < COIR_COUNT(texts) && texts[number] != NULL ? texts[number]
                                                               : ERR_reason_error_string(error);
}

const char *coir__tls_reason(int *ret_code)
{
    unsigned long error = ERR_peek_error();
    const char *text = alert_of(error);
    if (text == NULL)
        text = ERR_reason_error_string(error);
    if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
        ERR_GET_REASON(error) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        *ret_code = -COIR_ECERTIFICATE;
        text = "the client has shown no certificate";
    }
    if (error != 0 && is_no_memory(error)) {
        *ret_code = -ENOMEM;
        text = "not enough memory";
    }
    ERR_clear_error();
    return text != NULL ? text : "the protocol was broken";
}

/* The failure of an option. */
static int wrong(const char *option, const char *file)
{
    int code = -EINVAL;
    const char *reason = coir__tls_reason(&code);
    return coir_fail(code, "tls: %s %.60s: %s", option, file != NULL ? file : "", reason);
}

/* ---- PEM ---- */

/* What an option gives: a file or bytes. */
struct source {
    const char *option, *file;
    coir_bytes bytes;
};

static bool is_given(const struct source *source)
{
    return source->file != NULL || source->bytes.length > 0;
}

static int open_source(const struct source *source, BIO **ret_bio)
{
    errno = 0;
    ERR_clear_error();
    if (source->bytes.length > INT32_MAX)
        return -EINVAL;
    *ret_bio = source->file != NULL
                   ? BIO_new_file(source->file, "r")
                   : BIO_new_mem_buf(source->bytes.data, (int)source->bytes.length);
    if (*ret_bio != NULL)
        return 0;
    int code = errno > 0 ? -errno : -ENOMEM;
    ERR_clear_error();
    return coir_fail(code, "tls: %s %.80s: %s", source->option,
                     source->file != NULL ? source->file : "", coir_error_text(code));
}

/* Instead of a question at the terminal. */
static int password(char *data, int size, int writing, void *arg)
{
    const char *given = arg;
    (void)writing;
    size_t length = given != NULL ? strlen(given) : 0;
    if (given == NULL || length > (size_t)size)
        return -1;
    memcpy(data, given, length);
    return (int)length;
}

/* Whether reading certificates ended because there are no more. */
static bool at_the_end(void)
{
    unsigned long error = ERR_peek_last_error();
    bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    if (end)
        ERR_clear_error();
    return end;
}

static int use_chain(SSL_CTX *ssl, BIO *bio)
{
    int r = 1;
    for (int i = 0; r == 1; i++) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, password, NULL);
        if (certificate == NULL)
            return i > 0 && at_the_end();
        r = i == 0 ? SSL_CTX_use_certificate(ssl, certificate)
                   : (int)SSL_CTX_add1_chain_cert(ssl, certificate);
        X509_free(certificate);
    }
    return 0;
}

static int use_key(SSL_CTX *ssl, BIO *bio, const char *given)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, password, (void *)(uintptr_t)given);
    int r = key != NULL ? SSL_CTX_use_PrivateKey(ssl, key) : 0;
    EVP_PKEY_free(key);
    return r == 1 && SSL_CTX_check_private_key(ssl) == 1;
}

static int use_identity(SSL_CTX *ssl, const coir_tls_opts *opts)
{
    struct source chain = {"certificate", opts->certificate_file, opts->certificate};
    struct source key = {"key", opts->key_file, opts->key};
    if (!is_given(&chain))
        return is_given(&key) ? coir_fail(-EINVAL, "tls: a key without a certificate") : 0;
    if (!is_given(&key))
        key = (struct source){"key", chain.file, chain.bytes};
    BIO *bio = NULL;
    COIR_TRY(open_source(&chain, &bio));
    int r = use_chain(ssl, bio);
    BIO_free(bio);
    if (r != 1)
        return wrong("certificate", chain.file);
    COIR_TRY(open_source(&key, &bio));
    r = use_key(ssl, bio, opts->password);
    BIO_free(bio);
    return r == 1 ? 0 : wrong("key", key.file);
}

/* ---- whom to trust ---- */

/* Adds the certificates, and the lists of what was revoked, that bio has. Returns how many of the
 * kind that was asked for, or -1. */
static int add_to_store(SSL_CTX *ssl, BIO *bio, bool lists)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    STACK_OF(X509_INFO) *infos = PEM_X509_INFO_read_bio(bio, NULL, password, NULL);
    int count = infos != NULL ? 0 : -1;
    for (int i = 0; count >= 0 && i < sk_X509_INFO_num(infos); i++) {
        const X509_INFO *info = sk_X509_INFO_value(infos, i);
        bool added = true;
        if (!lists && info->x509 != NULL)
            added = X509_STORE_add_cert(store, info->x509) == 1 &&
                    SSL_CTX_add_client_CA(ssl, info->x509) == 1;
        if (lists && info->crl != NULL)
            added = X509_STORE_add_crl(store, info->crl) == 1;
        count = !added ? -1 : count + ((lists ? (void *)info->crl : (void *)info->x509) != NULL);
    }
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    return count;
}

static int use_list(SSL_CTX *ssl, const struct source *source, bool lists)
{
    BIO *bio = NULL;
    if (!is_given(source))
        return 0;
    COIR_TRY(open_source(source, &bio));
    int count = add_to_store(ssl, bio, lists);
    BIO_free(bio);
    if (count < 0)
        return wrong(source->option, source->file);
    if (count == 0)
        return coir_fail(-EINVAL, "tls: %s %.80s: there is none in it", source->option,
                         source->file != NULL ? source->file : "");
    return 0;
}

static int use_trust(SSL_CTX *ssl, coir_tls_role role, const coir_tls_opts *opts)
{
    struct source trust = {"trust", opts->trust_file, opts->trust};
    struct source revoked = {"revoked", opts->revoked_file, opts->revoked};
    bool own = is_given(&trust) || opts->trust_directory != NULL;
    bool asks =
        opts->verify == COIR_TLS_VERIFY_REQUIRED || opts->verify == COIR_TLS_VERIFY_OPTIONAL;
    if (role == COIR_TLS_SERVER && asks && !own)
        return coir_fail(-EINVAL, "tls: a server that checks clients must be told whom to trust");
    COIR_TRY(use_list(ssl, &trust, false));
    COIR_TRY(use_list(ssl, &revoked, true));
    ERR_clear_error();
    if (opts->trust_directory != NULL && SSL_CTX_load_verify_dir(ssl, opts->trust_directory) != 1)
        return wrong("trust", opts->trust_directory);
    if (role == COIR_TLS_CLIENT && !own && SSL_CTX_set_default_verify_paths(ssl) != 1)
        return wrong("trust", "of the system");
    unsigned long flags = 0;
    if (own)
        flags |= X509_V_FLAG_PARTIAL_CHAIN; /* who is trusted by name need not be a root */
    if (is_given(&revoked))
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), flags);
    return 0;
}

/* ---- protocols ---- */

/* The list is kept as it is sent, and each name after it once more, terminated. */
static int use_protocols(coir_tls_context *context, const char *list)
{
    size_t length = strlen(list);
    if (length == 0 || length > 1000)
        return coir_fail(-EINVAL, "tls: no list of protocols: '%.60s'", list);
    context->alpn = coir_alloc(2 * (length + 1));
    if (context->alpn == NULL)
        return -ENOMEM;
    unsigned char *count = context->alpn, *names = context->alpn + length + 1;
    *count = 0;
    for (size_t i = 0; i <= length; i++) {
        bool end = list[i] == ',' || list[i] == '\0';
        if (end ? *count == 0 : *count == 255)
            return coir_fail(-EINVAL, "tls: no list of protocols: '%.60s'", list);
        names[i] = end ? '\0' : (unsigned char)list[i];
        if (end) {
            count = context->alpn + i + 1;
            if (i < length)
                *count = 0;
        } else {
            context->alpn[i + 1] = (unsigned char)list[i];
            ++*count;
        }
    }
    context->alpn_length = length + 1;
    return 0;
}

const char *coir__tls_protocol(const coir_tls_context *context, const unsigned char *data,
                               size_t length)
{
    for (size_t i = 0; length > 0 && i < context->alpn_length; i += 1u + context->alpn[i])
        if (context->alpn[i] == length && memcmp(context->alpn + i + 1, data, length) == 0)
            return (const char *)context->alpn + context->alpn_length + i;
    return "";
}

/* OpenSSL asks a server which of the client's protocols it shall be. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_data, unsigned char *ret_length,
                           const unsigned char *offered, unsigned int length, void *arg)
{
    const coir_tls_context *context = arg;
    unsigned char *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, ret_length, context->alpn, (unsigned)context->alpn_length,
                              offered, length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_data = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- opening ---- */

static void set_modes(coir_tls_context *context, const coir_tls_opts *opts)
{
    SSL_CTX *ssl = context->ssl;
    bool server = context->role == COIR_TLS_SERVER;
    int mode = server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    if (opts->verify == COIR_TLS_VERIFY_REQUIRED)
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    else if (opts->verify == COIR_TLS_VERIFY_OPTIONAL)
        mode = SSL_VERIFY_PEER;
    SSL_CTX_set_verify(ssl, mode, NULL);
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    (void)SSL_CTX_set_min_proto_version(ssl, opts->oldest == COIR_TLS_1_3 ? TLS1_3_VERSION
                                                                          : TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl, SSL_MODE_AUTO_RETRY | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_max_early_data(ssl, 0);
    (void)SSL_CTX_set_dh_auto(ssl, 1);
    if (context->alpn != NULL && server)
        SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, context);
}

static int configure(coir_tls_context *context, const coir_tls_opts *opts)
{
    SSL_CTX *ssl = context->ssl;
    bool server = context->role == COIR_TLS_SERVER;
    if (server && opts->certificate_file == NULL && opts->certificate.length == 0)
        return coir_fail(-EINVAL, "tls: a server needs a certificate");
    if (opts->verify > COIR_TLS_INSECURE_ANYONE || opts->oldest > COIR_TLS_1_3 ||
        opts->handshake < 0 || opts->linger < 0 || opts->rotation < 0 ||
        (server ? opts->verify == COIR_TLS_INSECURE_ANYONE
                : opts->verify == COIR_TLS_VERIFY_OPTIONAL))
        return coir_fail(-EINVAL, "tls: an option makes no sense for this role");
    if (opts->alpn != NULL)
        COIR_TRY(use_protocols(context, opts->alpn));
    if (context->alpn != NULL && !server &&
        SSL_CTX_set_alpn_protos(ssl, context->alpn, (unsigned)context->alpn_length) != 0)
        return -ENOMEM;
    set_modes(context, opts);
    COIR_TRY(use_identity(ssl, opts));
    COIR_TRY(use_trust(ssl, context->role, opts));
    coir__tls_verify_prepare(context);
    coir__tls_sessions_prepare(context);
    return 0;
}

static void set_limits(coir_tls_context *context, const coir_tls_opts *opts)
{
    bool server = context->role == COIR_TLS_SERVER;
    size_t places = opts->handshakes > 0 ? opts->handshakes : server ? HANDSHAKES : 0;
    context->users = 1;
    context->anyone = opts->verify == COIR_TLS_INSECURE_ANYONE;
    context->capped = places > 0;
    context->places.value = places;
    context->limit = opts->handshake > 0 ? opts->handshake : HANDSHAKE;
    context->linger = opts->no_linger ? 0 : opts->linger > 0 ? opts->linger : LINGER;
    context->rotation = opts->rotation > 0 ? opts->rotation : ROTATION;
    context->most_sessions = opts->sessions == 0          ? SESSIONS
                             : opts->sessions == SIZE_MAX ? 0
                                                          : opts->sessions;
}

static void context_free(coir_tls_context *context)
{
    coir__tls_sessions_free(context);
    SSL_CTX_free(context->ssl);
    coir_free(context->spare.data);
    coir_free(context->alpn);
    coir_free(context);
}

int coir_tls_context_open(coir_tls_role role, const coir_tls_opts *opts,
                          coir_tls_context **ret_context)
{
    static const coir_tls_opts defaults;
    if (ret_context == NULL || (role != COIR_TLS_CLIENT && role != COIR_TLS_SERVER))
        return -EINVAL;
    if (opts == NULL)
        opts = &defaults;
    coir_tls_context *context = coir_calloc(1, sizeof *context);
    if (context == NULL)
        return -ENOMEM;
    context->role = role;
    set_limits(context, opts);
    context->ssl = SSL_CTX_new(role == COIR_TLS_CLIENT ? TLS_client_method() : TLS_server_method());
    int r = context->ssl != NULL ? configure(context, opts) : -ENOMEM;
    ERR_clear_error();
    if (r < 0) {
        context_free(context);
        return r;
    }
    *ret_context = context;
    return 0;
}

void coir__tls_context_drop(coir_tls_context *context)
{
    if (--context->users == 0)
        context_free(context);
}

void coir_tls_context_close(coir_tls_context *context)
{
    if (context != NULL)
        coir__tls_context_drop(context);
}

void coir_tls_context_stats(const coir_tls_context *context, coir_tls_stats *ret_stats)
{
    *ret_stats = context->stats;
}
