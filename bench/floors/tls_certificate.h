/* A certificate for the servers of tls_echo/, tls_handshake/ and http/, ours and the floor, made as
 * they start: P-256, for localhost, signed by itself. */
#ifndef COIR_BENCH_TLS_CERTIFICATE_H
#define COIR_BENCH_TLS_CERTIFICATE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static inline void make_certificate(EVP_PKEY **ret_key, X509 **ret_certificate)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    int good = key != NULL && names != NULL && X509_set_version(certificate, 2) &&
               ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
               X509_set_issuer_name(certificate, name) && X509_add_ext(certificate, names, -1) &&
               X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL &&
               X509_gmtime_adj(X509_getm_notAfter(certificate), 30L * 86400) != NULL &&
               X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256());
    X509_EXTENSION_free(names);
    if (!good) {
        fprintf(stderr, "no certificate can be made\n");
        exit(1);
    }
    *ret_key = key;
    *ret_certificate = certificate;
}

/* The same as text, with its key, which is the caller's to free. */
static inline char *make_pem(size_t *ret_length)
{
    EVP_PKEY *key;
    X509 *certificate;
    char *text, *copy;
    make_certificate(&key, &certificate);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    *ret_length = (size_t)BIO_get_mem_data(bio, &text);
    copy = malloc(*ret_length);
    if (copy != NULL)
        memcpy(copy, text, *ret_length);
    BIO_free(bio);
    EVP_PKEY_free(key);
    X509_free(certificate);
    return copy;
}

#endif
