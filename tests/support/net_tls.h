/* net_tls.h - servers and clients of the fixture over TLS. Contexts that are
 * given to a function are given up. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "certs.h"
#include "raw_peer.h"

/* A certificate and its key. */
ws_tls_identity net_tls_identity(const cert *c);

/* A client that trusts `ca`, and shows `own` if that is not NULL. */
ws_tls_context *net_tls_client(const cert *ca, const cert *own);
ws_tls_context *net_tls_client_with(const ws_tls_client_options *options);

/* A server that shows `c`. */
ws_tls_context *net_tls_server(const cert *c);
ws_tls_context *net_tls_server_with(const ws_tls_server_options *options);

/* As net_serve(). */
void net_serve_tls(net *n, const ws_server_options *options,
                   ws_tls_context *context);

/* As net_connect(). `conn` may be NULL. */
net_end *net_connect_tls(net *n, const char *url, ws_tls_context *context,
                         const ws_conn_options *conn);

#endif
