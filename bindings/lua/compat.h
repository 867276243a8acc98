/* compat.h - the C API of Lua 5.1, 5.2, 5.3, 5.4 and LuaJIT as one: that of 5.3
 * as far as the binding uses it. Nothing else in the binding looks at the
 * version of Lua. */
#ifndef LWS_COMPAT_H
#define LWS_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#include <stdbool.h>
#include <stdint.h>

/* A module exports its luaopen_ function and nothing else, whatever flags it is
 * compiled with: what our headers declare is hidden. */
#ifdef __GNUC__
#define LWS_EXPORT       __attribute__((visibility("default")))
#define LWS_HIDDEN_BEGIN _Pragma("GCC visibility push(hidden)")
#define LWS_HIDDEN_END   _Pragma("GCC visibility pop")
#else
#define LWS_EXPORT
#define LWS_HIDDEN_BEGIN
#define LWS_HIDDEN_END
#endif

LWS_HIDDEN_BEGIN

#if LUA_VERSION_NUM < 502
#define lua_rawlen     lua_objlen
#define luaL_setfuncs  lws_setfuncs
#define luaL_testudata lws_testudata

void lws_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalue_count);
void *lws_testudata(lua_State *L, int index, const char *type_name);
#endif

/* Pushes a count: an integer where Lua has them, otherwise a number without a
 * fraction (row 399). */
void lws_push_count(lua_State *L, uint64_t count);

/* Makes a type of userdata: its methods, and what collects it. */
void lws_register_type(lua_State *L, const char *type, const luaL_Reg *methods,
                       lua_CFunction collect);

/* luaL_checkudata() of what is used for every message: that one looks the type
 * up by its name, which costs as much as the rest of a call. The userdata is
 * `size` bytes and begins with `type`, a pointer to the one array that is the
 * name. */
void *lws_check_typed(lua_State *L, int index, const char *type, size_t size);

/* A stack index that stays right when values are pushed. */
int lws_absolute(lua_State *L, int index);

LWS_HIDDEN_END

#endif
