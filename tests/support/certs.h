/* certs.h - a factory of certificates, good and bad, in memory. Keys are on the
 * curve P-256, which takes no time, unless another is asked for. */
#ifndef CERTS_H
#define CERTS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cert cert;

typedef struct cert_spec {
  const char *common_name; /* Must be given. */
  /* subjectAltName in OpenSSL's words, "DNS:a.test,IP:127.0.0.1". */
  const char *alt_names;
  /* Instead of it one DNS name as bytes, which may have a NUL among them. */
  const char *raw_name;
  size_t raw_name_len;
  const char *name_constraints; /* As "permitted;DNS:.a.test". */
  const cert *issuer;           /* NULL: signs itself. */
  bool is_ca;
  bool is_client; /* May only be used as a client's. */
  int rsa_bits;   /* 0: no RSA. */
  /* Validity in days from now. Both 0: since yesterday, until tomorrow. */
  int valid_from;
  int valid_until;
} cert_spec;

struct cert {
  char *certificate; /* PEM. */
  char *key;         /* PEM. */
  void *x509;
  void *pkey;
};

/* Ends the program when it fails. */
cert *cert_new(const cert_spec *spec);

/* NULL is fine. */
void cert_free(cert *c);

/* The key under a passphrase, in PEM; to be freed. */
char *cert_encrypted_key(const cert *c, const char *passphrase);

/* A list of `issuer` that revokes one certificate, in PEM; to be freed. */
char *cert_revocation_list(const cert *issuer, const cert *revoked);

#endif
