/* loop.c - the event loop. Lua waits, pulls one event after the other and calls
 * the handlers itself; nothing here calls Lua. */
#include "event.h"
#include "handle.h"
#include "memory.h"
#include "options.h"

#include <limits.h>

static const char loop_type[] = "libws.loop";

/* -- Life ------------------------------------------------------------------ */

int lws_loop_new(lua_State *L) {
  ws_loop_options options;
  ws_loop_options_init(&options);
  static const lws_field fields[] = {
      {"backend", lws_read_text, offsetof(ws_loop_options, backend)},
      {"receive_buffer", lws_read_count32,
       offsetof(ws_loop_options, receive_buffer)},
      {"send_buffer", lws_read_count32, offsetof(ws_loop_options, send_buffer)},
  };
  const lws_target target = {fields, sizeof(fields) / sizeof(fields[0]),
                             &options};
  lws_read_options(L, 1, &target, 1);

  lws_loop *loop = lua_newuserdata(L, sizeof(*loop));
  *loop = (lws_loop){.type = loop_type};
  luaL_getmetatable(L, loop_type);
  lua_setmetatable(L, -2);
  options.allocator = lws_allocator(L);
  ws_error error = {.message = ""};
  const int err = ws_loop_new(&options, &loop->loop, &error);
  return err == 0 ? 1 : lws_raise_error(L, err, &error);
}

/* Idempotent, and the collector of loops. */
static int loop_close(lua_State *L) {
  lws_loop *loop = lws_check_typed(L, 1, loop_type, sizeof(*loop));
  while (loop->wards != NULL)
    lws_ward_leave(loop->wards);
  loop->has_event = false;
  ws_loop_free(loop->loop);
  loop->loop = NULL;
  return 0;
}

lws_loop *lws_check_loop(lua_State *L, int index) {
  lws_loop *loop = lws_check_typed(L, index, loop_type, sizeof(*loop));
  if (loop->loop == NULL) {
    lws_raise(L, "InvalidStateError", "the loop is closed");
  }
  return loop;
}

uintptr_t lws_next_id(lws_loop *loop) {
  return ++loop->last_id;
}

/* -- Waiting --------------------------------------------------------------- */

/* loop:wait(seconds), for ever when nil. */
static int loop_wait(lua_State *L) {
  lws_loop *loop = lws_check_loop(L, 1);
  int timeout = -1;
  if (!lua_isnoneornil(L, 2)) {
    timeout = (int)lws_check_milliseconds(L, 2, "timeout", INT_MAX);
  }
  if (loop->has_event) return 0;
  const int err = ws_loop_wait(loop->loop, timeout);
  return lws_raise_if(L, err, NULL);
}

/* -- Events ---------------------------------------------------------------- */

static void push_id(lua_State *L, const void *user_data) {
  lws_push_count(L, (uintptr_t)user_data);
}

/* The first event of a server's socket brings its handle. Nothing throws once
 * the handle is pushed, so the socket and it cannot miss each other. */
static void push_newcomer(lua_State *L, lws_loop *loop, ws_socket *socket,
                          uintptr_t id) {
  lws_socket *handle = lws_push_socket(L);
  handle->socket = ws_socket_retain(socket);
  ws_socket_set_user_data(socket, (void *)id);
  loop->last_id = id;
}

/* type, id of the socket, values; REQUEST and OPEN of a server add the id of
 * the server and, once, the socket's handle. */
static int push_socket_event(lua_State *L, lws_loop *loop,
                             const ws_event *event) {
  const void *known = ws_socket_user_data(event->socket);
  const bool is_arrival =
      event->server != NULL &&
      (event->type == WS_EVENT_REQUEST || event->type == WS_EVENT_OPEN);
  const bool is_new = is_arrival && known == NULL;
  const uintptr_t id = is_new ? loop->last_id + 1 : (uintptr_t)known;
  lws_push_count(L, id);
  int count = 2 + lws_push_event_values(L, event->type, &event->u);
  if (!is_arrival) return count;
  push_id(L, ws_server_user_data(event->server));
  if (!is_new) return count + 1;
  push_newcomer(L, loop, event->socket, id);
  return count + 2;
}

/* type, id, attempt, delay, close code, reason, and as with ERROR. */
static int push_reconnect(lua_State *L, const ws_event *event) {
  push_id(L, ws_socket_user_data(event->socket));
  lua_pushinteger(L, (lua_Integer)event->reconnect.attempt);
  lua_pushnumber(L, (lua_Number)event->reconnect.delay / 1000);
  lua_pushinteger(L, event->reconnect.close_code);
  lua_pushstring(L, event->reconnect.close_reason);
  return 6 + lws_push_cause(L, &event->u.error);
}

/* The server goes with the next pull. */
static void forget_server(lws_loop *loop, const ws_server *server) {
  lws_ward *ward = loop->wards;
  while (ward != NULL && ward->object != server)
    ward = ward->next;
  if (ward != NULL) lws_ward_leave(ward);
}

static int push_server_event(lua_State *L, lws_loop *loop,
                             const ws_event *event) {
  push_id(L, ws_server_user_data(event->server));
  if (event->type == WS_EVENT_SERVER_CLOSE) {
    forget_server(loop, event->server);
    return 2;
  }
  return 2 + lws_push_cause(L, &event->u.error);
}

static int push_event(lua_State *L, lws_loop *loop, const ws_event *event) {
  lua_pushinteger(L, event->type);
  switch (event->type) {
  case WS_EVENT_RECONNECT: return push_reconnect(L, event);
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE: return push_server_event(L, loop, event);
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: push_id(L, event->task_arg); return 2;
  case WS_EVENT_REQUEST:
  case WS_EVENT_OPEN:
  case WS_EVENT_MESSAGE:
  case WS_EVENT_PING:
  case WS_EVENT_PONG:
  case WS_EVENT_DRAIN:
  case WS_EVENT_ERROR:
  case WS_EVENT_CLOSE: break;
  }
  return push_socket_event(L, loop, event);
}

/* loop:next() -> type, id, ...; or nothing when the turn is over. */
static int loop_next(lua_State *L) {
  lws_loop *loop = lws_check_loop(L, 1);
  luaL_checkstack(L, LWS_EVENT_STACK, "event");
  if (!loop->has_event && !ws_loop_next(loop->loop, &loop->event)) return 0;
  loop->has_event = true;
  const int count = push_event(L, loop, &loop->event);
  loop->has_event = false;
  return count;
}

/* -- Account --------------------------------------------------------------- */

static int loop_fd(lua_State *L) {
  int fd;
  const int err = ws_loop_fd(lws_check_loop(L, 1)->loop, &fd);
  if (err != 0) return lws_raise_err(L, err, NULL);
  lua_pushinteger(L, fd);
  return 1;
}

static int loop_is_alive(lua_State *L) {
  const lws_loop *loop = lws_check_loop(L, 1);
  lua_pushboolean(L, loop->has_event || ws_loop_is_alive(loop->loop));
  return 1;
}

/* Monotonic seconds. */
static int loop_now(lua_State *L) {
  const uint64_t now = ws_loop_now(lws_check_loop(L, 1)->loop);
  lua_pushnumber(L, (lua_Number)now / 1000);
  return 1;
}

static int loop_stats(lua_State *L) {
  ws_loop_stats stats;
  ws_loop_get_stats(lws_check_loop(L, 1)->loop, &stats);
  lua_createtable(L, 0, 7);
  lws_set_count(L, "sockets", stats.sockets);
  lws_set_count(L, "turns", stats.turns);
  lws_set_count(L, "events", stats.events);
  lws_set_count(L, "bytes_received", stats.bytes_received);
  lws_set_count(L, "bytes_sent", stats.bytes_sent);
  lws_set_count(L, "reads", stats.reads);
  lws_set_count(L, "writes", stats.writes);
  return 1;
}

void lws_loop_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"close", loop_close},
      {"wait", loop_wait},
      {"next", loop_next},
      {"fd", loop_fd},
      {"is_alive", loop_is_alive},
      {"now", loop_now},
      {"stats", loop_stats},
      {"open", lws_loop_open},
      {"timer", lws_loop_timer},
      {"serve", lws_loop_serve},
      {NULL, NULL},
  };
  lws_register_type(L, loop_type, methods, loop_close);
}
