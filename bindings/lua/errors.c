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

/* Whether a function is the application's: written in Lua, in a file outside of
 * `folder`, that of libws. */
static bool is_of_application(const lua_Debug *function, const char *folder) {
  if (function->currentline <= 0) return false;
  return folder == NULL ||
         strncmp(function->source, folder, strlen(folder)) != 0;
}

/* [class] -> [class, "file:line: "], where the application has called; or "".
 */
static void push_where(lua_State *L) {
  lua_getfield(L, -1, "folder");
  const char *folder = lua_tostring(L, -1);
  lua_Debug function;
  for (int level = 0; lua_getstack(L, level, &function); level++) {
    lua_getinfo(L, "Sl", &function);
    if (!is_of_application(&function, folder)) continue;
    lua_pushfstring(L, "%s:%d: ", function.short_src, function.currentline);
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  lua_pushliteral(L, "");
}

/* [message] -> raises. */
static int raise_top(lua_State *L, const char *name) {
  const lua_Integer code = dom_code(name);
  lws_push_error_class(L);
  push_where(L);
  lua_pushvalue(L, -3);
  lua_concat(L, 2); /* [message, class, "where: message"] */
  lua_createtable(L, 0, 3);
  lua_insert(L, -2);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  if (code != 0) {
    lua_pushinteger(L, code);
    lua_setfield(L, -2, "code");
  }
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  return lua_error(L);
}

/* Error.raise(name, message): what is written in Lua raises the same. */
static int error_raise(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  return raise_top(L, name);
}

/* "raise" is set last: without it, memory ran out while the class was made. */
void lws_push_error_class(lua_State *L) {
  luaL_newmetatable(L, ERROR_CLASS);
  lua_getfield(L, -1, "raise");
  const bool is_complete = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (is_complete) return;
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, error_raise);
  lua_setfield(L, -2, "raise");
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
