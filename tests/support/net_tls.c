#include "net_tls.h"

#include <stdio.h>

ws_tls_identity net_tls_identity(const cert *c) {
  return (ws_tls_identity){.certificate.text = c->certificate,
                           .key.text = c->key};
}

ws_tls_context *net_tls_client_with(const ws_tls_client_options *options) {
  ws_tls_context *context;
  ws_error error;
  if (ws_tls_client_new(options, &context, &error) != 0)
    fail_msg("%s", error.message);
  return context;
}

ws_tls_context *net_tls_client(const cert *ca, const cert *own) {
  ws_tls_client_options options;
  ws_tls_client_options_init(&options);
  options.ca.text = ca->certificate;
  if (own != NULL) options.identity = net_tls_identity(own);
  return net_tls_client_with(&options);
}

ws_tls_context *net_tls_server_with(const ws_tls_server_options *options) {
  ws_tls_context *context;
  ws_error error;
  if (ws_tls_server_new(options, &context, &error) != 0)
    fail_msg("%s", error.message);
  return context;
}

ws_tls_context *net_tls_server(const cert *c) {
  const ws_tls_identity identity = net_tls_identity(c);
  ws_tls_server_options options;
  ws_tls_server_options_init(&options);
  options.identities = &identity;
  options.identity_count = 1;
  return net_tls_server_with(&options);
}

void net_serve_tls(net *n, const ws_server_options *options,
                   ws_tls_context *context) {
  ws_listen_options where;
  ws_listen_options_init(&where);
  where.tls = context;
  net_serve_at(n, options, &where);
  ws_tls_context_free(context);
}

net_end *net_connect_tls(net *n, const char *url, ws_tls_context *context,
                         const ws_conn_options *conn) {
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.conn = conn;
  options.tls = context;
  net_end *end = net_connect(n, url, &options);
  ws_tls_context_free(context);
  return end;
}
