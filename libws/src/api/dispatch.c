/* dispatch.c - the style with handlers: each event pulled goes to the function
 * that is for it. The one file that calls the application. */
#include "api/server.h"
#include "api/socket.h"

void ws_handlers_init(ws_handlers *handlers) {
  *handlers = (ws_handlers){.size = sizeof(*handlers)};
}

static ws_socket_fn socket_handler(const ws_handlers *handlers,
                                   const ws_event *event) {
  switch (event->type) {
  case WS_EVENT_REQUEST:
    return event->u.request->is_upgrade ? handlers->on_upgrade
                                        : handlers->on_request;
  case WS_EVENT_OPEN: return handlers->on_open;
  case WS_EVENT_MESSAGE: return handlers->on_message;
  case WS_EVENT_PING: return handlers->on_ping;
  case WS_EVENT_PONG: return handlers->on_pong;
  case WS_EVENT_DRAIN: return handlers->on_drain;
  case WS_EVENT_ERROR: return handlers->on_error;
  case WS_EVENT_CLOSE: return handlers->on_close;
  case WS_EVENT_RECONNECT: return handlers->on_reconnect;
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: break;
  }
  return NULL;
}

static void handle_server(const ws_event *event) {
  const ws_handlers *handlers = ws__server_handlers(event->server);
  if (handlers == NULL) return;
  const ws_server_fn fn = event->type == WS_EVENT_SERVER_ERROR
                              ? handlers->on_server_error
                              : handlers->on_server_close;
  if (fn != NULL) fn(event->server, event);
}

void ws_loop_handle(const ws_event *event) {
  if (event->socket != NULL) {
    const ws_handlers *handlers = event->socket->endpoint->handlers;
    const ws_socket_fn fn =
        handlers != NULL ? socket_handler(handlers, event) : NULL;
    if (fn != NULL) fn(event->socket, event);
  } else if (event->server != NULL) {
    handle_server(event);
  } else if (event->task != NULL) {
    event->task(event->task_arg);
  }
}

int ws_loop_dispatch(ws_loop *loop, int timeout_ms) {
  const int err = ws_loop_wait(loop, timeout_ms);
  if (err != 0) return err;
  ws_event event;
  while (ws_loop_next(loop, &event))
    ws_loop_handle(&event);
  return 0;
}

/* Asked after each event, and hardly ever so: a plain load answers first. */
static bool is_stopped(ws_loop *loop) {
  return atomic_load_explicit(&loop->is_stopped, memory_order_relaxed) &&
         atomic_exchange(&loop->is_stopped, false);
}

int ws_loop_run(ws_loop *loop) {
  while (ws_loop_is_alive(loop) && !is_stopped(loop)) {
    const int err = ws_loop_wait(loop, -1);
    if (err != 0) return err;
    ws_event event;
    while (ws_loop_next(loop, &event)) {
      ws_loop_handle(&event);
      if (is_stopped(loop)) return 0;
    }
  }
  return 0;
}
