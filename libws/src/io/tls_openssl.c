/* tls_openssl.c - TLS by OpenSSL 3.0 and later: the connections. */
#include "io/tls_openssl.h"
#include "io/net.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* Records without data (key updates, tickets, alerts, refused renegotiations,
 * empty ones) that a peer may send between two with data. */
#define IDLE_RECORDS_MAX 32

/* The certificate must name the host itself, and in its subjectAltName. */
#define HOST_FLAGS \
  (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

static ws__openssl_conn *conn_of(ws__tls *base) {
  return WS__CONTAINER_OF(base, ws__openssl_conn, base);
}

static ws__openssl_context *context_of(ws_tls_context *base) {
  return WS__CONTAINER_OF(base, ws__openssl_context, base);
}

/* -- What a call has met --------------------------------------------------- */

static bool is_ssl_error(unsigned long error, int reason) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == reason;
}

/* Finds out why a call of OpenSSL failed. A reason of its own comes before an
 * end and an end before an error of the system, for the alert that tells the
 * peer may fail as well. */
static ws__tls_status fail(ws__openssl_conn *c) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const bool is_open = c->base.is_open;
  char text[WS__DETAIL_SIZE];

  if (error != 0 && ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
    return ws__tls_fail(&c->base, WS_ERR_NO_MEMORY, "out of memory");
  }
  /* OpenSSL 3.0 and 3.2 report an end without close_notify differently. */
  if (error != 0 && !is_ssl_error(error, SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
    ws__openssl_describe(error, text);
    const bool has_no_certificate =
        is_ssl_error(error, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
    return ws__tls_fail(
        &c->base, has_no_certificate ? WS_ERR_CERTIFICATE : WS_ERR_TLS, text);
  }
  if (c->is_flooded) {
    return ws__tls_fail(&c->base, WS_ERR_TLS,
                        "the peer sends TLS records without data");
  }
  if (c->is_eof && is_open) return WS__TLS_TRUNCATED;
  if (c->is_eof) {
    return ws__tls_fail(&c->base, WS_ERR_TLS,
                        "the peer closed the connection during the handshake");
  }
  if (c->os_error == 0) {
    return ws__tls_fail(&c->base, WS_ERR_TLS,
                        "OpenSSL failed without a reason");
  }
  return ws__tls_fail_by_system(&c->base,
                                is_open ? WS_ERR_TRANSPORT : WS_ERR_TLS,
                                c->os_error, ws__errno_text(c->os_error, text));
}

/* To be called before what fail() may have to explain. */
static void begin(ws__openssl_conn *c) {
  ERR_clear_error();
  c->os_error = 0;
  c->is_eof = false;
}

/* What a call of OpenSSL that returned `result` means. */
static ws__tls_status status_of(ws__openssl_conn *c, int result) {
  switch (SSL_get_error(c->ssl, result)) {
  case SSL_ERROR_NONE: return WS__TLS_OK;
  case SSL_ERROR_WANT_READ: return WS__TLS_WANT_READ;
  case SSL_ERROR_WANT_WRITE: return WS__TLS_WANT_WRITE;
  case SSL_ERROR_ZERO_RETURN:
    if (c->base.is_open) return WS__TLS_EOF;
    c->is_eof = true; /* In a handshake it makes no difference. */
    return fail(c);
  default: return fail(c);
  }
}

/* -- The descriptor --------------------------------------------------------
 *
 * OpenSSL's own socket BIO calls write(), which raises SIGPIPE when the peer is
 * gone, and it moves one record by one call, where the system could be given
 * many. This one has records wait for each other:
 *
 *   Out, a record waits in a block of memory while its write brings more, and
 *   the last one takes them with it. The block goes when the system has taken
 *   all of it.
 *
 *   In, what OpenSSL has asked for goes to where it wants it, and what has come
 *   behind that to the back of the room that data is read into. There OpenSSL
 *   finds it, record by record, while the front fills up.
 *
 * The kernel is not asked to encrypt (kTLS). This BIO could pass the keys on,
 * but the controls that bring them (72, 74, 75) are no part of OpenSSL's API,
 * and what is sent from memory is copied and encrypted once in either place: it
 * would pay with sendfile() or a network card that encrypts. */

/* Most that waits to be sent behind a record: six more, and what encryption
 * adds to them. An eighth one takes them with it. */
#define BEHIND_MAX ((size_t)6 * WS__TLS_RECORD_MAX)
#define ADDED_MAX  512

/* Where in a room what is read ahead begins. OpenSSL holds less by then: one
 * record, perhaps with a part missing, of at most 2^14 + 2048 bytes and its
 * head (RFC 5246 6.2.3). So data never catches up with the records that it
 * comes from. At a page, as the room may be (see io/loop.c). */
#define AHEAD_AT ((size_t)20480)

static ws__tls_status of_io(ws__io io, ws__tls_status want) {
  switch (io) {
  case WS__IO_OK: return WS__TLS_OK;
  case WS__IO_AGAIN: return want;
  case WS__IO_EOF: return WS__TLS_TRUNCATED;
  case WS__IO_ERROR: break;
  }
  return WS__TLS_FAILED;
}

static ws__tls_status send_pieces(const ws__openssl_conn *c,
                                  struct iovec *pieces, size_t count,
                                  size_t *out_n) {
  *out_n = 0;
  if (c->base.below != NULL) {
    return ws__tls_write(c->base.below, pieces, count, out_n);
  }
  return of_io(ws__net_sendv(c->fd, pieces, count, out_n), WS__TLS_WANT_WRITE);
}

static ws__tls_status receive_into(const ws__openssl_conn *c,
                                   struct iovec *places, size_t count,
                                   size_t *out_n) {
  *out_n = 0;
  if (c->base.below != NULL) {
    return ws__tls_read(c->base.below, places[0].iov_base, places[0].iov_len,
                        out_n);
  }
  return of_io(ws__net_recvv(c->fd, places, count, out_n), WS__TLS_WANT_READ);
}

/* Keeps why a transfer has failed. */
static void note_failure(ws__openssl_conn *c) {
  const ws__tls *below = c->base.below;
  c->os_error = below != NULL ? EIO : errno;
  if (below != NULL) {
    ws__tls_fail_by_system(&c->base, ws__tls_error(below),
                           ws__tls_system_error(below), ws__tls_detail(below));
  }
}

/* What OpenSSL is told of a transfer that has moved `n` bytes of its own. */
static int moved(ws__openssl_conn *c, BIO *bio, ws__tls_status status,
                 size_t n) {
  if (n > 0) return (int)n;
  switch (status) {
  case WS__TLS_OK: /* What had waited has gone, no more. */
  case WS__TLS_WANT_WRITE: BIO_set_retry_write(bio); break;
  case WS__TLS_WANT_READ: BIO_set_retry_read(bio); break;
  case WS__TLS_EOF:
  case WS__TLS_TRUNCATED: c->is_eof = true; return 0;
  case WS__TLS_FAILED: note_failure(c); break;
  }
  return -1;
}

/* Makes the block for a record of `len` bytes and those behind it. */
static ws__openssl_block *new_block(const ws__openssl_conn *c, size_t len) {
  const size_t behind = c->base.more < BEHIND_MAX ? c->base.more : BEHIND_MAX;
  const size_t size = len + behind + ADDED_MAX;
  ws__openssl_block *block = ws__alloc(c->allocator, sizeof(*block) + size);
  if (block != NULL) *block = (ws__openssl_block){.size = size};
  return block;
}

static void free_block(ws__openssl_conn *c) {
  if (c->block == NULL) return;
  ws__free(c->allocator, c->block, sizeof(*c->block) + c->block->size);
  c->block = NULL;
}

/* Has a record wait for the next one, if there is one, and room. */
static bool hold_back(ws__openssl_conn *c, const char *data, size_t len) {
  if (c->base.more == 0) return false;
  if (c->block == NULL) c->block = new_block(c, len);
  ws__openssl_block *block = c->block;
  if (block == NULL || len > block->size - block->end) return false;
  memcpy(block->bytes + block->end, data, len);
  block->end += len;
  c->base.waiting += len;
  return true;
}

/* Drops what has left of `n` bytes that were sent. Returns how many more they
 * are than had waited. */
static size_t drop_waiting(ws__openssl_conn *c, size_t n) {
  if (c->base.waiting > n) {
    c->block->start += n;
    c->base.waiting -= n;
    return 0;
  }
  n -= c->base.waiting;
  c->base.waiting = 0;
  free_block(c);
  return n;
}

static int bio_write(BIO *bio, const char *data, int len) {
  ws__openssl_conn *c = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (hold_back(c, data, (size_t)len)) return len;

  struct iovec pieces[2];
  size_t count = 0;
  if (c->base.waiting > 0) {
    pieces[count++] =
        ws__net_piece(c->block->bytes + c->block->start, c->base.waiting);
  }
  pieces[count++] = ws__net_piece(data, (size_t)len);
  size_t n;
  const ws__tls_status status = send_pieces(c, pieces, count, &n);
  return moved(c, bio, status, drop_waiting(c, n));
}

/* Gives OpenSSL of what was read ahead. */
static int take_ahead(ws__openssl_conn *c, char *buf, size_t len) {
  if (len > c->ahead_len) len = c->ahead_len;
  memcpy(buf, c->ahead, len);
  c->ahead += len;
  c->ahead_len -= len;
  return (int)len;
}

static int bio_read(BIO *bio, char *buf, int len) {
  ws__openssl_conn *c = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (c->base.is_open && c->idle_records > IDLE_RECORDS_MAX) {
    c->is_flooded = true;
    return -1;
  }
  if (c->ahead_len > 0) return take_ahead(c, buf, (size_t)len);

  struct iovec places[] = {{buf, (size_t)len}, c->back};
  size_t n;
  const ws__tls_status status =
      receive_into(c, places, c->back.iov_len > 0 ? 2 : 1, &n);
  if (n > (size_t)len) {
    c->ahead = c->back.iov_base;
    c->ahead_len = n - (size_t)len;
    n = (size_t)len;
  }
  return moved(c, bio, status, n);
}

static long bio_ctrl(BIO *bio, int command, long number, void *ptr) {
  (void)number, (void)ptr;
  const ws__openssl_conn *c = BIO_get_data(bio);
  switch (command) {
  case BIO_CTRL_FLUSH: return 1;
  case BIO_CTRL_EOF: return c->is_eof;
  default: return 0;
  }
}

BIO_METHOD *ws__openssl_new_bio_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "libws descriptor");
  if (method == NULL) return NULL;
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_ctrl(method, bio_ctrl);
  return method;
}

/* Called with parts of each record. The head of one comes first; the kind of
 * data in it, which only TLS 1.3 tells, once all of it is there. */
void ws__openssl_on_message(int is_sent, int version, int type,
                            const void *data, size_t len, SSL *ssl, void *arg) {
  (void)version, (void)data, (void)len, (void)arg;
  ws__openssl_conn *c = SSL_get_app_data(ssl);
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

/* Called by OpenSSL with each finding; the first fault ends it. */
int ws__openssl_on_verify(int is_fine, X509_STORE_CTX *store) {
  if (is_fine) return 1;
  SSL *ssl =
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  ws__openssl_conn *c = SSL_get_app_data(ssl);
  char text[WS__DETAIL_SIZE];
  explain_refusal(store, text);
  const bool is_memory =
      X509_STORE_CTX_get_error(store) == X509_V_ERR_OUT_OF_MEM;
  ws__tls_fail(&c->base, is_memory ? WS_ERR_NO_MEMORY : WS_ERR_CERTIFICATE,
               text);
  return 0;
}

/* -- Connections ----------------------------------------------------------- */

static void conn_free(ws__tls *base) {
  ws__openssl_conn *c = conn_of(base);
  /* A session of a connection that ends without close_notify could not be
   * resumed, as in TLS 1.0. RFC 5246 7.2.1 has lifted that. What fails by a
   * fatal alert takes its session with it earlier than here. */
  if (c->ssl != NULL) {
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
  SSL_free(c->ssl);
  free_block(c);
  ws__free(c->allocator, c->server, sizeof(*c->server));
  ws__free(c->allocator, c, sizeof(*c));
}

static int new_conn(ws__openssl_context *ctx, const ws_allocator *allocator,
                    int fd, ws__openssl_conn **out_conn, char *detail) {
  ws__openssl_conn *c = ws__alloc_zero(allocator, sizeof(*c));
  if (c == NULL) return ws__openssl_no_memory(detail);
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
    return ws__openssl_no_memory(detail);
  }
  BIO_set_data(bio, c);
  BIO_set_init(bio, 1);
  SSL_set_bio(c->ssl, bio, bio);
  *out_conn = c;
  return 0;
}

static int server_conn(ws_tls_context *base, const ws_allocator *allocator,
                       int fd, ws__tls **out_tls, char *detail) {
  ws__openssl_conn *c;
  const int err = new_conn(context_of(base), allocator, fd, &c, detail);
  if (err != 0) return err;
  SSL_set_accept_state(c->ssl);
  *out_tls = &c->base;
  return 0;
}

/* Writes the host as certificates have it: no brackets about an IPv6 address,
 * no dot at the end of a name. */
static bool normalize_host(const char *host, char out[WS__HOST_SIZE]) {
  size_t len = strlen(host);
  if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
    host++;
    len -= 2;
  } else if (len > 1 && host[len - 1] == '.') {
    len--;
  }
  if (len == 0 || len >= WS__HOST_SIZE) return false;
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

static int client_conn(ws_tls_context *base, const ws_allocator *allocator,
                       int fd, const char *host, uint16_t port,
                       ws__tls **out_tls, char *detail) {
  ws__openssl_peer server = {.port = port};
  if (!normalize_host(host, server.host)) {
    ws__detail_set(detail, "a host name must have 1 to 255 characters");
    return WS_ERR_INVALID_ARGUMENT;
  }
  ws__openssl_conn *c;
  const int err = new_conn(context_of(base), allocator, fd, &c, detail);
  if (err != 0) return err;
  SSL_set_connect_state(c->ssl);
  c->server = ws__alloc(allocator, sizeof(*c->server));
  if (c->server == NULL || !expect_host(c->ssl, server.host)) {
    conn_free(&c->base);
    return ws__openssl_no_memory(detail);
  }
  *c->server = server;
  ws__openssl_offer_session(c);
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
static bool is_peer_known(const ws__openssl_conn *c) {
  if (!c->context->verifies) return true;
  X509 *certificate = SSL_get0_peer_certificate(c->ssl);
  return certificate != NULL && SSL_get_verify_result(c->ssl) == X509_V_OK &&
         (c->server == NULL || is_for_host(certificate, c->server->host));
}

static ws__tls_status handshake(ws__tls *base) {
  ws__openssl_conn *c = conn_of(base);
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
static void release_buffers(ws__openssl_conn *c) {
  if (!c->is_in_record && !SSL_has_pending(c->ssl)) SSL_free_buffers(c->ssl);
}

static bool has_pending(ws__tls *base) {
  const ws__openssl_conn *c = conn_of(base);
  return SSL_has_pending(c->ssl) || c->ahead_len > 0;
}

static ws__tls_status read_data(ws__tls *base, void *buf, size_t len,
                                size_t *out_n) {
  ws__openssl_conn *c = conn_of(base);
  begin(c);
  uint8_t *room = buf;
  if (len > AHEAD_AT) {
    c->back = (struct iovec){room + AHEAD_AT, len - AHEAD_AT};
  }
  const int result = SSL_read_ex(c->ssl, room, len, out_n);
  c->back.iov_len = 0;
  release_buffers(c);
  if (result == 1) {
    assert(c->ahead_len == 0 || room + *out_n <= c->ahead);
    c->idle_records = 0;
    return WS__TLS_OK;
  }
  const ws__tls_status status = status_of(c, result);
  const bool has_stopped = c->ahead_len > 0 && !ws__tls_is_end(status);
  c->ahead_len = 0; /* The room goes back to the caller. */
  if (!has_stopped) return status;
  return ws__tls_fail(base, WS_ERR_TLS, "OpenSSL waits for what it has got");
}

static ws__tls_status write_data(ws__tls *base, const void *data, size_t len,
                                 size_t *out_n) {
  ws__openssl_conn *c = conn_of(base);
  begin(c);
  const int result = SSL_write_ex(c->ssl, data, len, out_n);
  return result == 1 ? WS__TLS_OK : status_of(c, result);
}

static ws__tls_status say_end(ws__tls *base) {
  ws__openssl_conn *c = conn_of(base);
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

static void get_info(ws__tls *base, ws_tls_info *info) {
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
    .client_context = ws__openssl_client_context,
    .server_context = ws__openssl_server_context,
    .reload = ws__openssl_reload,
    .context_free = ws__openssl_context_free,
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
