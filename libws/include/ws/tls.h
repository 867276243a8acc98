/* ws/tls.h - what TLS connections are made with: whom to trust, and who one is.
 *
 * A context holds certificates, keys and trust, and is shared by any number of
 * connections. It is made from PEM data, each given either as the name of a
 * file or as the text itself.
 *
 * The defaults are strict: TLS 1.2 or later, the chain and the host name are
 * verified, and only the options with "insecure" in their name change that. A
 * library built without TLS refuses every context with WS_ERR_TLS. */
#ifndef WS_TLS_H
#define WS_TLS_H

#include "ws/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A handle: certificates, keys and trust, for any number of connections. */
typedef struct ws_tls_context ws_tls_context;

/* PEM data: the name of a file or the text itself, not both. */
typedef struct ws_tls_pem {
  const char *file;
  const char *text;
} ws_tls_pem;

/* A certificate, its chain and its key. */
typedef struct ws_tls_identity {
  /* The leaf first, then what signed it. */
  ws_tls_pem certificate;
  /* Optional. None: it stands beside the certificate. */
  ws_tls_pem key;
  /* Optional. Of the key. Nobody is prompted for one. */
  const char *passphrase;
} ws_tls_identity;

/* A version of TLS. */
typedef enum ws_tls_version {
  WS_TLS_VERSION_DEFAULT, /* 1.2, or what the system asks above that. */
  WS_TLS_VERSION_1_2,
  WS_TLS_VERSION_1_3
} ws_tls_version;

/* Which TLS is spoken. */
typedef struct ws_tls_policy {
  ws_tls_version min_version;
  ws_tls_version max_version;
  /* Optional. For TLS 1.2, in OpenSSL's syntax. Defaults to suites that are
   * forward secret and authenticated. */
  const char *ciphers;
  /* Optional. For TLS 1.3, names with colons between. */
  const char *cipher_suites;
} ws_tls_policy;

/* Fill with ws_tls_client_options_init(). Everything is borrowed during the
 * call that takes it. */
typedef struct ws_tls_client_options {
  /* sizeof(ws_tls_client_options), set by ws_tls_client_options_init(). */
  size_t size;
  /* Optional. Versions and ciphers. */
  ws_tls_policy policy;
  /* Optional. Whom to trust; with neither, the system's store. Revocation lists
   * in `ca` are heeded, and then the issuer of each leaf must have one. */
  ws_tls_pem ca;
  const char *ca_dir; /* Hashed as by `openssl rehash`. */
  /* Optional. For servers that ask for a certificate. */
  ws_tls_identity identity;
  /* Takes any certificate of any host. */
  bool insecure_no_verify;
} ws_tls_client_options;

/* Whether a server asks clients for a certificate. */
typedef enum ws_tls_client_auth {
  WS_TLS_CLIENT_AUTH_NONE,
  WS_TLS_CLIENT_AUTH_OPTIONAL, /* None is fine; a bad one is not. */
  WS_TLS_CLIENT_AUTH_REQUIRED
} ws_tls_client_auth;

/* Fill with ws_tls_server_options_init(). Borrowed as above. */
typedef struct ws_tls_server_options {
  /* sizeof(ws_tls_server_options), set by ws_tls_server_options_init(). */
  size_t size;
  /* Optional. Versions and ciphers. */
  ws_tls_policy policy;
  /* Required, at least one. The first is the default. A client that names a
   * host (SNI) gets those that are for this name, exactly or else by a
   * wildcard; of several with the same kind of key the first. */
  const ws_tls_identity *identities;
  size_t identity_count;
  ws_tls_client_auth client_auth;
  /* Who signs the clients' certificates. */
  ws_tls_pem client_ca;
} ws_tls_server_options;

/* Set every field to its default. Never fail. Since 0.1. */
WS_API void ws_tls_client_options_init(ws_tls_client_options *options);
WS_API void ws_tls_server_options_init(ws_tls_server_options *options);

/* Make a context for clients (`options` may be NULL) or for servers. Files are
 * read now. Memory comes from malloc. Return 0; WS_ERR_TLS for data that cannot
 * be used, a system without a store of CA certificates, and a build without
 * TLS; WS_ERR_INVALID_ARGUMENT; WS_ERR_NO_MEMORY. `out_error`, if not NULL,
 * then names what it was. Any thread. Since 0.1. */
WS_API int ws_tls_client_new(const ws_tls_client_options *options,
                             ws_tls_context **out_context, ws_error *out_error);
WS_API int ws_tls_server_new(const ws_tls_server_options *options,
                             ws_tls_context **out_context, ws_error *out_error);

/* Replaces a server's certificates without a restart. Handshakes that begin
 * afterwards get the new ones, except that a client may resume a session the
 * old ones began. Returns as ws_tls_server_new(), and after an error the old
 * ones stay. Any thread. Since 0.1. */
WS_API int ws_tls_reload(ws_tls_context *context,
                         const ws_tls_identity *identities,
                         size_t identity_count, ws_error *out_error);

/* Gives up the caller's reference. Sockets and servers made with the context
 * keep it alive. NULL is fine. Any thread. Since 0.1. */
WS_API void ws_tls_context_free(ws_tls_context *context);

/* What a TLS connection has come to. All strings end in NUL. */
typedef struct ws_tls_info {
  const char *version;    /* Such as "TLSv1.3"; static. */
  const char *cipher;     /* Such as "TLS_AES_256_GCM_SHA384"; static. */
  char protocol[16];      /* By ALPN: "http/1.1", or "" if none was agreed. */
  char server_name[256];  /* SNI; "" if the client named no host. */
  char peer_subject[256]; /* RFC 2253, escaped; "" without certificate. */
  bool is_resumed;
} ws_tls_info;

#ifdef __cplusplus
}
#endif

#endif /* WS_TLS_H */
