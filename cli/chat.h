/* chat.h - a room for people with a browser.
 *
 * Text messages are JSON objects. A client sends
 *
 *     {"type": "join", "name": "Ann"}      once, before anything else
 *     {"type": "say", "text": "Hello"}
 *
 * and binary messages: pictures, files. The server sends
 *
 *     {"type": "hello", "you": "Ann", "people": 2, "max": 4194304}
 *     {"type": "joined", "name": ..., "time": ..., "people": 2}
 *     {"type": "said", "name": ..., "text": ..., "time": ...}
 *     {"type": "sent", "name": ..., "bytes": 1234, "time": ...}
 *     {"type": "left", "name": ..., "time": ..., "people": 1}
 *     {"type": "error", "text": ...}       to a client it did not understand
 *
 * and directly after "sent" the binary message itself. "hello" answers a join:
 * "you" differs from the name asked for when somebody has that, "max" is the
 * longest message taken. Times are milliseconds since 1970. All but "hello" and
 * "error" goes to everybody who has joined, the sender too.
 *
 * A room is used by one thread. */
#ifndef CLI_CHAT_H
#define CLI_CHAT_H

#include "ws/ws.h"

/* In characters, and in bytes with the number that tells a name from the same
 * name and the NUL. */
#define CHAT_MAX_NAME      32
#define CHAT_MAX_NAME_SIZE (4 * CHAT_MAX_NAME + 24)

/* One connection, from chat_enter() to chat_leave(). */
typedef struct chat_member {
  struct chat_member *next;
  ws_socket *socket;
  bool has_joined; /* And so has a name. */
  char name[CHAT_MAX_NAME_SIZE];
} chat_member;

/* Zeroed but for its limit it is an empty room. */
typedef struct chat {
  uint64_t max_message; /* Of the server; WS_UNLIMITED for none. */
  chat_member *members;
  size_t people; /* Who have joined. */
} chat;

/* For the open event, for messages and for the close event of a socket. The
 * member must not move between. */
void chat_enter(chat *room, chat_member *member, ws_socket *socket);
void chat_hear(chat *room, chat_member *member, const ws_event *event);
void chat_leave(chat *room, chat_member *member);

/* Answers a request with the page, or else with a file of the folder `root`, if
 * that is not NULL. */
void chat_show(ws_socket *socket, const ws_request *request, const char *root);

#endif
