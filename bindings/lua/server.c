/* server.c - servers: where they listen, how they end, what they publish. */
#include "convert.h"
#include "handle.h"
#include "options.h"
#include "tls.h"

#include <limits.h>

#define SERVER_TYPE "libws.server"

static ws_server *check(lua_State *L) {
  const lws_ward *ward = luaL_checkudata(L, 1, SERVER_TYPE);
  if (ward->object == NULL) {
    lws_raise(L, "InvalidStateError", "the server has ended");
  }
  return ward->object;
}

/* Nobody can reach it any more: its sockets go away in good order. */
static int server_gc(lua_State *L) {
  lws_ward *ward = luaL_checkudata(L, 1, SERVER_TYPE);
  if (ward->object != NULL) (void)ws_server_close(ward->object, 0, NULL, 0, 0);
  lws_ward_leave(ward);
  return 0;
}

/* loop:serve(options) -> server, id. It does not listen yet. */
int lws_loop_serve(lua_State *L) {
  lws_loop *loop = lws_check_loop(L, 1);
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  ws_server_options options;
  ws_server_options_init(&options);
#define FIELD(name, read) \
  { #name, read, offsetof(ws_server_options, name) }
  static const lws_field fields[] = {
      FIELD(protocols, lws_read_strings),
      FIELD(path, lws_read_text),
      FIELD(root, lws_read_text),
      FIELD(wants_upgrades, lws_read_boolean),
      FIELD(wants_requests, lws_read_boolean),
      FIELD(max_connections, lws_read_count32),
      FIELD(max_connections_per_address, lws_read_count32),
  };
#undef FIELD
  const lws_target targets[] = {
      lws_conn_target(&conn),
      {fields, sizeof(fields) / sizeof(fields[0]), &options},
  };
  lws_read_options(L, 2, targets, sizeof(targets) / sizeof(targets[0]));
  options.conn = &conn;
  const uintptr_t id = lws_next_id(loop);
  options.user_data = (void *)id;

  lws_ward *ward = lws_push_ward(L, SERVER_TYPE);
  ws_error error = {.message = ""};
  ws_server *server;
  const int err = ws_server_new(loop->loop, &options, &server, &error);
  if (err != 0) return lws_raise_error(L, err, &error);
  lws_ward_join(ward, loop, server);
  lws_push_count(L, id);
  return 2;
}

/* server:listen(options) -> true, or nil, message, code */
static int server_listen(lua_State *L) {
  ws_server *server = check(L);
  ws_listen_options options;
  ws_listen_options_init(&options);
#define FIELD(name, read) \
  { #name, read, offsetof(ws_listen_options, name) }
  static const lws_field fields[] = {
      FIELD(host, lws_read_text),
      FIELD(port, lws_read_port),
      {"unix", lws_read_text, offsetof(ws_listen_options, unix_path)},
      FIELD(unix_mode, lws_read_count32),
      FIELD(fd, lws_read_fd),
      FIELD(tls, lws_read_tls),
      FIELD(backlog, lws_read_fd),
      FIELD(reuse_port, lws_read_boolean),
  };
#undef FIELD
  const lws_target target = {fields, sizeof(fields) / sizeof(fields[0]),
                             &options};
  lws_read_options(L, 2, &target, 1);
  ws_error error = {.message = ""};
  const int err = ws_server_listen(server, &options, &error);
  if (err == WS_ERR_INVALID_ARGUMENT || err == WS_ERR_NO_MEMORY) {
    return lws_raise_error(L, err, &error);
  }
  if (err != 0) return lws_push_failure(L, err, error.message);
  lua_pushboolean(L, true);
  return 1;
}

/* server:adopt(fd, data, tls) -> true, or nil, message, code */
static int server_adopt(lua_State *L) {
  ws_server *server = check(L);
  const int fd = lws_check_whole(L, 2, "fd", 0, INT_MAX);
  size_t len = 0;
  const char *data =
      lua_isnoneornil(L, 3) ? NULL : lws_check_string(L, 3, "data", &len);
  ws_tls_context *tls = NULL;
  if (!lua_isnoneornil(L, 4)) {
    lua_settop(L, 4);
    lws_read_tls(L, "tls", &tls, 4);
  }
  ws_error error = {.message = ""};
  ws_socket *socket; /* Its events will say. */
  const int err = ws_server_adopt(server, fd, tls, data, len, &socket, &error);
  if (err == WS_ERR_TLS) return lws_push_failure(L, err, error.message);
  if (err != 0) return lws_raise_error(L, err, &error);
  lua_pushboolean(L, true);
  return 1;
}

/* server:close(code, reason, seconds) */
static int server_close(lua_State *L) {
  ws_server *server = check(L);
  const lws_close c = lws_check_close(L, 2);
  uint32_t deadline = 0;
  if (!lua_isnoneornil(L, 4)) {
    deadline = (uint32_t)lws_check_milliseconds(L, 4, "timeout", WS_NEVER);
    if (deadline == 0) deadline = 1; /* 0 is the library's "default". */
  }
  const int err =
      ws_server_close(server, c.code, c.reason, c.reason_len, deadline);
  return lws_settle_close(L, err, LWS_CODES_OF_WIRE);
}

static int server_stop_listening(lua_State *L) {
  ws_server_stop_listening(check(L));
  return 0;
}

/* server:publish(topic, data, is_binary, is_uncompressed, except): a topic of
 * nil means all sockets. */
static int server_publish(lua_State *L) {
  ws_server *server = check(L);
  lua_settop(L, 6);
  const char *topic = lws_opt_text(L, 2, "topic");
  size_t len;
  const char *data = lws_check_string(L, 3, "data", &len);
  const ws_message_type type = lua_toboolean(L, 4) ? WS_BINARY : WS_TEXT;
  const unsigned flags = lua_toboolean(L, 5) ? WS_SEND_UNCOMPRESSED : 0;
  const ws_socket *except =
      lua_isnil(L, 6) ? NULL : lws_check_socket(L, 6)->socket;
  const int err =
      ws_server_publish(server, topic, type, data, len, flags, except);
  return lws_raise_if(L, err, NULL);
}

/* -- Account --------------------------------------------------------------- */

/* server:urls() -> list */
static int server_urls(lua_State *L) {
  const ws_server *server = check(L);
  const size_t count = ws_server_listener_count(server);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, ws_server_url(server, i));
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

/* server:port() -> that of the first listener */
static int server_port(lua_State *L) {
  lua_pushinteger(L, ws_server_port(check(L), 0));
  return 1;
}

static int server_stats(lua_State *L) {
  ws_server_stats stats;
  ws_server_get_stats(check(L), &stats);
  lua_createtable(L, 0, 5);
  lws_set_count(L, "connections", stats.connections);
  lws_set_count(L, "accepted", stats.accepted);
  lws_set_count(L, "refused", stats.refused);
  lws_set_count(L, "opened", stats.opened);
  lws_set_count(L, "published", stats.published);
  return 1;
}

void lws_server_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"listen", server_listen},
      {"adopt", server_adopt},
      {"close", server_close},
      {"stop_listening", server_stop_listening},
      {"publish", server_publish},
      {"urls", server_urls},
      {"port", server_port},
      {"stats", server_stats},
      {NULL, NULL},
  };
  lws_register_type(L, SERVER_TYPE, methods, server_gc);
}
