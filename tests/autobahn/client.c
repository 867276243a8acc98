/* client.c - the client of libws in C for Autobahn's fuzzing server.
 *
 *     client ws://127.0.0.1:9001 AGENT
 *
 * Asks how many cases there are, sends back what comes in each, and has the
 * report written. client.py and client.lua are the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ws/ws.h>

enum {
  MAX_URL = 512,
  MAX_ANSWER = 32
};

/* Talks until the connection has ended. Sends back every message, or keeps the
 * last one as `answer`. Returns false if no connection could be made. */
static bool converse(const char *url, char *answer) {
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.max_message = WS_UNLIMITED;
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = &conn;
  options.proxy = "";

  ws_loop *loop;
  ws_socket *socket;
  ws_error error;
  if (ws_loop_new(NULL, &loop, &error) != 0 ||
      ws_socket_open(loop, url, strlen(url), &options, &socket, &error) != 0) {
    fprintf(stderr, "client: %s\n", error.message);
    exit(1);
  }
  bool was_open = false;
  ws_event event;
  while (ws_loop_is_alive(loop) && ws_loop_wait(loop, -1) == 0) {
    while (ws_loop_next(loop, &event)) {
      if (event.type == WS_EVENT_OPEN) was_open = true;
      if (event.type != WS_EVENT_MESSAGE) continue;
      if (answer == NULL) {
        ws_socket_send(event.socket, event.u.message.type, event.u.message.data,
                       event.u.message.len, WS_SEND_VALID_UTF8);
      } else {
        snprintf(answer, MAX_ANSWER, "%.*s", (int)event.u.message.len,
                 (const char *)event.u.message.data);
      }
    }
  }
  ws_loop_free(loop);
  return was_open;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "Usage: client URL AGENT\n");
    return 2;
  }
  char url[MAX_URL];
  char count[MAX_ANSWER] = "";
  snprintf(url, sizeof(url), "%s/getCaseCount", argv[1]);
  if (!converse(url, count)) {
    fprintf(stderr, "client: no answer from %s\n", url);
    return 1;
  }
  const long cases = strtol(count, NULL, 10);
  for (long i = 1; i <= cases; i++) {
    snprintf(url, sizeof(url), "%s/runCase?case=%ld&agent=%s", argv[1], i,
             argv[2]);
    converse(url, NULL);
  }
  snprintf(url, sizeof(url), "%s/updateReports?agent=%s", argv[1], argv[2]);
  converse(url, NULL);
  printf("%s: %ld cases\n", argv[2], cases);
  return 0;
}
