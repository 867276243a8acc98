/* config.h - what connections without I/O share: configurations, and messages
 * made for many. */
#ifndef LWS_CONFIG_H
#define LWS_CONFIG_H

#include "compat.h"
#include "ws/conn.h"

LWS_HIDDEN_BEGIN

/* config("client" or "server", options) -> config; raises for an option. */
int lws_config_new(lua_State *L);

/* The config at `index`; or, of a role there, one that is made with the options
 * at `options` and pushed. */
ws_conn_config *lws_to_config(lua_State *L, int index, int options);

/* message(config, data, is_binary, is_uncompressed) -> message */
int lws_message_new(lua_State *L);

ws_message *lws_check_message(lua_State *L, int index);

/* Makes the types known to the state. */
void lws_config_register(lua_State *L);

LWS_HIDDEN_END

#endif
