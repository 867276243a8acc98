/* log.c - each line leaves in one write, so that those of several threads do
 * not mix. What a peer chose goes through encode_visible(): it cannot fake a
 * line. */
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "encode.h"
#include "terminal.h"

#define MAX_TIME 16

static void begin_line(buffer *out, const char *who) {
  char clock[MAX_TIME] = "";
  const time_t now = time(NULL);
  struct tm local;
  if (localtime_r(&now, &local) != NULL) {
    strftime(clock, sizeof(clock), "%H:%M:%S", &local);
  }
  buffer_printf(out, "%s%s%s %s ", style_on(stderr, STYLE_DIM), clock,
                style_off(stderr), who);
}

static void end_line(buffer *out) {
  buffer_append_char(out, '\n');
  if (!out->has_failed) fwrite(out->data, 1, out->len, stderr);
  buffer_free(out);
}

void log_open(const char *who, const ws_socket *socket, const ws_event *event) {
  const char *const target = event->u.open.request->target;
  const char *const protocol = ws_socket_protocol(socket);
  const char *const extensions = ws_socket_extensions(socket);
  buffer out = {0};
  begin_line(&out, who);
  buffer_append_text(&out, "open ");
  encode_visible(&out, target, strlen(target));
  if (*protocol != '\0') buffer_printf(&out, ", subprotocol %s", protocol);
  if (*extensions != '\0') buffer_printf(&out, ", %s", extensions);
  end_line(&out);
}

void log_error(const char *who, const ws_event *event) {
  buffer out = {0};
  begin_line(&out, who);
  buffer_printf(&out, "failed: %s (%s)", event->u.error.message,
                ws_err_name(event->u.error.err));
  end_line(&out);
}

void log_close(const char *who, const ws_socket *socket,
               const ws_event *event) {
  ws_conn_stats stats;
  ws_socket_get_stats(socket, &stats);
  buffer out = {0};
  begin_line(&out, who);
  buffer_printf(&out, "closed %u", (unsigned)event->u.close.code);
  if (event->u.close.reason_len > 0) {
    buffer_append_text(&out, ": ");
    encode_visible(&out, event->u.close.reason, event->u.close.reason_len);
  }
  buffer_printf(&out, ", %llu messages in, %llu out",
                (unsigned long long)stats.messages_received,
                (unsigned long long)stats.messages_sent);
  end_line(&out);
}
