/* handle.h - the userdata that own the objects of libws.core.
 *
 * Each is made, empty, before the object it is for, so that whatever throws in
 * between leaves nothing behind. A loop that ends takes its timers and servers
 * with it: their handles are on its list of wards and are emptied. Sockets are
 * retained and stay usable. */
#ifndef LWS_HANDLE_H
#define LWS_HANDLE_H

#include "compat.h"
#include "ws/ws.h"

LWS_HIDDEN_BEGIN

/* Loops and sockets begin with their type; see lws_check_typed(). */

/* A handle that its loop empties. */
typedef struct lws_ward {
  void *object; /* A ws_timer or ws_server; NULL when it has ended. */
  struct lws_ward *next;
  struct lws_ward **link; /* What points here; NULL: not on a list. */
} lws_ward;

typedef struct lws_loop {
  const char *type;
  ws_loop *loop; /* NULL: closed. */
  lws_ward *wards;
  uintptr_t last_id;
  /* Pulled, but not yet given to Lua: what ran out of memory is repeated. */
  ws_event event;
  bool has_event;
} lws_loop;

typedef struct lws_socket {
  const char *type;
  ws_socket *socket;
  ws_message_type unfinished; /* Of a message sent in fragments; or 0. */
} lws_socket;

/* -- Loops ----------------------------------------------------------------- */

/* loop(options) */
int lws_loop_new(lua_State *L);

/* The open loop at `index`; InvalidStateError for one that is closed. */
lws_loop *lws_check_loop(lua_State *L, int index);

/* The next identity of a socket, timer or server, by which events name it. */
uintptr_t lws_next_id(lws_loop *loop);

/* -- Wards ----------------------------------------------------------------- */

/* Pushes an empty ward of that type. */
lws_ward *lws_push_ward(lua_State *L, const char *type);

/* The object is made: the loop watches over its handle. */
void lws_ward_join(lws_ward *ward, lws_loop *loop, void *object);

/* Empties the ward and takes it off the list. */
void lws_ward_leave(lws_ward *ward);

/* -- Sockets, timers, servers ---------------------------------------------- */

/* Pushes an empty handle. */
lws_socket *lws_push_socket(lua_State *L);

lws_socket *lws_check_socket(lua_State *L, int index);

/* Methods of a loop: open(url, protocols, options), timer(), serve(options). */
int lws_loop_open(lua_State *L);
int lws_loop_timer(lua_State *L);
int lws_loop_serve(lua_State *L);

/* What raises for the error that a call left; see lws_raise_err(). */
int lws_raise_error(lua_State *L, int err, const ws_error *error);

/* Makes the types known to the state. */
void lws_loop_register(lua_State *L);
void lws_socket_register(lua_State *L);
void lws_timer_register(lua_State *L);
void lws_server_register(lua_State *L);

LWS_HIDDEN_END

#endif
