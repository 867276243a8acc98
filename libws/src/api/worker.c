/* worker.c - the connections of a server in one loop. */
#include "api/server.h"
#include "proto/http.h"

#include <string.h>

/* A run has room for so many times what was published to the same sockets right
 * before it, up to a limit: who reads slowly keeps all of it, though only a
 * part of it may wait. */
#define RUN_GROWTH 4
#define RUN_MAX    ((size_t)16 * 1024)

/* -- Requests -------------------------------------------------------------- */

/* Whether the target of a request is the path that handshakes are for; a query
 * makes no difference. */
static bool is_for_path(const char *target, const char *path) {
  const char *const asked = ws__http_path(target);
  const size_t len = strlen(path);
  return strncmp(asked, path, len) == 0 &&
         (asked[len] == '\0' || asked[len] == '?');
}

/* The subprotocol to speak: the first of the client's that the server knows. */
static const char *choose_protocol(const ws_server_options *options,
                                   const ws_request *request) {
  for (size_t i = 0; i < request->protocol_count; i++) {
    if (options->protocols == NULL) return request->protocols[i];
    for (size_t j = 0; j < options->protocol_count; j++) {
      if (strcmp(request->protocols[i], options->protocols[j]) == 0) {
        return request->protocols[i];
      }
    }
  }
  return NULL;
}

static void accept_upgrade(ws_socket *socket, const ws_server_options *options,
                           const ws_request *request) {
  ws_conn_answer answer;
  ws_conn_answer_init(&answer);
  answer.protocol = choose_protocol(options, request);
  if (ws_socket_accept(socket, &answer, NULL) != 0) {
    ws__socket_fail(socket, WS_ERR_NO_MEMORY, 0, NULL);
  }
}

/* Answers a request, unless the application is to. Returns whether it is. */
static bool request_is_for_app(ws_socket *socket, const ws_request *request) {
  const ws_server *server = socket->endpoint->server;
  const ws_server_options *options = &server->options->is;
  if (socket->endpoint->is_closing) {
    ws__socket_turn_away(socket);
    return false;
  }
  if (!request->is_upgrade) {
    if (options->wants_requests) return true;
    if (options->root != NULL) {
      (void)ws_socket_respond_file(socket, options->root);
    } else {
      (void)ws__socket_respond_text(socket, 426,
                                    "This is a WebSocket server.\n");
    }
    return false;
  }
  if (options->path != NULL && !is_for_path(request->target, options->path)) {
    (void)ws__socket_respond_text(socket, 404, "There is no WebSocket here.\n");
    return false;
  }
  if (options->wants_upgrades) return true;
  accept_upgrade(socket, options, request);
  return false;
}

/* -- The endpoint of its sockets ------------------------------------------- */

static bool filter(ws_socket *socket, ws_event *event) {
  ws_server *server = socket->endpoint->server;
  if (event->type == WS_EVENT_REQUEST) {
    return request_is_for_app(socket, event->u.request);
  }
  if (event->type == WS_EVENT_OPEN) atomic_fetch_add(&server->opened, 1);
  return true;
}

static void end_if_empty(ws__worker *worker);

static void leave(ws_socket *socket) {
  ws__worker *worker = ws__worker_of(socket);
  ws__guest *guest = NULL;
  if (socket->extra != NULL) {
    ws__topics_leave(&worker->topics, &socket->extra->subscriptions);
    guest = socket->extra->guest;
  }
  ws__doorkeeper_leave(&worker->endpoint.server->doorkeeper, guest);
  worker->sockets--;
  end_if_empty(worker);
}

static void forget(ws_socket *socket) {
  ws__worker_release(ws__worker_of(socket));
}

static const ws__endpoint_ops endpoint_ops = {
    .filter = filter, .leave = leave, .forget = forget};

/* -- Life ------------------------------------------------------------------ */

/* The deadline of closing has come. */
static void begin(ws__source *source, unsigned ready) {
  (void)ready;
  ws__worker *worker = WS__CONTAINER_OF(source, ws__worker, source);
  size_t at = SIZE_MAX;
  ws_socket *socket;
  while ((socket = ws__socket_iterate(&worker->endpoint, &at)) != NULL)
    ws_socket_terminate(socket);
}

static bool next(ws__source *source, ws_event *out_event) {
  (void)source, (void)out_event;
  return false;
}

static void drop(ws__source *source) {
  ws__worker_drop(WS__CONTAINER_OF(source, ws__worker, source));
}

static const ws__source_ops ops = {.begin = begin, .next = next, .drop = drop};

int ws__worker_new(ws_server *server, ws_loop *loop, ws__worker **out_worker) {
  ws__siphash_key key;
  if (ws_random(NULL, &key, sizeof(key)) != 0) return WS_ERR_RANDOM;
  ws__worker *worker = ws__alloc_zero(&loop->allocator, sizeof(*worker));
  if (worker == NULL) return WS_ERR_NO_MEMORY;
  worker->source.ops = &ops;
  worker->source.node.fd = -1;
  if (ws__loop_add(loop, &worker->source) != 0) {
    ws__free(&loop->allocator, worker, sizeof(*worker));
    return WS_ERR_NO_MEMORY;
  }
  /* The loop that the server is in is held by the server. */
  if (loop != server->loop) loop->holders++;
  worker->inbox = ws__inbox_retain(loop->inbox);
  worker->allocator = loop->allocator;
  worker->endpoint = (ws__endpoint){.ops = &endpoint_ops,
                                    .loop = loop,
                                    .server = server,
                                    .handlers = server->options->is.handlers};
  atomic_init(&worker->references, 1);
  ws__list_init(&worker->listeners);
  ws__topics_init(&worker->topics, &worker->allocator, key);
  *out_worker = worker;
  return 0;
}

void ws__worker_release(ws__worker *worker) {
  if (atomic_fetch_sub(&worker->references, 1) != 1) return;
  ws__topics_free(&worker->topics);
  ws_message_free(worker->run);
  ws__inbox_release(worker->inbox);
  ws__inbox_release(worker->owner);
  const ws_allocator allocator = worker->allocator;
  ws__free(&allocator, worker, sizeof(*worker));
}

/* Leaves the loop, once, and tells the server. */
static void end(ws__worker *worker) {
  if (worker->is_done) return;
  worker->is_done = true;
  ws_loop *loop = worker->endpoint.loop;
  ws__loop_remove(loop, &worker->source);
  if (ws__server_has_threads(worker->endpoint.server)) {
    loop->holders--;
    ws_loop_stop(loop);
  } else {
    ws__server_worker_done(worker->endpoint.server);
  }
}

static void end_if_empty(ws__worker *worker) {
  if (worker->endpoint.is_closing && worker->sockets == 0) end(worker);
}

/* Whether the peer has sent nothing yet, as a browser that connects ahead. */
static bool is_silent(const ws_socket *socket) {
  ws_conn_stats stats;
  ws_conn_get_stats(&socket->conn, &stats);
  return stats.bytes_received == 0;
}

/* Says goodbye to a socket. A request is answered when it has come whole, and
 * the application, if it is to, has had its say. */
static void close_socket(ws_socket *socket, const ws_server *server) {
  if (ws_socket_ready_state(socket) != WS_STATE_CONNECTING) {
    (void)ws_socket_close_with(socket, server->close_code, server->close_reason,
                               strlen(server->close_reason));
  } else if (is_silent(socket)) {
    ws_socket_terminate(socket);
  }
}

static void set_deadline(ws__worker *worker, uint32_t deadline_ms) {
  if (deadline_ms == 0) {
    deadline_ms = worker->endpoint.server->config->options.close_timeout;
    if (deadline_ms == WS_NEVER) return;
    deadline_ms++; /* Connections that keep to it themselves say why. */
  }
  ws_loop *loop = worker->endpoint.loop;
  ws__loop_refresh(loop);
  ws__loop_set_deadline_lazily(loop, &worker->source, loop->now + deadline_ms);
}

void ws__worker_close(ws__worker *worker, uint32_t deadline_ms) {
  const bool is_first = !worker->endpoint.is_closing;
  worker->endpoint.is_closing = true;
  ws__listeners_free(&worker->listeners);
  if (worker->is_done) return;
  set_deadline(worker, deadline_ms);

  size_t at = SIZE_MAX;
  ws_socket *socket;
  while (is_first &&
         (socket = ws__socket_iterate(&worker->endpoint, &at)) != NULL) {
    close_socket(socket, worker->endpoint.server);
  }
  end_if_empty(worker);
}

void ws__worker_drop(ws__worker *worker) {
  ws__listeners_free(&worker->listeners);
  worker->endpoint.is_closing = true;
  while (worker->sockets > 0) {
    size_t at = SIZE_MAX;
    ws_socket *socket;
    while ((socket = ws__socket_iterate(&worker->endpoint, &at)) != NULL)
      socket->source.ops->drop(&socket->source);
  }
  end(worker);
}

/* -- Connections ----------------------------------------------------------- */

/* Counts an address for as long as the socket lives. */
static int keep_guest(ws_socket *socket, ws__guest *guest) {
  if (guest == NULL) return 0;
  ws__extra *extra = ws__socket_extra(socket);
  if (extra == NULL) return WS_ERR_NO_MEMORY;
  extra->guest = guest;
  return 0;
}

static int make_socket(ws__worker *worker, int fd, ws_tls_context *context,
                       ws__guest *guest, ws_socket **out_socket, char *detail) {
  const ws_server *server = worker->endpoint.server;
  ws_conn_config *config =
      context != NULL ? server->secure_config : server->config;
  ws__tls *tls = NULL;
  int err = 0;
  if (context != NULL) {
    err = ws__tls_accept(context, &worker->allocator, fd, &tls, detail);
  }
  if (err != 0) return err;
  err = ws__socket_new(&worker->endpoint, config, fd, tls, out_socket);
  if (err != 0) {
    ws__tls_free(tls);
    return err;
  }
  err = keep_guest(*out_socket, guest);
  if (err != 0) {
    (*out_socket)->source.node.fd = -1; /* The caller closes it. */
    ws__tls_free(tls);
    ws__socket_discard(*out_socket);
  }
  return err;
}

int ws__worker_serve(ws__worker *worker, int fd, ws_tls_context *tls,
                     const ws__addr *peer, ws_socket **out_socket,
                     char *detail) {
  ws_server *server = worker->endpoint.server;
  ws__guest *guest;
  if (!ws__doorkeeper_enter(&server->doorkeeper, peer, &guest)) {
    atomic_fetch_add(&server->refused, 1);
    ws__detail_set(detail, "max_connections or max_connections_per_address");
    ws__net_close(fd);
    return WS_ERR_INVALID_STATE;
  }
  const int err = make_socket(worker, fd, tls, guest, out_socket, detail);
  if (err != 0) {
    ws__doorkeeper_leave(&server->doorkeeper, guest);
    ws__net_close(fd);
    return err;
  }
  ws__worker_retain(worker);
  worker->sockets++;
  return 0;
}

/* -- Topics ---------------------------------------------------------------- */

static void send_to(ws_socket *socket, ws_message *message,
                    const ws_socket *except) {
  if (socket == except || ws_socket_ready_state(socket) != WS_STATE_OPEN) {
    return;
  }
  /* What goes wrong fails the connection, and its events say so. Without memory
   * the message would be missing, and nobody would know. */
  const int err = ws_socket_send_message(socket, message);
  if (err == WS_ERR_NO_MEMORY) ws__conn_fail(&socket->conn, err);
}

static void send_to_all(const ws__worker *worker, ws_message *message,
                        const ws_socket *except) {
  size_t at = SIZE_MAX;
  ws_socket *socket;
  while ((socket = ws__socket_iterate(&worker->endpoint, &at)) != NULL)
    send_to(socket, message, except);
}

static void send_to_subscribers(const ws__list *list, ws_message *message,
                                const ws_socket *except) {
  for (ws__list *l = list->next; l != list; l = l->next) {
    const ws__subscription *s = WS__CONTAINER_OF(l, ws__subscription, link);
    send_to(s->owner, message, except);
  }
}

static void drop_run(ws__worker *worker) {
  ws_message_free(worker->run);
  worker->run = NULL;
}

/* Begins a run that has room for a frame of `len` bytes and more. */
static bool begin_run(ws__worker *worker, size_t len) {
  const size_t before = worker->run != NULL ? worker->run->plain.len : 0;
  const size_t room = (before > len ? before : len) * RUN_GROWTH;
  drop_run(worker);
  worker->run = ws__run_new(room < RUN_MAX ? room : RUN_MAX);
  return worker->run != NULL;
}

/* Whether a message is sent from where it lies. */
static bool is_for_itself(const ws_message *message) {
  return message->deflated.len > 0 || message->plain.len > RUN_MAX / RUN_GROWTH;
}

/* Puts a message into a run if the one before it went to the same sockets: then
 * it costs little to queue, and what is queued is one piece of a write. Returns
 * what is to be sent, `part` or the message itself. */
static ws_message *gather(ws__worker *worker, const ws__list *audience,
                          ws_message *message, ws_message *part) {
  const bool is_next = worker->audience == audience;
  worker->audience = audience;
  if (!is_next || is_for_itself(message)) {
    drop_run(worker);
    return message;
  }
  const bool is_added =
      (worker->run != NULL && ws__run_add(worker->run, message, part)) ||
      (begin_run(worker, message->plain.len) &&
       ws__run_add(worker->run, message, part));
  return is_added ? part : message;
}

void ws__worker_publish(ws__worker *worker, const char *topic,
                        ws_message *message, const ws_socket *except) {
  const ws__list *list = NULL; /* All sockets. */
  if (topic != NULL) {
    list = ws__topics_find(&worker->topics, topic);
    if (list == NULL) return;
  }
  ws_message part;
  message = gather(worker, list, message, &part);
  if (list != NULL) {
    send_to_subscribers(list, message, except);
  } else {
    send_to_all(worker, message, except);
  }
}

static bool can_subscribe(const ws_socket *socket) {
  return socket->endpoint->server != NULL && socket->stage != WS__STAGE_GONE;
}

int ws_socket_subscribe(ws_socket *socket, const char *topic) {
  if (!ws__topic_is_name(topic)) return WS_ERR_INVALID_ARGUMENT;
  if (!can_subscribe(socket)) return WS_ERR_INVALID_STATE;
  ws__extra *extra = ws__socket_extra(socket);
  if (extra == NULL) return WS_ERR_NO_MEMORY;
  return ws__topics_subscribe(&ws__worker_of(socket)->topics, topic, socket,
                              &extra->subscriptions);
}

int ws_socket_unsubscribe(ws_socket *socket, const char *topic) {
  if (!ws__topic_is_name(topic)) return WS_ERR_INVALID_ARGUMENT;
  if (!can_subscribe(socket)) return WS_ERR_INVALID_STATE;
  if (socket->extra == NULL) return 0;
  ws__topics_unsubscribe(&ws__worker_of(socket)->topics, topic,
                         &socket->extra->subscriptions);
  return 0;
}
