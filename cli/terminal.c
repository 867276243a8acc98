/* terminal.c - see terminal.h. */

/* The size of a terminal is not in POSIX. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "terminal.h"

#include "command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_COLUMNS 80

bool is_terminal(FILE *stream) {
  const char *const kind = getenv("TERM");
  return isatty(fileno(stream)) && kind != NULL && strcmp(kind, "dumb") != 0;
}

/* "Command-line software which adds ANSI color to its output by default should
 * check for a NO_COLOR environment variable that, when present and not an empty
 * string, prevents the addition" (no-color.org). */
static bool wants_styles(FILE *stream) {
  const char *const no_color = getenv("NO_COLOR");
  return (no_color == NULL || *no_color == '\0') && is_terminal(stream);
}

const char *style_on(FILE *stream, style s) {
  static const char *const codes[] = {
      [STYLE_DIM] = "\x1b[2m",   [STYLE_BOLD] = "\x1b[1m",
      [STYLE_RED] = "\x1b[31m",  [STYLE_GREEN] = "\x1b[32m",
      [STYLE_CYAN] = "\x1b[36m",
  };
  return wants_styles(stream) ? codes[s] : "";
}

const char *style_off(FILE *stream) {
  return wants_styles(stream) ? "\x1b[0m" : "";
}

int terminal_columns(void) {
  struct winsize size;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return DEFAULT_COLUMNS;
  }
  return size.ws_col;
}

void complain(const char *command, const char *format, ...) {
  va_list args;
  progress_clear();
  fprintf(stderr, "libws %s: ", command);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}

int fail(const char *command, const char *what) {
  complain(command, "%s", what);
  return EXIT_FAILED;
}

/* -- Progress -------------------------------------------------------------- */

static bool is_progress_shown;

void progress_show(const char *format, ...) {
  if (!is_terminal(stderr)) return;
  va_list args;
  fputs(CLEAR_LINE, stderr);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fflush(stderr);
  is_progress_shown = true;
}

void progress_clear(void) {
  if (is_progress_shown) fputs(CLEAR_LINE, stderr);
  is_progress_shown = false;
}
