/* listener.c - accepts connections for a worker. */
#include "api/server.h"

#include <errno.h>
#include <stdlib.h>

/* Connections accepted in one turn; others wait while they are served. */
#define ACCEPTS_PER_TURN 64

/* How long a listener looks away when the system has no descriptors left. */
#define PAUSE_MS 500

struct ws__listener {
  ws__source source;
  ws__list link; /* In its worker. */
  ws__worker *worker;
  ws_tls_context *tls;
  ws__addr addr;
  bool owns_path;
  bool is_exhausted; /* Looks away; said so once. */
  int error;         /* errno to report in this turn, or 0. */
};

ws__listener *ws__listener_new(int fd, const ws__addr *addr, bool owns_path,
                               ws_tls_context *tls) {
  ws__listener *listener = calloc(1, sizeof(*listener));
  if (listener == NULL) return NULL;
  listener->source.node.fd = fd;
  listener->addr = *addr;
  listener->owns_path = owns_path;
  if (tls != NULL) listener->tls = ws__tls_context_retain(tls);
  ws__list_init(&listener->link);
  return listener;
}

void ws__listener_free(ws__listener *listener) {
  ws_loop *loop =
      listener->worker != NULL ? listener->worker->endpoint.loop : NULL;
  if (loop != NULL) ws__loop_remove(loop, &listener->source);
  const bool is_foreign = loop != NULL && ws__loop_is_foreign(loop);
  if (listener->owns_path && !is_foreign) ws__net_unlink(&listener->addr);
  ws__list_remove(&listener->link);
  ws__net_close(listener->source.node.fd);
  ws__tls_context_release(listener->tls);
  free(listener);
}

void ws__listeners_stop(ws__worker *worker) {
  ws__list *l = worker->listeners.next;
  while (l != &worker->listeners) {
    ws__list *after = l->next;
    ws__listener_free(WS__CONTAINER_OF(l, ws__listener, link));
    l = after;
  }
}

/* -- Accepting ------------------------------------------------------------- */

static void serve(ws__listener *listener, int fd, const ws__addr *peer) {
  ws__worker *worker = listener->worker;
  ws_server *server = worker->endpoint.server;
  atomic_fetch_add(&server->accepted, 1);
  char detail[WS__DETAIL_SIZE];
  ws_socket *socket;
  /* Whoever cannot be served is gone with its descriptor. */
  (void)ws__worker_serve(worker, fd, listener->tls, peer, &socket, detail);
}

static void look_away(ws__listener *listener) {
  ws_loop *loop = listener->worker->endpoint.loop;
  (void)ws__loop_watch(loop, &listener->source, 0);
  ws__loop_set_deadline(loop, &listener->source, loop->now + PAUSE_MS);
}

static void accept_some(ws__listener *listener) {
  for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
    int fd;
    ws__addr peer;
    switch (ws__net_accept(listener->source.node.fd, &fd, &peer)) {
    case WS__ACCEPT_OK:
      listener->is_exhausted = false;
      serve(listener, fd, &peer);
      break;
    case WS__ACCEPT_AGAIN: return;
    case WS__ACCEPT_EXHAUSTED:
    case WS__ACCEPT_ERROR:
      if (!listener->is_exhausted) listener->error = errno;
      listener->is_exhausted = true;
      look_away(listener);
      return;
    }
  }
}

static void begin(ws__source *source, unsigned ready) {
  ws__listener *listener = (ws__listener *)source;
  ws_loop *loop = listener->worker->endpoint.loop;
  if (ready == 0 && ws__loop_watch(loop, source, WS__POLLER_READ) != 0) {
    look_away(listener);
    return;
  }
  accept_some(listener);
}

static bool next(ws__source *source, ws_event *out_event) {
  ws__listener *listener = (ws__listener *)source;
  if (listener->error == 0) return false;
  ws_loop *loop = listener->worker->endpoint.loop;
  char text[WS__DETAIL_SIZE];
  char detail[WS__DETAIL_SIZE];
  char where[WS__ADDR_TEXT_SIZE];
  ws__detail_set(detail, "%s cannot accept: %s",
                 ws__addr_format(&listener->addr, where),
                 ws__errno_text(listener->error, text));
  listener->error = 0;
  ws__loop_note_failure(loop, source, detail);
  out_event->type = WS_EVENT_SERVER_ERROR;
  out_event->server = listener->worker->endpoint.server;
  out_event->u.error = (ws_cause){
      .err = WS_ERR_SYSTEM,
      .side = WS_SIDE_LOCAL,
      .message = loop->failure,
  };
  return true;
}

static void drop(ws__source *source) {
  ws__listener_free((ws__listener *)source);
}

static const ws__source_ops ops = {.begin = begin, .next = next, .drop = drop};

int ws__listener_start(ws__listener *listener, ws__worker *worker) {
  ws_loop *loop = worker->endpoint.loop;
  listener->source.ops = &ops;
  int err = ws__loop_add(loop, &listener->source);
  if (err == 0) {
    listener->worker = worker;
    err = ws__loop_watch(loop, &listener->source, WS__POLLER_READ);
  }
  if (err != 0) {
    ws__listener_free(listener);
    return err == WS_ERR_NO_MEMORY ? err : WS_ERR_SYSTEM;
  }
  ws__list_push_back(&worker->listeners, &listener->link);
  return 0;
}
