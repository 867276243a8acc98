/* conversation.h - all that a loop does, in one story that copes with anything.
 *
 * A server listens; a client opens, says small and large things, in fragments,
 * compressed, and pings; the server echoes, publishes and sends as if from
 * another thread; the client closes when it has heard all. Tests make something
 * fail on the way, whatever it is: the story ends all the same, with one close
 * event for each socket, and can be told again. */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include "ws/ws.h"

typedef struct conversation {
  ws_allocator allocator;     /* Of the loop; zeroed for malloc. */
  const char *backend;        /* Of the loop; NULL for the best. */
  ws_tls_context *server_tls; /* NULL: without TLS. */
  ws_tls_context *client_tls;
  /* Whether something has failed meanwhile, so that answers may never come;
   * NULL if nothing can. */
  bool (*is_spoilt)(void);

  /* What the first call returned that failed while things were set up, or what
   * the error event of the client said; 0 if there was none. */
  int failure;

  /* All below is for conversation.c. */
  ws_loop *loop;
  ws_server *server;
  ws_timer *timer;
  ws_socket *client; /* NULL before and after. */
  unsigned messages; /* That the client has got. */
  bool was_clean;
} conversation;

/* Makes loop and server. Returns whether that went well. */
bool conversation_begin(conversation *c);

/* Tells the story to its end, for which a spoilt one is not waited long.
 * Returns whether it was told as it should be. */
bool conversation_hold(conversation *c);

/* Ends server and loop, in good order. */
void conversation_end(conversation *c);

#endif
