/* timer.c - timers, which ring as TIMER events. */
#include "convert.h"
#include "handle.h"

#define TIMER_TYPE "libws.timer"

/* loop:timer() -> timer, id. It is not set. */
int lws_loop_timer(lua_State *L) {
  lws_loop *loop = lws_check_loop(L, 1);
  lws_ward *ward = lws_push_ward(L, TIMER_TYPE);
  const uintptr_t id = lws_next_id(loop);
  ws_timer *timer;
  const int err =
      ws_timer_new(loop->loop, WS_NO_DEADLINE, NULL, (void *)id, &timer);
  if (err != 0) return lws_raise_err(L, err, NULL);
  lws_ward_join(ward, loop, timer);
  lws_push_count(L, id);
  return 2;
}

/* timer:set(seconds): rings once, that much later; nil: not at all. */
static int timer_set(lua_State *L) {
  const lws_ward *ward = luaL_checkudata(L, 1, TIMER_TYPE);
  uint64_t delay = WS_NO_DEADLINE;
  if (!lua_isnoneornil(L, 2)) {
    delay = lws_check_milliseconds(L, 2, "seconds", WS_NO_DEADLINE);
  }
  if (ward->object != NULL) ws_timer_set(ward->object, delay);
  return 0;
}

static int timer_close(lua_State *L) {
  lws_ward *ward = luaL_checkudata(L, 1, TIMER_TYPE);
  ws_timer_free(ward->object);
  lws_ward_leave(ward);
  return 0;
}

void lws_timer_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"set", timer_set}, {"close", timer_close}, {NULL, NULL}};
  lws_register_type(L, TIMER_TYPE, methods, timer_close);
}
