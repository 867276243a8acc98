/* guest.c - a guest of `libws serve --chat`, written in C.
 *
 *     guest URL NAME
 *
 * It joins, says hello, and answers whoever says @NAME. guest.py and guest.lua
 * are the same program. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ws/ws.h>

/* Longest message that is sent, the NUL included. */
#define MESSAGE_SIZE 1024

typedef struct guest {
  const char *name;
  char call[64]; /* "@NAME" */
  unsigned heard;
} guest;

static void tell(ws_socket *socket, const char *format, ...) {
  char message[MESSAGE_SIZE];
  va_list args;
  va_start(args, format);
  const int len = vsnprintf(message, sizeof(message), format, args);
  va_end(args);
  if (len > 0 && len < MESSAGE_SIZE)
    ws_socket_send_text(socket, message, (size_t)len);
}

/* -- Reading ----------------------------------------------------------------
 *
 * C has no JSON of its own. What the chat sends is an object of texts and
 * numbers; a text is left as it is in JSON, so that it can stand in JSON again.
 */

typedef struct slice {
  const char *data;
  size_t len;
} slice;

static bool equals(slice s, const char *text) {
  return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

/* Where `text` begins in `s`, or the end of `s`. */
static const char *find(slice s, const char *text) {
  const size_t len = strlen(text);
  for (size_t i = 0; len <= s.len && i <= s.len - len; i++)
    if (memcmp(s.data + i, text, len) == 0) return s.data + i;
  return s.data + s.len;
}

/* The text of a field, "" if there is none. `key` is `"KEY":"`. A quote inside
 * a text has a backslash before it, so a key cannot be found there. */
static slice field(slice object, const char *key) {
  const char *const end = object.data + object.len;
  const char *from = find(object, key);
  if (from == end) return (slice){"", 0};
  from += strlen(key);
  const char *to = from;
  while (to < end && *to != '"')
    to += *to == '\\' && end - to > 1 ? 2 : 1;
  return (slice){from, (size_t)(to - from)};
}

/* -- Events ----------------------------------------------------------------- */

static void on_open(ws_socket *socket, const ws_event *event) {
  (void)event;
  const guest *self = ws_socket_user_data(socket);
  tell(socket, "{\"type\":\"join\",\"name\":\"%s\"}", self->name);
  tell(socket,
       "{\"type\":\"say\",\"text\":\"Hello from C, libws %s. Say %s and I "
       "answer.\"}",
       ws_version(), self->call);
}

static void on_message(ws_socket *socket, const ws_event *event) {
  guest *self = ws_socket_user_data(socket);
  const slice message = {(const char *)event->u.message.data,
                         event->u.message.len};
  const slice who = field(message, "\"name\":\"");
  if (event->u.message.type != WS_TEXT ||
      !equals(field(message, "\"type\":\""), "said") ||
      equals(who, self->name)) {
    return;
  }
  self->heard++;
  const slice text = field(message, "\"text\":\"");
  if (find(text, self->call) == text.data + text.len) return;
  tell(socket,
       "{\"type\":\"say\",\"text\":\"%.*s, I have heard %u messages so far.\"}",
       (int)who.len, who.data, self->heard);
}

static void on_error(ws_socket *socket, const ws_event *event) {
  (void)socket;
  fprintf(stderr, "guest: %s\n", event->u.error.message);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "Usage: guest URL NAME\n");
    return 2;
  }
  guest self = {.name = argv[2]};
  snprintf(self.call, sizeof(self.call), "@%s", self.name);

  ws_handlers handlers;
  ws_handlers_init(&handlers);
  handlers.on_open = on_open;
  handlers.on_message = on_message;
  handlers.on_error = on_error;

  ws_socket_options options;
  ws_socket_options_init(&options);
  options.handlers = &handlers;
  options.user_data = &self;

  ws_error error;
  ws_loop *loop;
  ws_socket *socket;
  if (ws_loop_new(NULL, &loop, &error) != 0 ||
      ws_socket_open(loop, argv[1], strlen(argv[1]), &options, &socket,
                     &error) != 0) {
    fprintf(stderr, "guest: %s\n", error.message);
    ws_loop_free(loop);
    return 2;
  }
  ws_loop_run(loop); /* Until the server closes. */
  ws_loop_free(loop);
  return 0;
}
