/* tls_openssl.c - TLS by OpenSSL 3.0 and later; the only file that includes it.
 *
 * Invariants: the thread's error queue is emptied before each call whose result
 * depends on it, so what other libraries left there does not matter, and after
 * each failure, so that they do not find ours. Nothing process-wide is touched:
 * pointers to us stand in OpenSSL's app_data slots, which need no index. */
#include "io/tls.h"

#include "base/list.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* macOS has none; there io/net sets SO_NOSIGPIPE on each socket. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* Forward secret key exchange and authenticated encryption. TLS 1.3 has no
 * others. */
#define DEFAULT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"

/* 112 bits: no RSA key under 2,048 bits, no SHA-1 in signatures. */
#define SECURITY_LEVEL 2

/* Certificates between the leaf and the root; real chains have three. */
#define CHAIN_MAX 8

/* Sessions that a client's context remembers, about 3 KiB each. */
#define SESSIONS_MAX 64

/* Records without data (key updates, tickets, alerts, refused renegotiations,
 * empty ones) that a peer may send between two with data. */
#define IDLE_RECORDS_MAX 32

/* A host name's longest form (RFC 1035 2.3.4), or an address, with the NUL. */
#define HOST_SIZE 256

/* The certificate must name the host itself, and in its subjectAltName. */
#define HOST_FLAGS \
  (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

/* What is asked for and offered by ALPN (RFC 7301), as on the wire. A WebSocket
 * opens with HTTP/1.1. */
static const uint8_t alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/* The certificate and key that a server shows. */
typedef struct credential {
  X509 *certificate;
  STACK_OF(X509) * chain;
  EVP_PKEY *key;
} credential;

typedef struct context {
  ws__tls_context base;
  const ws_allocator *allocator;
  SSL_CTX *ssl_ctx;
  BIO_METHOD *bio_method;
  bool verifies; /* A connection without a verified peer must not open. */

  pthread_rwlock_t lock; /* For what follows. */
  ws__list sessions;     /* Of struct session, the oldest first. Client. */
  size_t session_count;
  credential *credentials; /* Server. */
  size_t credential_count;
} context;

/* Whom a client speaks to. */
typedef struct peer {
  char host[HOST_SIZE];
  uint16_t port;
} peer;

typedef struct conn {
  ws__tls base;
  context *context;
  const ws_allocator *allocator;
  SSL *ssl;
  int fd;
  int os_error;      /* What a system call of this call failed with, or 0. */
  bool is_eof;       /* The descriptor ended during this call. */
  bool is_flooded;   /* IDLE_RECORDS_MAX was exceeded. */
  bool is_in_record; /* One has come in part; always true with TLS 1.2. */
  int idle_records;  /* Since the last byte of data. */
  peer *server;      /* Of a client, else NULL. */
} conn;

/* A session that can be resumed. */
typedef struct session {
  ws__list node;
  SSL_SESSION *ssl_session;
  peer server;
} session;

static context *context_of(ws__tls_context *base) {
  return WS__CONTAINER_OF(base, context, base);
}

static conn *conn_of(ws__tls *base) {
  return WS__CONTAINER_OF(base, conn, base);
}

/* -- Errors ---------------------------------------------------------------- */

/* Reasons of OpenSSL that a person would not understand. */
static const struct {
  int reason;
  const char *text;
} plain_words[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS"},
    {SSL_R_HTTP_REQUEST, "the peer speaks HTTP without TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer offers no TLS version allowed here"},
    {SSL_R_NO_SHARED_CIPHER, "no cipher that both sides allow"},
    {SSL_R_NO_APPLICATION_PROTOCOL,
     "the client does not offer http/1.1 (ALPN)"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client has no certificate"},
};

static bool is_ssl_error(unsigned long error, int reason) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == reason;
}

static void describe_errno(int error, char *text) {
  if (strerror_r(error, text, WS__DETAIL_SIZE) != 0) {
    ws__detail_set(text, "system error %d", error);
  }
}

/* Writes what `error` means to `text`, which has WS__DETAIL_SIZE bytes. */
static void describe(unsigned long error, char *text) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_SYSTEM_ERROR(error)) {
    describe_errno(reason, text);
    return;
  }
  const char *words = ERR_reason_error_string(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    /* These begin with the version that brought the alert: "tlsv1 alert ". */
    const char *alert = words != NULL ? strstr(words, "alert ") : NULL;
    if (alert != NULL && reason > SSL_AD_REASON_OFFSET) {
      ws__detail_set(text, "alert from the peer: %s", alert + strlen("alert "));
      return;
    }
    for (size_t i = 0; i < sizeof(plain_words) / sizeof(plain_words[0]); i++) {
      if (reason != plain_words[i].reason) continue;
      ws__detail_set(text, "%s (%s)", plain_words[i].text, words);
      return;
    }
  }
  if (words == NULL) {
    ws__detail_set(text, "OpenSSL error %lx", error);
  } else {
    ws__detail_set(text, "%s", words);
  }
}

/* Of making something: `what` could not be used. Takes the reason from the
 * queue, empties it and returns the code. */
static int give_up(char *detail, const char *what) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) return WS_ERR_NO_MEMORY;
  char text[WS__DETAIL_SIZE];
  describe(error, text);
  ws__detail_set(detail, "%s: %s", what, text);
  return WS_ERR_TLS;
}

static int no_memory(char *detail) {
  ERR_clear_error();
  ws__detail_set(detail, "%s", ws_strerror(WS_ERR_NO_MEMORY));
  return WS_ERR_NO_MEMORY;
}

/* Of a connection: finds out why a call of OpenSSL failed. A reason of its own
 * comes before the system's, for the alert that tells the peer may fail too. */
static ws__tls_status fail(conn *c) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const bool is_open = c->base.is_open;
  char text[WS__DETAIL_SIZE];

  if (error != 0 && ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
    return ws__tls_fail(&c->base, WS_ERR_NO_MEMORY, "out of memory");
  }
  /* OpenSSL 3.0 and 3.2 report an end without close_notify differently. */
  if (error != 0 && !is_ssl_error(error, SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
    describe(error, text);
    const bool has_no_certificate =
        is_ssl_error(error, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
    return ws__tls_fail(
        &c->base, has_no_certificate ? WS_ERR_CERTIFICATE : WS_ERR_TLS, text);
  }
  if (c->is_flooded) {
    return ws__tls_fail(&c->base, WS_ERR_TLS,
                        "the peer sends TLS records without data");
  }
  /* Before the system's errors: the alert that answers an end fails as well. */
  if (c->is_eof && is_open) return WS__TLS_TRUNCATED;
  if (c->is_eof) {
    return ws__tls_fail(&c->base, WS_ERR_TLS,
                        "the peer closed the connection during the handshake");
  }
  describe_errno(c->os_error, text);
  return ws__tls_fail(&c->base, is_open ? WS_ERR_TRANSPORT : WS_ERR_TLS, text);
}

/* To be called before what fail() may have to explain. */
static void begin(conn *c) {
  ERR_clear_error();
  c->os_error = 0;
  c->is_eof = false;
}

/* What a call of OpenSSL that returned `result` means. */
static ws__tls_status status_of(conn *c, int result) {
  switch (SSL_get_error(c->ssl, result)) {
  case SSL_ERROR_NONE: return WS__TLS_OK;
  case SSL_ERROR_WANT_READ: return WS__TLS_WANT_READ;
  case SSL_ERROR_WANT_WRITE: return WS__TLS_WANT_WRITE;
  case SSL_ERROR_ZERO_RETURN:
    if (c->base.is_open) return WS__TLS_EOF;
    return fail(c);
  default: return fail(c);
  }
}

/* -- The descriptor --------------------------------------------------------
 *
 * OpenSSL's own socket BIO calls write(), which raises SIGPIPE when the peer is
 * gone. */

/* The end of a system call that was to move `len` bytes and returned `n`. */
static int moved(conn *c, ssize_t n, int len) {
  if (n > 0 && n <= len) return (int)n;
  /* no belief in a count that cannot be. */
  c->os_error = n < 0 ? errno : EIO;
  return -1;
}

static bool would_block(ssize_t n) {
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static int bio_write(BIO *bio, const char *data, int len) {
  conn *c = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  ssize_t n;
  do {
    n = send(c->fd, data, (size_t)len, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (!would_block(n)) return moved(c, n, len);
  BIO_set_retry_write(bio);
  return -1;
}

static int bio_read(BIO *bio, char *buf, int len) {
  conn *c = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (c->base.is_open && c->idle_records > IDLE_RECORDS_MAX) {
    c->is_flooded = true;
    return -1;
  }
  ssize_t n;
  do {
    n = recv(c->fd, buf, (size_t)len, 0);
  } while (n < 0 && errno == EINTR);
  if (n == 0) {
    c->is_eof = true;
    return 0;
  }
  if (!would_block(n)) return moved(c, n, len);
  BIO_set_retry_read(bio);
  return -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *ptr) {
  (void)number, (void)ptr;
  const conn *c = BIO_get_data(bio);
  switch (command) {
  case BIO_CTRL_FLUSH: return 1;
  case BIO_CTRL_EOF: return c->is_eof;
  default: return 0;
  }
}

static BIO_METHOD *new_bio_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "libws descriptor");
  if (method == NULL) return NULL;
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_ctrl(method, bio_ctrl);
  return method;
}

/* Called with parts of each record. The head of one comes first; the kind of
 * data in it, which only TLS 1.3 tells, once all of it is there. */
static void on_message(int is_sent, int version, int type, const void *data,
                       size_t len, SSL *ssl, void *arg) {
  (void)version, (void)data, (void)len, (void)arg;
  conn *c = SSL_get_app_data(ssl);
  if (is_sent) return;
  if (type == SSL3_RT_HEADER) {
    c->idle_records++;
    c->is_in_record = true;
  } else if (type == SSL3_RT_INNER_CONTENT_TYPE) {
    c->is_in_record = false;
  }
}

/* -- Why a certificate is refused ------------------------------------------ */

/* A list of names, cut where it would overflow. */
typedef struct names {
  char text[WS__DETAIL_SIZE];
  size_t len;
} names;

static void add_name(names *list, const void *name, size_t len) {
  const char *separator = list->len > 0 ? ", " : "";
  const size_t room = sizeof(list->text) - list->len;
  /* Byte by byte, for a name may have a NUL in it to look like another. */
  size_t used = (size_t)snprintf(list->text + list->len, room, "%s", separator);
  const char *bytes = name;
  for (size_t i = 0; i < len && used + 1 < room; i++) {
    list->text[list->len + used] = bytes[i] != '\0' ? bytes[i] : '?';
    used++;
  }
  if (used >= room) used = room - 1;
  list->len += used;
  list->text[list->len] = '\0';
}

static void add_address(names *list, const ASN1_OCTET_STRING *address) {
  const int len = ASN1_STRING_length(address);
  const int family = len == sizeof(struct in_addr) ? AF_INET : AF_INET6;
  char text[INET6_ADDRSTRLEN];
  if (len != sizeof(struct in_addr) && len != sizeof(struct in6_addr)) return;
  if (inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text))) {
    add_name(list, text, strlen(text));
  }
}

/* Lists the hosts that a certificate is for. */
static void list_hosts(X509 *certificate, names *list) {
  GENERAL_NAMES *all =
      X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
    int type;
    const ASN1_STRING *name =
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &type);
    if (type == GEN_DNS) {
      add_name(list, ASN1_STRING_get0_data(name),
               (size_t)ASN1_STRING_length(name));
    } else if (type == GEN_IPADD) {
      add_address(list, name);
    }
  }
  GENERAL_NAMES_free(all);
}

/* Writes why the verification in `store` failed. */
static void explain_refusal(X509_STORE_CTX *store, char *text) {
  const int error = X509_STORE_CTX_get_error(store);
  const int depth = X509_STORE_CTX_get_error_depth(store);
  const char *words = X509_verify_cert_error_string(error);
  if (error == X509_V_ERR_HOSTNAME_MISMATCH ||
      error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    names list = {.len = 0};
    list_hosts(X509_STORE_CTX_get0_cert(store), &list);
    /* RFC 9525 2: a common name is no host name. */
    ws__detail_set(text, "%s: certificate is for %s", words,
                   list.len > 0 ? list.text : "no host (no subjectAltName)");
  } else if (depth > 0) {
    ws__detail_set(text, "%s (certificate %d of the chain)", words, depth + 1);
  } else {
    ws__detail_set(text, "%s", words);
  }
}

/* Called by OpenSSL with each finding; the first fault ends the verification.
 */
static int on_verify(int is_fine, X509_STORE_CTX *store) {
  if (is_fine) return 1;
  SSL *ssl =
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  conn *c = SSL_get_app_data(ssl);
  char text[WS__DETAIL_SIZE];
  explain_refusal(store, text);
  const bool is_memory =
      X509_STORE_CTX_get_error(store) == X509_V_ERR_OUT_OF_MEM;
  ws__tls_fail(&c->base, is_memory ? WS_ERR_NO_MEMORY : WS_ERR_CERTIFICATE,
               text);
  return 0;
}

/* -- PEM ------------------------------------------------------------------- */

static bool is_given(const ws__tls_pem *pem) {
  return pem->file != NULL || pem->text != NULL;
}

/* How a detail names it. */
static const char *name_of(const ws__tls_pem *pem) {
  return pem->file != NULL ? pem->file : "PEM text";
}

/* Returns NULL and leaves a reason in the queue on failure. */
static BIO *open_pem(const ws__tls_pem *pem) {
  ERR_clear_error();
  return pem->file != NULL ? BIO_new_file(pem->file, "re")
                           : BIO_new_mem_buf(pem->text, -1);
}

/* What OpenSSL asks for a passphrase; without it, it would ask the terminal. */
typedef struct passphrase {
  const char *text;
  bool was_missed;
} passphrase;

static int give_passphrase(char *buf, int size, int is_writing, void *arg) {
  (void)is_writing;
  passphrase *p = arg;
  if (p->text == NULL) {
    p->was_missed = true;
    return -1;
  }
  const size_t len = strlen(p->text);
  if (len > (size_t)size) return -1;
  memcpy(buf, p->text, len);
  return (int)len;
}

static void credential_free(credential *cred) {
  X509_free(cred->certificate);
  sk_X509_pop_free(cred->chain, X509_free);
  EVP_PKEY_free(cred->key);
  *cred = (credential){0};
}

/* Reads a leaf and what follows it. */
static int load_certificates(const ws__tls_pem *pem, credential *cred,
                             char *detail) {
  BIO *bio = open_pem(pem);
  if (bio == NULL) return give_up(detail, name_of(pem));
  passphrase none = {NULL, false};
  cred->certificate = PEM_read_bio_X509_AUX(bio, NULL, give_passphrase, &none);
  cred->chain = sk_X509_new_null();
  int err = 0;
  if (cred->certificate == NULL) {
    err = give_up(detail, name_of(pem));
  } else if (cred->chain == NULL) {
    err = no_memory(detail);
  }
  X509 *next;
  while (err == 0 &&
         (next = PEM_read_bio_X509(bio, NULL, give_passphrase, &none))) {
    if (sk_X509_push(cred->chain, next) > 0) continue;
    X509_free(next);
    err = no_memory(detail);
  }
  /* The normal end is that no other certificate begins. */
  const unsigned long last = ERR_peek_last_error();
  const bool is_end = ERR_GET_LIB(last) == ERR_LIB_PEM &&
                      ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (err == 0 && !is_end) err = give_up(detail, name_of(pem));
  BIO_free(bio);
  ERR_clear_error();
  return err;
}

static int load_key(const ws__tls_pem *pem, const char *text, credential *cred,
                    char *detail) {
  BIO *bio = open_pem(pem);
  if (bio == NULL) return give_up(detail, name_of(pem));
  passphrase p = {text, false};
  cred->key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &p);
  BIO_free(bio);
  if (cred->key != NULL) return 0;
  const int err = give_up(detail, name_of(pem));
  if (p.was_missed) {
    ws__detail_set(detail, "%s: the key needs a passphrase", name_of(pem));
  }
  return err;
}

static int load_identity(const ws__tls_identity *identity, credential *cred,
                         char *detail) {
  *cred = (credential){0};
  const ws__tls_pem *key =
      is_given(&identity->key) ? &identity->key : &identity->certificate;
  if (!is_given(&identity->certificate)) {
    ws__detail_set(detail, "a key without a certificate");
    return WS_ERR_INVALID_ARGUMENT;
  }
  int err = load_certificates(&identity->certificate, cred, detail);
  if (err == 0) err = load_key(key, identity->passphrase, cred, detail);
  if (err != 0) credential_free(cred);
  return err;
}

/* Adds the certificates and revocation lists of `pem` to those trusted; with
 * `is_announced`, clients are told that theirs should be signed by one. */
static int load_trusted(SSL_CTX *ssl_ctx, const ws__tls_pem *pem,
                        bool is_announced, char *detail) {
  BIO *bio = open_pem(pem);
  if (bio == NULL) return give_up(detail, name_of(pem));
  passphrase none = {NULL, false};
  STACK_OF(X509_INFO) *all =
      PEM_X509_INFO_read_bio(bio, NULL, give_passphrase, &none);
  BIO_free(bio);
  if (all == NULL) return give_up(detail, name_of(pem));

  X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx);
  int certificates = 0;
  bool is_ok = true;
  for (int i = 0; is_ok && i < sk_X509_INFO_num(all); i++) {
    const X509_INFO *item = sk_X509_INFO_value(all, i);
    if (item->x509 != NULL) {
      certificates++;
      is_ok = X509_STORE_add_cert(store, item->x509) &&
              (!is_announced || SSL_CTX_add_client_CA(ssl_ctx, item->x509));
    }
    if (is_ok && item->crl != NULL) {
      is_ok = X509_STORE_add_crl(store, item->crl) &&
              X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    }
  }
  sk_X509_INFO_pop_free(all, X509_INFO_free);
  if (!is_ok) return give_up(detail, name_of(pem));
  ERR_clear_error();
  if (certificates > 0) return 0;
  ws__detail_set(detail, "%s: no certificate in it", name_of(pem));
  return WS_ERR_TLS;
}

/* -- The system's store ---------------------------------------------------- */

static bool is_hash_name(const char *name) {
  const size_t hash_len = 8;
  return strspn(name, "0123456789abcdef") == hash_len && name[hash_len] == '.';
}

/* Whether OpenSSL can find a certificate in a folder. */
static bool has_hashed_certificates(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL) return false;
  const struct dirent *entry;
  bool is_found = false;
  while (!is_found && (entry = readdir(dir)) != NULL)
    is_found = is_hash_name(entry->d_name);
  closedir(dir);
  return is_found;
}

static const char *default_dir(void) {
  const char *dirs = getenv(X509_get_default_cert_dir_env());
  return dirs != NULL ? dirs : X509_get_default_cert_dir();
}

/* The folders stand with colons between. */
static bool has_any_hashed_certificates(const char *dirs) {
  char dir[4096];
  while (*dirs != '\0') {
    const size_t len = strcspn(dirs, ":");
    if (len < sizeof(dir)) {
      memcpy(dir, dirs, len);
      dir[len] = '\0';
      if (has_hashed_certificates(dir)) return true;
    }
    dirs += len + (dirs[len] == ':');
  }
  return false;
}

/* Without a store every certificate would be refused for want of its issuer,
 * which says nothing of the cause. */
static int load_system_store(SSL_CTX *ssl_ctx, char *detail) {
  if (!SSL_CTX_set_default_verify_paths(ssl_ctx)) return no_memory(detail);
  ERR_clear_error();
  X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx);
  if (sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0) return 0;
  if (has_any_hashed_certificates(default_dir())) return 0;
  ws__detail_set(detail,
                 "no CA certificates on this system: nothing in %s; install "
                 "them (ca-certificates) or name a file",
                 default_dir());
  return WS_ERR_TLS;
}

/* -- Contexts -------------------------------------------------------------- */

static int number_of(ws__tls_version version) {
  switch (version) {
  case WS__TLS_VERSION_1_2: return TLS1_2_VERSION;
  case WS__TLS_VERSION_1_3: return TLS1_3_VERSION;
  case WS__TLS_VERSION_DEFAULT: break;
  }
  return 0;
}

static int set_versions(SSL_CTX *ssl_ctx, const ws__tls_policy *policy,
                        char *detail) {
  int min = number_of(policy->min_version);
  const int max = number_of(policy->max_version);
  if (min != 0 && max != 0 && min > max) {
    ws__detail_set(detail, "min_version is above max_version");
    return WS_ERR_INVALID_ARGUMENT;
  }
  /* The system's configuration may ask for more, not for less. */
  const int system_min = (int)SSL_CTX_get_min_proto_version(ssl_ctx);
  if (min == 0) min = system_min > TLS1_2_VERSION ? system_min : TLS1_2_VERSION;
  if (!SSL_CTX_set_min_proto_version(ssl_ctx, min) ||
      (max != 0 && !SSL_CTX_set_max_proto_version(ssl_ctx, max))) {
    return give_up(detail, "TLS versions");
  }
  return 0;
}

static int set_ciphers(SSL_CTX *ssl_ctx, const ws__tls_policy *policy,
                       char *detail) {
  if (SSL_CTX_get_security_level(ssl_ctx) < SECURITY_LEVEL) {
    SSL_CTX_set_security_level(ssl_ctx, SECURITY_LEVEL);
  }
  const char *list =
      policy->ciphers != NULL ? policy->ciphers : DEFAULT_CIPHERS;
  if (!SSL_CTX_set_cipher_list(ssl_ctx, list)) return give_up(detail, list);
  if (policy->cipher_suites != NULL &&
      !SSL_CTX_set_ciphersuites(ssl_ctx, policy->cipher_suites)) {
    return give_up(detail, policy->cipher_suites);
  }
  return 0;
}

/* What both roles have in common. */
static int set_up(context *ctx, const ws__tls_policy *policy, char *detail) {
  SSL_CTX *ssl_ctx = ctx->ssl_ctx;
  SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION);
  /* SSL_OP_IGNORE_UNEXPECTED_EOF stays off: it would make a cut connection
   * look like one that has ended. */
  SSL_CTX_set_mode(ssl_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS |
                                SSL_MODE_NO_AUTO_CHAIN);
  /* Head and body of a record by one recv(), and as many records as fit. */
  SSL_CTX_set_read_ahead(ssl_ctx, 1);
  SSL_CTX_set_msg_callback(ssl_ctx, on_message);
  SSL_CTX_set_verify_depth(ssl_ctx, CHAIN_MAX);
  const int err = set_versions(ssl_ctx, policy, detail);
  return err != 0 ? err : set_ciphers(ssl_ctx, policy, detail);
}

static void free_credentials(context *ctx) {
  for (size_t i = 0; i < ctx->credential_count; i++)
    credential_free(&ctx->credentials[i]);
  ws__free(ctx->allocator, ctx->credentials,
           ctx->credential_count * sizeof(*ctx->credentials));
}

static void session_free(context *ctx, session *s) {
  ws__list_remove(&s->node);
  ctx->session_count--;
  SSL_SESSION_free(s->ssl_session);
  ws__free(ctx->allocator, s, sizeof(*s));
}

static void context_free(ws__tls_context *base) {
  context *ctx = context_of(base);
  ws__list *node;
  while ((node = ws__list_first(&ctx->sessions)) != NULL)
    session_free(ctx, WS__CONTAINER_OF(node, session, node));
  free_credentials(ctx);
  SSL_CTX_free(ctx->ssl_ctx);
  BIO_meth_free(ctx->bio_method);
  pthread_rwlock_destroy(&ctx->lock);
  ws__free(ctx->allocator, ctx, sizeof(*ctx));
}

static int new_context(const ws_allocator *allocator, const SSL_METHOD *method,
                       const ws__tls_policy *policy, context **out_ctx,
                       char *detail) {
  context *ctx = ws__alloc_zero(allocator, sizeof(*ctx));
  if (ctx == NULL) return no_memory(detail);
  if (pthread_rwlock_init(&ctx->lock, NULL) != 0) {
    ws__free(allocator, ctx, sizeof(*ctx));
    return no_memory(detail);
  }
  ctx->base.backend = &ws__tls_openssl;
  ctx->allocator = allocator;
  ws__list_init(&ctx->sessions);

  ERR_clear_error();
  ctx->bio_method = new_bio_method();
  ctx->ssl_ctx = SSL_CTX_new(method);
  int err = 0;
  if (ctx->bio_method == NULL || ctx->ssl_ctx == NULL) {
    err = give_up(detail, "OpenSSL");
  }
  if (err == 0) err = set_up(ctx, policy, detail);
  if (err != 0) {
    context_free(&ctx->base);
    return err;
  }
  *out_ctx = ctx;
  return 0;
}

/* -- Sessions of a client -------------------------------------------------- */

static session *find_session(context *ctx, const peer *server) {
  for (ws__list *at = ctx->sessions.next; at != &ctx->sessions; at = at->next) {
    session *s = WS__CONTAINER_OF(at, session, node);
    if (s->server.port == server->port &&
        strcmp(s->server.host, server->host) == 0) {
      return s;
    }
  }
  return NULL;
}

/* Called by OpenSSL with a session that can be resumed. Returns 1 if its
 * reference was kept. A session stands for a verified peer under one name, so
 * the name is in its key. */
static int on_new_session(SSL *ssl, SSL_SESSION *ssl_session) {
  const conn *c = SSL_get_app_data(ssl);
  context *ctx = c->context;
  session *s = ws__alloc(ctx->allocator, sizeof(*s));
  if (s == NULL) return 0;
  ws__list_init(&s->node);
  s->ssl_session = ssl_session;
  s->server = *c->server;

  pthread_rwlock_wrlock(&ctx->lock);
  session *old = find_session(ctx, &s->server);
  if (old == NULL && ctx->session_count == SESSIONS_MAX) {
    old = WS__CONTAINER_OF(ws__list_first(&ctx->sessions), session, node);
  }
  if (old != NULL) session_free(ctx, old);
  ws__list_push_back(&ctx->sessions, &s->node);
  ctx->session_count++;
  pthread_rwlock_unlock(&ctx->lock);
  return 1;
}

/* Has a new connection resume what is remembered of its peer. */
static void offer_session(conn *c) {
  context *ctx = c->context;
  pthread_rwlock_wrlock(&ctx->lock);
  session *s = find_session(ctx, c->server);
  if (s != NULL) {
    const bool is_usable = SSL_SESSION_is_resumable(s->ssl_session) &&
                           SSL_set_session(c->ssl, s->ssl_session);
    /* RFC 8446 C.4: "Clients SHOULD NOT reuse a ticket for multiple
     * connections." The server sends another. */
    const bool is_spent =
        SSL_SESSION_get_protocol_version(s->ssl_session) >= TLS1_3_VERSION;
    if (!is_usable || is_spent) session_free(ctx, s);
  }
  pthread_rwlock_unlock(&ctx->lock);
}

/* -- Context of a client --------------------------------------------------- */

static int use_identity(SSL_CTX *ssl_ctx, const ws__tls_identity *identity,
                        char *detail) {
  if (!is_given(&identity->certificate) && !is_given(&identity->key)) return 0;
  credential cred;
  int err = load_identity(identity, &cred, detail);
  if (err != 0) return err;
  if (!SSL_CTX_use_cert_and_key(ssl_ctx, cred.certificate, cred.key, cred.chain,
                                1)) {
    err = give_up(detail, name_of(&identity->certificate));
  }
  credential_free(&cred);
  return err;
}

static int set_trust(context *ctx, const ws__tls_client_options *options,
                     char *detail) {
  if (options->insecure_no_verify) return 0;
  SSL_CTX_set_verify(ctx->ssl_ctx, SSL_VERIFY_PEER, on_verify);
  ctx->verifies = true;

  if (!is_given(&options->ca) && options->ca_dir == NULL) {
    return load_system_store(ctx->ssl_ctx, detail);
  }
  if (options->ca_dir != NULL) {
    if (!has_hashed_certificates(options->ca_dir)) {
      ws__detail_set(detail, "%s: no CA certificates under hashed names",
                     options->ca_dir);
      return WS_ERR_TLS;
    }
    if (!SSL_CTX_load_verify_dir(ctx->ssl_ctx, options->ca_dir)) {
      return give_up(detail, options->ca_dir);
    }
  }
  if (!is_given(&options->ca)) return 0;
  return load_trusted(ctx->ssl_ctx, &options->ca, false, detail);
}

static int client_context(const ws_allocator *allocator,
                          const ws__tls_client_options *options,
                          ws__tls_context **out_context, char *detail) {
  context *ctx;
  int err = new_context(allocator, TLS_client_method(), &options->policy, &ctx,
                        detail);
  if (err != 0) return err;
  SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, SSL_SESS_CACHE_CLIENT |
                                                   SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx->ssl_ctx, on_new_session);
  /* Unlike the rest of OpenSSL this returns 0 for success. */
  if (SSL_CTX_set_alpn_protos(ctx->ssl_ctx, alpn, sizeof(alpn)) != 0) {
    err = no_memory(detail);
  }
  if (err == 0) err = set_trust(ctx, options, detail);
  if (err == 0) err = use_identity(ctx->ssl_ctx, &options->identity, detail);
  if (err != 0) {
    context_free(&ctx->base);
    return err;
  }
  *out_context = &ctx->base;
  return 0;
}

/* -- Context of a server --------------------------------------------------- */

static bool is_for(const credential *cred, const char *name, unsigned flags) {
  return X509_check_host(cred->certificate, name, 0, flags, NULL) > 0;
}

/* Gives a connection every credential that is for `name`. Installs from last to
 * first, so that of those with one kind of key the first stays. */
static bool install_for(const context *ctx, SSL *ssl, const char *name,
                        unsigned flags, bool *is_found) {
  for (size_t i = ctx->credential_count; i-- > 0;) {
    const credential *cred = &ctx->credentials[i];
    if (!is_for(cred, name, flags)) continue;
    *is_found = true;
    if (!SSL_use_cert_and_key(ssl, cred->certificate, cred->key, cred->chain,
                              1)) {
      return false;
    }
  }
  return true;
}

/* Called by OpenSSL once the ClientHello is read. Returns 0 to fail. */
static int on_choose_certificate(SSL *ssl, void *arg) {
  context *ctx = arg;
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  bool is_found = false;
  bool is_ok = true;
  pthread_rwlock_rdlock(&ctx->lock);
  if (name != NULL) {
    is_ok =
        install_for(ctx, ssl, name, X509_CHECK_FLAG_NO_WILDCARDS, &is_found);
    if (is_ok && !is_found) {
      is_ok = install_for(ctx, ssl, name, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                          &is_found);
    }
  }
  if (!is_found) {
    const credential *cred = &ctx->credentials[0];
    is_ok = SSL_use_cert_and_key(ssl, cred->certificate, cred->key, cred->chain,
                                 1) == 1;
  }
  pthread_rwlock_unlock(&ctx->lock);
  return is_ok;
}

/* RFC 7301 3.2: "In the event that the server supports no protocols that the
 * client advertises, then the server SHALL respond with a fatal
 * 'no_application_protocol' alert." It keeps what was meant for a server of
 * another protocol from being read as HTTP (ALPACA). A client that offers
 * nothing is welcome. */
static int on_choose_protocol(SSL *ssl, const uint8_t **out, uint8_t *out_len,
                              const uint8_t *offered, unsigned offered_len,
                              void *arg) {
  (void)ssl, (void)arg;
  uint8_t *chosen;
  if (SSL_select_next_proto(&chosen, out_len, alpn, sizeof(alpn), offered,
                            offered_len) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

/* Whether OpenSSL takes a credential: the key belongs to the certificate, and
 * both are strong enough. */
static int check_credential(SSL_CTX *ssl_ctx, const credential *cred,
                            const ws__tls_identity *identity, char *detail) {
  ERR_clear_error();
  SSL *ssl = SSL_new(ssl_ctx);
  if (ssl == NULL) return no_memory(detail);
  int err = 0;
  if (!SSL_use_cert_and_key(ssl, cred->certificate, cred->key, cred->chain,
                            1)) {
    err = give_up(detail, name_of(&identity->certificate));
  }
  SSL_free(ssl);
  return err;
}

static int reload(ws__tls_context *base, const ws__tls_identity *identities,
                  size_t identity_count, char *detail) {
  context *ctx = context_of(base);
  if (identity_count == 0) {
    ws__detail_set(detail, "a server needs a certificate");
    return WS_ERR_INVALID_ARGUMENT;
  }
  context fresh = {.allocator = ctx->allocator};
  fresh.credentials = ws__alloc_zero(
      ctx->allocator, identity_count * sizeof(*fresh.credentials));
  if (fresh.credentials == NULL) return no_memory(detail);
  fresh.credential_count = identity_count;

  int err = 0;
  for (size_t i = 0; err == 0 && i < identity_count; i++) {
    credential *cred = &fresh.credentials[i];
    err = load_identity(&identities[i], cred, detail);
    if (err == 0) {
      err = check_credential(ctx->ssl_ctx, cred, &identities[i], detail);
    }
  }
  if (err == 0) {
    pthread_rwlock_wrlock(&ctx->lock);
    const context old = *ctx;
    ctx->credentials = fresh.credentials;
    ctx->credential_count = fresh.credential_count;
    pthread_rwlock_unlock(&ctx->lock);
    fresh.credentials = old.credentials;
    fresh.credential_count = old.credential_count;
  }
  free_credentials(&fresh);
  return err;
}

static int set_client_auth(context *ctx, const ws__tls_server_options *options,
                           char *detail) {
  int mode = SSL_VERIFY_PEER;
  switch (options->client_auth) {
  case WS__TLS_CLIENT_AUTH_NONE: return 0;
  case WS__TLS_CLIENT_AUTH_OPTIONAL: break;
  case WS__TLS_CLIENT_AUTH_REQUIRED:
    mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    ctx->verifies = true;
    break;
  }
  if (!is_given(&options->client_ca)) {
    ws__detail_set(detail, "client_auth needs a client_ca");
    return WS_ERR_INVALID_ARGUMENT;
  }
  SSL_CTX_set_verify(ctx->ssl_ctx, mode, on_verify);
  return load_trusted(ctx->ssl_ctx, &options->client_ca, true, detail);
}

static int server_context(const ws_allocator *allocator,
                          const ws__tls_server_options *options,
                          ws__tls_context **out_context, char *detail) {
  context *ctx;
  int err = new_context(allocator, TLS_server_method(), &options->policy, &ctx,
                        detail);
  if (err != 0) return err;
  /* Sessions are kept by the clients, in tickets under a key of this context.
   * Tickets of one service are not for another; all contexts that share a key
   * are this one. */
  static const unsigned char service[] = "libws";
  SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(ctx->ssl_ctx, service, sizeof(service) - 1);
  SSL_CTX_set_cert_cb(ctx->ssl_ctx, on_choose_certificate, ctx);
  SSL_CTX_set_alpn_select_cb(ctx->ssl_ctx, on_choose_protocol, NULL);
  err = set_client_auth(ctx, options, detail);
  if (err == 0) {
    err = reload(&ctx->base, options->identities, options->identity_count,
                 detail);
  }
  if (err != 0) {
    context_free(&ctx->base);
    return err;
  }
  *out_context = &ctx->base;
  return 0;
}

/* -- Connections ----------------------------------------------------------- */

static void conn_free(ws__tls *base) {
  conn *c = conn_of(base);
  /* A session of a connection that ends without close_notify could not be
   * resumed, as in TLS 1.0. RFC 5246 7.2.1 has lifted that. What fails by a
   * fatal alert takes its session with it earlier than here. */
  if (c->ssl != NULL) {
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
  SSL_free(c->ssl);
  ws__free(c->allocator, c->server, sizeof(*c->server));
  ws__free(c->allocator, c, sizeof(*c));
}

static int new_conn(context *ctx, const ws_allocator *allocator, int fd,
                    conn **out_conn, char *detail) {
  conn *c = ws__alloc_zero(allocator, sizeof(*c));
  if (c == NULL) return no_memory(detail);
  c->base.backend = &ws__tls_openssl;
  c->context = ctx;
  c->allocator = allocator;
  c->fd = fd;

  ERR_clear_error();
  c->ssl = SSL_new(ctx->ssl_ctx);
  BIO *bio = BIO_new(ctx->bio_method);
  if (c->ssl == NULL || bio == NULL || !SSL_set_app_data(c->ssl, c)) {
    BIO_free(bio);
    conn_free(&c->base);
    return no_memory(detail);
  }
  BIO_set_data(bio, c);
  BIO_set_init(bio, 1);
  SSL_set_bio(c->ssl, bio, bio);
  *out_conn = c;
  return 0;
}

static int server_conn(ws__tls_context *base, const ws_allocator *allocator,
                       int fd, ws__tls **out_tls, char *detail) {
  conn *c;
  const int err = new_conn(context_of(base), allocator, fd, &c, detail);
  if (err != 0) return err;
  SSL_set_accept_state(c->ssl);
  *out_tls = &c->base;
  return 0;
}

/* Writes the host as certificates have it: no brackets about an IPv6 address,
 * no dot at the end of a name. */
static bool normalize_host(const char *host, char out[HOST_SIZE]) {
  size_t len = strlen(host);
  if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
    host++;
    len -= 2;
  } else if (len > 1 && host[len - 1] == '.') {
    len--;
  }
  if (len == 0 || len >= HOST_SIZE) return false;
  memcpy(out, host, len);
  out[len] = '\0';
  return true;
}

static bool is_address(const char *host) {
  unsigned char address[sizeof(struct in6_addr)];
  return inet_pton(AF_INET, host, address) == 1 ||
         inet_pton(AF_INET6, host, address) == 1;
}

/* Says whom the peer must prove to be. RFC 6066 3: "Literal IPv4 and IPv6
 * addresses are not permitted" as server names. */
static bool expect_host(SSL *ssl, char *host) {
  X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
  if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(param, host);
  return X509_VERIFY_PARAM_set1_host(param, host, 0) &&
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                  host);
}

static int client_conn(ws__tls_context *base, const ws_allocator *allocator,
                       int fd, const char *host, uint16_t port,
                       ws__tls **out_tls, char *detail) {
  peer server = {.port = port};
  if (!normalize_host(host, server.host)) {
    ws__detail_set(detail, "a host name must have 1 to 255 characters");
    return WS_ERR_INVALID_ARGUMENT;
  }
  conn *c;
  const int err = new_conn(context_of(base), allocator, fd, &c, detail);
  if (err != 0) return err;
  SSL_set_connect_state(c->ssl);
  c->server = ws__alloc(allocator, sizeof(*c->server));
  if (c->server == NULL || !expect_host(c->ssl, server.host)) {
    conn_free(&c->base);
    return no_memory(detail);
  }
  *c->server = server;
  offer_session(c);
  *out_tls = &c->base;
  return 0;
}

/* -- Moving bytes ---------------------------------------------------------- */

static bool is_for_host(X509 *certificate, const char *host) {
  return is_address(host)
             ? X509_check_ip_asc(certificate, host, 0) == 1
             : X509_check_host(certificate, host, 0, HOST_FLAGS, NULL) == 1;
}

/* OpenSSL has verified the peer by now, or so it says: when memory is short as
 * it copies the name to check, it goes on without (ssl_verify_cert_chain() in
 * 3.0 does not look at what X509_VERIFY_PARAM_set1() returns). So whoever must
 * be known is looked at once more. */
static bool is_peer_known(const conn *c) {
  if (!c->context->verifies) return true;
  X509 *certificate = SSL_get0_peer_certificate(c->ssl);
  return certificate != NULL && SSL_get_verify_result(c->ssl) == X509_V_OK &&
         (c->server == NULL || is_for_host(certificate, c->server->host));
}

static ws__tls_status handshake(ws__tls *base) {
  conn *c = conn_of(base);
  begin(c);
  const int result = SSL_do_handshake(c->ssl);
  if (result != 1) return status_of(c, result);
  c->idle_records = 0;
  if (is_peer_known(c)) return WS__TLS_OK;
  return ws__tls_fail(base, WS_ERR_CERTIFICATE, "the peer is not verified");
}

/* SSL_MODE_RELEASE_BUFFERS leaves a buffer of 16 KiB that a ticket or a key
 * update has made. Before 3.0.14 the function that frees it does so even under
 * a record that has come or was read in part (CVE-2024-4741). */
static void release_buffers(conn *c) {
  if (!c->is_in_record && !SSL_has_pending(c->ssl)) SSL_free_buffers(c->ssl);
}

static ws__tls_status read_data(ws__tls *base, void *buf, size_t len,
                                size_t *out_n) {
  conn *c = conn_of(base);
  begin(c);
  const int result = SSL_read_ex(c->ssl, buf, len, out_n);
  release_buffers(c);
  if (result != 1) return status_of(c, result);
  c->idle_records = 0;
  return WS__TLS_OK;
}

static bool has_pending(ws__tls *base) {
  return SSL_has_pending(conn_of(base)->ssl);
}

static ws__tls_status write_data(ws__tls *base, const void *data, size_t len,
                                 size_t *out_n) {
  conn *c = conn_of(base);
  begin(c);
  const int result = SSL_write_ex(c->ssl, data, len, out_n);
  return result == 1 ? WS__TLS_OK : status_of(c, result);
}

static ws__tls_status say_end(ws__tls *base) {
  conn *c = conn_of(base);
  begin(c);
  const int result = SSL_shutdown(c->ssl);
  const bool must_wait =
      result < 0 && SSL_get_error(c->ssl, result) == SSL_ERROR_WANT_WRITE;
  ERR_clear_error();
  return must_wait ? WS__TLS_WANT_WRITE : WS__TLS_OK;
}

/* -- Information ----------------------------------------------------------- */

static void get_subject(const SSL *ssl, char *out, int size) {
  const X509 *certificate = SSL_get0_peer_certificate(ssl);
  BIO *bio = certificate != NULL ? BIO_new(BIO_s_mem()) : NULL;
  if (bio != NULL && X509_NAME_print_ex(bio, X509_get_subject_name(certificate),
                                        0, XN_FLAG_RFC2253) > 0) {
    const int len = BIO_read(bio, out, size - 1);
    if (len > 0) out[len] = '\0';
  }
  BIO_free(bio);
  ERR_clear_error();
}

static void get_info(ws__tls *base, ws__tls_info *info) {
  const SSL *ssl = conn_of(base)->ssl;
  info->version = SSL_get_version(ssl);
  info->cipher = SSL_get_cipher_name(ssl);
  info->is_resumed = SSL_session_reused(ssl);

  const uint8_t *protocol;
  unsigned len;
  SSL_get0_alpn_selected(ssl, &protocol, &len);
  if (len > 0 && len < sizeof(info->protocol)) {
    memcpy(info->protocol, protocol, len);
  }

  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name != NULL) {
    snprintf(info->server_name, sizeof(info->server_name), "%s", name);
  }
  get_subject(ssl, info->peer_subject, sizeof(info->peer_subject));
}

const ws__tls_backend ws__tls_openssl = {
    .client_context = client_context,
    .server_context = server_context,
    .reload = reload,
    .context_free = context_free,
    .connect = client_conn,
    .accept = server_conn,
    .free = conn_free,
    .handshake = handshake,
    .read = read_data,
    .pending = has_pending,
    .write = write_data,
    .shutdown = say_end,
    .get_info = get_info,
};
