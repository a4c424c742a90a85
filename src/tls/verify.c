/* verify.c: whether a peer is who it should be, what it is called, and the texts that say so.
 *
 * OpenSSL checks the chain and the name; this file says whom to look for, and writes down which
 * certificate was not accepted and why. A fingerprint replaces that check: it is the certificate
 * itself that is known. Common names are not looked at, as nowhere any more, nor are wildcards for
 * parts of a label.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <coir/name.h>

#include "tls.h"

/* ---- text ---- */

/* A text that is cut to size. */
struct text {
    char *at;
    size_t size, length;
};

static void add(struct text *text, const char *piece, size_t length)
{
    for (size_t i = 0; i < length && text->length + 1 < text->size; i++)
        text->at[text->length++] = isprint((unsigned char)piece[i]) ? piece[i] : '?';
    text->at[text->length] = '\0';
}

static void add_name(X509_NAME *name, struct text *text)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;
    if (bio == NULL)
        return;
    (void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
    long length = BIO_get_mem_data(bio, &data);
    if (length > 0)
        add(text, data, (size_t)length);
    BIO_free(bio);
}

static void add_address(const ASN1_OCTET_STRING *address, struct text *text)
{
    char piece[INET6_ADDRSTRLEN] = "?";
    int length = ASN1_STRING_length(address);
    const unsigned char *data = ASN1_STRING_get0_data(address);
    if (length == 4)
        (void)inet_ntop(AF_INET, data, piece, sizeof piece);
    else if (length == 16)
        (void)inet_ntop(AF_INET6, data, piece, sizeof piece);
    add(text, piece, strlen(piece));
}

/* The names and addresses that certificate is for, with commas between. */
static void add_names(X509 *certificate, struct text *text)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS && name->type != GEN_IPADD)
            continue;
        if (text->length > 0)
            add(text, ", ", 2);
        if (name->type == GEN_IPADD)
            add_address(name->d.iPAddress, text);
        else
            add(text, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                (size_t)ASN1_STRING_length(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
}

static int fingerprint_of(X509 *certificate, unsigned char *ret_pin)
{
    unsigned int length = 32;
    return X509_digest(certificate, EVP_sha256(), ret_pin, &length) == 1 ? 0 : -ENOMEM;
}

/* ---- whom to look for ---- */

static bool is_address(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

int coir__tls_verify_name(SSL *ssl, const char *name)
{
    char plain[COIR_NAME_TEXT];
    size_t length = strlen(name);
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ? 0 : -ENOMEM;
    /* OpenSSL takes a dot at the beginning for leave to accept any name below. */
    if (coir_name_check(name, length) < 0)
        return -EINVAL;
    length -= name[length - 1] == '.'; /* which certificates do not have */
    memcpy(plain, name, length);
    plain[length] = '\0';
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_host(param, plain, 0) != 1 ||
        SSL_set_tlsext_host_name(ssl, plain) != 1)
        return -ENOMEM;
    return 0;
}

int coir__tls_parse_fingerprint(const char *text, unsigned char *ret_pin)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = 0;
    memset(ret_pin, 0, 32);
    for (; *text != '\0'; text++) {
        if (*text == ':')
            continue;
        const char *digit = strchr(digits, tolower((unsigned char)*text));
        if (digit == NULL || count == 64)
            return -EINVAL;
        ret_pin[count / 2] = (unsigned char)(ret_pin[count / 2] << 4 | (digit - digits));
        count++;
    }
    return count == 64 ? 0 : -EINVAL;
}

/* ---- the check ---- */

/* Says which certificate was not accepted, and why. */
static void refuse(struct coir__tls *tls, X509_STORE_CTX *store)
{
    struct coir__tls_doubt *doubt = tls->doubt;
    int error = X509_STORE_CTX_get_error(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    char subject[64] = "?", names[80] = "";
    struct text subject_text = {subject, sizeof subject, 0}, names_text = {names, sizeof names, 0};
    doubt->refused = true;
    if (certificate != NULL)
        add_name(X509_get_subject_name(certificate), &subject_text);
    int n = snprintf(doubt->text, sizeof doubt->text, "certificate '%s' (depth %d): ", subject,
                     X509_STORE_CTX_get_error_depth(store));
    char *rest = doubt->text + n;
    size_t size = sizeof doubt->text - (size_t)n;
    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        if (certificate != NULL)
            add_names(certificate, &names_text);
        (void)snprintf(rest, size, "it is for %s", names[0] != '\0' ? names : "no name");
    } else {
        (void)snprintf(rest, size, "%s", X509_verify_cert_error_string(error));
    }
}

/* Who is known by a fingerprint need not be vouched for. */
static int check_pin(struct coir__tls *tls, X509_STORE_CTX *store)
{
    unsigned char pin[32];
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    if (certificate != NULL && fingerprint_of(certificate, pin) == 0 &&
        memcmp(pin, tls->doubt->pin, sizeof pin) == 0) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    tls->doubt->refused = true;
    (void)snprintf(tls->doubt->text, sizeof tls->doubt->text,
                   "the certificate has another fingerprint");
    return 0;
}

/* Lists of what was revoked are asked for where there are any: an issuer between may have none. */
static int lenient(int ok, X509_STORE_CTX *store)
{
    if (!ok && X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL &&
        X509_STORE_CTX_get_error_depth(store) > 0) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    return ok;
}

/* OpenSSL asks whether the peer's certificates are good. */
static int check_peer(X509_STORE_CTX *store, void *arg)
{
    (void)arg;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct coir__tls *tls = SSL_get_app_data(ssl);
    if (tls->doubt->pin != NULL)
        return check_pin(tls, store);
    if (tls->context->anyone) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 1;
    }
    X509_STORE_CTX_set_verify_cb(store, lenient);
    int r = X509_verify_cert(store);
    if (r == 1 && X509_STORE_CTX_get_error(store) == X509_V_OK)
        return 1;
    refuse(tls, store);
    return 0;
}

void coir__tls_verify_prepare(coir_tls_context *context)
{
    SSL_CTX_set_cert_verify_callback(context->ssl, check_peer, NULL);
}

/* ---- asking ---- */

static int find(coir_stream *stream, struct coir__tls **ret_tls)
{
    return coir_stream_query(stream, COIR__TLS_QUERY, ret_tls);
}

int coir_tls_stream_info(coir_stream *stream, coir_tls_info *ret_info)
{
    struct coir__tls *tls;
    if (ret_info == NULL)
        return -EINVAL;
    int r = find(stream, &tls);
    if (r < 0)
        return r;
    const char *name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *protocol;
    unsigned length;
    SSL_get0_alpn_selected(tls->ssl, &protocol, &length);
    *ret_info = (coir_tls_info){
        .version = SSL_get_version(tls->ssl),
        .cipher = SSL_get_cipher_name(tls->ssl),
        .protocol = coir__tls_protocol(tls->context, protocol, length),
        .name = name != NULL ? name : "",
        .resumed = SSL_session_reused(tls->ssl) == 1,
        .verified = SSL_get0_peer_certificate(tls->ssl) != NULL &&
                    SSL_get_verify_result(tls->ssl) == X509_V_OK,
    };
    return 0;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int coir_tls_stream_peer(coir_stream *stream, coir_tls_certificate *ret_certificate)
{
    struct coir__tls *tls;
    if (ret_certificate == NULL)
        return -EINVAL;
    int r = find(stream, &tls);
    if (r < 0)
        return r;
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (certificate == NULL)
        return -ENOENT;
    coir_tls_certificate *ret = ret_certificate;
    memset(ret, 0, sizeof *ret);
    struct text text = {ret->subject, sizeof ret->subject, 0};
    add_name(X509_get_subject_name(certificate), &text);
    text = (struct text){ret->issuer, sizeof ret->issuer, 0};
    add_name(X509_get_issuer_name(certificate), &text);
    text = (struct text){ret->names, sizeof ret->names, 0};
    add_names(certificate, &text);
    unsigned char pin[32];
    r = fingerprint_of(certificate, pin);
    for (size_t i = 0; r == 0 && i < sizeof pin; i++)
        (void)snprintf(ret->fingerprint + 2 * i, 3, "%02x", pin[i]);
    ret->since = seconds_of(X509_get0_notBefore(certificate));
    ret->until = seconds_of(X509_get0_notAfter(certificate));
    ERR_clear_error();
    return r;
}
