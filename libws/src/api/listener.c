/* listener.c - accepts connections for a worker. */
#include "api/server.h"

#include <errno.h>
#include <stdlib.h>

/* Connections accepted in one turn; others wait while they are served. */
#define ACCEPTS_PER_TURN 64

/* How long a listener looks away when the system has no descriptors left. */
#define PAUSE_MS 500

/* -- Life ------------------------------------------------------------------ */

static const ws__source_ops ops;

/* Puts a listener into its worker's loop. */
static int start(ws__listener *listener) {
  ws_loop *loop = listener->worker->endpoint.loop;
  const int err = ws__loop_add(loop, &listener->source);
  if (err != 0) return err;
  return ws__loop_watch(loop, &listener->source, WS__POLLER_READ);
}

/* It has come to its worker's thread. */
static bool arrive(ws__letter *letter, ws_loop *loop, ws_event *out_event) {
  (void)out_event;
  ws__listener *listener = WS__CONTAINER_OF(letter, ws__listener, letter);
  ws__worker *worker = listener->worker;
  /* Without memory for it the others serve alone. */
  if (loop == NULL || worker->endpoint.is_closing || start(listener) != 0) {
    ws__listener_free(listener);
  } else {
    ws__list_push_back(&worker->listeners, &listener->link);
  }
  return false;
}

ws__listener *ws__listener_new(ws__worker *worker, int fd, const ws__addr *addr,
                               bool owns_path, ws_tls_context *tls) {
  ws__listener *listener = calloc(1, sizeof(*listener));
  if (listener == NULL) return NULL;
  listener->source.ops = &ops;
  listener->source.node.fd = fd;
  listener->letter.open = arrive;
  listener->worker = worker;
  listener->addr = *addr;
  listener->owns_path = owns_path;
  ws__list_init(&listener->link);
  if (!ws__server_has_threads(worker->endpoint.server) &&
      start(listener) != 0) {
    ws__loop_remove(worker->endpoint.loop, &listener->source);
    free(listener);
    return NULL;
  }
  if (tls != NULL) listener->tls = ws__tls_context_retain(tls);
  return listener;
}

void ws__listener_employ(ws__listener *listener) {
  ws__worker *worker = listener->worker;
  if (!ws__server_has_threads(worker->endpoint.server)) {
    ws__list_push_back(&worker->listeners, &listener->link);
  } else if (ws__inbox_put(worker->inbox, &listener->letter) != 0) {
    ws__listener_free(listener); /* Its loop has ended. */
  }
}

void ws__listener_free(ws__listener *listener) {
  bool is_ours = true;
  if (ws__heap_contains(&listener->source.deadline)) {
    ws_loop *loop = listener->worker->endpoint.loop;
    is_ours = !ws__loop_is_foreign(loop);
    ws__loop_remove(loop, &listener->source);
  }
  if (listener->owns_path && is_ours) ws__net_unlink(&listener->addr);
  ws__list_remove(&listener->link);
  ws__net_close(listener->source.node.fd);
  ws__tls_context_release(listener->tls);
  free(listener);
}

void ws__listeners_free(ws__list *listeners) {
  ws__list *l = listeners->next;
  while (l != listeners) {
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
  const bool has_paused = (ready & WS__POLLER_READ) == 0;
  if (has_paused && ws__loop_watch(loop, source, WS__POLLER_READ) != 0) {
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
  ws__loop_note_failure(loop, source, WS_ERR_SYSTEM, detail);
  *out_event = (ws_event){
      .type = WS_EVENT_SERVER_ERROR,
      .server = listener->worker->endpoint.server,
  };
  out_event->u.error = (ws_cause){
      .err = WS_ERR_SYSTEM,
      .side = WS_SIDE_LOCAL,
      .message = ws__loop_tell_failure(loop, source, WS_ERR_SYSTEM),
      .system_error = listener->error,
  };
  listener->error = 0;
  return true;
}

static void drop(ws__source *source) {
  ws__listener_free((ws__listener *)source);
}

static const ws__source_ops ops = {.begin = begin, .next = next, .drop = drop};
