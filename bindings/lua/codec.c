/* codec.c - the module libws.codec: the protocol engine and URLs. It needs
 * neither sockets nor TLS, and links to zlib alone, so that it can be loaded
 * beside whatever OpenSSL the host program has. */
#include "config.h"
#include "conn.h"
#include "convert.h"
#include "event.h"

LWS_EXPORT int luaopen_libws_codec(lua_State *L);

/* Where a parsed URL is kept while a table is made of it. */
#define URL_TYPE "libws.url"

static int url_gc(lua_State *L) {
  ws_url **box = luaL_checkudata(L, 1, URL_TYPE);
  ws_url_free(*box);
  *box = NULL;
  return 0;
}

static const ws_url *parse_url(lua_State *L, const char *text, size_t len) {
  ws_url **box = lua_newuserdata(L, sizeof(ws_url *));
  *box = NULL;
  luaL_getmetatable(L, URL_TYPE);
  lua_setmetatable(L, -2);
  const char *reason = NULL;
  const int err = ws_url_parse(text, len, NULL, box, &reason);
  if (err != 0) lws_raise_err(L, err, reason);
  return *box;
}

/* url(text) -> {href, origin, host, authority, target, authorization,
 * unix_path, port, is_secure}; SyntaxError as the browser's constructor. */
static int codec_url(lua_State *L) {
  size_t len;
  const char *text = lws_check_string(L, 1, "url", &len);
  const ws_url *url = parse_url(L, text, len);
  lua_createtable(L, 0, 9);
  lws_set_string(L, "href", url->href);
  lws_set_string(L, "origin", url->origin);
  lws_set_string(L, "host", url->host);
  lws_set_string(L, "authority", url->authority);
  lws_set_string(L, "target", url->target);
  lws_set_string(L, "authorization", url->authorization);
  lws_set_string(L, "unix_path", url->unix_path);
  lws_set_count(L, "port", url->port);
  lws_set_boolean(L, "is_secure", url->is_secure);
  return 1;
}

int luaopen_libws_codec(lua_State *L) {
  lws_conn_register(L);
  lws_config_register(L);
  luaL_newmetatable(L, URL_TYPE);
  lua_pushcfunction(L, url_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);

  static const luaL_Reg functions[] = {{"conn", lws_conn_new},
                                       {"config", lws_config_new},
                                       {"message", lws_message_new},
                                       {"url", codec_url},
                                       {NULL, NULL}};
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  lws_set_event_types(L);
  lws_set_string(L, "version", ws_version());
  lws_push_error_class(L);
  lua_setfield(L, -2, "Error");
  return 1;
}
