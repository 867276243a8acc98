/* transcript.c - each function makes its lines in one buffer and prints them at
 * once. What came from the peer goes through encode_visible() before it reaches
 * a terminal. */
#include "transcript.h"

#include <stdio.h>
#include <string.h>

#include "encode.h"
#include "json.h"
#include "terminal.h"

/* What is shown of a message, unless --full is given: of binary ones, and of
 * text on a terminal. */
#define MAX_BINARY_SHOWN 256
#define MAX_TEXT_SHOWN   8192

/* What is shown of the page that came instead of a WebSocket. */
#define MAX_BODY_SHOWN 1024

/* -- Printing -------------------------------------------------------------- */

static void print_line(transcript *t, FILE *stream) {
  if (t->line.has_failed) {
    complain("connect", "out of memory");
  } else {
    input_hide(t->in);
    fwrite(t->line.data, 1, t->line.len, stream);
    fflush(stream);
  }
  buffer_clear(&t->line);
}

static void end_json(transcript *t) {
  json_end(&t->line);
  buffer_append_char(&t->line, '\n');
  print_line(t, stdout);
}

static void begin_json(transcript *t, const char *event) {
  json_begin(&t->line);
  json_add_text(&t->line, "event", event);
}

/* Begins a line about the connection: "closed" in a colour. */
static void begin_status(transcript *t, const char *word, style s) {
  buffer_append_text(&t->line, style_on(stderr, s));
  buffer_append_text(&t->line, word);
  buffer_append_text(&t->line, style_off(stderr));
}

static void end_status(transcript *t) {
  buffer_append_char(&t->line, '\n');
  print_line(t, stderr);
}

void transcript_note(transcript *t, const char *note) {
  begin_status(t, note, STYLE_DIM);
  end_status(t);
}

void transcript_free(transcript *t) {
  buffer_free(&t->line);
}

/* -- Open ------------------------------------------------------------------ */

void transcript_open(transcript *t, const ws_socket *socket) {
  const char *const url = ws_socket_url(socket);
  const char *const protocol = ws_socket_protocol(socket);
  const char *const extensions = ws_socket_extensions(socket);
  if (t->is_json) {
    begin_json(t, "open");
    json_add_text(&t->line, "url", url);
    json_add_text(&t->line, "protocol", protocol);
    json_add_text(&t->line, "extensions", extensions);
    end_json(t);
    return;
  }
  begin_status(t, "connected", STYLE_GREEN);
  buffer_printf(&t->line, " to %s", url);
  if (*protocol != '\0') buffer_printf(&t->line, ", subprotocol %s", protocol);
  if (*extensions != '\0') buffer_printf(&t->line, ", %s", extensions);
  end_status(t);
}

/* -- Messages -------------------------------------------------------------- */

static void print_json_message(transcript *t, const ws_event *event) {
  const uint8_t *const data = event->u.message.data;
  const size_t len = event->u.message.len;
  begin_json(t, "message");
  if (event->u.message.type == WS_TEXT) {
    json_add_text(&t->line, "type", "text");
    json_add_string(&t->line, "data", (const char *)data, len);
  } else {
    json_add_text(&t->line, "type", "binary");
    json_add_base64(&t->line, "data", data, len);
    json_add_integer(&t->line, "length", len);
  }
  end_json(t);
}

/* How much of a message is shown; text is not cut inside a character. */
static size_t shown_text(const transcript *t, const void *data, size_t len,
                         size_t max) {
  const uint8_t *const bytes = data;
  if (t->is_full || len <= max) return len;
  while (max > 0 && (bytes[max] & 0xC0) == 0x80)
    max--;
  return max;
}

static void append_rest(transcript *t, size_t shown, size_t len) {
  if (shown == len) return;
  buffer_printf(&t->line, "%s... %zu more bytes (--full shows all)%s\n",
                style_on(stdout, STYLE_DIM), len - shown, style_off(stdout));
}

/* Appends each line of a text, behind `indent` but for the first. */
static void append_lines(transcript *t, const char *text, size_t len,
                         const char *indent) {
  for (;;) {
    const char *const end = len > 0 ? memchr(text, '\n', len) : NULL;
    const size_t line_len = end != NULL ? (size_t)(end - text) : len;
    encode_visible(&t->line, text, line_len);
    buffer_append_char(&t->line, '\n');
    if (end == NULL) return;
    text += line_len + 1;
    len -= line_len + 1;
    buffer_append_text(&t->line, indent);
  }
}

/* To a pipe or a file text goes as it is, for other programs. */
static void append_text(transcript *t, const char *text, size_t len) {
  if (!is_terminal(stdout)) {
    buffer_append(&t->line, text, len);
    buffer_append_char(&t->line, '\n');
    return;
  }
  const size_t shown = shown_text(t, text, len, MAX_TEXT_SHOWN);
  buffer_printf(&t->line, "%s<%s ", style_on(stdout, STYLE_CYAN),
                style_off(stdout));
  append_lines(t, text, shown, "  ");
  append_rest(t, shown, len);
}

static void append_binary(transcript *t, const uint8_t *data, size_t len) {
  const size_t shown =
      t->is_full || len < MAX_BINARY_SHOWN ? len : MAX_BINARY_SHOWN;
  if (is_terminal(stdout)) {
    buffer_printf(&t->line, "%s<%s %zu bytes\n", style_on(stdout, STYLE_CYAN),
                  style_off(stdout), len);
  }
  encode_hex_dump(&t->line, data, shown);
  append_rest(t, shown, len);
}

void transcript_message(transcript *t, const ws_event *event) {
  const uint8_t *const data = event->u.message.data;
  const size_t len = event->u.message.len;
  if (t->is_json) {
    print_json_message(t, event);
    return;
  }
  if (event->u.message.type == WS_TEXT) append_text(t, (const char *)data, len);
  else append_binary(t, data, len);
  print_line(t, stdout);
}

/* -- Failures -------------------------------------------------------------- */

/* The page that came instead of a WebSocket often says why. */
static void append_body(transcript *t, const ws_response *response) {
  const size_t shown =
      shown_text(t, response->body, response->body_len, MAX_BODY_SHOWN);
  if (shown > 0) append_lines(t, (const char *)response->body, shown, "");
}

void transcript_error(transcript *t, const ws_cause *cause) {
  if (t->is_json) {
    begin_json(t, "error");
    json_add_text(&t->line, "name", ws_err_name(cause->err));
    json_add_text(&t->line, "message", cause->message);
    json_add_integer(&t->line, "status", cause->status);
    end_json(t);
    return;
  }
  begin_status(t, "failed", STYLE_RED);
  buffer_printf(&t->line, ": %s (%s)", cause->message, ws_err_name(cause->err));
  if (cause->response != NULL) {
    const char *const reason = cause->response->reason;
    buffer_printf(&t->line, "; the server answered %u ",
                  (unsigned)cause->response->status);
    encode_visible(&t->line, reason, strlen(reason));
  }
  buffer_append_char(&t->line, '\n');
  if (cause->response != NULL) append_body(t, cause->response);
  print_line(t, stderr);
}

/* -- The end --------------------------------------------------------------- */

/* What the codes mean that a server may send (RFC 6455 7.4.1 and the registry
 * it sets up). */
static const char *meaning_of(unsigned code) {
  static const struct {
    unsigned code;
    const char *meaning;
  } meanings[] = {
      {WS_CLOSE_NORMAL, "normal closure"},
      {WS_CLOSE_GOING_AWAY, "going away"},
      {WS_CLOSE_PROTOCOL_ERROR, "protocol error"},
      {WS_CLOSE_UNSUPPORTED, "unsupported data"},
      {WS_CLOSE_NO_STATUS, "no status"},
      {WS_CLOSE_ABNORMAL, "no closing handshake"},
      {WS_CLOSE_INVALID_DATA, "invalid data"},
      {WS_CLOSE_POLICY, "policy violation"},
      {WS_CLOSE_TOO_BIG, "message too big"},
      {1010, "extension required"},
      {WS_CLOSE_INTERNAL_ERROR, "internal error"},
      {1012, "service restart"},
      {1013, "try again later"},
      {1014, "bad gateway"},
  };
  for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
    if (meanings[i].code == code) return meanings[i].meaning;
  }
  return NULL;
}

static void append_close(transcript *t, unsigned code, const char *reason) {
  const char *const meaning = meaning_of(code);
  buffer_printf(&t->line, " %u", code);
  if (meaning != NULL) buffer_printf(&t->line, " (%s)", meaning);
  if (*reason != '\0') {
    buffer_append_text(&t->line, ": ");
    encode_visible(&t->line, reason, strlen(reason));
  }
}

void transcript_reconnect(transcript *t, const ws_event *event) {
  const double delay = event->reconnect.delay / 1000.0;
  if (t->is_json) {
    begin_json(t, "reconnect");
    json_add_integer(&t->line, "attempt", event->reconnect.attempt);
    json_add_number(&t->line, "delay", delay);
    json_add_integer(&t->line, "code", event->reconnect.close_code);
    json_add_text(&t->line, "reason", event->reconnect.close_reason);
    end_json(t);
    return;
  }
  begin_status(t, "lost", STYLE_RED);
  append_close(t, event->reconnect.close_code, event->reconnect.close_reason);
  buffer_printf(&t->line, "; attempt %u in %.1f s",
                (unsigned)event->reconnect.attempt, delay);
  end_status(t);
}

void transcript_close(transcript *t, const ws_event *event) {
  const bool was_clean = event->u.close.was_clean;
  if (t->is_json) {
    begin_json(t, "close");
    json_add_integer(&t->line, "code", event->u.close.code);
    json_add_string(&t->line, "reason", event->u.close.reason,
                    event->u.close.reason_len);
    json_add_bool(&t->line, "clean", was_clean);
    end_json(t);
    return;
  }
  begin_status(t, "closed", was_clean ? STYLE_GREEN : STYLE_RED);
  append_close(t, event->u.close.code, event->u.close.reason);
  end_status(t);
}
