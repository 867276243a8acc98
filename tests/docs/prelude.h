/* prelude.h - what a snippet of the documentation may use without having said
 * where it comes from; see test_docs.py. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ws/ws.h>

/* The parameters of the function that statements are put into. */
#define SNIPPET_PARAMETERS                                                    \
  ws_loop *loop, ws_socket *socket, ws_server *server, const ws_event *event, \
      ws_conn *conn, ws_handlers handlers, ws_error error, const char *url,   \
      const char *text, const void *data, size_t len
