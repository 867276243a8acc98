/* echo_client.c - sends messages to an echo server and prints what comes back.
 *
 *     echo_client ws://127.0.0.1:8080/ hello world
 *
 * The smallest client. It pulls its events: ws_loop_wait() is the only call
 * that waits, and ws_loop_next() hands out what has happened, one event at a
 * time. echo_server.c shows the other style, with handlers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ws/ws.h>

/* What there is to say, and how far we are. */
typedef struct conversation {
  char **messages;
  int count;
  int answers;
  bool was_clean;
} conversation;

static void handle(conversation *talk, const ws_event *event) {
  ws_socket *socket = event->socket;
  switch (event->type) {
  case WS_EVENT_OPEN:
    /* Sending never blocks. What the network does not take yet waits in the
     * library; ws_socket_buffered_amount() tells how much that is. */
    for (int i = 0; i < talk->count; i++)
      ws_socket_send_text(socket, talk->messages[i], strlen(talk->messages[i]));
    break;

  case WS_EVENT_MESSAGE:
    /* The data is ours to look at until the next pull. It has no NUL at its
     * end. */
    fwrite(event->u.message.data, 1, event->u.message.len, stdout);
    putchar('\n');
    if (++talk->answers == talk->count)
      ws_socket_close(socket, WS_CLOSE_NORMAL, NULL, 0);
    break;

  case WS_EVENT_ERROR:
    /* Why the connection failed, or could not be made. */
    fprintf(stderr, "echo_client: %s\n", event->u.error.message);
    break;

  case WS_EVENT_CLOSE:
    /* The last event of every socket, whatever happened to it. The handle is
     * gone with the next pull. */
    talk->was_clean = event->u.close.was_clean;
    if (talk->answers < talk->count)
      fprintf(stderr, "echo_client: closed with %u %s\n", event->u.close.code,
              event->u.close.reason);
    break;

  default: break; /* Pings are answered without us. */
  }
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "Usage: echo_client URL MESSAGE...\n");
    return 2;
  }
  conversation talk = {.messages = argv + 2, .count = argc - 2};
  const char *url = argv[1];

  ws_error error;
  ws_loop *loop;
  if (ws_loop_new(NULL, &loop, &error) != 0) {
    fprintf(stderr, "echo_client: %s\n", error.message);
    return 1;
  }

  /* Only checks the URL: connecting is done while we wait. */
  ws_socket *socket;
  if (ws_socket_open(loop, url, strlen(url), NULL, &socket, &error) != 0) {
    fprintf(stderr, "echo_client: %s\n", error.message);
    ws_loop_free(loop);
    return 2;
  }

  /* As long as there is a socket that something may come from. */
  ws_event event;
  while (ws_loop_is_alive(loop) && ws_loop_wait(loop, -1) == 0)
    while (ws_loop_next(loop, &event))
      handle(&talk, &event);

  ws_loop_free(loop);
  return talk.was_clean && talk.answers == talk.count ? 0 : 1;
}
