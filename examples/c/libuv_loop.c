/* libuv_loop.c - a WebSocket in a program that runs on libuv.
 *
 *     libuv_loop ws://127.0.0.1:8080/
 *
 * Sends "tick 1", "tick 2" and "tick 3" to an echo server, 50 milliseconds
 * apart by a timer of libuv, and prints the answers. libuv watches the one
 * descriptor of the library; when it is readable, one turn of the library's
 * loop is due. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>
#include <ws/ws.h>

#define TICKS     3
#define TICK_MSEC 50

typedef struct app {
  ws_loop *loop;
  ws_socket *socket;
  uv_poll_t poll;
  uv_timer_t timer;
  int ticks;
  int answers;
  bool was_clean;
} app;

/* -- Called by libuv --------------------------------------------------------- */

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)events;
  app *a = poll->data;
  /* A turn that does not wait. */
  if (status == 0) ws_loop_dispatch(a->loop, 0);
}

static void on_tick(uv_timer_t *timer) {
  app *a = timer->data;
  char text[32];
  const int len = snprintf(text, sizeof(text), "tick %d", ++a->ticks);
  /* Outside of a turn this makes the descriptor readable, so that libuv sees to
   * it that the message leaves. */
  ws_socket_send_text(a->socket, text, (size_t)len);
  if (a->ticks == TICKS) uv_timer_stop(timer);
}

/* -- Called by the library --------------------------------------------------- */

static void on_open(ws_socket *socket, const ws_event *event) {
  (void)event;
  app *a = ws_socket_user_data(socket);
  uv_timer_start(&a->timer, on_tick, 0, TICK_MSEC);
}

static void on_message(ws_socket *socket, const ws_event *event) {
  app *a = ws_socket_user_data(socket);
  fwrite(event->u.message.data, 1, event->u.message.len, stdout);
  putchar('\n');
  if (++a->answers == TICKS) ws_socket_close(socket, WS_CLOSE_NORMAL, NULL, 0);
}

static void on_error(ws_socket *socket, const ws_event *event) {
  (void)socket;
  fprintf(stderr, "libuv_loop: %s\n", event->u.error.message);
}

/* The end: nothing is left for libuv to watch, so uv_run() returns. */
static void on_close(ws_socket *socket, const ws_event *event) {
  app *a = ws_socket_user_data(socket);
  a->was_clean = event->u.close.was_clean;
  uv_close((uv_handle_t *)&a->poll, NULL);
  uv_close((uv_handle_t *)&a->timer, NULL);
}

/* -- The program ------------------------------------------------------------- */

static int start(app *a, const char *url, const ws_handlers *handlers,
                 ws_error *out_error) {
  int result = ws_loop_new(NULL, &a->loop, out_error);
  if (result != 0) return result;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.handlers = handlers;
  options.user_data = a;
  return ws_socket_open(a->loop, url, strlen(url), &options, &a->socket,
                        out_error);
}

static int watch(app *a) {
  int fd;
  const int result = ws_loop_fd(a->loop, &fd);
  if (result != 0) return result;
  uv_timer_init(uv_default_loop(), &a->timer);
  a->timer.data = a;
  uv_poll_init(uv_default_loop(), &a->poll, fd);
  a->poll.data = a;
  return uv_poll_start(&a->poll, UV_READABLE, on_readable);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "Usage: libuv_loop URL\n");
    return 2;
  }

  ws_handlers handlers;
  ws_handlers_init(&handlers);
  handlers.on_open = on_open;
  handlers.on_message = on_message;
  handlers.on_error = on_error;
  handlers.on_close = on_close;

  app a = {0};
  ws_error error;
  if (start(&a, argv[1], &handlers, &error) != 0) {
    fprintf(stderr, "libuv_loop: %s\n", error.message);
    ws_loop_free(a.loop);
    return 2;
  }
  if (watch(&a) != 0) {
    fprintf(stderr, "libuv_loop: libuv cannot watch the descriptor\n");
    ws_loop_free(a.loop);
    return 1;
  }
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);

  uv_loop_close(uv_default_loop());
  ws_loop_free(a.loop);
  return a.was_clean ? 0 : 1;
}
