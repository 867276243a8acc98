/* sender.h - the inside of a ws_sender: what other threads send becomes letters
 * to the socket's loop. */
#ifndef WS__SENDER_H
#define WS__SENDER_H

#include "base/hidden.h"
#include "io/inbox.h"

WS__HIDDEN_BEGIN

/* What a socket does for its sender. */
typedef struct ws__sender_ops {
  /* Whether it can send a whole message now: not while it is CONNECTING, and
   * not inside a message that is sent in fragments. */
  bool (*can_send)(const ws_socket *socket);
  /* Fails the connection: without memory a message could not be sent. */
  void (*fail)(ws_socket *socket);
} ws__sender_ops;

/* Makes the sender of a socket; the reference is the socket's. No more than
 * `max_bytes` wait. NULL without memory. */
ws_sender *ws__sender_make(ws_socket *socket, ws__inbox *inbox,
                           uint64_t max_bytes, const ws__sender_ops *ops);

ws_sender *ws__sender_retain(ws_sender *sender);

/* Sends what had to wait, if that is possible now. */
void ws__sender_go_on(ws_sender *sender);

/* The socket ends, and gives up its reference. */
void ws__sender_end(ws_sender *sender);

WS__HIDDEN_END

#endif
