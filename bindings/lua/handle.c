/* handle.c - what the handles of libws.core have in common. */
#include "handle.h"
#include "errors.h"

lws_ward *lws_push_ward(lua_State *L, const char *type) {
  lws_ward *ward = lua_newuserdata(L, sizeof(*ward));
  *ward = (lws_ward){.object = NULL};
  luaL_getmetatable(L, type);
  lua_setmetatable(L, -2);
  return ward;
}

void lws_ward_join(lws_ward *ward, lws_loop *loop, void *object) {
  ward->object = object;
  ward->next = loop->wards;
  ward->link = &loop->wards;
  if (ward->next != NULL) ward->next->link = &ward->next;
  loop->wards = ward;
}

void lws_ward_leave(lws_ward *ward) {
  ward->object = NULL;
  if (ward->link == NULL) return;
  *ward->link = ward->next;
  if (ward->next != NULL) ward->next->link = ward->link;
  ward->link = NULL;
}

int lws_raise_error(lua_State *L, int err, const ws_error *error) {
  return lws_raise_err(L, err,
                       error->message[0] != '\0' ? error->message : NULL);
}
