/* deflate.h - permessage-deflate's two streams for one connection (RFC 7692).
 *
 * Relies on zlib. What is inflated is pulled into buffers of the caller, so
 * that the bound on a message holds while it is inflated (a bomb is never
 * expanded first). The streams are made when first needed and can be given back
 * while idle, when nothing must be remembered. */
#ifndef WS__DEFLATE_H
#define WS__DEFLATE_H

#include "base/buf.h"
#include "base/hidden.h"
#include "ws/base.h"

WS__HIDDEN_BEGIN

/* What was agreed (RFC 7692 7.1). Window bits are 8 to 15. */
typedef struct ws__deflate_params {
  uint8_t server_max_window_bits;
  uint8_t client_max_window_bits;
  bool server_no_context_takeover;
  bool client_no_context_takeover;
} ws__deflate_params;

typedef struct ws__deflate ws__deflate;

/* `is_server` says whose window is whose; `level` (0 to 9) and `mem_level` (1
 * to 9) are zlib's. Returns 0 or WS_ERR_NO_MEMORY. `allocator` is borrowed
 * until the end. */
int ws__deflate_new(const ws_allocator *allocator,
                    const ws__deflate_params *params, bool is_server, int level,
                    int mem_level, ws__deflate **out_deflate);
void ws__deflate_free(ws__deflate *deflate);

/* Compresses the next part of a message and appends it to `out`; with `is_last`
 * ends the message as section 7.2.1 says (the 00 00 ff ff tail removed). Each
 * part is flushed, so that what is appended lets the peer read all of it; only
 * a part that is empty and not the last appends nothing. Returns 0 or
 * WS_ERR_NO_MEMORY, after which the stream cannot go on. */
int ws__deflate_compress(ws__deflate *deflate, const uint8_t *data, size_t len,
                         bool is_last, ws__buf *out);

/* Expands the next part of a message: reads from `*data`, `*len` (both
 * advanced) and writes at most `out_cap` bytes to `out`, `*out_len` says how
 * many. With `is_last` the bytes end the message and the tail is supplied
 * (section 7.2.2).
 * `*done` is set once all input has been used and nothing is left to hand out;
 * until then `out` has been filled: call again with what is left and new room.
 *
 * `out_cap` must not be 0. Whether a message that has reached a limit ends
 * there is found out with room for one byte more.
 *
 * Returns 0; WS_ERR_INVALID_DEFLATE, also for a message that ends inside a
 * DEFLATE block; WS_ERR_NO_MEMORY. After an error the stream cannot go on. */
int ws__deflate_expand(ws__deflate *deflate, const uint8_t **data, size_t *len,
                       bool is_last, uint8_t *out, size_t out_cap,
                       size_t *out_len, bool *done);

/* Compresses the next message without reference to those before it. Between
 * messages only. */
void ws__deflate_forget(ws__deflate *deflate);

/* The window with which it compresses. */
uint8_t ws__deflate_window_bits(const ws__deflate *deflate);

/* Gives back the memory of streams that have nothing to remember: between
 * messages, where there is no context takeover. */
void ws__deflate_release_idle(ws__deflate *deflate);

/* Memory held, the struct included. */
size_t ws__deflate_held(const ws__deflate *deflate);

WS__HIDDEN_END

#endif
