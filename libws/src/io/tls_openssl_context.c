/* tls_openssl_context.c - what many connections share: the policy, whom to
 * trust, a server's certificates and a client's sessions. */
#include "io/tls_openssl.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* Forward secret key exchange and authenticated encryption. TLS 1.3 has no
 * others. */
#define DEFAULT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"

/* 112 bits: no RSA key under 2,048 bits, no SHA-1 in signatures. */
#define SECURITY_LEVEL 2

/* Certificates between the leaf and the root; real chains have three. */
#define CHAIN_MAX 8

/* Sessions that a client's context remembers, about 3 KiB each. */
#define SESSIONS_MAX 64

/* What is asked for and offered by ALPN (RFC 7301), as on the wire. A WebSocket
 * opens with HTTP/1.1. */
static const uint8_t alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/* A session that can be resumed. */
typedef struct session {
  ws__list node;
  SSL_SESSION *ssl_session;
  ws__openssl_peer server;
} session;

static ws__openssl_context *context_of(ws_tls_context *base) {
  return WS__CONTAINER_OF(base, ws__openssl_context, base);
}

/* -- Making and freeing ---------------------------------------------------- */

static int number_of(ws_tls_version version) {
  switch (version) {
  case WS_TLS_VERSION_1_2: return TLS1_2_VERSION;
  case WS_TLS_VERSION_1_3: return TLS1_3_VERSION;
  case WS_TLS_VERSION_DEFAULT: break;
  }
  return 0;
}

static int set_versions(SSL_CTX *ssl_ctx, const ws_tls_policy *policy,
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
    return ws__openssl_give_up(detail, "TLS versions");
  }
  return 0;
}

static int set_ciphers(SSL_CTX *ssl_ctx, const ws_tls_policy *policy,
                       char *detail) {
  if (SSL_CTX_get_security_level(ssl_ctx) < SECURITY_LEVEL) {
    SSL_CTX_set_security_level(ssl_ctx, SECURITY_LEVEL);
  }
  const char *list =
      policy->ciphers != NULL ? policy->ciphers : DEFAULT_CIPHERS;
  if (!SSL_CTX_set_cipher_list(ssl_ctx, list)) {
    return ws__openssl_give_up(detail, list);
  }
  if (policy->cipher_suites != NULL &&
      !SSL_CTX_set_ciphersuites(ssl_ctx, policy->cipher_suites)) {
    return ws__openssl_give_up(detail, policy->cipher_suites);
  }
  return 0;
}

/* What both roles have in common. */
static int set_up(ws__openssl_context *ctx, const ws_tls_policy *policy,
                  char *detail) {
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
  SSL_CTX_set_msg_callback(ssl_ctx, ws__openssl_on_message);
  SSL_CTX_set_verify_depth(ssl_ctx, CHAIN_MAX);
  const int err = set_versions(ssl_ctx, policy, detail);
  return err != 0 ? err : set_ciphers(ssl_ctx, policy, detail);
}

static void free_credentials(const ws_allocator *allocator,
                             ws__credential *credentials, size_t count) {
  if (credentials == NULL) return;
  for (size_t i = 0; i < count; i++)
    ws__credential_free(&credentials[i]);
  ws__free(allocator, credentials, count * sizeof(*credentials));
}

static void session_free(ws__openssl_context *ctx, session *s) {
  ws__list_remove(&s->node);
  ctx->session_count--;
  SSL_SESSION_free(s->ssl_session);
  ws__free(ctx->allocator, s, sizeof(*s));
}

void ws__openssl_context_free(ws_tls_context *base) {
  ws__openssl_context *ctx = context_of(base);
  ws__list *node;
  while ((node = ws__list_first(&ctx->sessions)) != NULL)
    session_free(ctx, WS__CONTAINER_OF(node, session, node));
  free_credentials(ctx->allocator, ctx->credentials, ctx->credential_count);
  SSL_CTX_free(ctx->ssl_ctx);
  BIO_meth_free(ctx->bio_method);
  pthread_rwlock_destroy(&ctx->lock);
  ws__free(ctx->allocator, ctx, sizeof(*ctx));
}

static int new_context(const ws_allocator *allocator, const SSL_METHOD *method,
                       const ws_tls_policy *policy,
                       ws__openssl_context **out_ctx, char *detail) {
  ws__openssl_context *ctx = ws__alloc_zero(allocator, sizeof(*ctx));
  if (ctx == NULL) return ws__openssl_no_memory(detail);
  if (pthread_rwlock_init(&ctx->lock, NULL) != 0) {
    ws__free(allocator, ctx, sizeof(*ctx));
    return ws__openssl_no_memory(detail);
  }
  ctx->base.backend = &ws__tls_openssl;
  ctx->allocator = allocator;
  ws__list_init(&ctx->sessions);

  ERR_clear_error();
  ctx->bio_method = ws__openssl_new_bio_method();
  ctx->ssl_ctx = SSL_CTX_new(method);
  int err = 0;
  if (ctx->bio_method == NULL || ctx->ssl_ctx == NULL) {
    err = ws__openssl_give_up(detail, "OpenSSL");
  }
  if (err == 0) err = set_up(ctx, policy, detail);
  if (err != 0) {
    ws__openssl_context_free(&ctx->base);
    return err;
  }
  *out_ctx = ctx;
  return 0;
}

/* -- Sessions of a client -------------------------------------------------- */

static session *find_session(ws__openssl_context *ctx,
                             const ws__openssl_peer *server) {
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
  const ws__openssl_conn *c = SSL_get_app_data(ssl);
  ws__openssl_context *ctx = c->context;
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
void ws__openssl_offer_session(ws__openssl_conn *c) {
  ws__openssl_context *ctx = c->context;
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

static int use_identity(SSL_CTX *ssl_ctx, const ws_tls_identity *identity,
                        char *detail) {
  if (!ws__pem_is_given(&identity->certificate) &&
      !ws__pem_is_given(&identity->key)) {
    return 0;
  }
  ws__credential cred;
  int err = ws__openssl_load_identity(identity, &cred, detail);
  if (err != 0) return err;
  if (!SSL_CTX_use_cert_and_key(ssl_ctx, cred.certificate, cred.key, cred.chain,
                                1)) {
    err = ws__openssl_give_up(detail, ws__pem_name(&identity->certificate));
  }
  ws__credential_free(&cred);
  return err;
}

static int set_trust(ws__openssl_context *ctx,
                     const ws_tls_client_options *options, char *detail) {
  if (options->insecure_no_verify) return 0;
  SSL_CTX_set_verify(ctx->ssl_ctx, SSL_VERIFY_PEER, ws__openssl_on_verify);
  ctx->verifies = true;

  if (!ws__pem_is_given(&options->ca) && options->ca_dir == NULL) {
    return ws__openssl_load_system(ctx->ssl_ctx, detail);
  }
  if (options->ca_dir != NULL) {
    const int err = ws__openssl_load_dir(ctx->ssl_ctx, options->ca_dir, detail);
    if (err != 0) return err;
  }
  if (!ws__pem_is_given(&options->ca)) return 0;
  return ws__openssl_load_trusted(ctx->ssl_ctx, &options->ca, false, detail);
}

int ws__openssl_client_context(const ws_allocator *allocator,
                               const ws_tls_client_options *options,
                               ws_tls_context **out_context, char *detail) {
  ws__openssl_context *ctx;
  int err = new_context(allocator, TLS_client_method(), &options->policy, &ctx,
                        detail);
  if (err != 0) return err;
  SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, SSL_SESS_CACHE_CLIENT |
                                                   SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx->ssl_ctx, on_new_session);
  /* Unlike the rest of OpenSSL this returns 0 for success. */
  if (SSL_CTX_set_alpn_protos(ctx->ssl_ctx, alpn, sizeof(alpn)) != 0) {
    err = ws__openssl_no_memory(detail);
  }
  if (err == 0) err = set_trust(ctx, options, detail);
  if (err == 0) err = use_identity(ctx->ssl_ctx, &options->identity, detail);
  if (err != 0) {
    ws__openssl_context_free(&ctx->base);
    return err;
  }
  *out_context = &ctx->base;
  return 0;
}

/* -- Context of a server --------------------------------------------------- */

static bool is_for(const ws__credential *cred, const char *name,
                   unsigned flags) {
  return X509_check_host(cred->certificate, name, 0, flags, NULL) > 0;
}

/* Gives a connection every credential that is for `name`. Installs from last to
 * first, so that of those with one kind of key the first stays. */
static bool install_for(const ws__openssl_context *ctx, SSL *ssl,
                        const char *name, unsigned flags, bool *is_found) {
  for (size_t i = ctx->credential_count; i-- > 0;) {
    const ws__credential *cred = &ctx->credentials[i];
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
  ws__openssl_context *ctx = arg;
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
    const ws__credential *cred = &ctx->credentials[0];
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
static int check_credential(SSL_CTX *ssl_ctx, const ws_tls_identity *identity,
                            const ws__credential *cred, char *detail) {
  ERR_clear_error();
  SSL *ssl = SSL_new(ssl_ctx);
  if (ssl == NULL) return ws__openssl_no_memory(detail);
  int err = 0;
  if (!SSL_use_cert_and_key(ssl, cred->certificate, cred->key, cred->chain,
                            1)) {
    err = ws__openssl_give_up(detail, ws__pem_name(&identity->certificate));
  }
  SSL_free(ssl);
  return err;
}

static void swap_credentials(ws__openssl_context *ctx, ws__credential *fresh,
                             size_t count) {
  pthread_rwlock_wrlock(&ctx->lock);
  ws__credential *old = ctx->credentials;
  const size_t old_count = ctx->credential_count;
  ctx->credentials = fresh;
  ctx->credential_count = count;
  pthread_rwlock_unlock(&ctx->lock);
  free_credentials(ctx->allocator, old, old_count);
}

int ws__openssl_reload(ws_tls_context *base, const ws_tls_identity *identities,
                       size_t identity_count, char *detail) {
  ws__openssl_context *ctx = context_of(base);
  if (identity_count == 0) {
    ws__detail_set(detail, "a server needs a certificate");
    return WS_ERR_INVALID_ARGUMENT;
  }
  ws__credential *fresh =
      ws__alloc_zero(ctx->allocator, identity_count * sizeof(*fresh));
  if (fresh == NULL) return ws__openssl_no_memory(detail);
  for (size_t i = 0; i < identity_count; i++) {
    int err = ws__openssl_load_identity(&identities[i], &fresh[i], detail);
    if (err == 0)
      err = check_credential(ctx->ssl_ctx, &identities[i], &fresh[i], detail);
    if (err != 0) {
      free_credentials(ctx->allocator, fresh, identity_count);
      return err;
    }
  }
  swap_credentials(ctx, fresh, identity_count);
  return 0;
}

static int set_client_auth(ws__openssl_context *ctx,
                           const ws_tls_server_options *options, char *detail) {
  int mode = SSL_VERIFY_PEER;
  switch (options->client_auth) {
  case WS_TLS_CLIENT_AUTH_NONE: return 0;
  case WS_TLS_CLIENT_AUTH_OPTIONAL: break;
  case WS_TLS_CLIENT_AUTH_REQUIRED:
    mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    ctx->verifies = true;
    break;
  }
  if (!ws__pem_is_given(&options->client_ca)) {
    ws__detail_set(detail, "client_auth needs a client_ca");
    return WS_ERR_INVALID_ARGUMENT;
  }
  SSL_CTX_set_verify(ctx->ssl_ctx, mode, ws__openssl_on_verify);
  return ws__openssl_load_trusted(ctx->ssl_ctx, &options->client_ca, true,
                                  detail);
}

int ws__openssl_server_context(const ws_allocator *allocator,
                               const ws_tls_server_options *options,
                               ws_tls_context **out_context, char *detail) {
  ws__openssl_context *ctx;
  int err = new_context(allocator, TLS_server_method(), &options->policy, &ctx,
                        detail);
  if (err != 0) return err;
  /* Clients keep their sessions, in tickets sealed by a key that lives as long
   * as this context. To resume one that a client certificate began, OpenSSL
   * wants a name of what it was for. */
  static const unsigned char service[] = "libws";
  SSL_CTX_set_session_cache_mode(ctx->ssl_ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(ctx->ssl_ctx, service, sizeof(service) - 1);
  SSL_CTX_set_cert_cb(ctx->ssl_ctx, on_choose_certificate, ctx);
  SSL_CTX_set_alpn_select_cb(ctx->ssl_ctx, on_choose_protocol, NULL);
  err = set_client_auth(ctx, options, detail);
  if (err == 0) {
    err = ws__openssl_reload(&ctx->base, options->identities,
                             options->identity_count, detail);
  }
  if (err != 0) {
    ws__openssl_context_free(&ctx->base);
    return err;
  }
  *out_context = &ctx->base;
  return 0;
}
