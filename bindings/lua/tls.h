/* tls.h - contexts of TLS, for clients and servers. */
#ifndef LWS_TLS_H
#define LWS_TLS_H

#include "options.h"
#include "ws/tls.h"

LWS_HIDDEN_BEGIN

/* An lws_reader that stores the context's ws_tls_context *. */
void lws_read_tls(lua_State *L, const char *name, void *place, int anchors);

/* tls_client{...} and tls_server{...} -> context, or nil, message, code when
 * the data cannot be used. */
int lws_tls_client(lua_State *L);
int lws_tls_server(lua_State *L);

/* Makes the type of contexts known to the state. */
void lws_tls_register(lua_State *L);

LWS_HIDDEN_END

#endif
