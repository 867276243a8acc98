/* tls.h - TLS over a non-blocking descriptor: contexts, which hold what many
 * connections share, and connections.
 *
 * No type of a TLS library stands here. A library sits behind one table of
 * functions, ws__tls_backend; the functions of this header check what goes in
 * and what comes out, keep the first failure, and call the table.
 *
 * A connection is pulled: no call blocks, and what a call waits for is its
 * result. The order at the end of a connection is the reverse of its making:
 * ws__tls_free() first, then close() of the descriptor, which TLS only borrows.
 *
 * Threads: a context may be used from many, a connection from one at a time.
 * After fork() a child may make new connections from a context it inherited; on
 * an inherited connection only ws__tls_free() is allowed, which sends nothing.
 * No call raises SIGPIPE, installs a handler or changes process-wide state. */
#ifndef WS__TLS_H
#define WS__TLS_H

#include "base/alloc.h"
#include "base/detail.h"
#include "base/hidden.h"
#include "ws/tls.h"

#include <stdatomic.h>
#include <sys/uio.h>

WS__HIDDEN_BEGIN

/* RFC 8446 5.1: "The length MUST NOT exceed 2^14 bytes." Room of this size for
 * ws__tls_read() takes any record whole. */
#define WS__TLS_RECORD_MAX 16384

typedef struct ws__tls ws__tls;

/* -- Contexts --------------------------------------------------------------
 *
 * The options are those of ws/tls.h, borrowed during the call, never kept: a
 * passphrase is handed to the reader of the key and no copy of it stays. `size`
 * is not looked at here. A zeroed struct is the default.
 *
 * Immutable but for a client's remembered sessions and a server's identities.
 * Counted references: each connection holds one, so a context lives as long as
 * the last of them. `allocator` is borrowed until then and must work on every
 * thread that uses the context.
 *
 * Return 0; WS_ERR_TLS for what cannot be used, among it a build without TLS
 * and a system without a store of CA certificates; WS_ERR_INVALID_ARGUMENT;
 * WS_ERR_NO_MEMORY. `detail` (may be NULL) then says what it was. */

int ws__tls_client_context(const ws_allocator *allocator,
                           const ws_tls_client_options *options,
                           ws_tls_context **out_context, char *detail);

int ws__tls_server_context(const ws_allocator *allocator,
                           const ws_tls_server_options *options,
                           ws_tls_context **out_context, char *detail);

/* Replaces the identities of a server. Handshakes that begin afterwards get the
 * new ones, except that a client may resume a session that the old ones began.
 * On failure the old ones stay. Any thread. */
int ws__tls_reload(ws_tls_context *context, const ws_tls_identity *identities,
                   size_t identity_count, char *detail);

ws_tls_context *ws__tls_context_retain(ws_tls_context *context);

/* NULL is fine. */
void ws__tls_context_release(ws_tls_context *context);

/* -- Connections ----------------------------------------------------------- */

/* What a call waits for, or how it ended. */
typedef enum ws__tls_status {
  WS__TLS_OK,
  WS__TLS_WANT_READ,  /* Call again when the descriptor is readable. */
  WS__TLS_WANT_WRITE, /* Call again when it is writable. */
  WS__TLS_EOF,        /* The peer said that no more comes (close_notify). */
  WS__TLS_TRUNCATED,  /* The transport ended, and the peer had not said so. */
  WS__TLS_FAILED      /* See ws__tls_error(). */
} ws__tls_status;

/* Whether nothing more is read after it. */
static inline bool ws__tls_is_end(ws__tls_status status) {
  return status >= WS__TLS_EOF;
}

/* Makes the client's side of a connection over `fd`, which is connected.
 * `host` is whom the certificate must be for: a name, sent as SNI, or an IP
 * address (with or without brackets), which never is. With the port it names
 * the session to resume. Returns as the functions for contexts. */
int ws__tls_connect(ws_tls_context *context, const ws_allocator *allocator,
                    int fd, const char *host, uint16_t port, ws__tls **out_tls,
                    char *detail);

/* Has a new connection flow through another one over the same descriptor, which
 * has shaken hands, and takes that over: TLS to a server inside of TLS to a
 * proxy. */
void ws__tls_flow_through(ws__tls *tls, ws__tls *below);

/* Makes the server's side. */
int ws__tls_accept(ws_tls_context *context, const ws_allocator *allocator,
                   int fd, ws__tls **out_tls, char *detail);

/* Sends nothing. NULL is fine. */
void ws__tls_free(ws__tls *tls);

/* Shakes hands. OK: done, and a client has verified its peer. Nothing else may
 * be called before that; ws__tls_pending() may be true right after. */
ws__tls_status ws__tls_handshake(ws__tls *tls);

/* Reads into `buf` what has arrived, as many records as fit. OK: `*out_n`
 * bytes, at least one; all `len` bytes may have been written to, for records
 * lie there before they are decrypted. `len` must not be 0. EOF and TRUNCATED
 * stay. A write that failed does not keep what has arrived from being read. */
ws__tls_status ws__tls_read(ws__tls *tls, void *buf, size_t len, size_t *out_n);

/* Whether ws__tls_read() has something to give (bytes, an end, a failure) that
 * was taken from the descriptor already, so that waiting for the descriptor
 * could be for ever. To be asked after each handshake and read that is OK. */
bool ws__tls_pending(ws__tls *tls);

/* Writes the pieces in order, small ones gathered into one record, and records
 * sent together. `*out_n` bytes were taken, whatever the status; OK: all of
 * them. What is encrypted counts as taken only as it leaves. After WANT_READ or
 * WANT_WRITE the next call must begin with the bytes that were not taken, at
 * least as many of them and wherever they now are: records with them may be on
 * their way. */
ws__tls_status ws__tls_write(ws__tls *tls, const struct iovec *pieces,
                             size_t count, size_t *out_n);

/* Tells the peer that no more comes (close_notify). OK: told, or there is no
 * way to tell. The peer's own end is not waited for. */
ws__tls_status ws__tls_shutdown(ws__tls *tls);

/* The first failure: WS_ERR_CERTIFICATE if the peer's certificate was refused;
 * WS_ERR_TRANSPORT if the system failed after the handshake; WS_ERR_NO_MEMORY;
 * WS_ERR_TLS for the rest. 0 if there was none. An alert that is read after the
 * system has failed to write takes the place of that: it says why. */
int ws__tls_error(const ws__tls *tls);

/* The errno, when the failure was the system's; else 0. */
int ws__tls_system_error(const ws__tls *tls);

/* What the failure was, for a person; "" if there was none. */
const char *ws__tls_detail(const ws__tls *tls);

/* Fills `*out_info`; after the handshake. */
void ws__tls_get_info(ws__tls *tls, ws_tls_info *out_info);

/* -- For implementations ---------------------------------------------------- */

/* The functions above, less what tls.c does: `write` gets one piece of 1 to
 * WS__TLS_RECORD_MAX bytes, and may keep the record back if more is to come;
 * `read` may give less than there is, and whatever ends or fails ends for good.
 * Read and write say OK with at least one byte. */
typedef struct ws__tls_backend {
  int (*client_context)(const ws_allocator *allocator,
                        const ws_tls_client_options *options,
                        ws_tls_context **out_context, char *detail);
  int (*server_context)(const ws_allocator *allocator,
                        const ws_tls_server_options *options,
                        ws_tls_context **out_context, char *detail);
  int (*reload)(ws_tls_context *context, const ws_tls_identity *identities,
                size_t identity_count, char *detail);
  void (*context_free)(ws_tls_context *context);

  int (*connect)(ws_tls_context *context, const ws_allocator *allocator, int fd,
                 const char *host, uint16_t port, ws__tls **out_tls,
                 char *detail);
  int (*accept)(ws_tls_context *context, const ws_allocator *allocator, int fd,
                ws__tls **out_tls, char *detail);
  void (*free)(ws__tls *tls);

  ws__tls_status (*handshake)(ws__tls *tls);
  ws__tls_status (*read)(ws__tls *tls, void *buf, size_t len, size_t *out_n);
  bool (*pending)(ws__tls *tls);
  ws__tls_status (*write)(ws__tls *tls, const void *data, size_t len,
                          size_t *out_n);
  ws__tls_status (*shutdown)(ws__tls *tls);
  void (*get_info)(ws__tls *tls, ws_tls_info *out_info);
} ws__tls_backend;

/* The head of every context; `backend` is set by the implementation, the rest
 * by tls.c. */
struct ws_tls_context {
  const ws__tls_backend *backend;
  atomic_uint references;
  bool is_server;
};

/* The head of every connection; as above, and `waiting` by both. */
struct ws__tls {
  const ws__tls_backend *backend;
  ws_tls_context *context;
  ws__tls *below;     /* The connection it flows through, or NULL. */
  bool is_open;       /* The handshake is done. */
  bool is_drained;    /* The last read took all there was. */
  bool is_writing;    /* A record has been begun and must be written on. */
  ws__tls_status end; /* EOF, TRUNCATED or FAILED once reading has ended so. */
  size_t more;      /* Bytes that this write brings after the record at hand. */
  size_t waiting;   /* Ciphertext that was kept back and has not left. */
  size_t sealed;    /* Bytes of the caller in it, which have not been taken. */
  int error;        /* The first failure, */
  int system_error; /* its errno, or 0, */
  char detail[WS__DETAIL_SIZE]; /* and its words. */
};

/* Records a failure; see ws__tls_error(). Returns WS__TLS_FAILED. */
ws__tls_status ws__tls_fail(ws__tls *tls, int error, const char *detail);

/* The same for one of the system, with its errno. */
ws__tls_status ws__tls_fail_by_system(ws__tls *tls, int error, int system_error,
                                      const char *detail);

/* There only if it was built. */
extern const ws__tls_backend ws__tls_openssl;

WS__HIDDEN_END

#endif
