/* echo_server.c - sends every message back to where it came from.
 *
 *     echo_server [PORT]
 *
 * The smallest server. A table of handlers says what to do for which event, and
 * ws_loop_run() calls them. Ctrl-C ends it in good order: the clients are told,
 * and get a second to say goodbye. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <ws/ws.h>

/* How long clients may take to close, in milliseconds. */
#define FAREWELL 1000

static ws_loop *loop;

/* May be called in a signal handler, as well as by any thread. */
static void stop(int signal_number) {
  (void)signal_number;
  ws_loop_stop(loop);
}

static void on_message(ws_socket *socket, const ws_event *event) {
  /* The text was checked when it came, so there is no need to do it again. */
  ws_socket_send(socket, event->u.message.type, event->u.message.data,
                 event->u.message.len, WS_SEND_VALID_UTF8);
}

/* Makes a server that listens, or says why it cannot. */
static int serve(const ws_handlers *handlers, uint16_t port,
                 ws_server **out_server, ws_error *out_error) {
  ws_server_options options;
  ws_server_options_init(&options);
  options.handlers = handlers;
  const int result = ws_server_new(loop, &options, out_server, out_error);
  if (result != 0) return result;

  ws_listen_options where;
  ws_listen_options_init(&where);
  where.port = port; /* The host is 127.0.0.1 unless one is given. */
  return ws_server_listen(*out_server, &where, out_error);
}

int main(int argc, char **argv) {
  const uint16_t port = argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 8080;

  ws_handlers handlers;
  ws_handlers_init(&handlers);
  handlers.on_message = on_message;

  ws_error error;
  ws_server *server;
  if (ws_loop_new(NULL, &loop, &error) != 0 ||
      serve(&handlers, port, &server, &error) != 0) {
    fprintf(stderr, "echo_server: %s\n", error.message);
    ws_loop_free(loop);
    return 1;
  }
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  printf("listening on %s\n", ws_server_url(server, 0));
  fflush(stdout);
  ws_loop_run(loop); /* Until stop(). */

  /* The loop runs on until the last client has gone: then nothing is left that
   * it could wait for. */
  ws_server_close(server, WS_CLOSE_GOING_AWAY, NULL, 0, FAREWELL);
  ws_loop_run(loop);
  ws_loop_free(loop);
  return 0;
}
