/* conn.h - connections without I/O. */
#ifndef LWS_CONN_H
#define LWS_CONN_H

#include "compat.h"

LWS_HIDDEN_BEGIN

/* conn(role or config, now, options) -> connection; see config.h. */
int lws_conn_new(lua_State *L);

/* Makes the type known to the state. */
void lws_conn_register(lua_State *L);

LWS_HIDDEN_END

#endif
