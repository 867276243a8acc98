/* server.c - a server as its owner sees it: options, listeners, threads, and
 * the orderly end. */
#include "api/server.h"
#include "api/pack.h"
#include "io/thread.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 1024

/* How many ports are tried until one is free at all addresses of a name. */
#define PORT_ATTEMPTS 16

/* -- Options --------------------------------------------------------------- */

void ws_server_options_init(ws_server_options *options) {
  *options = (ws_server_options){.size = sizeof(*options)};
}

void ws_listen_options_init(ws_listen_options *options) {
  *options = (ws_listen_options){.size = sizeof(*options), .fd = -1};
}

static ws_server_options pack_options(ws__pack *pack,
                                      const ws_server_options *o) {
  ws_server_options copy = *o;
  copy.protocols = ws__pack_strings(pack, o->protocols, o->protocol_count);
  copy.path = ws__pack_string(pack, o->path);
  copy.root = ws__pack_string(pack, o->root);
  copy.conn = NULL;
  return copy;
}

static ws__server_options *copy_options(const ws_allocator *allocator,
                                        const ws_server_options *options) {
  ws__pack pack = {.used = sizeof(ws__server_options)};
  (void)pack_options(&pack, options);
  ws__server_options *copy = ws__alloc(allocator, pack.used);
  if (copy == NULL) return NULL;
  copy->block_size = pack.used;

  pack = (ws__pack){.block = (uint8_t *)copy, .used = sizeof(*copy)};
  copy->is = pack_options(&pack, options);
  const ws_handlers *handlers = options->handlers;
  if (handlers != NULL && handlers->on_upgrade != NULL) {
    copy->is.wants_upgrades = true;
  }
  if (handlers != NULL && handlers->on_request != NULL) {
    copy->is.wants_requests = true;
  }
  return copy;
}

static const char *find_fault(const ws_server_options *options) {
  if (options->size != sizeof(*options)) {
    return "size: not set by ws_server_options_init()";
  }
  if (options->workers > WORKERS_MAX) return "workers: not 0 to 1024";
  if (options->workers > 0 && options->handlers == NULL) {
    return "workers: their events need handlers";
  }
  if (options->path != NULL && options->path[0] != '/') {
    return "path: does not begin with a slash";
  }
  for (size_t i = 0; i < options->protocol_count; i++) {
    if (options->protocols[i] == NULL || options->protocols[i][0] == '\0') {
      return "protocols: one is empty";
    }
  }
  return NULL;
}

const ws_handlers *ws__server_handlers(const ws_server *server) {
  return server->options->is.handlers;
}

ws_loop *ws_server_loop(const ws_server *server) {
  return server->loop;
}

void *ws_server_user_data(const ws_server *server) {
  return server->options->is.user_data;
}

/* -- Orders to workers -----------------------------------------------------
 *
 * What a worker in another thread is to do comes to it as a letter. */

typedef struct order {
  ws__letter letter;
  ws__worker *worker; /* Retained: the server may end before this is read. */
  void (*carry_out)(struct order *order);
  uint32_t deadline_ms; /* Of closing. */
  ws_message *message;  /* To be published, owned; or NULL. */
  const char *topic;    /* In `name`, or NULL for all sockets. */
  char name[];
} order;

static bool open_order(ws__letter *letter, ws_loop *loop, ws_event *out_event) {
  (void)out_event;
  order *o = WS__CONTAINER_OF(letter, order, letter);
  if (loop != NULL) o->carry_out(o);
  ws_message_free(o->message);
  ws__worker_release(o->worker);
  free(o);
  return false;
}

static order *new_order(ws__worker *worker, void (*carry_out)(order *),
                        const char *topic) {
  const size_t name_size = topic != NULL ? strlen(topic) + 1 : 0;
  order *o = calloc(1, sizeof(*o) + name_size);
  if (o == NULL) return NULL;
  o->letter.open = open_order;
  o->worker = ws__worker_retain(worker);
  o->carry_out = carry_out;
  if (topic != NULL) o->topic = memcpy(o->name, topic, name_size);
  return o;
}

static void give(order *o) {
  if (ws__inbox_put(o->worker->inbox, &o->letter) != 0) {
    open_order(&o->letter, NULL, NULL); /* Its loop has ended. */
  }
}

/* -- Threads --------------------------------------------------------------- */

/* The server ends at once. */
static bool open_last_order(ws__letter *letter, ws_loop *loop,
                            ws_event *out_event) {
  (void)out_event;
  ws__worker *worker = WS__CONTAINER_OF(letter, ws__worker, last_order);
  if (loop != NULL) ws__worker_drop(worker);
  return false;
}

/* A worker's thread is about to end: tells the server, if it is still there. */
static bool open_farewell(ws__letter *letter, ws_loop *loop,
                          ws_event *out_event) {
  (void)out_event;
  ws__worker *worker = WS__CONTAINER_OF(letter, ws__worker, farewell);
  ws_server *server = worker->endpoint.server;
  if (loop != NULL && server != NULL) ws__server_worker_done(server);
  ws__worker_release(worker);
  return false;
}

static void *run_worker(void *arg) {
  ws__worker *worker = arg;
  /* A loop that cannot wait any more has nothing to serve. */
  (void)ws_loop_run(worker->endpoint.loop);
  ws_loop_free(worker->endpoint.loop);
  if (ws__inbox_put(worker->owner, &worker->farewell) != 0) {
    ws__worker_release(worker);
  }
  return NULL;
}

static int start_thread(ws_server *server, ws__worker *worker) {
  worker->owner = ws__inbox_retain(server->loop->inbox);
  worker->last_order.open = open_last_order;
  worker->farewell.open = open_farewell;
  ws__worker_retain(worker); /* For its farewell. */
  if (ws__thread_start(&worker->thread, NULL, run_worker, worker) == 0) {
    return 0;
  }
  ws__worker_release(worker);
  return WS_ERR_NO_MEMORY;
}

/* Makes one worker with a loop and thread of its own. */
static int add_thread(ws_server *server) {
  ws_loop_options options;
  ws_loop_options_init(&options);
  options.backend = ws__poller_name(server->loop->poller);
  options.receive_buffer = server->loop->receive_size;
  options.send_buffer = server->loop->send_size;
  options.trace_fd = server->loop->trace.fd;
  ws_loop *loop;
  int err = ws_loop_new(&options, &loop, NULL);
  if (err != 0) return err;
  ws__worker *worker;
  err = ws__worker_new(server, loop, &worker);
  if (err != 0) {
    ws_loop_free(loop);
    return err;
  }
  err = start_thread(server, worker);
  if (err != 0) {
    ws_loop_free(loop);
    ws__worker_release(worker);
    return err;
  }
  server->workers[server->worker_count++] = worker;
  server->working++;
  return 0;
}

/* -- Making ---------------------------------------------------------------- */

static void free_options(const ws_allocator *allocator,
                         ws__server_options *options) {
  if (options != NULL) ws__free(allocator, options, options->block_size);
}

static size_t workers_size(const ws_server *server) {
  const uint32_t threads = server->options->is.workers;
  return (threads > 0 ? threads : 1) * sizeof(ws__worker *);
}

static void free_places(ws_server *server, ws__place *places) {
  while (places != NULL) {
    ws__place *place = places;
    places = place->next;
    ws__free(&server->loop->allocator, place, sizeof(*place));
  }
}

/* Where the next one is to be hung up. */
static ws__place **last_place(ws__place **places) {
  while (*places != NULL)
    places = &(*places)->next;
  return places;
}

/* Frees a server whose workers have all ended. Retained sockets keep theirs,
 * which then have no server. */
static void free_server(ws_server *server) {
  ws_loop *loop = server->loop;
  const ws_allocator *allocator = &loop->allocator;
  for (uint32_t i = 0; i < server->worker_count; i++) {
    ws__worker *worker = server->workers[i];
    if (ws__server_has_threads(server)) {
      (void)pthread_join(worker->thread, NULL);
    }
    worker->endpoint.server = NULL;
    ws__worker_release(worker);
  }
  free_places(server, server->places);
  if (server->workers != NULL) {
    ws__free(allocator, server->workers, workers_size(server));
  }
  ws__doorkeeper_free(&server->doorkeeper);
  ws_conn_config_free(server->config);
  ws_conn_config_free(server->secure_config);
  ws_conn_config_free(server->message_config);
  free_options(allocator, server->options);
  ws__free(allocator, server, sizeof(*server));
}

static int make_config(ws_conn_options *options, ws_allocator allocator,
                       bool is_secure, ws_conn_config **out_config,
                       const char **reason) {
  options->allocator = allocator;
  options->is_secure = is_secure;
  return ws_conn_config_new(WS_ROLE_SERVER, options, out_config, reason);
}

static int make_configs(ws_server *server, const ws_conn_options *given,
                        const char **reason) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  if (given != NULL &&
      !ws__copy_sized(&options, options.size, given, given->size)) {
    *reason = "conn: size not set by ws_conn_options_init()";
    return WS_ERR_INVALID_ARGUMENT;
  }
  /* Threads share what comes of a configuration. */
  const ws_allocator allocator =
      ws__server_has_threads(server) ? ws__malloc : server->loop->allocator;
  options.random = ws_random;
  int err =
      make_config(&options, ws__malloc, false, &server->message_config, reason);
  if (err == 0) {
    err = make_config(&options, allocator, false, &server->config, reason);
  }
  if (err == 0) {
    err =
        make_config(&options, allocator, true, &server->secure_config, reason);
  }
  return err;
}

/* Orders all workers to end, for a server that cannot live. */
static void drop_workers(ws_server *server);

static int make_workers(ws_server *server) {
  server->workers =
      ws__alloc_zero(&server->loop->allocator, workers_size(server));
  if (server->workers == NULL) return WS_ERR_NO_MEMORY;
  if (!ws__server_has_threads(server)) {
    const int err = ws__worker_new(server, server->loop, &server->workers[0]);
    if (err == 0) server->worker_count = server->working = 1;
    return err;
  }
  int err = 0;
  while (err == 0 && server->worker_count < server->options->is.workers)
    err = add_thread(server);
  return err;
}

static const ws__source_ops server_ops;

static int build(ws_server *server, const ws_server_options *options,
                 const char **reason) {
  ws_loop *loop = server->loop;
  server->options = copy_options(&loop->allocator, options);
  if (server->options == NULL) return WS_ERR_NO_MEMORY;
  int err = make_configs(server, options->conn, reason);
  if (err == 0) err = make_workers(server);
  if (err == 0) err = ws__loop_add(loop, &server->source);
  return err;
}

int ws_server_new(ws_loop *loop, const ws_server_options *options,
                  ws_server **out_server, ws_error *out_error) {
  ws_server_options defaults;
  ws_server_options_init(&defaults);
  if (options == NULL) options = &defaults;
  const char *reason = find_fault(options);
  if (reason != NULL) {
    return ws__report(out_error, WS_ERR_INVALID_ARGUMENT, reason);
  }
  ws_server *server = ws__alloc_zero(&loop->allocator, sizeof(*server));
  if (server == NULL) return ws__report(out_error, WS_ERR_NO_MEMORY, NULL);
  int err = ws__doorkeeper_init(&server->doorkeeper, options->max_connections,
                                options->max_connections_per_address);
  if (err != 0) {
    ws__free(&loop->allocator, server, sizeof(*server));
    return ws__report(out_error, err, NULL);
  }
  server->loop = loop;
  server->source.ops = &server_ops;
  server->source.node.fd = -1;
  atomic_init(&server->accepted, 0);
  atomic_init(&server->refused, 0);
  atomic_init(&server->opened, 0);
  atomic_init(&server->published, 0);
  err = build(server, options, &reason);
  if (err != 0) {
    drop_workers(server);
    free_server(server);
    return ws__report(out_error, err, reason);
  }
  loop->holders++;
  *out_server = server;
  return 0;
}

/* -- Listening ------------------------------------------------------------- */

/* What a call of ws_server_listen() has made so far. Nobody is accepted before
 * all of it is there, and if it fails nothing is left. */
typedef struct plan {
  ws__list listeners;
  ws__place *places;
  int system_error; /* Why it cannot be done: errno, or 0. */
} plan;

static void discard(ws_server *server, plan *p) {
  ws__listeners_free(&p->listeners);
  free_places(server, p->places);
  p->places = NULL;
}

static void execute(ws_server *server, plan *p) {
  ws__list *link;
  while ((link = ws__list_first(&p->listeners)) != NULL) {
    ws__list_remove(link);
    ws__listener_employ(WS__CONTAINER_OF(link, ws__listener, link));
  }
  *last_place(&server->places) = p->places;
}

/* Makes the listener of a worker, over a descriptor taken over in any case. */
static int plan_listener(plan *p, ws__worker *worker, int fd,
                         const ws__addr *addr, bool owns_path,
                         ws_tls_context *tls) {
  ws__listener *listener = ws__listener_new(worker, fd, addr, owns_path, tls);
  if (listener == NULL) {
    ws__net_close(fd);
    return WS_ERR_NO_MEMORY;
  }
  ws__list_push_back(&p->listeners, &listener->link);
  return 0;
}

static int plan_place(ws_server *server, plan *p, const ws__addr *addr,
                      bool is_secure) {
  ws__place *place = ws__alloc_zero(&server->loop->allocator, sizeof(*place));
  if (place == NULL) return WS_ERR_NO_MEMORY;
  place->port = ws__addr_port(addr);
  char text[WS__ADDR_TEXT_SIZE];
  ws__addr_format(addr, text);
  if (addr->as.any.sa_family == AF_UNIX) {
    snprintf(place->url, sizeof(place->url), "ws+%s", text);
  } else {
    snprintf(place->url, sizeof(place->url), "%s://%s",
             is_secure ? "wss" : "ws", text);
  }
  *last_place(&p->places) = place;
  return 0;
}

/* Plans to listen at an address, or with a descriptor that listens there
 * already (`fd`; else -1). TCP workers have listeners of their own on one port,
 * all others share one. Returns 0; WS_ERR_NO_MEMORY; or WS_ERR_SYSTEM, with
 * p->system_error and `detail`. */
static int plan_at(ws_server *server, plan *p, const ws__addr *addr, int fd,
                   const ws_listen_options *options, char *detail) {
  const bool is_inherited = fd >= 0;
  const bool is_split = server->worker_count > 1 && !is_inherited &&
                        addr->as.any.sa_family != AF_UNIX;
  const ws__listen_options how = {
      .backlog = options->backlog,
      .reuse_port = options->reuse_port || is_split,
      .unix_mode = (mode_t)options->unix_mode,
  };
  ws__addr where = *addr;
  for (uint32_t i = 0; i < server->worker_count; i++) {
    int error = 0;
    if (i > 0 && !is_split) {
      error = ws__net_share(fd, &fd);
      if (error != 0) (void)ws__errno_text(error, detail);
    } else if (!is_inherited) {
      error = ws__net_listen(&where, &how, &fd, &where, detail);
    }
    p->system_error = error;
    if (error != 0) return WS_ERR_SYSTEM;
    const bool owns_path = i == 0 && !is_inherited;
    const int err = plan_listener(p, server->workers[i], fd, &where, owns_path,
                                  options->tls);
    if (err != 0) return err;
  }
  return plan_place(server, p, &where, options->tls != NULL);
}

static int plan_unix(ws_server *server, plan *p,
                     const ws_listen_options *options, char *detail) {
  ws__addr addr;
  const int error = ws__addr_from_path(&addr, options->unix_path);
  if (error == 0) return plan_at(server, p, &addr, -1, options, detail);
  p->system_error = error;
  (void)ws__errno_text(error, detail);
  return WS_ERR_INVALID_ARGUMENT;
}

static int plan_fd(ws_server *server, plan *p, const ws_listen_options *options,
                   char *detail) {
  bool is_listener = false;
  ws__addr addr;
  if (ws__net_adopt(options->fd, &is_listener) == 0 && is_listener &&
      ws__net_local_addr(options->fd, &addr) == 0) {
    return plan_at(server, p, &addr, options->fd, options, detail);
  }
  ws__net_close(options->fd);
  ws__detail_set(detail, "fd: not a listening stream socket");
  return WS_ERR_INVALID_ARGUMENT;
}

/* Whether the machine has no such address; it may have no IPv6, say. */
static bool is_absent(int error) {
  return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

/* Whether a name has an address twice, as it may in /etc/hosts. */
static bool is_repeated(const struct addrinfo *infos,
                        const struct addrinfo *info) {
  while (infos != info &&
         (infos->ai_addrlen != info->ai_addrlen ||
          memcmp(infos->ai_addr, info->ai_addr, info->ai_addrlen) != 0)) {
    infos = infos->ai_next;
  }
  return infos != info;
}

/* All addresses of a name that the machine has, with one port if that is free
 * to choose. */
static int plan_each(ws_server *server, plan *p, const struct addrinfo *infos,
                     const ws_listen_options *options, char *detail) {
  uint16_t port = options->port;
  int err = 0;
  for (const struct addrinfo *info = infos; info != NULL;
       info = info->ai_next) {
    if (is_repeated(infos, info)) continue;
    ws__addr addr = {.len = info->ai_addrlen};
    memcpy(&addr.as.storage, info->ai_addr, info->ai_addrlen);
    ws__addr_set_port(&addr, port);
    err = plan_at(server, p, &addr, -1, options, detail);
    if (err == WS_ERR_SYSTEM && is_absent(p->system_error)) continue;
    if (err != 0) return err;
    port = p->places->port;
  }
  return p->places != NULL ? 0 : err;
}

/* A port that the system has chosen is free at the first address, but may be
 * taken at another; then it chooses again. */
static int plan_all(ws_server *server, plan *p, const struct addrinfo *infos,
                    const ws_listen_options *options, char *detail) {
  for (int i = 0; i < PORT_ATTEMPTS; i++) {
    const int err = plan_each(server, p, infos, options, detail);
    const bool is_taken = err == WS_ERR_SYSTEM && p->system_error == EADDRINUSE;
    if (!is_taken || options->port != 0) return err;
    discard(server, p);
  }
  return WS_ERR_SYSTEM;
}

static int plan_host(ws_server *server, plan *p,
                     const ws_listen_options *options, char *detail) {
  const char *host = options->host != NULL ? options->host : "127.0.0.1";
  ws__addr addr;
  if (ws__addr_from_ip(&addr, host, options->port)) {
    return plan_at(server, p, &addr, -1, options, detail);
  }
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_PASSIVE | AI_ADDRCONFIG};
  struct addrinfo *infos;
  const int error = getaddrinfo(host, NULL, &hints, &infos);
  if (error != 0) {
    p->system_error = error == EAI_SYSTEM ? errno : 0;
    ws__detail_set(detail, "%s: %s", host, gai_strerror(error));
    return WS_ERR_RESOLVE;
  }
  const int err = plan_all(server, p, infos, options, detail);
  freeaddrinfo(infos);
  return err;
}

/* What speaks against listening, or 0. */
static int check_listen_options(const ws_server *server,
                                const ws_listen_options *options,
                                char *detail) {
  if (options->tls != NULL && !options->tls->is_server) {
    ws__detail_set(detail, "tls: the context is a client's");
    return WS_ERR_INVALID_ARGUMENT;
  }
  if (server->is_closing) {
    ws__detail_set(detail, "the server is closing");
    return WS_ERR_INVALID_STATE;
  }
  return 0;
}

int ws_server_listen(ws_server *server, const ws_listen_options *options,
                     ws_error *out_error) {
  if (options->size != sizeof(*options)) {
    return ws__report(out_error, WS_ERR_INVALID_ARGUMENT,
                      "size: not set by ws_listen_options_init()");
  }
  char detail[WS__DETAIL_SIZE] = "";
  int err = check_listen_options(server, options, detail);
  if (err != 0) {
    ws__net_close(options->fd);
    return ws__report(out_error, err, detail);
  }
  plan p = {.places = NULL};
  ws__list_init(&p.listeners);
  if (options->fd >= 0) {
    err = plan_fd(server, &p, options, detail);
  } else if (options->unix_path != NULL) {
    err = plan_unix(server, &p, options, detail);
  } else {
    err = plan_host(server, &p, options, detail);
  }
  if (err == 0) {
    execute(server, &p);
  } else {
    discard(server, &p);
  }
  return ws__report_system(out_error, err, p.system_error, detail);
}

static const ws__place *find_place(const ws_server *server, size_t index) {
  const ws__place *place = server->places;
  while (place != NULL && index-- > 0)
    place = place->next;
  return place;
}

size_t ws_server_listener_count(const ws_server *server) {
  size_t count = 0;
  for (const ws__place *p = server->places; p != NULL; p = p->next)
    count++;
  return count;
}

const char *ws_server_url(const ws_server *server, size_t index) {
  const ws__place *place = find_place(server, index);
  return place != NULL ? place->url : NULL;
}

uint16_t ws_server_port(const ws_server *server, size_t index) {
  const ws__place *place = find_place(server, index);
  return place != NULL ? place->port : 0;
}

int ws_server_adopt(ws_server *server, int fd, ws_tls_context *tls,
                    const void *data, size_t len, ws_socket **out_socket,
                    ws_error *out_error) {
  bool is_listener = false;
  ws__addr peer;
  const char *reason = NULL;
  int err = WS_ERR_INVALID_ARGUMENT;
  if (ws__net_adopt(fd, &is_listener) != 0 || is_listener ||
      ws__net_peer_addr(fd, &peer) != 0) {
    reason = "fd: not a connected stream socket";
  } else if (tls != NULL && (!tls->is_server || len > 0)) {
    reason = "tls: a client's context, or bytes of it were read already";
  } else if (ws__server_has_threads(server)) {
    reason = "workers: the server's connections are in other threads";
  } else if (server->is_closing) {
    reason = "the server is closing";
    err = WS_ERR_INVALID_STATE;
  }
  if (reason != NULL) {
    ws__net_close(fd);
    return ws__report(out_error, err, reason);
  }
  ws__loop_refresh(server->loop);
  char detail[WS__DETAIL_SIZE] = "";
  ws_socket *socket;
  err = ws__worker_serve(server->workers[0], fd, tls, &peer, &socket, detail);
  if (err != 0) {
    return ws__report(out_error, err, detail);
  }
  if (len > 0) ws__socket_give(socket, data, len);
  *out_socket = socket;
  return 0;
}

/* -- Closing --------------------------------------------------------------- */

static void stop_listening(order *o) {
  ws__listeners_free(&o->worker->listeners);
}

static void close_worker(order *o) {
  ws__worker_close(o->worker, o->deadline_ms);
}

/* Has each worker do something. Without memory for an order, its worker is not
 * reached. Returns 0 or WS_ERR_NO_MEMORY. */
static int order_all(ws_server *server, void (*carry_out)(order *),
                     uint32_t deadline_ms) {
  int err = 0;
  for (uint32_t i = 0; i < server->worker_count; i++) {
    ws__worker *worker = server->workers[i];
    order here = {.worker = worker, .deadline_ms = deadline_ms};
    if (!ws__server_has_threads(server)) {
      carry_out(&here);
      continue;
    }
    order *o = new_order(worker, carry_out, NULL);
    if (o == NULL) {
      err = WS_ERR_NO_MEMORY;
      continue;
    }
    o->deadline_ms = deadline_ms;
    give(o);
  }
  return err;
}

void ws_server_stop_listening(ws_server *server) {
  (void)order_all(server, stop_listening, 0);
}

/* Needs no memory, for nobody could wait for a worker that was not reached. */
static void drop_workers(ws_server *server) {
  for (uint32_t i = 0; i < server->worker_count; i++) {
    ws__worker *worker = server->workers[i];
    if (!ws__server_has_threads(server)) {
      ws__worker_drop(worker);
    } else {
      /* If its loop has ended, there is nothing left to drop. */
      (void)ws__inbox_put(worker->inbox, &worker->last_order);
    }
  }
}

int ws_server_close(ws_server *server, uint16_t code, const char *reason,
                    size_t reason_len, uint32_t deadline_ms) {
  if (code == 0) code = WS_CLOSE_GOING_AWAY;
  const int err = ws__close_check(code, reason, reason_len);
  if (err != 0) return err;
  if (!server->is_closing) {
    server->is_closing = true;
    server->close_code = code;
    if (reason_len > 0) memcpy(server->close_reason, reason, reason_len);
    server->close_reason[reason_len] = '\0';
  }
  return order_all(server, close_worker, deadline_ms);
}

void ws__server_worker_done(ws_server *server) {
  if (--server->working > 0) return;
  if (ws__heap_contains(&server->source.deadline)) {
    ws__loop_schedule(server->loop, &server->source);
  }
}

static void begin(ws__source *source, unsigned ready) {
  (void)source, (void)ready;
}

static bool next(ws__source *source, ws_event *out_event) {
  ws_server *server = WS__CONTAINER_OF(source, ws_server, source);
  if (!server->is_told) {
    server->is_told = true;
    *out_event = (ws_event){.type = WS_EVENT_SERVER_CLOSE, .server = server};
    return true;
  }
  server->loop->holders--;
  ws__loop_remove(server->loop, source);
  free_server(server);
  return false;
}

/* The loop ends, and with it all workers. */
static void drop(ws__source *source) {
  ws_server *server = WS__CONTAINER_OF(source, ws_server, source);
  ws_loop *loop = server->loop;
  ws__loop_remove(loop, source);
  loop->holders--;
  /* The threads are not in a forked child, where they would be waited for in
   * vain; whatever they were about is left as it is. */
  if (ws__server_has_threads(server) && ws__loop_is_foreign(loop)) return;
  drop_workers(server);
  free_server(server);
}

static const ws__source_ops server_ops = {
    .begin = begin, .next = next, .drop = drop};

/* -- Publishing ------------------------------------------------------------ */

static void publish_here(order *o) {
  ws__worker_publish(o->worker, o->topic, o->message, NULL);
}

/* Sends a message on to a worker in another thread. */
static int publish_there(ws__worker *worker, const char *topic,
                         ws_message *message) {
  order *o = new_order(worker, publish_here, topic);
  if (o == NULL) return WS_ERR_NO_MEMORY;
  o->message = ws_message_retain(message);
  give(o);
  return 0;
}

int ws_server_publish(ws_server *server, const char *topic,
                      ws_message_type type, const void *data, size_t len,
                      unsigned flags, const ws_socket *except) {
  if (topic != NULL && !ws__topic_is_name(topic)) {
    return WS_ERR_INVALID_ARGUMENT;
  }
  ws_message *message;
  int err =
      ws_message_new(server->message_config, type, data, len, flags, &message);
  if (err != 0) return err;
  for (uint32_t i = 0; i < server->worker_count && err == 0; i++) {
    ws__worker *worker = server->workers[i];
    if (ws__inbox_is_mine(worker->inbox)) {
      ws__worker_publish(worker, topic, message, except);
    } else {
      err = publish_there(worker, topic, message);
    }
  }
  atomic_fetch_add(&server->published, 1);
  ws_message_free(message);
  return err;
}

/* -- Account --------------------------------------------------------------- */

void ws_server_get_stats(const ws_server *server, ws_server_stats *out_stats) {
  *out_stats = (ws_server_stats){
      .connections = atomic_load(&server->doorkeeper.count),
      .accepted = atomic_load(&server->accepted),
      .refused = atomic_load(&server->refused),
      .opened = atomic_load(&server->opened),
      .published = atomic_load(&server->published),
  };
}

size_t ws_server_sockets(const ws_server *server, ws_socket **out_sockets,
                         size_t max) {
  if (ws__server_has_threads(server)) return 0;
  size_t count = 0;
  size_t at = SIZE_MAX;
  ws_socket *socket;
  while ((socket = ws__socket_iterate(&server->workers[0]->endpoint, &at)) !=
         NULL) {
    if (ws_socket_ready_state(socket) != WS_STATE_OPEN) continue;
    if (count < max) out_sockets[count] = socket;
    count++;
  }
  return count;
}
