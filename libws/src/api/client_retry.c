/* client_retry.c - attempts after the first: redirects, which the application
 * does not see, and reconnecting, which it does.
 *
 * Both look at the events of the connection before they are handed out. */
#include "api/client.h"

#include <string.h>

static const ws_socket_options *options_of(const ws__client *client) {
  return &client->options->is;
}

static const ws_allocator *allocator_of(const ws__client *client) {
  return ws__config_allocator(client->config);
}

/* Begins another attempt over a fresh connection. Returns 0, or an error, and
 * then the old one ends as it would have. */
static int begin_anew(ws__client *client) {
  const int err = ws__socket_restart(client->socket, client->config);
  if (err != 0) return err;
  client->step = WS__STEP_START;
  ws__loop_schedule(client->endpoint.loop, &client->socket->source);
  const char *reason;
  const int request_err = ws__client_request(client, &reason);
  if (request_err != 0) ws__socket_fail(client->socket, request_err, 0, NULL);
  return 0;
}

/* -- Redirects ------------------------------------------------------------- */

static bool is_redirect(uint16_t status) {
  return status == 301 || status == 302 || status == 303 || status == 307 ||
         status == 308;
}

/* Where the path of a target ends: its query, or the end. */
static size_t path_len(const char *target) {
  return strcspn(target, "?");
}

/* Appends what stands before a path: scheme and authority, or the Unix socket.
 */
static int append_server(ws__buf *text, const ws_url *base,
                         const ws_allocator *allocator) {
  const bool is_unix = base->unix_path != NULL;
  int err = ws__buf_append_str(
      text, allocator,
      is_unix ? "ws+unix:" : (base->is_secure ? "wss://" : "ws://"));
  if (err == 0) {
    err = ws__buf_append_str(text, allocator,
                             is_unix ? base->unix_path : base->authority);
  }
  if (err == 0 && is_unix) err = ws__buf_append_str(text, allocator, ":");
  return err;
}

/* Appends what stands before a relative reference `to` (RFC 3986 section 5.2):
 * dot segments are removed when the result is parsed. */
static int append_base(ws__buf *text, const ws_url *base, const char *to,
                       const ws_allocator *allocator) {
  const bool is_absolute = to[0] != '/' && strstr(to, "://") != NULL &&
                           strcspn(to, ":/?") == strcspn(to, ":");
  if (is_absolute) return 0;
  if (to[0] == '/' && to[1] == '/') {
    return ws__buf_append_str(text, allocator,
                              base->is_secure ? "wss:" : "ws:");
  }
  const int err = append_server(text, base, allocator);
  if (err != 0 || to[0] == '/') return err;

  size_t len = path_len(base->target);
  while (to[0] != '?' && len > 0 && base->target[len - 1] != '/')
    len--;
  return ws__buf_append(text, allocator, base->target, len);
}

/* Resolves a Location. Returns 0 or an error, with `*reason`. */
static int resolve(const ws__client *client, const char *location,
                   ws_url **out_url, const char **reason) {
  const ws_allocator *allocator = allocator_of(client);
  ws__buf text = {0};
  int err = append_base(&text, client->url, location, allocator);
  /* The fragment is for browsers' pages, and no WebSocket URL has one. */
  const size_t len = strcspn(location, "#");
  if (err == 0) err = ws__buf_append(&text, allocator, location, len);
  if (err == 0) {
    err = ws_url_parse((const char *)text.data, text.len, allocator, out_url,
                       reason);
  }
  ws__buf_free(&text, allocator);
  return err;
}

static bool is_same_socket(const ws_url *a, const ws_url *b) {
  return a->unix_path != NULL && strcmp(a->unix_path, b->unix_path) == 0;
}

/* Why a redirect is not followed, or NULL. */
static const char *find_objection(const ws__client *client, const ws_url *to) {
  if (client->redirects >= options_of(client)->max_redirects) {
    return "more redirects than max_redirects";
  }
  if (to->unix_path != NULL && !is_same_socket(client->url, to)) {
    return "redirect to a Unix socket";
  }
  if (client->url->is_secure && !to->is_secure) {
    return "redirect from wss to ws";
  }
  return NULL;
}

void ws__client_forget_authorization(ws__client *client) {
  if (client->authorization == NULL) return;
  ws__free(allocator_of(client), client->authorization,
           strlen(client->authorization) + 1);
  client->authorization = NULL;
}

/* Credentials stay within the origin they were meant for. */
static int keep_credentials(ws__client *client, const ws_url *to) {
  const bool is_same = strcmp(client->url->origin, to->origin) == 0;
  if (!is_same) {
    client->is_elsewhere = true;
    ws__client_forget_authorization(client);
  }
  const char *own = client->url->authorization;
  if (!is_same || own == NULL || client->authorization != NULL) return 0;
  const size_t size = strlen(own) + 1;
  client->authorization = ws__alloc(allocator_of(client), size);
  if (client->authorization == NULL) return WS_ERR_NO_MEMORY;
  memcpy(client->authorization, own, size);
  return 0;
}

/* Follows the redirect that an error event brings. Returns whether it is
 * followed; if not, the event may say why. */
static bool follow(ws__client *client, ws_event *event) {
  ws_cause *cause = &event->u.error;
  const ws_response *response = cause->response;
  if (options_of(client)->max_redirects == 0 || response == NULL ||
      cause->err != WS_ERR_UNEXPECTED_STATUS ||
      !is_redirect(response->status)) {
    return false;
  }
  const char *location =
      ws_header_find(response->headers, response->header_count, "Location");
  if (location == NULL) return false;

  ws_url *to;
  const char *objection = NULL;
  if (resolve(client, location, &to, &objection) != 0) {
    cause->err = WS_ERR_REDIRECT;
    if (objection != NULL) cause->message = objection;
    return false;
  }
  objection = find_objection(client, to);
  if (objection == NULL && keep_credentials(client, to) != 0) {
    objection = ws_strerror(WS_ERR_NO_MEMORY);
  }
  ws_url *from = client->url;
  client->url = to;
  if (objection == NULL && begin_anew(client) != 0) {
    objection = ws_strerror(WS_ERR_NO_MEMORY);
  }
  if (objection != NULL) {
    client->url = from;
    ws_url_free(to);
    cause->err = WS_ERR_REDIRECT;
    cause->message = objection;
    return false;
  }
  client->redirects++;
  if (client->home == NULL) client->home = from;
  else ws_url_free(from);
  return true;
}

/* Forgets where redirects have led: "the client ought to continue to use the
 * original target URI for future requests" (RFC 9110 15.4.3), and what they led
 * to may be what was lost. */
static void go_home(ws__client *client) {
  client->redirects = 0;
  client->is_elsewhere = false;
  ws__client_forget_authorization(client);
  if (client->home == NULL) return;
  ws_url_free(client->url);
  client->url = client->home;
  client->home = NULL;
}

/* -- Reconnecting ---------------------------------------------------------- */

static bool wants_to_reconnect(const ws__client *client) {
  const ws_socket_options *o = &client->options->is;
  return o->reconnect && !client->socket->is_closed_by_app &&
         (o->reconnect_attempts == 0 ||
          client->failures < o->reconnect_attempts);
}

/* Keeps what an error event says for the event that comes in its place. */
static void keep_cause(ws__client *client, const ws_cause *cause) {
  ws__detail_set(client->cause_message, "%s", cause->message);
  client->cause = *cause;
  client->cause.message = client->cause_message;
  client->cause.response = NULL;
}

/* A random delay up to a bound that doubles with each failure ("full jitter"),
 * so that clients that were cut off together do not come back together. */
static uint32_t choose_delay(const ws__client *client) {
  const ws_socket_options *o = &client->options->is;
  uint64_t bound = o->reconnect_min;
  for (uint32_t i = 0; i < client->failures && bound < o->reconnect_max; i++)
    bound *= 2;
  if (bound > o->reconnect_max) bound = o->reconnect_max;
  uint32_t random = 0;
  if (ws_random(NULL, &random, sizeof(random)) != 0) return (uint32_t)bound;
  return (uint32_t)(random % (bound + 1));
}

/* Turns a close event into the announcement of the next attempt. Without memory
 * for that the close event stands. */
static bool announce_retry(ws__client *client, ws_event *event) {
  const uint16_t code = event->u.close.code;
  memcpy(client->close_reason, event->u.close.reason,
         event->u.close.reason_len + 1);
  if (ws__socket_restart(client->socket, client->wait_config) != 0) {
    return false;
  }
  client->step = WS__STEP_WAIT;
  const uint32_t delay = choose_delay(client);
  client->failures++;
  client->retry_at = client->endpoint.loop->now + delay;
  go_home(client);

  event->type = WS_EVENT_RECONNECT;
  event->u.error = client->cause;
  event->reconnect.attempt = client->failures;
  event->reconnect.delay = delay;
  event->reconnect.close_code = code;
  event->reconnect.close_reason = client->close_reason;
  client->cause = (ws_cause){.message = ""};
  ws__loop_schedule(client->endpoint.loop, &client->socket->source);
  return true;
}

void ws__client_retry(ws__client *client) {
  ws_loop *loop = client->endpoint.loop;
  if (loop->now < client->retry_at) {
    ws__loop_set_deadline_lazily(loop, &client->socket->source,
                                 client->retry_at);
  } else if (begin_anew(client) != 0) {
    ws__socket_fail(client->socket, WS_ERR_NO_MEMORY, 0, NULL);
  } else {
    ws__client_reach(client->socket, 0);
  }
}

bool ws__client_filter(ws_socket *socket, ws_event *event) {
  ws__client *client = ws__socket_client(socket);
  switch (event->type) {
  case WS_EVENT_OPEN: client->failures = 0; return true;
  case WS_EVENT_ERROR:
    /* It may have failed by itself on its way: by time, or by a call. */
    ws__client_let_go(client);
    if (follow(client, event)) return false;
    if (!wants_to_reconnect(client)) return true;
    keep_cause(client, &event->u.error);
    return false;
  case WS_EVENT_CLOSE:
    if (wants_to_reconnect(client)) (void)announce_retry(client, event);
    return true;
  default: return true;
  }
}
