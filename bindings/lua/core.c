/* core.c - the module libws.core: event loop, sockets, servers and TLS, as
 * lua/libws builds on them. Not for applications: its functions change as they
 * need. */
#include "event.h"
#include "handle.h"
#include "tls.h"

LWS_EXPORT int luaopen_libws_core(lua_State *L);

int luaopen_libws_core(lua_State *L) {
  lws_loop_register(L);
  lws_socket_register(L);
  lws_timer_register(L);
  lws_server_register(L);
  lws_tls_register(L);

  static const luaL_Reg functions[] = {
      {"loop", lws_loop_new},
      {"tls_client", lws_tls_client},
      {"tls_server", lws_tls_server},
      {NULL, NULL},
  };
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  lws_set_event_types(L);
  lws_set_string(L, "version", ws_version());
  lws_push_error_class(L);
  lua_setfield(L, -2, "Error");
  return 1;
}
