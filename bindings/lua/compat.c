/* compat.c - what older versions of Lua lack. */
#include "compat.h"

#if LUA_VERSION_NUM < 502
void lws_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalue_count) {
  for (const luaL_Reg *f = functions; f->name != NULL; f++) {
    for (int i = 0; i < upvalue_count; i++)
      lua_pushvalue(L, -upvalue_count);
    lua_pushcclosure(L, f->func, upvalue_count);
    lua_setfield(L, -(upvalue_count + 2), f->name);
  }
  lua_pop(L, upvalue_count);
}

void *lws_testudata(lua_State *L, int index, const char *type_name) {
  void *data = lua_touserdata(L, index);
  if (data == NULL || !lua_getmetatable(L, index)) return NULL;
  luaL_getmetatable(L, type_name);
  const int is_equal = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is_equal ? data : NULL;
}
#endif

void lws_push_count(lua_State *L, uint64_t count) {
#if LUA_VERSION_NUM >= 503
  if (count <= (uint64_t)LUA_MAXINTEGER) {
    lua_pushinteger(L, (lua_Integer)count);
    return;
  }
#endif
  lua_pushnumber(L, (lua_Number)count);
}

void *lws_check_typed(lua_State *L, int index, const char *type, size_t size) {
  const char *const *data = lua_touserdata(L, index);
  const bool is_it =
      data != NULL && lua_rawlen(L, index) == size && *data == type;
  return is_it ? (void *)data : luaL_checkudata(L, index, type);
}

int lws_absolute(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index
                                                 : lua_gettop(L) + index + 1;
}

void lws_register_type(lua_State *L, const char *type, const luaL_Reg *methods,
                       lua_CFunction collect) {
  luaL_newmetatable(L, type);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
