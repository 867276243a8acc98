/* errors.c - error tables, as a browser names them. */
#include "errors.h"

#include <string.h>

#define ERROR_CLASS "libws.Error"

/* The codes that DOMException gives its names (WebIDL); TypeError is none. */
static lua_Integer dom_code(const char *name) {
  static const struct {
    const char *name;
    lua_Integer code;
  } codes[] = {
      {"InvalidStateError", 11},
      {"SyntaxError", 12},
      {"InvalidAccessError", 15},
  };
  for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
    if (strcmp(codes[i].name, name) == 0) return codes[i].code;
  return 0;
}

static const char *dom_name(int err) {
  switch (err) {
  case WS_ERR_INVALID_ARGUMENT:
  case WS_ERR_INVALID_UTF8: return "TypeError";
  case WS_ERR_INVALID_STATE:
  case WS_ERR_FORKED: return "InvalidStateError";
  case WS_ERR_SYNTAX: return "SyntaxError";
  case WS_ERR_INVALID_ACCESS: return "InvalidAccessError";
  default: return "Error";
  }
}

/* "name: message". */
static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "name");
  lua_pushliteral(L, ": ");
  lua_getfield(L, 1, "message");
  lua_concat(L, 3);
  return 1;
}

void lws_push_error_class(lua_State *L) {
  if (!luaL_newmetatable(L, ERROR_CLASS)) return;
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
}

/* [message] -> raises. */
static int raise_top(lua_State *L, const char *name) {
  const lua_Integer code = dom_code(name);
  lua_createtable(L, 0, 3);
  lua_insert(L, -2);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  if (code != 0) {
    lua_pushinteger(L, code);
    lua_setfield(L, -2, "code");
  }
  lws_push_error_class(L);
  lua_setmetatable(L, -2);
  return lua_error(L);
}

int lws_raise(lua_State *L, const char *name, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  return raise_top(L, name);
}

int lws_raise_err(lua_State *L, int err, const char *reason) {
  if (err == WS_ERR_NO_MEMORY) return luaL_error(L, "not enough memory");
  lua_pushstring(L, reason != NULL ? reason : ws_strerror(err));
  return raise_top(L, dom_name(err));
}

int lws_raise_if(lua_State *L, int err, const char *reason) {
  return err == 0 ? 0 : lws_raise_err(L, err, reason);
}

void lws_push_code(lua_State *L, int err) {
  lua_pushfstring(L, "WS_ERR_%s", ws_err_name(err));
}

int lws_push_failure(lua_State *L, int err, const char *message) {
  lua_pushnil(L);
  lua_pushstring(L, message);
  lws_push_code(L, err);
  return 3;
}
