/* config.c - see config.h. */
#include "config.h"
#include "convert.h"
#include "memory.h"
#include "options.h"

#define CONFIG_TYPE  "libws.config"
#define MESSAGE_TYPE "libws.message"

/* -- Configurations -------------------------------------------------------- */

static int config_gc(lua_State *L) {
  ws_conn_config **box = luaL_checkudata(L, 1, CONFIG_TYPE);
  ws_conn_config_free(*box);
  *box = NULL;
  return 0;
}

static ws_conn_config *push_config(lua_State *L, ws_role role, int options_at) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  static const lws_field is_secure = {"is_secure", lws_read_boolean,
                                      offsetof(ws_conn_options, is_secure)};
  const lws_target targets[] = {
      lws_conn_target(&options),
      {&is_secure, 1, &options},
  };
  lws_read_options(L, options_at, targets,
                   sizeof(targets) / sizeof(targets[0]));
  options.allocator = lws_allocator(L);
  options.random = ws_random;

  ws_conn_config **box = lua_newuserdata(L, sizeof(ws_conn_config *));
  *box = NULL;
  luaL_getmetatable(L, CONFIG_TYPE);
  lua_setmetatable(L, -2);
  const char *reason = NULL;
  const int err = ws_conn_config_new(role, &options, box, &reason);
  if (err != 0) lws_raise_err(L, err, reason);
  return *box;
}

static ws_role check_role(lua_State *L, int index) {
  static const char *const names[] = {"client", "server", NULL};
  return (ws_role)luaL_checkoption(L, index, NULL, names);
}

int lws_config_new(lua_State *L) {
  const ws_role role = check_role(L, 1);
  lua_settop(L, 2);
  push_config(L, role, 2);
  return 1;
}

ws_conn_config *lws_to_config(lua_State *L, int index, int options) {
  ws_conn_config **box = luaL_testudata(L, index, CONFIG_TYPE);
  return box != NULL ? *box : push_config(L, check_role(L, index), options);
}

/* -- Messages -------------------------------------------------------------- */

static int message_gc(lua_State *L) {
  ws_message **box = luaL_checkudata(L, 1, MESSAGE_TYPE);
  ws_message_free(*box);
  *box = NULL;
  return 0;
}

int lws_message_new(lua_State *L) {
  ws_conn_config *config =
      *(ws_conn_config **)luaL_checkudata(L, 1, CONFIG_TYPE);
  size_t len;
  const char *data = lws_check_string(L, 2, "data", &len);
  const ws_message_type type = lua_toboolean(L, 3) ? WS_BINARY : WS_TEXT;
  const unsigned flags = lua_toboolean(L, 4) ? WS_SEND_UNCOMPRESSED : 0;
  ws_message **box = lua_newuserdata(L, sizeof(ws_message *));
  *box = NULL;
  luaL_getmetatable(L, MESSAGE_TYPE);
  lua_setmetatable(L, -2);
  const int err = ws_message_new(config, type, data, len, flags, box);
  return err == 0 ? 1 : lws_raise_err(L, err, NULL);
}

ws_message *lws_check_message(lua_State *L, int index) {
  return *(ws_message **)luaL_checkudata(L, index, MESSAGE_TYPE);
}

void lws_config_register(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  lws_register_type(L, CONFIG_TYPE, none, config_gc);
  lws_register_type(L, MESSAGE_TYPE, none, message_gc);
}
