/* options.c - see options.h. */
#include "options.h"

#include <limits.h>
#include <string.h>

/* The largest count that a lua_Number holds exactly. */
#define MAX_EXACT ((uint64_t)1 << 53)

/* -- Numbers --------------------------------------------------------------- */

/* "No limit has to be asked for by name": false or math.huge. */
static bool is_none(lua_State *L) {
  if (lua_isboolean(L, -1)) return !lua_toboolean(L, -1);
  return lua_type(L, -1) == LUA_TNUMBER &&
         lua_tonumber(L, -1) > (lua_Number)MAX_EXACT;
}

/* At least 1: 0 would be the library's word for "default". */
static uint64_t check_count(lua_State *L, const char *name, uint64_t max,
                            uint64_t none) {
  if (is_none(L)) return none;
  const lua_Number count =
      lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
  if (!(count >= 1 && count <= (lua_Number)max) ||
      count != (lua_Number)(uint64_t)count) {
    lws_raise(L, "TypeError", "%s: must be a whole number of at least 1", name);
  }
  return (uint64_t)count;
}

void lws_read_count64(lua_State *L, const char *name, void *place,
                      int anchors) {
  (void)anchors;
  *(uint64_t *)place = check_count(L, name, MAX_EXACT, WS_UNLIMITED);
}

void lws_read_count32(lua_State *L, const char *name, void *place,
                      int anchors) {
  (void)anchors;
  *(uint32_t *)place = (uint32_t)check_count(L, name, UINT32_MAX, UINT32_MAX);
}

void lws_read_count8(lua_State *L, const char *name, void *place, int anchors) {
  (void)anchors;
  *(uint8_t *)place = (uint8_t)lws_check_whole(L, -1, name, 1, UINT8_MAX);
}

void lws_read_time(lua_State *L, const char *name, void *place, int anchors) {
  (void)anchors;
  uint64_t time = WS_NEVER;
  if (!is_none(L)) time = lws_check_milliseconds(L, -1, name, WS_NEVER);
  if (time == 0) lws_raise(L, "TypeError", "%s: must be over 0", name);
  *(uint32_t *)place = (uint32_t)time;
}

void lws_read_fd(lua_State *L, const char *name, void *place, int anchors) {
  (void)anchors;
  *(int *)place = lws_check_whole(L, -1, name, 0, INT_MAX);
}

void lws_read_port(lua_State *L, const char *name, void *place, int anchors) {
  (void)anchors;
  *(uint16_t *)place = (uint16_t)lws_check_whole(L, -1, name, 0, UINT16_MAX);
}

/* -- Booleans -------------------------------------------------------------- */

static bool check_boolean(lua_State *L, const char *name) {
  if (!lua_isboolean(L, -1)) {
    lws_raise(L, "TypeError", "%s: boolean expected, got %s", name,
              luaL_typename(L, -1));
  }
  return lua_toboolean(L, -1);
}

void lws_read_boolean(lua_State *L, const char *name, void *place,
                      int anchors) {
  (void)anchors;
  *(bool *)place = check_boolean(L, name);
}

static void read_auto_pong(lua_State *L, const char *name, void *place,
                           int anchors) {
  (void)anchors;
  *(bool *)place = !check_boolean(L, name); /* no_auto_pong */
}

static void read_compression(lua_State *L, const char *name, void *place,
                             int anchors) {
  (void)anchors;
  *(ws_compression *)place =
      check_boolean(L, name) ? WS_COMPRESSION_ON : WS_COMPRESSION_OFF;
}

/* -- Texts and lists ------------------------------------------------------- */

/* Fields have pointers of several types, which memcpy() takes for what they
 * are: all of one size. */
static void store_pointer(void *place, const void *pointer) {
  memcpy(place, &pointer, sizeof(pointer));
}

static void store_list(void *place, const void *items, size_t count) {
  store_pointer(place, items);
  memcpy((char *)place + sizeof(items), &count, sizeof(count));
}

/* [array] -> [] */
static void anchor(lua_State *L, int anchors) {
  lua_rawseti(L, anchors, (int)lua_rawlen(L, anchors) + 1);
}

void lws_read_text(lua_State *L, const char *name, void *place, int anchors) {
  (void)anchors;
  store_pointer(place, lws_check_text(L, -1, name));
}

void lws_read_strings(lua_State *L, const char *name, void *place,
                      int anchors) {
  size_t count;
  const char **items = lws_check_strings(L, -1, name, &count);
  store_list(place, items, count);
  anchor(L, anchors);
}

/* A list that ends in NULL. */
static void read_names(lua_State *L, const char *name, void *place,
                       int anchors) {
  size_t count;
  store_pointer(place, lws_check_strings(L, -1, name, &count));
  anchor(L, anchors);
}

void lws_read_headers(lua_State *L, const char *name, void *place,
                      int anchors) {
  size_t count;
  const ws_header *items = lws_check_headers(L, -1, name, &count);
  store_list(place, items, count);
  anchor(L, anchors);
}

/* -- Tables of options ----------------------------------------------------- */

static bool find_and_store(lua_State *L, const char *name,
                           const lws_target *target, int anchors) {
  for (size_t i = 0; i < target->count; i++) {
    const lws_field *field = &target->fields[i];
    if (strcmp(field->name, name) != 0) continue;
    field->read(L, name, (char *)target->options + field->offset, anchors);
    return true;
  }
  return false;
}

/* Stores the option whose name and value are on top. */
static void read_option(lua_State *L, const lws_target *targets,
                        size_t target_count, int anchors) {
  if (lua_type(L, -2) != LUA_TSTRING) {
    lws_raise(L, "TypeError", "options: the names must be strings");
  }
  const char *name = lua_tostring(L, -2);
  bool is_known = false;
  for (size_t i = 0; !is_known && i < target_count; i++)
    is_known = find_and_store(L, name, &targets[i], anchors);
  if (!is_known) lws_raise(L, "TypeError", "unknown option '%s'", name);
}

void lws_read_options(lua_State *L, int index, const lws_target *targets,
                      size_t target_count) {
  index = lws_absolute(L, index);
  const bool is_empty = lua_isnoneornil(L, index);
  if (!is_empty && !lua_istable(L, index)) {
    lws_raise(L, "TypeError", "options: table expected, got %s",
              luaL_typename(L, index));
  }
  lua_newtable(L);
  if (is_empty) return;
  const int anchors = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    read_option(L, targets, target_count, anchors);
    lua_pop(L, 1);
  }
}

lws_target lws_conn_target(ws_conn_options *options) {
#define FIELD(name, read) \
  { #name, read, offsetof(ws_conn_options, name) }
  static const lws_field fields[] = {
      FIELD(max_message, lws_read_count64),
      FIELD(max_fragments, lws_read_count64),
      FIELD(max_send_queue, lws_read_count64),
      FIELD(send_high_water, lws_read_count64),
      FIELD(max_head, lws_read_count32),
      FIELD(max_head_line, lws_read_count32),
      FIELD(max_headers, lws_read_count32),
      FIELD(max_response_body, lws_read_count32),
      FIELD(useless_burst, lws_read_count32),
      FIELD(useless_rate, lws_read_count32),
      FIELD(handshake_timeout, lws_read_time),
      FIELD(ping_interval, lws_read_time),
      FIELD(ping_timeout, lws_read_time),
      FIELD(message_timeout, lws_read_time),
      FIELD(send_timeout, lws_read_time),
      FIELD(close_timeout, lws_read_time),
      FIELD(compression, read_compression),
      FIELD(compression_threshold, lws_read_count32),
      FIELD(compression_level, lws_read_count8),
      FIELD(compression_memory, lws_read_count8),
      FIELD(server_max_window_bits, lws_read_count8),
      FIELD(client_max_window_bits, lws_read_count8),
      FIELD(server_no_context_takeover, lws_read_boolean),
      FIELD(client_no_context_takeover, lws_read_boolean),
      {"auto_pong", read_auto_pong, offsetof(ws_conn_options, no_auto_pong)},
      FIELD(origins, read_names),
      FIELD(hosts, read_names),
  };
#undef FIELD
  return (lws_target){fields, sizeof(fields) / sizeof(fields[0]), options};
}
