#include "certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum {
  SECONDS_A_DAY = 24 * 60 * 60
};

#define MUST(expression) must((expression) ? 1 : 0, #expression)

static void must(int is_ok, const char *what) {
  if (is_ok) return;
  fprintf(stderr, "certs: %s failed\n", what);
  ERR_print_errors_fp(stderr);
  abort();
}

/* Takes what was written, as a string to be freed, and frees the BIO. */
static char *take_text(BIO *bio) {
  char *data;
  const long len = BIO_get_mem_data(bio, &data);
  char *text = malloc((size_t)len + 1);
  MUST(text != NULL);
  memcpy(text, data, (size_t)len);
  text[len] = '\0';
  BIO_free(bio);
  return text;
}

static void add_extension(X509 *x509, const X509 *issuer, int nid,
                          const char *value) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, (X509 *)(uintptr_t)issuer, x509, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
  MUST(extension != NULL);
  MUST(X509_add_ext(x509, extension, -1));
  X509_EXTENSION_free(extension);
}

static void add_raw_name(X509 *x509, const char *name, size_t len) {
  GENERAL_NAMES *all = GENERAL_NAMES_new();
  GENERAL_NAME *one = GENERAL_NAME_new();
  ASN1_IA5STRING *text = ASN1_IA5STRING_new();
  MUST(ASN1_STRING_set(text, name, (int)len));
  GENERAL_NAME_set0_value(one, GEN_DNS, text);
  MUST(sk_GENERAL_NAME_push(all, one));
  MUST(X509_add1_ext_i2d(x509, NID_subject_alt_name, all, 0, 0));
  GENERAL_NAMES_free(all);
}

static void set_validity(X509 *x509, const cert_spec *spec) {
  const bool is_default = spec->valid_from == 0 && spec->valid_until == 0;
  const long from = is_default ? -1 : spec->valid_from;
  const long until = is_default ? 1 : spec->valid_until;
  MUST(X509_gmtime_adj(X509_getm_notBefore(x509), from * SECONDS_A_DAY));
  MUST(X509_gmtime_adj(X509_getm_notAfter(x509), until * SECONDS_A_DAY));
}

static void add_extensions(X509 *x509, const X509 *issuer,
                           const cert_spec *spec) {
  add_extension(x509, issuer, NID_subject_key_identifier, "hash");
  if (spec->is_ca) {
    add_extension(x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x509, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    add_extension(x509, issuer, NID_ext_key_usage,
                  spec->is_client ? "clientAuth" : "serverAuth");
  }
  if (spec->alt_names != NULL) {
    add_extension(x509, issuer, NID_subject_alt_name, spec->alt_names);
  }
  if (spec->raw_name != NULL) {
    add_raw_name(x509, spec->raw_name, spec->raw_name_len);
  }
  if (spec->name_constraints != NULL) {
    add_extension(x509, issuer, NID_name_constraints, spec->name_constraints);
  }
}

cert *cert_new(const cert_spec *spec) {
  static long serial;
  EVP_PKEY *pkey = spec->rsa_bits != 0 ? EVP_RSA_gen((unsigned)spec->rsa_bits)
                                       : EVP_EC_gen("P-256");
  X509 *x509 = X509_new();
  MUST(pkey != NULL && x509 != NULL);
  X509 *issuer = spec->issuer != NULL ? spec->issuer->x509 : x509;
  EVP_PKEY *issuer_key = spec->issuer != NULL ? spec->issuer->pkey : pkey;

  MUST(X509_set_version(x509, X509_VERSION_3));
  MUST(ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial));
  MUST(X509_NAME_add_entry_by_txt(
      X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
      (const unsigned char *)spec->common_name, -1, -1, 0));
  MUST(X509_set_issuer_name(x509, X509_get_subject_name(issuer)));
  MUST(X509_set_pubkey(x509, pkey));
  set_validity(x509, spec);
  add_extensions(x509, issuer, spec);
  MUST(X509_sign(x509, issuer_key, EVP_sha256()));

  cert *c = malloc(sizeof(*c));
  MUST(c != NULL);
  BIO *certificate = BIO_new(BIO_s_mem());
  BIO *key = BIO_new(BIO_s_mem());
  MUST(PEM_write_bio_X509(certificate, x509));
  MUST(PEM_write_bio_PrivateKey(key, pkey, NULL, NULL, 0, NULL, NULL));
  *c = (cert){take_text(certificate), take_text(key), x509, pkey};
  return c;
}

void cert_free(cert *c) {
  if (c == NULL) return;
  free(c->certificate);
  free(c->key);
  X509_free(c->x509);
  EVP_PKEY_free(c->pkey);
  free(c);
}

char *cert_encrypted_key(const cert *c, const char *passphrase) {
  BIO *bio = BIO_new(BIO_s_mem());
  MUST(PEM_write_bio_PrivateKey(bio, c->pkey, EVP_aes_128_cbc(),
                                (const unsigned char *)passphrase,
                                (int)strlen(passphrase), NULL, NULL));
  return take_text(bio);
}

char *cert_revocation_list(const cert *issuer, const cert *revoked) {
  X509_CRL *crl = X509_CRL_new();
  ASN1_TIME *now = X509_gmtime_adj(NULL, -SECONDS_A_DAY);
  ASN1_TIME *later = X509_gmtime_adj(NULL, SECONDS_A_DAY);
  MUST(X509_CRL_set_version(crl, X509_CRL_VERSION_2));
  MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)));
  MUST(X509_CRL_set1_lastUpdate(crl, now));
  MUST(X509_CRL_set1_nextUpdate(crl, later));
  X509_REVOKED *entry = X509_REVOKED_new();
  MUST(X509_REVOKED_set_serialNumber(entry,
                                     X509_get_serialNumber(revoked->x509)));
  MUST(X509_REVOKED_set_revocationDate(entry, now));
  MUST(X509_CRL_add0_revoked(crl, entry));
  MUST(X509_CRL_sign(crl, issuer->pkey, EVP_sha256()));
  BIO *bio = BIO_new(BIO_s_mem());
  MUST(PEM_write_bio_X509_CRL(bio, crl));
  X509_CRL_free(crl);
  ASN1_TIME_free(now);
  ASN1_TIME_free(later);
  return take_text(bio);
}
