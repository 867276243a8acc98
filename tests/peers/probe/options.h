/* options.h - what a socket or server of the probe is made with: name=value
 * words, under the names of the C API with dashes.
 *
 * Everything points into the words it was read from. */
#ifndef PROBE_OPTIONS_H
#define PROBE_OPTIONS_H

#include "command.h"
#include "ws/ws.h"

#define MAX_VALUES 8

/* The values of an option that may be given several times; NULL behind the
 * last. */
typedef struct value_list {
  const char *items[MAX_VALUES + 1];
  size_t count;
} value_list;

typedef struct probe_options {
  ws_conn_options conn;
  value_list protocols;
  value_list headers; /* "Name: value" */
  value_list origins;
  value_list certs; /* Files. The n-th key is that of the n-th certificate. */
  value_list keys;
  const char *ca;
  const char *client_ca; /* A server then requires a certificate. */
  bool insecure;
  const char *proxy;
  const char *server_name;
  const char *origin;
  uint32_t max_redirects;
  const char *host;
  uint32_t port;
  const char *unix_path;
  const char *root;
  uint32_t max_connections;
  bool is_echo; /* Send every message back. */
} probe_options;

/* Reads the words from `first` on. Returns 0, or WS_ERR_INVALID_ARGUMENT for a
 * word that is no option. */
int options_read(const probe_command *command, size_t first,
                 probe_options *out_options, ws_error *out_error);

/* Fill what the API takes; `*out_tls` is to be freed by the caller, NULL if
 * there is no TLS. Return 0 or what ws_tls_*_new() returned. */
int options_client(const probe_options *options, ws_header headers[MAX_VALUES],
                   ws_socket_options *out_socket, ws_tls_context **out_tls,
                   ws_error *out_error);
int options_server(probe_options *options, ws_server_options *out_server,
                   ws_listen_options *out_listen, ws_tls_context **out_tls,
                   ws_error *out_error);

#endif /* PROBE_OPTIONS_H */
