/* poll_loop.c - a terminal for a WebSocket, in a program that has a loop of its
 * own.
 *
 *     poll_loop ws://127.0.0.1:8080/
 *
 * Lines from the standard input are sent, messages are printed, and the end of
 * the input closes the connection. The loop is poll(), which watches the
 * standard input and one descriptor of the library: it stands for all sockets
 * and timers, however many there are. Any other loop can watch it as well;
 * libuv_loop.c shows one. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ws/ws.h>

static bool has_failed;

static void on_message(ws_socket *socket, const ws_event *event) {
  (void)socket;
  fwrite(event->u.message.data, 1, event->u.message.len, stdout);
  putchar('\n');
  fflush(stdout);
}

static void on_error(ws_socket *socket, const ws_event *event) {
  (void)socket;
  fprintf(stderr, "poll_loop: %s\n", event->u.error.message);
  has_failed = true;
}

/* Sends what has been typed; at the end of it says goodbye. Whole lines come
 * from a terminal, pieces of any size from elsewhere: each is a message.
 * Returns whether more may come. */
static bool take_input(ws_socket *socket) {
  char data[4096];
  const ssize_t n = read(STDIN_FILENO, data, sizeof(data));
  if (n <= 0) {
    ws_socket_close(socket, WS_CLOSE_NORMAL, NULL, 0);
    return false;
  }
  size_t len = (size_t)n;
  if (data[len - 1] == '\n') len--;
  /* Fails when it is not UTF-8, and nothing is sent then. */
  if (ws_socket_send_text(socket, data, len) == WS_ERR_INVALID_UTF8)
    fprintf(stderr, "poll_loop: this is not UTF-8\n");
  return true;
}

/* Until the socket has ended. */
static void run(ws_loop *loop, int loop_fd, ws_socket *socket) {
  /* poll() passes over descriptors that are -1. */
  struct pollfd watched[] = {{.fd = loop_fd, .events = POLLIN},
                             {.fd = -1, .events = POLLIN}};
  bool has_input = true;
  while (ws_loop_is_alive(loop)) {
    /* Nothing can be sent before the connection is open. */
    const bool is_open = ws_socket_ready_state(socket) == WS_STATE_OPEN;
    watched[1].fd = has_input && is_open ? STDIN_FILENO : -1;

    if (poll(watched, 2, -1) < 0) break;
    if (watched[1].revents != 0) has_input = take_input(socket);
    /* One turn that does not wait. It also writes what was just sent, so it
     * does no harm when the descriptor is not ready. */
    if (ws_loop_dispatch(loop, 0) != 0) break;
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "Usage: poll_loop URL\n");
    return 2;
  }

  ws_handlers handlers;
  ws_handlers_init(&handlers);
  handlers.on_message = on_message;
  handlers.on_error = on_error;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.handlers = &handlers;

  ws_error error;
  ws_loop *loop = NULL;
  ws_socket *socket;
  int loop_fd;
  if (ws_loop_new(NULL, &loop, &error) != 0 ||
      ws_socket_open(loop, argv[1], strlen(argv[1]), &options, &socket,
                     &error) != 0) {
    fprintf(stderr, "poll_loop: %s\n", error.message);
    ws_loop_free(loop);
    return 2;
  }
  if (ws_loop_fd(loop, &loop_fd) == 0) {
    /* Handles end with the close event, unless they are retained. */
    ws_socket_retain(socket);
    run(loop, loop_fd, socket);
    ws_socket_release(socket);
  }

  ws_loop_free(loop);
  return has_failed ? 1 : 0;
}
