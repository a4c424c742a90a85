/* sessions.c: what is needed to resume sessions: those that a client keeps, and the keys of a
 * server's tickets.
 *
 * A client keeps the latest sessions of each context by the name of the peer that it has checked,
 * so that one cannot be resumed with somebody else. One of TLS 1.3 is used once, as it should be,
 * since two connections with the same ticket can be told to be of one client.
 *
 * A server keeps nothing: a session is in its ticket, encrypted with a key that is known to the
 * context alone. Keys change; the one before is accepted until the next change.
 */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "tls.h"

/* ---- a client's ---- */

static void session_free(coir_tls_context *context, struct coir__tls_session *session)
{
    SSL_SESSION_free(session->session);
    coir_free(session);
    context->stats.sessions--;
}

static void forget_oldest(coir_tls_context *context)
{
    struct coir__tls_session **at = &context->sessions;
    while ((*at)->next != NULL)
        at = &(*at)->next;
    session_free(context, COIR_TAKE(*at));
}

/* OpenSSL has a new session, of which it gives away a reference. Returns whether it was taken. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct coir__tls *tls = SSL_get_app_data(ssl);
    coir_tls_context *context = tls->context;
    if (!tls->keeps)
        return 0;
    size_t size = strlen(tls->name) + 1;
    struct coir__tls_session *kept = coir_alloc(sizeof *kept + size);
    if (kept == NULL)
        return 0;
    if (context->stats.sessions == context->most_sessions)
        forget_oldest(context);
    memcpy(kept->name, tls->name, size);
    kept->session = session;
    kept->next = context->sessions;
    context->sessions = kept;
    context->stats.sessions++;
    return 1;
}

void coir__tls_session_offer(struct coir__tls *tls)
{
    struct coir__tls_session **at = &tls->context->sessions;
    while (*at != NULL && strcmp((*at)->name, tls->name) != 0)
        at = &(*at)->next;
    struct coir__tls_session *kept = *at;
    if (kept == NULL)
        return;
    bool good = SSL_SESSION_is_resumable(kept->session) == 1;
    if (good)
        (void)SSL_set_session(tls->ssl, kept->session);
    if (good && SSL_SESSION_get_protocol_version(kept->session) < TLS1_3_VERSION)
        return;
    *at = kept->next;
    session_free(tls->context, kept);
}

/* ---- a server's ---- */

static int make_key(struct coir__tls_ticket_key *key, coir_time now)
{
    if (RAND_bytes(key->name, sizeof key->name) != 1 ||
        RAND_priv_bytes(key->cipher, sizeof key->cipher) != 1 ||
        RAND_priv_bytes(key->mac, sizeof key->mac) != 1)
        return -1;
    key->born = now;
    return 0;
}

/* The key for new tickets, or NULL. */
static const struct coir__tls_ticket_key *current_key(coir_tls_context *context)
{
    struct coir__tls_ticket_key *keys = context->keys;
    coir_time now = coir_now();
    if (keys[0].born != 0 && now - keys[0].born < context->rotation)
        return &keys[0];
    keys[1] = keys[0];
    return make_key(&keys[0], now > 0 ? now : 1) == 0 ? &keys[0] : NULL;
}

/* The key of a ticket, or NULL: unknown, or too old. */
static const struct coir__tls_ticket_key *find_key(const coir_tls_context *context,
                                                   const unsigned char *name)
{
    coir_time now = coir_now();
    for (size_t i = 0; i < COIR_COUNT(context->keys); i++) {
        const struct coir__tls_ticket_key *key = &context->keys[i];
        if (key->born != 0 && now - key->born < 2 * context->rotation &&
            memcmp(key->name, name, sizeof key->name) == 0)
            return key;
    }
    return NULL;
}

static int set_mac(EVP_MAC_CTX *mac, const struct coir__tls_ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
                                          sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params);
}

/* OpenSSL asks for the key of a ticket. Returns 1, 2: and a new ticket shall be made, 0: there is
 * none, -1. */
static int ticket_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int encrypt)
{
    const struct coir__tls *tls = SSL_get_app_data(ssl);
    const struct coir__tls_ticket_key *key;
    if (encrypt) {
        key = current_key(tls->context);
        if (key == NULL || RAND_bytes(iv, 16) != 1)
            return -1;
        memcpy(name, key->name, sizeof key->name);
    } else {
        key = find_key(tls->context, name);
        if (key == NULL)
            return 0;
    }
    if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypt) != 1 ||
        set_mac(mac, key) != 1)
        return -1;
    bool used_up = SSL_version(ssl) >= TLS1_3_VERSION || key != &tls->context->keys[0];
    return encrypt || !used_up ? 1 : 2;
}

/* ---- both ---- */

void coir__tls_sessions_prepare(coir_tls_context *context)
{
    SSL_CTX *ssl = context->ssl;
    static const unsigned char who[] = "coir";
    if (context->role == COIR_TLS_SERVER) {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
        (void)SSL_CTX_set_session_id_context(ssl, who, sizeof who - 1);
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_key);
    } else if (context->most_sessions > 0) {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ssl, keep_session);
    } else {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    }
}

void coir__tls_sessions_free(coir_tls_context *context)
{
    while (context->sessions != NULL) {
        struct coir__tls_session *session = context->sessions;
        context->sessions = session->next;
        session_free(context, session);
    }
    OPENSSL_cleanse(context->keys, sizeof context->keys);
}
