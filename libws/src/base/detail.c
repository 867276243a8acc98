/* detail.c - see detail.h. */
#include "base/detail.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/ascii.h"

void ws__detail_set(char *detail, const char *format, ...) {
  if (detail == NULL) return;
  va_list args;
  va_start(args, format);
  const int len = vsnprintf(detail, WS__DETAIL_SIZE, format, args);
  va_end(args);
  if (len < 0) detail[0] = '\0';

  for (char *c = detail; *c != '\0'; c++)
    if (!ws__is_printable(*c)) *c = '?';
}

int ws__report(ws_error *out_error, int err, const char *text) {
  return ws__report_system(out_error, err, 0, text);
}

int ws__report_system(ws_error *out_error, int err, int system_error,
                      const char *text) {
  if (err == 0 || out_error == NULL) return err;
  const bool has_text = text != NULL && text[0] != '\0';
  out_error->code = (ws_err)err;
  out_error->system_error = system_error;
  ws__detail_set(out_error->message, "%s", has_text ? text : ws_strerror(err));
  return err;
}
