/* tls.c - what holds for every TLS library: the order of calls, records out of
 * pieces, ends that stay, and no belief in a count that cannot be. */
#include "io/tls.h"

#include <assert.h>
#include <string.h>

#ifndef WS_HAVE_OPENSSL
#define WS_HAVE_OPENSSL 0
#endif

/* -- Contexts -------------------------------------------------------------- */

#if WS_HAVE_OPENSSL

static const ws__tls_backend *const backend = &ws__tls_openssl;

#else

static int no_client_context(const ws_allocator *allocator,
                             const ws_tls_client_options *options,
                             ws_tls_context **out_context, char *detail) {
  (void)allocator, (void)options, (void)out_context;
  ws__detail_set(detail, "this libws was built without TLS");
  return WS_ERR_TLS;
}

static int no_server_context(const ws_allocator *allocator,
                             const ws_tls_server_options *options,
                             ws_tls_context **out_context, char *detail) {
  (void)allocator, (void)options, (void)out_context;
  ws__detail_set(detail, "this libws was built without TLS");
  return WS_ERR_TLS;
}

/* Without a context nothing else can be called. */
static const ws__tls_backend no_backend = {
    .client_context = no_client_context,
    .server_context = no_server_context,
};
static const ws__tls_backend *const backend = &no_backend;

#endif

int ws__tls_client_context(const ws_allocator *allocator,
                           const ws_tls_client_options *options,
                           ws_tls_context **out_context, char *detail) {
  ws_tls_context *context;
  const int err = backend->client_context(allocator, options, &context, detail);
  if (err != 0) return err;
  context->is_server = false;
  atomic_init(&context->references, 1);
  *out_context = context;
  return 0;
}

int ws__tls_server_context(const ws_allocator *allocator,
                           const ws_tls_server_options *options,
                           ws_tls_context **out_context, char *detail) {
  ws_tls_context *context;
  const int err = backend->server_context(allocator, options, &context, detail);
  if (err != 0) return err;
  context->is_server = true;
  atomic_init(&context->references, 1);
  *out_context = context;
  return 0;
}

int ws__tls_reload(ws_tls_context *context, const ws_tls_identity *identities,
                   size_t identity_count, char *detail) {
  assert(context->is_server);
  return context->backend->reload(context, identities, identity_count, detail);
}

ws_tls_context *ws__tls_context_retain(ws_tls_context *context) {
  atomic_fetch_add(&context->references, 1);
  return context;
}

void ws__tls_context_release(ws_tls_context *context) {
  if (context == NULL) return;
  if (atomic_fetch_sub(&context->references, 1) == 1) {
    context->backend->context_free(context);
  }
}

/* -- Connections ----------------------------------------------------------- */

int ws__tls_connect(ws_tls_context *context, const ws_allocator *allocator,
                    int fd, const char *host, uint16_t port, ws__tls **out_tls,
                    char *detail) {
  assert(!context->is_server);
  ws__tls *tls;
  const int err = context->backend->connect(context, allocator, fd, host, port,
                                            &tls, detail);
  if (err != 0) return err;
  tls->context = ws__tls_context_retain(context);
  *out_tls = tls;
  return 0;
}

int ws__tls_accept(ws_tls_context *context, const ws_allocator *allocator,
                   int fd, ws__tls **out_tls, char *detail) {
  assert(context->is_server);
  ws__tls *tls;
  const int err =
      context->backend->accept(context, allocator, fd, &tls, detail);
  if (err != 0) return err;
  tls->context = ws__tls_context_retain(context);
  *out_tls = tls;
  return 0;
}

void ws__tls_free(ws__tls *tls) {
  while (tls != NULL) {
    ws_tls_context *context = tls->context;
    ws__tls *below = tls->below;
    tls->backend->free(tls);
    ws__tls_context_release(context);
    tls = below;
  }
}

void ws__tls_flow_through(ws__tls *tls, ws__tls *below) {
  assert(!tls->is_open && below->is_open);
  tls->below = below;
}

/* Whether what fails now tells more than what has failed before. */
static bool is_telling(const ws__tls *tls, int error) {
  return tls->error == 0 || (tls->is_open && tls->error == WS_ERR_TRANSPORT &&
                             error == WS_ERR_TLS);
}

ws__tls_status ws__tls_fail_by_system(ws__tls *tls, int error, int system_error,
                                      const char *detail) {
  if (is_telling(tls, error)) {
    tls->error = error;
    tls->system_error = system_error;
    ws__detail_set(tls->detail, "%s", detail);
  }
  return WS__TLS_FAILED;
}

ws__tls_status ws__tls_fail(ws__tls *tls, int error, const char *detail) {
  return ws__tls_fail_by_system(tls, error, 0, detail);
}

int ws__tls_error(const ws__tls *tls) {
  return tls->error;
}

int ws__tls_system_error(const ws__tls *tls) {
  return tls->system_error;
}

const char *ws__tls_detail(const ws__tls *tls) {
  return tls->detail;
}

void ws__tls_get_info(ws__tls *tls, ws_tls_info *out_info) {
  assert(tls->is_open);
  *out_info = (ws_tls_info){.version = "", .cipher = ""};
  tls->backend->get_info(tls, out_info);
}

ws__tls_status ws__tls_handshake(ws__tls *tls) {
  if (tls->error != 0) return WS__TLS_FAILED;
  if (tls->is_open) return WS__TLS_OK;
  const ws__tls_status status = tls->backend->handshake(tls);
  if (status == WS__TLS_OK) tls->is_open = true;
  return status;
}

/* Whether bytes may flow. Refused before the handshake, lest a library begin it
 * by itself and send before the peer is known. */
static bool is_open(ws__tls *tls) {
  assert(tls->is_open || tls->error != 0);
  if (!tls->is_open) {
    ws__tls_fail(tls, WS_ERR_INVALID_STATE, "the TLS handshake is not done");
  }
  return tls->is_open;
}

/* Of a call that says it moved `n` of `len` bytes. */
static ws__tls_status believe(ws__tls *tls, size_t n, size_t len) {
  if (n > 0 && n <= len) return WS__TLS_OK;
  return ws__tls_fail(tls, WS_ERR_TLS,
                      "the TLS library moved a number of "
                      "bytes that cannot be");
}

/* -- Reading --------------------------------------------------------------- */

/* Reads once. What ends or fails is remembered. */
static ws__tls_status read_once(ws__tls *tls, uint8_t *buf, size_t len,
                                size_t *out_n) {
  size_t n = 0;
  ws__tls_status status = tls->backend->read(tls, buf, len, &n);
  if (status == WS__TLS_OK) status = believe(tls, n, len);
  if (status == WS__TLS_OK) *out_n = n;
  tls->is_drained = status != WS__TLS_OK;
  if (ws__tls_is_end(status)) tls->end = status;
  return status;
}

ws__tls_status ws__tls_read(ws__tls *tls, void *buf, size_t len,
                            size_t *out_n) {
  *out_n = 0;
  if (!is_open(tls)) return WS__TLS_FAILED;
  if (tls->end != WS__TLS_OK) return tls->end;

  uint8_t *bytes = buf;
  size_t used = 0;
  do {
    size_t n = 0;
    const ws__tls_status status = read_once(tls, bytes + used, len - used, &n);
    if (status != WS__TLS_OK) {
      /* Bytes first; the next call says the rest. */
      if (used == 0) return status;
      break;
    }
    used += n;
  } while (used < len && tls->backend->pending(tls));
  *out_n = used;
  return WS__TLS_OK;
}

bool ws__tls_pending(ws__tls *tls) {
  for (; tls != NULL; tls = tls->below) {
    if (tls->end != WS__TLS_OK) return true;
    if (!tls->is_drained && tls->backend->pending(tls)) return true;
  }
  return false;
}

/* -- Writing --------------------------------------------------------------- */

/* Where a write stands in its pieces. */
typedef struct cursor {
  const struct iovec *piece;
  const struct iovec *end;
  size_t offset; /* In `piece`. */
} cursor;

/* Goes past pieces that are used up. Returns what is left of the one it then
 * stands in; 0 at the end. */
static size_t settle(cursor *at) {
  while (at->piece < at->end && at->offset == at->piece->iov_len) {
    at->piece++;
    at->offset = 0;
  }
  return at->piece < at->end ? at->piece->iov_len - at->offset : 0;
}

static const uint8_t *here(const cursor *at) {
  return (const uint8_t *)at->piece->iov_base + at->offset;
}

static void advance(cursor *at, size_t n) {
  while (n > 0) {
    size_t step = settle(at);
    if (step > n) step = n;
    at->offset += step;
    n -= step;
  }
}

/* Shows the bytes of the next record, at most WS__TLS_RECORD_MAX: in place if
 * one piece has them all, otherwise gathered in `room`. Returns how many, 0 at
 * the end. */
static size_t next_record(cursor at, uint8_t *room, const uint8_t **out_data) {
  size_t left = settle(&at);
  if (left == 0) return 0;
  *out_data = here(&at);
  if (left >= WS__TLS_RECORD_MAX) return WS__TLS_RECORD_MAX;
  if (at.piece + 1 == at.end) return left;

  *out_data = room;
  size_t used = 0;
  while (used < WS__TLS_RECORD_MAX && (left = settle(&at)) > 0) {
    const size_t most = WS__TLS_RECORD_MAX - used;
    const size_t step = left < most ? left : most;
    memcpy(room + used, here(&at), step);
    used += step;
    at.offset += step;
  }
  return used;
}

/* Makes records of the `left` bytes from `at` on. */
static ws__tls_status write_records(ws__tls *tls, cursor at, size_t left) {
  uint8_t room[WS__TLS_RECORD_MAX];
  const uint8_t *data;
  size_t len;
  while ((len = next_record(at, room, &data)) > 0) {
    size_t n = 0;
    tls->more = left - len;
    ws__tls_status status = tls->backend->write(tls, data, len, &n);
    tls->is_writing = status != WS__TLS_OK;
    if (status == WS__TLS_OK) status = believe(tls, n, len);
    if (status != WS__TLS_OK) return status;
    advance(&at, n);
    left -= n;
    tls->sealed += n;
  }
  return WS__TLS_OK;
}

/* Returns how many of the sealed bytes have left since the last time. Those
 * that have not are no more than the ciphertext that waits. */
static size_t take_sealed(ws__tls *tls) {
  const size_t sealed = tls->sealed;
  if (tls->sealed > tls->waiting) tls->sealed = tls->waiting;
  return sealed - tls->sealed;
}

ws__tls_status ws__tls_write(ws__tls *tls, const struct iovec *pieces,
                             size_t count, size_t *out_n) {
  *out_n = 0;
  if (!is_open(tls) || tls->error != 0) return WS__TLS_FAILED;

  size_t len = 0;
  for (size_t i = 0; i < count; i++)
    len += pieces[i].iov_len;
  assert(len >= tls->sealed);
  cursor at = {.piece = pieces, .end = pieces + count};
  advance(&at, tls->sealed);
  const ws__tls_status status = write_records(tls, at, len - tls->sealed);
  tls->more = 0;
  *out_n = take_sealed(tls);
  return status;
}

ws__tls_status ws__tls_shutdown(ws__tls *tls) {
  /* An alert cannot go out in the middle of a record. */
  if (!tls->is_open || tls->is_writing || tls->error != 0 ||
      tls->end == WS__TLS_TRUNCATED) {
    return WS__TLS_OK;
  }
  return tls->backend->shutdown(tls);
}
