/* client.h - what connect and bench have in common: from options of the command
 * line to options of a socket, and from the cause of a failure to an exit code.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "options.h"
#include "ws/ws.h"

/* Times are in milliseconds. 0, NULL and UNSET mean the library's default. */
typedef struct client_settings {
  option_list headers; /* "Name: value" */
  option_list subprotocols;
  const char *origin;
  const char *ca;
  const char *certificate;
  const char *key;
  bool is_insecure;
  const char *proxy;
  bool without_proxy;
  option_switch compression;
  uint64_t max_message;
  uint32_t ping_interval;
  uint32_t timeout;
  uint32_t redirects;
  bool reconnects;
} client_settings;

/* What sockets are opened with. Must not move: it points into itself. */
typedef struct client {
  ws_socket_options options;
  ws_conn_options conn;
  ws_handlers handlers; /* All NULL; for the caller to fill. */
  ws_header *headers;
  ws_tls_context *tls;
} client;

/* Fills `c` from `settings`, which have to live as long. Returns an exit code;
 * if it is not EXIT_OK, it has complained in the name of `command`. */
int client_init(client *c, const client_settings *settings,
                const char *command);

void client_free(client *c);

/* The exit code for a connection that failed. */
int client_exit_code(const ws_cause *cause);

#endif
