/* event.c - see event.h. */
#include "event.h"

/* -- HTTP ------------------------------------------------------------------ */

static void push_headers(lua_State *L, const ws_header *headers, size_t count) {
  lua_createtable(L, (int)(2 * count), 0);
  for (size_t i = 0; i < count; i++) {
    const ws_header *header = &headers[i];
    lua_pushlstring(L, header->name, header->name_len);
    lua_rawseti(L, -2, (int)(2 * i) + 1);
    lua_pushlstring(L, header->value, header->value_len);
    lua_rawseti(L, -2, (int)(2 * i) + 2);
  }
}

static void push_request(lua_State *L, const ws_request *request) {
  if (request == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 5);
  lws_set_string(L, "method", request->method);
  lws_set_string(L, "target", request->target);
  lws_set_boolean(L, "is_upgrade", request->is_upgrade);
  push_headers(L, request->headers, request->header_count);
  lua_setfield(L, -2, "headers");
  lua_createtable(L, (int)request->protocol_count, 0);
  for (size_t i = 0; i < request->protocol_count; i++) {
    lua_pushstring(L, request->protocols[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "protocols");
}

static void push_response(lua_State *L, const ws_response *response) {
  if (response == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 4);
  lws_set_count(L, "status", response->status);
  lws_set_string(L, "reason", response->reason);
  push_headers(L, response->headers, response->header_count);
  lua_setfield(L, -2, "headers");
  lua_pushlstring(L, (const char *)response->body, response->body_len);
  lua_setfield(L, -2, "body");
}

/* -- Failures -------------------------------------------------------------- */

static const char *side_name(ws_side side) {
  switch (side) {
  case WS_SIDE_LOCAL: return "local";
  case WS_SIDE_PEER: return "peer";
  case WS_SIDE_TRANSPORT: return "transport";
  }
  return NULL;
}

static const char *phase_name(ws_phase phase) {
  switch (phase) {
  case WS_PHASE_HANDSHAKE: return "handshake";
  case WS_PHASE_OPEN: return "open";
  case WS_PHASE_CLOSING: return "closing";
  }
  return NULL;
}

int lws_push_cause(lua_State *L, const ws_cause *cause) {
  lws_push_code(L, cause->err);
  lua_pushstring(L, cause->message);
  lua_pushstring(L, side_name(cause->side));
  lua_pushstring(L, phase_name(cause->phase));
  lua_pushinteger(L, cause->close_code);
  lua_pushinteger(L, cause->status);
  push_response(L, cause->response);
  return 7;
}

/* -- Events ---------------------------------------------------------------- */

static int push_message(lua_State *L, const ws_event_data *data) {
  lua_pushlstring(L, (const char *)data->message.data, data->message.len);
  lua_pushboolean(L, data->message.type == WS_BINARY);
  if (data->message.is_first && data->message.is_last) return 2;
  lua_pushboolean(L, data->message.is_first);
  lua_pushboolean(L, data->message.is_last);
  return 4;
}

static int push_control(lua_State *L, const ws_event_data *data) {
  lua_pushlstring(L, (const char *)data->control.data, data->control.len);
  if (data->control.rtt == WS_NEVER) return 1;
  lua_pushnumber(L, (lua_Number)data->control.rtt / 1000);
  return 2;
}

static int push_close(lua_State *L, const ws_event_data *data) {
  lua_pushinteger(L, data->close.code);
  lua_pushlstring(L, data->close.reason, data->close.reason_len);
  lua_pushboolean(L, data->close.was_clean);
  return 3;
}

int lws_push_event_values(lua_State *L, ws_event_type type,
                          const ws_event_data *data) {
  switch (type) {
  case WS_EVENT_REQUEST: push_request(L, data->request); return 1;
  case WS_EVENT_OPEN:
    push_request(L, data->open.request);
    push_response(L, data->open.response);
    return 2;
  case WS_EVENT_MESSAGE: return push_message(L, data);
  case WS_EVENT_PING:
    lua_pushlstring(L, (const char *)data->control.data, data->control.len);
    return 1;
  case WS_EVENT_PONG: return push_control(L, data);
  case WS_EVENT_ERROR: return lws_push_cause(L, &data->error);
  case WS_EVENT_CLOSE: return push_close(L, data);
  case WS_EVENT_DRAIN:
  case WS_EVENT_RECONNECT:
  case WS_EVENT_SERVER_ERROR:
  case WS_EVENT_SERVER_CLOSE:
  case WS_EVENT_TIMER:
  case WS_EVENT_TASK: break;
  }
  return 0;
}

void lws_set_event_types(lua_State *L) {
  static const struct {
    const char *name;
    ws_event_type type;
  } types[] = {
      {"REQUEST", WS_EVENT_REQUEST},
      {"OPEN", WS_EVENT_OPEN},
      {"MESSAGE", WS_EVENT_MESSAGE},
      {"PING", WS_EVENT_PING},
      {"PONG", WS_EVENT_PONG},
      {"DRAIN", WS_EVENT_DRAIN},
      {"ERROR", WS_EVENT_ERROR},
      {"CLOSE", WS_EVENT_CLOSE},
      {"RECONNECT", WS_EVENT_RECONNECT},
      {"SERVER_ERROR", WS_EVENT_SERVER_ERROR},
      {"SERVER_CLOSE", WS_EVENT_SERVER_CLOSE},
      {"TIMER", WS_EVENT_TIMER},
  };
  for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
    lws_set_count(L, types[i].name, types[i].type);
}
