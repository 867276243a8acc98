/* serve.c - libws serve: a server that echoes, broadcasts or lets people chat.
 *
 * What a message causes is a table of handlers; the rest of this file is
 * options, listening, the log, and ending in good order. With --workers the
 * handlers run on several threads: they share what is read only, and a flag. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chat.h"
#include "command.h"
#include "log.h"
#include "options.h"
#include "process.h"
#include "terminal.h"

#define COMMAND "serve"

#define DEFAULT_PORT 8080

#define DEFAULT_MAX_MESSAGE      (UINT64_C(1) << 20)
#define DEFAULT_MAX_CHAT_MESSAGE (UINT64_C(4) << 20) /* A picture. */

/* A client that does not read its echoes is not read from, above this. */
#define MAX_UNREAD (UINT64_C(4) << 20)

/* What may wait to be sent: this, and two messages of any length. */
#define MAX_QUEUE (UINT64_C(16) << 20)

typedef struct serve_settings {
  bool is_echo;
  bool is_broadcast;
  bool is_chat;
  const char *host;
  uint32_t port;
  const char *unix_path;
  const char *certificate;
  const char *key;
  const char *root;
  uint32_t workers;
  bool compresses;
  uint64_t max_message;
  option_list origins;
  option_list subprotocols;
  uint32_t max_connections;
  bool is_quiet;
  bool is_once;
} serve_settings;

/* What the handlers look at; set before the first of them is called. */
typedef struct service {
  const serve_settings *settings;
  ws_loop *loop;
  ws_server *server;
  ws_tls_context *tls;
  chat *chat;
  atomic_bool is_over; /* The WebSocket of --once has gone; any thread. */
} service;

/* What is remembered of a WebSocket from its open to its close event, as its
 * user data. A socket that only asks for a page has none. */
typedef struct visitor {
  chat_member member;
  char address[WS_ADDRESS_SIZE];
} visitor;

/* -- Options --------------------------------------------------------------- */

#define FIELD(name) offsetof(serve_settings, name)

static const option options[] = {
    {OPTION_HEADING, 0, NULL, 0, NULL, "What it does"},
    {OPTION_FLAG, 0, "echo", FIELD(is_echo), NULL,
     "send each message back (the default)"},
    {OPTION_FLAG, 0, "broadcast", FIELD(is_broadcast), NULL,
     "send each message to everyone"},
    {OPTION_FLAG, 0, "chat", FIELD(is_chat), NULL,
     "a chat, with its page at / on the same port"},
    {OPTION_TEXT, 0, "root", FIELD(root), "DIR",
     "serve the files of this folder over HTTP, on the same port"},
    {OPTION_HEADING, 0, NULL, 0, NULL, "Where"},
    {OPTION_TEXT, 0, "host", FIELD(host), "HOST",
     "address or name to listen on (default: 127.0.0.1; :: for all)"},
    {OPTION_PORT, 'p', "port", FIELD(port), "N",
     "port to listen on (default: 8080; 0 for a free one)"},
    {OPTION_TEXT, 0, "unix", FIELD(unix_path), "PATH",
     "listen on a Unix socket instead"},
    {OPTION_TEXT, 0, "tls-cert", FIELD(certificate), "FILE",
     "serve wss with this certificate chain (PEM)"},
    {OPTION_TEXT, 0, "tls-key", FIELD(key), "FILE",
     "its key, unless it stands in the same file"},
    {OPTION_HEADING, 0, NULL, 0, NULL, "How"},
    {OPTION_COUNT, 0, "workers", FIELD(workers), "N",
     "serve with N threads (not with --chat)"},
    {OPTION_FLAG, 0, "compression", FIELD(compresses), NULL,
     "take permessage-deflate when a client offers it"},
    {OPTION_SIZE, 0, "max-message", FIELD(max_message), "SIZE",
     "longest message taken, such as 64K, or unlimited (default: 1M; "
     "--chat: 4M)"},
    {OPTION_LIST, 0, "origin", FIELD(origins), "ORIGIN",
     "let pages of this origin connect, or of any with '*'; may be repeated "
     "(default: pages of this server)"},
    {OPTION_LIST, 0, "subprotocol", FIELD(subprotocols), "NAME",
     "speak this subprotocol; may be repeated (default: the first that the "
     "client offers)"},
    {OPTION_COUNT, 0, "max-connections", FIELD(max_connections), "N",
     "refuse those beyond"},
    {OPTION_FLAG, 0, "once", FIELD(is_once), NULL,
     "end when the first WebSocket has ended"},
    {OPTION_FLAG, 'q', "quiet", FIELD(is_quiet), NULL, "do not log"},
};

static const command_line usage = {
    .name = COMMAND,
    .summary = "Serves WebSockets. The first line on the standard output is "
               "'listening on URL'; what happens is logged on the standard "
               "error.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .epilogue = "Ctrl-C closes all connections with code 1001 and ends when "
                "they have; Ctrl-C twice ends at once. With TLS, SIGHUP reads "
                "the certificate again.",
};

/* -- Echo and broadcast ---------------------------------------------------- */

/* Whether so much waits to be sent that a drain event will come. The cheap
 * question first: its answer is almost always no. */
static bool is_unread(const ws_socket *socket) {
  if (ws_socket_buffered_amount(socket) <= MAX_UNREAD) return false;
  ws_conn_stats stats;
  ws_socket_get_stats(socket, &stats);
  return stats.bytes_queued > MAX_UNREAD;
}

/* Text was checked when it came. An error has ended the connection already. */
static void echo(ws_socket *socket, const ws_event *event) {
  (void)ws_socket_send(socket, event->u.message.type, event->u.message.data,
                       event->u.message.len, WS_SEND_VALID_UTF8);
  if (is_unread(socket)) ws_socket_pause(socket);
}

static void go_on(ws_socket *socket, const ws_event *event) {
  (void)event;
  ws_socket_resume(socket);
}

static void broadcast(ws_socket *socket, const ws_event *event) {
  (void)ws_server_publish(ws_socket_server(socket), NULL, event->u.message.type,
                          event->u.message.data, event->u.message.len,
                          WS_SEND_VALID_UTF8, NULL);
}

/* -- Handlers -------------------------------------------------------------- */

static service *service_of(const ws_socket *socket) {
  return ws_server_user_data(ws_socket_server(socket));
}

static bool needs_visitors(const service *s) {
  return !s->settings->is_quiet || s->settings->is_once || s->chat != NULL;
}

static void on_open(ws_socket *socket, const ws_event *event) {
  service *const s = service_of(socket);
  if (!needs_visitors(s)) return;
  visitor *const v = calloc(1, sizeof(*v));
  if (v == NULL) {
    (void)ws_socket_close_with(socket, WS_CLOSE_INTERNAL_ERROR, NULL, 0);
    return;
  }
  ws_socket_set_user_data(socket, v);
  ws_socket_peer_address(socket, v->address);
  if (s->chat != NULL) chat_enter(s->chat, &v->member, socket);
  if (!s->settings->is_quiet) log_open(v->address, socket, event);
}

static void on_chat_message(ws_socket *socket, const ws_event *event) {
  visitor *const v = ws_socket_user_data(socket);
  if (v == NULL) return; /* It is being closed. */
  chat_hear(service_of(socket)->chat, &v->member, event);
}

static void on_chat_request(ws_socket *socket, const ws_event *event) {
  chat_show(socket, event->u.request, service_of(socket)->settings->root);
}

static void on_error(ws_socket *socket, const ws_event *event) {
  const visitor *const v = ws_socket_user_data(socket);
  char address[WS_ADDRESS_SIZE];
  if (service_of(socket)->settings->is_quiet) return;
  log_error(v != NULL ? v->address : ws_socket_peer_address(socket, address),
            event);
}

static void on_close(ws_socket *socket, const ws_event *event) {
  service *const s = service_of(socket);
  visitor *const v = ws_socket_user_data(socket);
  if (v == NULL) return;
  if (s->chat != NULL) chat_leave(s->chat, &v->member);
  if (!s->settings->is_quiet) log_close(v->address, socket, event);
  if (s->settings->is_once) {
    atomic_store(&s->is_over, true);
    ws_loop_stop(s->loop);
  }
  free(v);
}

static void on_server_error(ws_server *server, const ws_event *event) {
  (void)server;
  complain(COMMAND, "%s", event->u.error.message);
}

static void set_handlers(ws_handlers *handlers,
                         const serve_settings *settings) {
  ws_handlers_init(handlers);
  handlers->on_open = on_open;
  handlers->on_error = on_error;
  handlers->on_close = on_close;
  handlers->on_server_error = on_server_error;
  if (settings->is_chat) {
    handlers->on_message = on_chat_message;
    handlers->on_request = on_chat_request;
  } else if (settings->is_broadcast) {
    handlers->on_message = broadcast;
  } else {
    handlers->on_message = echo;
    handlers->on_drain = go_on;
  }
}

/* -- The command ----------------------------------------------------------- */

static ws_tls_identity identity_of(const serve_settings *settings) {
  return (ws_tls_identity){.certificate.file = settings->certificate,
                           .key.file = settings->key};
}

static int make_tls(service *s) {
  if (s->settings->certificate == NULL) return EXIT_OK;
  const ws_tls_identity identity = identity_of(s->settings);
  ws_tls_server_options tls;
  ws_tls_server_options_init(&tls);
  tls.identities = &identity;
  tls.identity_count = 1;
  ws_error error;
  if (ws_tls_server_new(&tls, &s->tls, &error) == 0) return EXIT_OK;
  complain(COMMAND, "%s", error.message);
  return EXIT_TLS;
}

static void reload_tls(service *s) {
  if (s->tls == NULL) return;
  const ws_tls_identity identity = identity_of(s->settings);
  ws_error error;
  if (ws_tls_reload(s->tls, &identity, 1, &error) != 0) {
    complain(COMMAND, "kept the old certificate: %s", error.message);
  } else if (!s->settings->is_quiet) {
    complain(COMMAND, "took the certificate anew");
  }
}

static uint64_t max_queue(uint64_t max_message) {
  return max_message > (WS_UNLIMITED - MAX_QUEUE) / 2
             ? WS_UNLIMITED
             : MAX_QUEUE + 2 * max_message;
}

static int make_server(service *s, const ws_handlers *handlers) {
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.max_message = s->settings->max_message;
  conn.max_send_queue = max_queue(conn.max_message);
  conn.send_high_water = MAX_UNREAD;
  conn.origins = s->settings->origins.values;
  if (s->settings->compresses) conn.compression = WS_COMPRESSION_ON;

  ws_server_options server;
  ws_server_options_init(&server);
  server.conn = &conn;
  server.protocols = s->settings->subprotocols.values;
  server.protocol_count = s->settings->subprotocols.count;
  server.root = s->settings->root;
  server.max_connections = s->settings->max_connections;
  server.workers = s->settings->workers;
  server.handlers = handlers;
  server.user_data = s;
  ws_error error;
  if (ws_server_new(s->loop, &server, &s->server, &error) == 0) return EXIT_OK;
  return fail(COMMAND, error.message);
}

static int listen_there(service *s) {
  ws_listen_options where;
  ws_listen_options_init(&where);
  if (s->settings->host != NULL) where.host = s->settings->host;
  where.port = (uint16_t)s->settings->port;
  where.unix_path = s->settings->unix_path;
  where.tls = s->tls;
  ws_error error;
  if (ws_server_listen(s->server, &where, &error) != 0) {
    return fail(COMMAND, error.message);
  }
  for (size_t i = 0; i < ws_server_listener_count(s->server); i++)
    printf("listening on %s\n", ws_server_url(s->server, i));
  fflush(stdout);
  return EXIT_OK;
}

/* A Unix socket leaves its file behind unless it stops listening. */
static void end_at_once(service *s) {
  ws_server_stop_listening(s->server);
  _exit(EXIT_INTERRUPTED);
}

/* Runs until a signal or the first WebSocket of --once has stopped the loop,
 * and then until there is nothing left that lives in it. Signals that come at
 * once stop it once. */
static int serve(service *s) {
  bool is_closing = false;
  while (ws_loop_is_alive(s->loop)) {
    const int err = ws_loop_run(s->loop);
    if (err != 0) return fail(COMMAND, ws_strerror(err));
    if (signals_interrupts() > 1) end_at_once(s);
    if (signals_take_hangup()) reload_tls(s);
    if (!is_closing && (atomic_load(&s->is_over) || signals_interrupts() > 0)) {
      is_closing = true;
      ws_server_close(s->server, WS_CLOSE_GOING_AWAY, NULL, 0, 0);
    }
  }
  return EXIT_OK;
}

static int make_and_serve(service *s) {
  ws_handlers handlers;
  set_handlers(&handlers, s->settings);
  int code = make_tls(s);
  if (code == EXIT_OK) code = make_server(s, &handlers);
  if (code == EXIT_OK) code = listen_there(s);
  if (code == EXIT_OK) code = serve(s);
  signals_ignore();
  ws_loop_free(s->loop); /* And its server. */
  ws_tls_context_free(s->tls);
  return code;
}

static int run(const serve_settings *settings) {
  service s = {.settings = settings};
  chat room = {.max_message = settings->max_message};
  ws_error error;
  atomic_init(&s.is_over, false);
  if (settings->is_chat) s.chat = &room;
  if (ws_loop_new(NULL, &s.loop, &error) != 0)
    return fail(COMMAND, error.message);
  raise_descriptor_limit();
  signals_catch(s.loop, true);
  return make_and_serve(&s);
}

/* What the table of options cannot say. */
static const char *find_contradiction(const serve_settings *s) {
  if (s->is_echo + s->is_broadcast + s->is_chat > 1) {
    return "--echo, --broadcast and --chat exclude each other";
  }
  if (s->is_chat && s->workers > 0) return "--chat needs no --workers";
  if (s->key != NULL && s->certificate == NULL) {
    return "--tls-key needs --tls-cert";
  }
  return NULL;
}

static bool is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int check_and_run(serve_settings *settings) {
  const char *const contradiction = find_contradiction(settings);
  if (contradiction != NULL) {
    complain(COMMAND, "%s", contradiction);
    return EXIT_USAGE;
  }
  if (settings->root != NULL && !is_folder(settings->root)) {
    complain(COMMAND, "--root takes a folder, not '%s'", settings->root);
    return EXIT_USAGE;
  }
  if (settings->max_message == 0) {
    settings->max_message =
        settings->is_chat ? DEFAULT_MAX_CHAT_MESSAGE : DEFAULT_MAX_MESSAGE;
  }
  return run(settings);
}

int serve_command(int count, char *const *arguments) {
  serve_settings settings = {.port = DEFAULT_PORT};
  const char *none;
  int code = EXIT_OK;
  switch (options_read(&usage, count, arguments, &settings, &none)) {
  case OPTIONS_READ: code = check_and_run(&settings); break;
  case OPTIONS_HELP: options_print_help(&usage, stdout); break;
  case OPTIONS_WRONG: code = EXIT_USAGE; break;
  }
  options_free(&usage, &settings);
  return code;
}
