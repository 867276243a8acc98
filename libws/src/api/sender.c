/* sender.c - see sender.h: what a thread sends is a parcel in the loop's inbox,
 * opened there; one that comes too early is held back, in its order. */
#include "api/sender.h"
#include "base/list.h"
#include "proto/conn.h"
#include "proto/message.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct ws_sender {
  ws__inbox *inbox;
  uint64_t max_bytes;

  /* Any thread. */
  atomic_uint references;
  atomic_bool has_ended;
  atomic_uint_fast64_t waiting; /* Bytes of parcels in the inbox. */

  /* The loop's thread. */
  ws_socket *socket; /* NULL once it has ended. */
  const ws__sender_ops *ops;
  ws__letter *held; /* Parcels that the socket cannot send yet, */
  ws__letter **end; /* and where the next one is hung up. */
};

ws_sender *ws__sender_make(ws_socket *socket, ws__inbox *inbox,
                           uint64_t max_bytes, const ws__sender_ops *ops) {
  ws_sender *sender = calloc(1, sizeof(*sender));
  if (sender == NULL) return NULL;
  sender->inbox = ws__inbox_retain(inbox);
  sender->max_bytes = max_bytes;
  sender->socket = socket;
  sender->ops = ops;
  sender->end = &sender->held;
  atomic_init(&sender->references, 1);
  atomic_init(&sender->has_ended, false);
  atomic_init(&sender->waiting, 0);
  return sender;
}

ws_sender *ws__sender_retain(ws_sender *sender) {
  atomic_fetch_add(&sender->references, 1);
  return sender;
}

void ws_sender_free(ws_sender *sender) {
  if (sender == NULL || atomic_fetch_sub(&sender->references, 1) != 1) return;
  ws__inbox_release(sender->inbox);
  free(sender);
}

/* -- Letters --------------------------------------------------------------- */

typedef struct parcel {
  ws__letter letter;
  ws_sender *sender;
  bool is_close;
  uint16_t code;        /* Of a close. */
  ws_message_type type; /* Of a message. */
  unsigned flags;
  size_t len;
  char data[]; /* The message, or the reason of a close. */
} parcel;

/* What a parcel counts: small ones cost memory too. */
static uint64_t cost_of(const parcel *p) {
  return sizeof(*p) + p->len;
}

/* What goes wrong fails the connection, and its events say so. */
static void say(ws_socket *socket, const parcel *p) {
  if (p->is_close) {
    (void)ws_socket_close_with(socket, p->code, p->data, p->len);
  } else if (ws_socket_send(socket, p->type, p->data, p->len, p->flags) ==
             WS_ERR_NO_MEMORY) {
    p->sender->ops->fail(socket);
  }
}

/* Hands a parcel to the socket, if that is still there, and frees it. */
static void hand_over(parcel *p) {
  ws_sender *sender = p->sender;
  ws_socket *socket = sender->socket;
  atomic_fetch_sub(&sender->waiting, cost_of(p));
  if (socket != NULL) say(socket, p);
  ws_sender_free(sender);
  free(p);
}

/* Whether a parcel has to wait: a message until the socket can send it, and
 * anything behind one that waits. A connection that is not there yet can be
 * closed at any time. */
static bool must_wait(const parcel *p) {
  const ws_sender *sender = p->sender;
  if (sender->socket == NULL) return false;
  if (p->is_close &&
      ws_socket_ready_state(sender->socket) == WS_STATE_CONNECTING) {
    return false;
  }
  return sender->held != NULL ||
         (!p->is_close && !sender->ops->can_send(sender->socket));
}

static bool deliver(ws__letter *letter, ws_loop *loop, ws_event *out_event) {
  (void)out_event;
  parcel *p = WS__CONTAINER_OF(letter, parcel, letter);
  ws_sender *sender = p->sender;
  if (loop == NULL) sender->socket = NULL; /* It ends with its loop. */
  if (!must_wait(p)) {
    hand_over(p);
    return false;
  }
  letter->next = NULL;
  *sender->end = letter;
  sender->end = &letter->next;
  return false;
}

/* Takes the first of the parcels that are held back. */
static parcel *take_held(ws_sender *sender) {
  parcel *p = WS__CONTAINER_OF(sender->held, parcel, letter);
  sender->held = p->letter.next;
  if (sender->held == NULL) sender->end = &sender->held;
  return p;
}

void ws__sender_go_on(ws_sender *sender) {
  while (sender->held != NULL && sender->ops->can_send(sender->socket))
    hand_over(take_held(sender));
}

void ws__sender_end(ws_sender *sender) {
  sender->socket = NULL;
  atomic_store(&sender->has_ended, true);
  while (sender->held != NULL)
    hand_over(take_held(sender));
  ws_sender_free(sender);
}

static parcel *new_parcel(ws_sender *sender, const void *data, size_t len) {
  if (len > SIZE_MAX - sizeof(parcel)) return NULL;
  parcel *p = malloc(sizeof(*p) + len);
  if (p == NULL) return NULL;
  *p = (parcel){.letter = {.open = deliver},
                .sender = ws__sender_retain(sender),
                .len = len};
  if (len > 0) memcpy(p->data, data, len);
  return p;
}

/* Sends a parcel off, within the bound. */
static int post(parcel *p) {
  ws_sender *sender = p->sender;
  const uint64_t cost = cost_of(p);
  const uint64_t before = atomic_fetch_add(&sender->waiting, cost);
  int err = 0;
  if (atomic_load(&sender->has_ended)) {
    err = WS_ERR_INVALID_STATE;
  } else if (before > sender->max_bytes || cost > sender->max_bytes - before) {
    err = WS_ERR_SEND_QUEUE_FULL;
  } else {
    err = ws__inbox_put(sender->inbox, &p->letter);
  }
  if (err == 0) return 0;
  atomic_fetch_sub(&sender->waiting, cost);
  free(p);
  ws_sender_free(sender);
  return err;
}

int ws_sender_send(ws_sender *sender, ws_message_type type, const void *data,
                   size_t len, unsigned flags) {
  const int err = ws__message_check(type, data, len, flags);
  if (err != 0) return err;
  parcel *p = new_parcel(sender, data, len);
  if (p == NULL) return WS_ERR_NO_MEMORY;
  p->type = type;
  p->flags = flags | WS_SEND_VALID_UTF8;
  return post(p);
}

int ws_sender_close(ws_sender *sender, uint16_t code, const char *reason,
                    size_t reason_len) {
  const int err = ws__close_check(code, reason, reason_len);
  if (err != 0) return err;
  parcel *p = new_parcel(sender, reason, reason_len);
  if (p == NULL) return WS_ERR_NO_MEMORY;
  p->is_close = true;
  p->code = code;
  return post(p);
}
