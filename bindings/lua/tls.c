/* tls.c - TLS contexts from tables. PEM data is the name of a file, or the text
 * itself, which begins with "-----BEGIN". */
#include "tls.h"

#include <string.h>

#define TLS_TYPE "libws.tls"

typedef struct tls_box {
  ws_tls_context *context;
} tls_box;

/* -- Fields ---------------------------------------------------------------- */

static void read_pem(lua_State *L, const char *name, void *place, int anchors) {
  (void)anchors;
  static const char begin[] = "-----BEGIN";
  const char *value = lws_check_text(L, -1, name);
  ws_tls_pem *pem = place;
  if (strncmp(value, begin, sizeof(begin) - 1) == 0) {
    pem->text = value;
  } else {
    pem->file = value;
  }
}

static void read_version(lua_State *L, const char *name, void *place,
                         int anchors) {
  (void)anchors;
  const char *version = lws_check_text(L, -1, name);
  ws_tls_version *out = place;
  if (strcmp(version, "1.2") == 0) {
    *out = WS_TLS_VERSION_1_2;
  } else if (strcmp(version, "1.3") == 0) {
    *out = WS_TLS_VERSION_1_3;
  } else {
    lws_raise(L, "TypeError", "%s: must be \"1.2\" or \"1.3\"", name);
  }
}

static void read_client_auth(lua_State *L, const char *name, void *place,
                             int anchors) {
  (void)anchors;
  static const char *const names[] = {"none", "optional", "required"};
  const char *auth = lws_check_text(L, -1, name);
  for (int i = WS_TLS_CLIENT_AUTH_NONE; i <= WS_TLS_CLIENT_AUTH_REQUIRED; i++) {
    if (strcmp(auth, names[i]) != 0) continue;
    *(ws_tls_client_auth *)place = (ws_tls_client_auth)i;
    return;
  }
  lws_raise(L, "TypeError",
            "%s: must be \"none\", \"optional\" or \"required\"", name);
}

static lws_target policy_target(ws_tls_policy *policy) {
  static const lws_field fields[] = {
      {"min_version", read_version, offsetof(ws_tls_policy, min_version)},
      {"max_version", read_version, offsetof(ws_tls_policy, max_version)},
      {"ciphers", lws_read_text, offsetof(ws_tls_policy, ciphers)},
      {"cipher_suites", lws_read_text, offsetof(ws_tls_policy, cipher_suites)},
  };
  return (lws_target){fields, sizeof(fields) / sizeof(fields[0]), policy};
}

static lws_target identity_target(ws_tls_identity *identity) {
  static const lws_field fields[] = {
      {"cert", read_pem, offsetof(ws_tls_identity, certificate)},
      {"key", read_pem, offsetof(ws_tls_identity, key)},
      {"password", lws_read_text, offsetof(ws_tls_identity, passphrase)},
  };
  return (lws_target){fields, sizeof(fields) / sizeof(fields[0]), identity};
}

/* -- The certificates of a server ------------------------------------------ */

typedef struct identity_list {
  ws_tls_identity *items;
  size_t count;
} identity_list;

/* certificates = {{cert = , key = , password = }, ...}; chosen by SNI. */
static void read_certificates(lua_State *L, const char *name, void *place,
                              int anchors) {
  if (!lua_istable(L, -1)) {
    lws_raise(L, "TypeError", "%s: list of tables expected", name);
  }
  identity_list *list = place;
  list->count = lua_rawlen(L, -1);
  list->items = lua_newuserdata(L, (list->count + 1) * sizeof(ws_tls_identity));
  memset(list->items, 0, (list->count + 1) * sizeof(ws_tls_identity));
  lua_rawseti(L, anchors, (int)lua_rawlen(L, anchors) + 1);
  for (size_t i = 0; i < list->count; i++) {
    const lws_target target = identity_target(&list->items[i + 1]);
    lua_rawgeti(L, -1, (int)i + 1);
    lws_read_options(L, -1, &target, 1);
    lua_rawseti(L, anchors, (int)lua_rawlen(L, anchors) + 1);
    lua_pop(L, 1);
  }
}

/* The first place of the list is kept for the one given by cert and key. */
static identity_list join_identities(lua_State *L, identity_list list,
                                     const ws_tls_identity *first) {
  const bool has_first =
      first->certificate.file != NULL || first->certificate.text != NULL;
  if (list.items == NULL) list.items = lua_newuserdata(L, sizeof(*first));
  if (!has_first) return (identity_list){list.items + 1, list.count};
  list.items[0] = *first;
  list.count++;
  return list;
}

/* -- Contexts -------------------------------------------------------------- */

static int tls_gc(lua_State *L) {
  tls_box *box = luaL_checkudata(L, 1, TLS_TYPE);
  ws_tls_context_free(box->context);
  box->context = NULL;
  return 0;
}

static tls_box *new_box(lua_State *L) {
  tls_box *box = lua_newuserdata(L, sizeof(*box));
  box->context = NULL;
  luaL_getmetatable(L, TLS_TYPE);
  lua_setmetatable(L, -2);
  return box;
}

int lws_tls_client(lua_State *L) {
  ws_tls_client_options options;
  ws_tls_client_options_init(&options);
  static const lws_field fields[] = {
      {"ca", read_pem, offsetof(ws_tls_client_options, ca)},
      {"ca_dir", lws_read_text, offsetof(ws_tls_client_options, ca_dir)},
      {"insecure", lws_read_boolean,
       offsetof(ws_tls_client_options, insecure_no_verify)},
  };
  const lws_target targets[] = {
      {fields, sizeof(fields) / sizeof(fields[0]), &options},
      policy_target(&options.policy),
      identity_target(&options.identity),
  };
  lws_read_options(L, 1, targets, sizeof(targets) / sizeof(targets[0]));
  tls_box *box = new_box(L);
  ws_error error = {.message = ""};
  const int err = ws_tls_client_new(&options, &box->context, &error);
  return err == 0 ? 1 : lws_push_failure(L, err, error.message);
}

/* What tls_server{...} is read into. */
typedef struct server_input {
  ws_tls_server_options options;
  ws_tls_identity first;
  identity_list list;
} server_input;

int lws_tls_server(lua_State *L) {
  server_input input = {.list = {NULL, 0}};
  ws_tls_server_options_init(&input.options);
  static const lws_field fields[] = {
      {"ca", read_pem, offsetof(server_input, options.client_ca)},
      {"client_auth", read_client_auth,
       offsetof(server_input, options.client_auth)},
      {"certificates", read_certificates, offsetof(server_input, list)},
  };
  const lws_target targets[] = {
      {fields, sizeof(fields) / sizeof(fields[0]), &input},
      policy_target(&input.options.policy),
      identity_target(&input.first),
  };
  lws_read_options(L, 1, targets, sizeof(targets) / sizeof(targets[0]));
  const identity_list list = join_identities(L, input.list, &input.first);
  input.options.identities = list.items;
  input.options.identity_count = list.count;
  tls_box *box = new_box(L);
  ws_error error = {.message = ""};
  const int err = ws_tls_server_new(&input.options, &box->context, &error);
  return err == 0 ? 1 : lws_push_failure(L, err, error.message);
}

void lws_read_tls(lua_State *L, const char *name, void *place, int anchors) {
  (void)anchors;
  const tls_box *box = luaL_testudata(L, -1, TLS_TYPE);
  if (box == NULL) {
    lws_raise(L, "TypeError", "%s: TLS context expected, got %s", name,
              luaL_typename(L, -1));
  }
  *(ws_tls_context **)place = box->context;
}

void lws_tls_register(lua_State *L) {
  luaL_newmetatable(L, TLS_TYPE);
  lua_pushcfunction(L, tls_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
