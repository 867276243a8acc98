/* tls.h - TLSOptions: whom to trust and who one is, for clients and servers. */
#ifndef CORE_TLS_H
#define CORE_TLS_H

#include "state.h"

/* Contexts for the value of a `tls` option, borrowed from it; NULL in
 * `*out_context` when the default shall be used. True and None are the default;
 * False is `*out_refused`. */
int core_tls_client_context(core_state *state, PyObject *tls,
                            ws_tls_context **out_context, bool *out_refused);

/* The same for a server, whose default is no TLS. ValueError for True. */
int core_tls_server_context(core_state *state, PyObject *tls,
                            ws_tls_context **out_context);

#endif
