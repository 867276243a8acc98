/* tls_openssl.h - what the files of the OpenSSL implementation share; no other
 * file includes OpenSSL.
 *
 * Invariants: the thread's error queue is emptied before each call whose result
 * depends on it, so what other libraries left there does not matter, and after
 * each failure, so that they do not find ours. Nothing process-wide is touched:
 * pointers to us stand in OpenSSL's app_data slots, which need no index. */
#ifndef WS__TLS_OPENSSL_H
#define WS__TLS_OPENSSL_H

#include "base/hidden.h"
#include "base/list.h"
#include "io/tls.h"

#include <pthread.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

WS__HIDDEN_BEGIN

/* A host name's longest form (RFC 1035 2.3.4), or an address, with the NUL. */
#define WS__HOST_SIZE 256

/* -- Errors ---------------------------------------------------------------- */

/* Writes what `error` of OpenSSL's queue means to `text`, which has
 * WS__DETAIL_SIZE bytes. */
void ws__openssl_describe(unsigned long error, char *text);

/* Of making something: `what` could not be used. Takes the reason from the
 * queue, empties it and returns the code. */
int ws__openssl_give_up(char *detail, const char *what);

/* Empties the queue and returns WS_ERR_NO_MEMORY. Here, so that whoever checks
 * one file alone sees that it never returns 0. */
static inline int ws__openssl_no_memory(char *detail) {
  ERR_clear_error();
  ws__detail_set(detail, "%s", ws_strerror(WS_ERR_NO_MEMORY));
  return WS_ERR_NO_MEMORY;
}

/* -- PEM and stores -------------------------------------------------------- */

/* A certificate, what signed it, and its key. */
typedef struct ws__credential {
  X509 *certificate;
  STACK_OF(X509) * chain;
  EVP_PKEY *key;
} ws__credential;

void ws__credential_free(ws__credential *credential);

bool ws__pem_is_given(const ws_tls_pem *pem);

/* How a detail names it. */
const char *ws__pem_name(const ws_tls_pem *pem);

/* Reads an identity; whether its parts belong together OpenSSL says when it is
 * used. These return 0 or an error as the functions for contexts do. */
int ws__openssl_load_identity(const ws_tls_identity *identity,
                              ws__credential *out_credential, char *detail);

/* Adds the certificates and revocation lists of `pem` to those trusted; with
 * `is_announced`, clients are told that theirs should be signed by one. */
int ws__openssl_load_trusted(SSL_CTX *ssl_ctx, const ws_tls_pem *pem,
                             bool is_announced, char *detail);

/* Has those in a folder trusted, under hashed names. */
int ws__openssl_load_dir(SSL_CTX *ssl_ctx, const char *dir, char *detail);

/* Has those of the system trusted, of which there must be some. */
int ws__openssl_load_system(SSL_CTX *ssl_ctx, char *detail);

/* -- Contexts and connections ---------------------------------------------- */

typedef struct ws__openssl_context {
  ws_tls_context base;
  const ws_allocator *allocator;
  SSL_CTX *ssl_ctx;
  BIO_METHOD *bio_method;
  bool verifies; /* A connection without a verified peer must not open. */

  pthread_rwlock_t lock; /* For what follows. */
  ws__list sessions;     /* Of a client; the oldest first. */
  size_t session_count;
  ws__credential *credentials; /* Of a server. */
  size_t credential_count;
} ws__openssl_context;

/* Whom a client speaks to. */
typedef struct ws__openssl_peer {
  char host[WS__HOST_SIZE];
  uint16_t port;
} ws__openssl_peer;

/* Records that wait to be sent: those between `start` and `end`. */
typedef struct ws__openssl_block {
  size_t size;
  size_t start;
  size_t end;
  uint8_t bytes[];
} ws__openssl_block;

typedef struct ws__openssl_conn {
  ws__tls base;
  ws__openssl_context *context;
  const ws_allocator *allocator;
  SSL *ssl;                 /* Its app_data is this struct. */
  ws__openssl_peer *server; /* Of a client, else NULL. */
  ws__openssl_block *block; /* NULL if no record waits. */
  struct iovec back;        /* Room to read ahead, during a read; */
  const uint8_t *ahead;     /* What of it OpenSSL has not taken. */
  size_t ahead_len;
  int fd;
  int os_error;      /* What a system call of this call failed with, or 0. */
  int idle_records;  /* Since the last byte of data. */
  bool is_eof;       /* The descriptor ended during this call. */
  bool is_flooded;   /* There were too many idle records. */
  bool is_in_record; /* One has come in part; always true with TLS 1.2. */
} ws__openssl_conn;

/* Of ws__tls_backend. */
int ws__openssl_client_context(const ws_allocator *allocator,
                               const ws_tls_client_options *options,
                               ws_tls_context **out_context, char *detail);
int ws__openssl_server_context(const ws_allocator *allocator,
                               const ws_tls_server_options *options,
                               ws_tls_context **out_context, char *detail);
int ws__openssl_reload(ws_tls_context *context,
                       const ws_tls_identity *identities, size_t identity_count,
                       char *detail);
void ws__openssl_context_free(ws_tls_context *context);

/* Has a new connection resume what its context remembers of its peer. */
void ws__openssl_offer_session(ws__openssl_conn *c);

/* What a context has its connections call: how they reach the descriptor, what
 * is done with each record and with each finding about a certificate. */
BIO_METHOD *ws__openssl_new_bio_method(void);
void ws__openssl_on_message(int is_sent, int version, int type,
                            const void *data, size_t len, SSL *ssl, void *arg);
int ws__openssl_on_verify(int is_fine, X509_STORE_CTX *store);

WS__HIDDEN_END

#endif
