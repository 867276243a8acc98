/* chat.c - see chat.h. Those who have joined subscribe to one topic, so that
 * the library frames what is said once for all. */
#include "chat.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chat_page.h"
#include "encode.h"
#include "json.h"

#define TOPIC "chat"

#define MAX_TEXT_SIZE 16384

static uint64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* -- What the server says -------------------------------------------------- */

static void begin(buffer *out, const char *type) {
  json_begin(out);
  json_add_text(out, "type", type);
}

/* Sends an object to one, and forgets it. Out of memory it is not sent: that
 * ends nothing but this message. */
static void send_to(const chat_member *member, buffer *object) {
  json_end(object);
  if (!object->has_failed) {
    (void)ws_socket_send_text(member->socket, object->data, object->len);
  }
  buffer_free(object);
}

static void send_to_all(const chat_member *sender, buffer *object) {
  json_end(object);
  if (!object->has_failed) {
    (void)ws_server_publish(ws_socket_server(sender->socket), TOPIC, WS_TEXT,
                            object->data, object->len, 0, NULL);
  }
  buffer_free(object);
}

static void refuse(const chat_member *member, const char *why) {
  buffer out = {0};
  begin(&out, "error");
  json_add_text(&out, "text", why);
  send_to(member, &out);
}

/* Tells everybody that a member did something. */
static void begin_news(buffer *out, const char *type,
                       const chat_member *member) {
  begin(out, type);
  json_add_text(out, "name", member->name);
  json_add_integer(out, "time", now_ms());
}

static void tell_who_is_here(const chat *room, const char *type,
                             const chat_member *member) {
  buffer out = {0};
  begin_news(&out, type, member);
  json_add_integer(&out, "people", room->people);
  send_to_all(member, &out);
}

/* -- Joining --------------------------------------------------------------- */

static const chat_member *find_name(const chat *room, const char *name) {
  const chat_member *m = room->members;
  while (m != NULL && !(m->has_joined && strcmp(m->name, name) == 0))
    m = m->next;
  return m;
}

/* Gives the name, or "Ann 2" if there is an Ann. */
static void set_name(const chat *room, chat_member *member, const char *name) {
  snprintf(member->name, sizeof(member->name), "%s", name);
  for (size_t n = 2; find_name(room, member->name) != NULL; n++)
    snprintf(member->name, sizeof(member->name), "%s %zu", name, n);
}

/* Returns what is wrong with a name, NULL if it will do: what could be taken
 * for another name, or for none, will not. */
static const char *check_name(const buffer *name) {
  size_t count = 0;
  for (size_t at = 0; at < name->len;) {
    uint32_t c;
    const size_t length = decode_utf8(name->data + at, name->len - at, &c);
    if (length == 0 || is_steering(c)) return "a name has odd characters";
    if (++count > CHAT_MAX_NAME) return "a name has at most 32 characters";
    at += length;
  }
  if (count == 0) return "a name has at least one character";
  if (name->data[0] == ' ' || name->data[name->len - 1] == ' ') {
    return "a name has no space around it";
  }
  return NULL;
}

void chat_enter(chat *room, chat_member *member, ws_socket *socket) {
  *member = (chat_member){.next = room->members, .socket = socket};
  room->members = member;
}

static void remove_member(chat *room, chat_member *member) {
  chat_member **at = &room->members;
  while (*at != member)
    at = &(*at)->next;
  *at = member->next;
  if (member->has_joined) room->people--;
}

void chat_leave(chat *room, chat_member *member) {
  remove_member(room, member);
  if (member->has_joined) tell_who_is_here(room, "left", member);
}

static void welcome(const chat *room, const chat_member *member) {
  buffer hello = {0};
  begin(&hello, "hello");
  json_add_text(&hello, "you", member->name);
  json_add_integer(&hello, "people", room->people);
  if (room->max_message != WS_UNLIMITED) {
    json_add_integer(&hello, "max", room->max_message);
  }
  send_to(member, &hello);
}

static void join(chat *room, chat_member *member, buffer *name) {
  if (member->has_joined) {
    refuse(member, "you have joined already");
    return;
  }
  const char *const fault = check_name(name);
  if (fault != NULL) {
    refuse(member, fault);
    return;
  }
  buffer_append_char(name, '\0');
  if (name->has_failed || ws_socket_subscribe(member->socket, TOPIC) != 0) {
    refuse(member, "the server is out of memory");
    return;
  }
  set_name(room, member, name->data);
  member->has_joined = true;
  room->people++;
  welcome(room, member);
  tell_who_is_here(room, "joined", member);
}

/* -- Talking --------------------------------------------------------------- */

static void say(const chat_member *member, const buffer *text) {
  if (!member->has_joined) {
    refuse(member, "join before you say something");
  } else if (text->len == 0) {
    refuse(member, "there is nothing to say");
  } else if (text->len > MAX_TEXT_SIZE) {
    refuse(member, "a text has at most 16384 bytes");
  } else {
    buffer out = {0};
    begin_news(&out, "said", member);
    json_add_string(&out, "text", text->data, text->len);
    send_to_all(member, &out);
  }
}

static bool is_text(const json_member *member, const char *text) {
  return member->is_there && member->value.len == strlen(text) &&
         memcmp(member->value.data, text, member->value.len) == 0;
}

static void obey(chat *room, chat_member *member, const ws_event *event) {
  enum {
    TYPE,
    NAME,
    TEXT,
    COUNT
  };
  json_member members[COUNT] = {
      [TYPE] = {.name = "type"},
      [NAME] = {.name = "name"},
      [TEXT] = {.name = "text"},
  };
  const char *reason;
  if (!json_read_object((const char *)event->u.message.data,
                        event->u.message.len, members, COUNT, &reason)) {
    refuse(member, reason);
  } else if (is_text(&members[TYPE], "join")) {
    join(room, member, &members[NAME].value);
  } else if (is_text(&members[TYPE], "say")) {
    say(member, &members[TEXT].value);
  } else {
    refuse(member, "\"type\" must be \"join\" or \"say\"");
  }
  json_free_members(members, COUNT);
}

/* Says from whom, and passes it on. Both go to every subscriber in this order,
 * with nothing between. */
static void pass_on(const chat_member *member, const ws_event *event) {
  if (!member->has_joined) {
    refuse(member, "join before you send something");
    return;
  }
  buffer out = {0};
  begin_news(&out, "sent", member);
  json_add_integer(&out, "bytes", event->u.message.len);
  send_to_all(member, &out);
  (void)ws_server_publish(ws_socket_server(member->socket), TOPIC, WS_BINARY,
                          event->u.message.data, event->u.message.len,
                          WS_SEND_UNCOMPRESSED, NULL);
}

void chat_hear(chat *room, chat_member *member, const ws_event *event) {
  if (event->u.message.type == WS_BINARY) pass_on(member, event);
  else obey(room, member, event);
}

/* -- The page -------------------------------------------------------------- */

static bool asks_for_page(const ws_request *request) {
  const size_t path_len = strcspn(request->target, "?");
  const bool is_read = strcmp(request->method, "GET") == 0 ||
                       strcmp(request->method, "HEAD") == 0;
  return is_read && path_len == 1 && request->target[0] == '/';
}

static ws_header header(const char *name, const char *value) {
  return (ws_header){name, strlen(name), value, strlen(value)};
}

/* The page needs nothing from anywhere; so the policy lets nothing in. */
static void respond_with_page(ws_socket *socket) {
  const ws_header headers[] = {
      header("Content-Type", "text/html; charset=utf-8"),
      header("Cache-Control", "no-cache"),
      header("X-Content-Type-Options", "nosniff"),
      header("Referrer-Policy", "no-referrer"),
      header("Content-Security-Policy",
             "default-src 'none'; script-src 'unsafe-inline'; "
             "style-src 'unsafe-inline'; img-src blob: data:; "
             "connect-src 'self'; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'none'"),
  };
  (void)ws_socket_respond(socket, 200, headers,
                          sizeof(headers) / sizeof(headers[0]), chat_page,
                          chat_page_len, NULL);
}

void chat_show(ws_socket *socket, const ws_request *request, const char *root) {
  if (asks_for_page(request)) {
    respond_with_page(socket);
  } else if (root != NULL) {
    (void)ws_socket_respond_file(socket, root);
  } else {
    (void)ws_socket_respond(socket, 404, NULL, 0, NULL, 0, NULL);
  }
}
