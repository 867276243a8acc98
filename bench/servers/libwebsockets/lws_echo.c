/* lws_echo.c - an echo server, or a broadcasting one, with libwebsockets.
 *
 * A message is put together from its pieces and joins the queue of whom it is
 * for; as the library wants it, queues are written from the writable callback,
 * as much as fits. The check of UTF-8 is off, which is its default. */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#include "../common/peer.h"

#define RECEIVE_SIZE \
  (64 << 10) /* The default of 4 KiB would cut messages up. */

/* Shared by the queues of all who are to get it. */
typedef struct message {
  size_t references;
  enum lws_write_protocol kind;
  size_t length;
  unsigned char *payload; /* With LWS_PRE bytes of room before it. */
} message;

typedef struct queued {
  message *message;
  struct queued *next;
} queued;

/* libwebsockets makes one for each connection, zeroed. */
typedef struct session {
  struct lws *wsi;
  unsigned char *gathered; /* What came of the next message; with LWS_PRE. */
  size_t gathered_length;
  size_t gathered_capacity;
  queued *first;
  queued *last;

  /* The list of all, which a broadcast walks. */
  struct session *next;
  struct session **previous_link;
} session;

static peer_options options;
static session *all;

static void *checked(void *memory) {
  if (memory == NULL) peer_die("out of memory");
  return memory;
}

static void gather(session *s, const void *bytes, size_t length) {
  const size_t needed = LWS_PRE + s->gathered_length + length;
  if (needed > s->gathered_capacity) {
    const size_t remaining = lws_remaining_packet_payload(s->wsi);
    s->gathered_capacity = needed + remaining;
    s->gathered = checked(realloc(s->gathered, s->gathered_capacity));
  }
  memcpy(s->gathered + LWS_PRE + s->gathered_length, bytes, length);
  s->gathered_length += length;
}

static void release(message *m) {
  if (--m->references > 0) return;
  free(m->payload - LWS_PRE);
  free(m);
}

static void enqueue(session *s, message *m) {
  queued *q = checked(malloc(sizeof(*q)));
  *q = (queued){.message = m};
  m->references++;
  if (s->first == NULL) s->first = q;
  else s->last->next = q;
  s->last = q;
  lws_callback_on_writable(s->wsi);
}

static void dequeue(session *s) {
  queued *q = s->first;
  s->first = q->next;
  release(q->message);
  free(q);
}

/* Takes the gathered bytes as a message. */
static void deliver(session *s) {
  message *m = checked(malloc(sizeof(*m)));
  *m = (message){
      .references = 1,
      .kind = lws_frame_is_binary(s->wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT,
      .length = s->gathered_length,
      .payload = s->gathered + LWS_PRE,
  };
  s->gathered = NULL;
  s->gathered_length = s->gathered_capacity = 0;
  if (options.is_broadcast)
    for (session *other = all; other != NULL; other = other->next)
      enqueue(other, m);
  else enqueue(s, m);
  release(m);
}

/* Returns false if the connection has failed. */
static bool write_queue(session *s) {
  while (s->first != NULL && !lws_send_pipe_choked(s->wsi)) {
    const message *m = s->first->message;
    if (lws_write(s->wsi, m->payload, m->length, m->kind) < 0) return false;
    dequeue(s);
  }
  if (s->first != NULL) lws_callback_on_writable(s->wsi);
  return true;
}

static void begin(session *s, struct lws *wsi) {
  s->wsi = wsi;
  s->next = all;
  s->previous_link = &all;
  if (all != NULL) all->previous_link = &s->next;
  all = s;
}

static void end(session *s) {
  if (s->wsi == NULL) return; /* The peer left before the upgrade was over. */
  *s->previous_link = s->next;
  if (s->next != NULL) s->next->previous_link = s->previous_link;
  while (s->first != NULL)
    dequeue(s);
  free(s->gathered);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *bytes, size_t length) {
  session *s = user;
  switch (reason) {
  case LWS_CALLBACK_ESTABLISHED: begin(s, wsi); break;
  case LWS_CALLBACK_CLOSED: end(s); break;
  case LWS_CALLBACK_RECEIVE:
    gather(s, bytes, length);
    if (lws_is_final_fragment(wsi)) deliver(s);
    break;
  case LWS_CALLBACK_SERVER_WRITEABLE: return write_queue(s) ? 0 : -1;
  default: break;
  }
  return 0;
}

static const struct lws_protocols protocols[] = {
    {"echo", on_event, sizeof(session), RECEIVE_SIZE, 0, NULL, RECEIVE_SIZE},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};

static const struct lws_extension extensions[] = {
    {"permessage-deflate", lws_extension_callback_pm_deflate,
     "permessage-deflate"},
    {NULL, NULL, NULL},
};

static struct lws_context *make_context(void) {
  struct lws_context_creation_info info = {
      .iface = "127.0.0.1",
      .port = options.port,
      .protocols = protocols,
      .extensions = options.has_compression ? extensions : NULL,
      .pt_serv_buf_size = RECEIVE_SIZE,
      .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
  };
  if (options.tls_cert != NULL) {
    info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.ssl_cert_filepath = options.tls_cert;
    info.ssl_private_key_filepath = options.tls_key;
  }
  struct lws_context *context = lws_create_context(&info);
  struct lws_vhost *vhost =
      context != NULL ? lws_create_vhost(context, &info) : NULL;
  if (vhost == NULL) peer_die("libwebsockets");
  peer_announce(&options, lws_get_vhost_listen_port(vhost));
  return context;
}

int main(int argc, char **argv) {
  peer_read_options(&options, argc, argv);
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context *context = make_context();
  while (lws_service(context, 0) >= 0) {}
}
