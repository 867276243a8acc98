/* message.h - a message that is framed once and sent to many.
 *
 * Holds the frame that a server sends, and the deflated one beside it if the
 * configuration wants compression. Nothing in it changes once it is made, and
 * whoever queues a frame keeps a reference, so the bytes stay until the last
 * queue has sent them.
 *
 * Messages that go to the same connections one after the other can be parts of
 * a run: their frames lie side by side there, and a queue holds them as one
 * piece. */
#ifndef WS__MESSAGE_H
#define WS__MESSAGE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/hidden.h"
#include "proto/config.h"

WS__HIDDEN_BEGIN

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
  ws_message *keeper; /* Whose references keep the frames: itself or a run. */
  size_t room;        /* Behind `plain`, in a run. */
  uint8_t bytes[];
};

/* Checks a whole message that is to be sent later: type, flags and text.
 * Returns 0, WS_ERR_INVALID_ARGUMENT or WS_ERR_INVALID_UTF8. */
int ws__message_check(ws_message_type type, const void *data, size_t len,
                      unsigned flags);

/* Makes a run without frames, with room for so many bytes of them; NULL without
 * memory. It is a message that is not sent itself: `plain` is all it holds. */
ws_message *ws__run_new(size_t room);

/* Copies the frame of a message that has no other, not deflated, to the end of
 * a run, if there is room. `out_part` is then the same message as a part of the
 * run: to be sent while that lives, neither retained nor freed. */
bool ws__run_add(ws_message *run, const ws_message *message,
                 ws_message *out_part);

WS__HIDDEN_END

#endif
