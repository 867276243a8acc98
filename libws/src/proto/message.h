/* message.h - a message that is framed once and sent to many.
 *
 * Holds the frame that a server sends, and the deflated one beside it if the
 * configuration wants compression. Nothing in it changes once it is made, and
 * whoever queues a frame keeps a reference, so the bytes stay until the last
 * queue has sent them. */
#ifndef WS__MESSAGE_H
#define WS__MESSAGE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "proto/config.h"

struct ws_message {
  atomic_size_t references;
  ws_conn_config *config; /* Keeps the allocator; NULL for malloc. */
  ws_message_type type;
  /* For ws_conn_send(): WS_SEND_VALID_UTF8, and WS_SEND_UNCOMPRESSED by wish or
   * because deflate does not shorten it. */
  unsigned flags;
  size_t len;
  ws_slice plain;    /* Its frame as it is, in `bytes`. */
  ws_slice deflated; /* Its frame deflated, in `packed`; of length 0 if none. */
  uint8_t window_bits; /* That a peer of `deflated` has at least. */
  ws__buf packed;
  uint8_t bytes[];
};

#endif
