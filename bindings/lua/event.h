/* event.h - events as several values, so that a message makes no table.
 *
 * type      values
 * REQUEST   request
 * OPEN      request or nil, response or nil
 * MESSAGE   data, is_binary, and of a streamed piece is_first, is_last
 * PING      data
 * PONG      data, seconds since our ping or nil
 * DRAIN
 * ERROR     code, message, side, phase, close code, status, response or nil
 * CLOSE     code, reason, was_clean
 *
 * request   {method, target, headers, is_upgrade, protocols}
 * response  {status, reason, headers, body}
 * headers   {name, value, name, value, ...} in the order they came */
#ifndef LWS_EVENT_H
#define LWS_EVENT_H

#include "convert.h"

LWS_HIDDEN_BEGIN

/* Room on the stack that lws_push_event_values() needs. */
#define LWS_EVENT_STACK 16

/* Pushes the values of an event of a connection. Returns how many. */
int lws_push_event_values(lua_State *L, ws_event_type type,
                          const ws_event_data *data);

/* For the reports of a failed connection: code, message, side, phase, close
 * code, status, response. Returns how many. */
int lws_push_cause(lua_State *L, const ws_cause *cause);

/* Sets the numbers of the event types in the module on top, by their names. */
void lws_set_event_types(lua_State *L);

LWS_HIDDEN_END

#endif
