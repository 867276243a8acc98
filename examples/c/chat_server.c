/* chat_server.c - rooms in which everybody hears everybody.
 *
 *     chat_server [PORT]
 *
 * The path of the URL is the room: all that come to ws://127.0.0.1:8080/tea are
 * together. The first message of a client is its name, all others are said to
 * the room. A room is a topic, to which its members are subscribed: a message
 * is framed once, however many there are. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ws/ws.h>

/* Longest name and longest line in bytes, the NUL included. */
#define NAME_SIZE 32
#define LINE_SIZE 2048

#define FAREWELL 1000 /* Milliseconds that clients have to close. */

/* What we know of a client; the user data of its socket. */
typedef struct member {
  char *room;
  char name[NAME_SIZE]; /* "" until it has told. */
} member;

static ws_loop *loop;

static void stop(int signal_number) {
  (void)signal_number;
  ws_loop_stop(loop);
}

static void refuse(ws_socket *socket, uint16_t code, const char *reason) {
  ws_socket_close_with(socket, code, reason, strlen(reason));
}

static char *copy(const char *text) {
  const size_t size = strlen(text) + 1;
  char *result = malloc(size);
  return result != NULL ? memcpy(result, text, size) : NULL;
}

/* Says a line to all in the room of `socket`. */
static void say(ws_socket *socket, const char *format, ...) {
  const member *m = ws_socket_user_data(socket);
  char line[LINE_SIZE];
  va_list args;
  va_start(args, format);
  const int len = vsnprintf(line, sizeof(line), format, args);
  va_end(args);
  if (len < 0 || len >= LINE_SIZE) return;
  ws_server_publish(ws_socket_server(socket), m->room, WS_TEXT, line,
                    (size_t)len, 0, NULL);
}

/* A client that has opened a connection enters the room that its request
 * names. */
static void on_open(ws_socket *socket, const ws_event *event) {
  member *m = calloc(1, sizeof(*m));
  ws_socket_set_user_data(socket, m);
  if (m != NULL) m->room = copy(event->u.open.request->target);
  if (m == NULL || m->room == NULL ||
      ws_socket_subscribe(socket, m->room) != 0) {
    refuse(socket, WS_CLOSE_POLICY, "there is no such room");
  }
}

static void on_message(ws_socket *socket, const ws_event *event) {
  member *m = ws_socket_user_data(socket);
  const char *text = (const char *)event->u.message.data;
  const size_t len = event->u.message.len;
  if (event->u.message.type != WS_TEXT) {
    refuse(socket, WS_CLOSE_UNSUPPORTED, "text only");
  } else if (m->name[0] != '\0') {
    say(socket, "%s: %.*s", m->name, (int)len, text);
  } else if (len == 0 || len >= NAME_SIZE) {
    refuse(socket, WS_CLOSE_POLICY, "a name has 1 to 31 bytes");
  } else {
    memcpy(m->name, text, len);
    say(socket, "* %s has come", m->name);
  }
}

/* A socket that has ended is no longer subscribed to anything. */
static void on_close(ws_socket *socket, const ws_event *event) {
  (void)event;
  member *m = ws_socket_user_data(socket);
  if (m == NULL) return;
  if (m->name[0] != '\0') say(socket, "* %s has left", m->name);
  free(m->room);
  free(m);
}

/* Makes a server that listens, or says why it cannot. */
static int serve(const ws_handlers *handlers, uint16_t port,
                 ws_server **out_server, ws_error *out_error) {
  ws_conn_options limits;
  ws_conn_options_init(&limits);
  limits.max_message = LINE_SIZE - NAME_SIZE - 2; /* "NAME: LINE" */

  ws_server_options options;
  ws_server_options_init(&options);
  options.conn = &limits;
  options.handlers = handlers;
  const int result = ws_server_new(loop, &options, out_server, out_error);
  if (result != 0) return result;

  ws_listen_options where;
  ws_listen_options_init(&where);
  where.port = port;
  return ws_server_listen(*out_server, &where, out_error);
}

int main(int argc, char **argv) {
  const uint16_t port = argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 8080;

  ws_handlers handlers;
  ws_handlers_init(&handlers);
  handlers.on_open = on_open;
  handlers.on_message = on_message;
  handlers.on_close = on_close;

  ws_error error;
  ws_server *server;
  if (ws_loop_new(NULL, &loop, &error) != 0 ||
      serve(&handlers, port, &server, &error) != 0) {
    fprintf(stderr, "chat_server: %s\n", error.message);
    ws_loop_free(loop);
    return 1;
  }
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  printf("listening on %s\n", ws_server_url(server, 0));
  fflush(stdout);
  ws_loop_run(loop);

  ws_server_close(server, WS_CLOSE_GOING_AWAY, NULL, 0, FAREWELL);
  ws_loop_run(loop);
  ws_loop_free(loop);
  return 0;
}
