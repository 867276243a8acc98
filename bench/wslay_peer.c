#include "wslay_peer.h"

#include "material.h"
#include "measure.h"

#ifdef BENCH_WSLAY
#include <string.h>
#include <wslay/wslay.h>

struct wslay_peer {
  wslay_event_context_ptr context;
  const uint8_t *input;
  size_t input_len;
  size_t messages;
};

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *out,
                       size_t len, int flags, void *user) {
  (void)flags;
  wslay_peer *peer = user;
  if (peer->input_len == 0) {
    wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
    return -1;
  }
  const size_t n = len < peer->input_len ? len : peer->input_len;
  memcpy(out, peer->input, n);
  peer->input += n;
  peer->input_len -= n;
  return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *data,
                       size_t len, int flags, void *user) {
  (void)context;
  (void)data;
  (void)flags;
  (void)user;
  return (ssize_t)len;
}

static int on_genmask(wslay_event_context_ptr context, uint8_t *out, size_t len,
                      void *user) {
  (void)context;
  (void)user;
  return ws_random(NULL, out, len);
}

static void on_message(wslay_event_context_ptr context,
                       const struct wslay_event_on_msg_recv_arg *message,
                       void *user) {
  (void)context;
  (void)message;
  wslay_peer *peer = user;
  peer->messages++;
}

bool wslay_peer_is_there(void) {
  return true;
}

wslay_peer *wslay_peer_new(ws_role role) {
  static const struct wslay_event_callbacks callbacks = {
      .recv_callback = on_recv,
      .send_callback = on_send,
      .genmask_callback = on_genmask,
      .on_msg_recv_callback = on_message,
  };
  wslay_peer *peer = allocate(sizeof(*peer));
  const int err =
      role == WS_ROLE_SERVER
          ? wslay_event_context_server_init(&peer->context, &callbacks, peer)
          : wslay_event_context_client_init(&peer->context, &callbacks, peer);
  must(err == 0, "wslay has a context");
  return peer;
}

void wslay_peer_free(wslay_peer *peer) {
  if (peer == NULL) return;
  wslay_event_context_free(peer->context);
  deallocate(peer);
}

size_t wslay_peer_receive(wslay_peer *peer, const uint8_t *data, size_t len) {
  peer->input = data;
  peer->input_len = len;
  peer->messages = 0;
  must(wslay_event_recv(peer->context) == 0, "wslay receives");
  return peer->messages;
}

void wslay_peer_send(wslay_peer *peer, ws_message_type type,
                     const uint8_t *data, size_t len, size_t count) {
  const struct wslay_event_msg message = {(uint8_t)type, data, len};
  for (size_t i = 0; i < count; i++)
    must(wslay_event_queue_msg(peer->context, &message) == 0, "wslay queues");
  must(wslay_event_send(peer->context) == 0, "wslay sends");
}

#else
bool wslay_peer_is_there(void) {
  return false;
}

wslay_peer *wslay_peer_new(ws_role role) {
  (void)role;
  return NULL;
}

void wslay_peer_free(wslay_peer *peer) {
  (void)peer;
}

size_t wslay_peer_receive(wslay_peer *peer, const uint8_t *data, size_t len) {
  (void)peer;
  (void)data;
  (void)len;
  return 0;
}

void wslay_peer_send(wslay_peer *peer, ws_message_type type,
                     const uint8_t *data, size_t len, size_t count) {
  (void)peer;
  (void)type;
  (void)data;
  (void)len;
  (void)count;
}
#endif
