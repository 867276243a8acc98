/* terminal.h - what is said to the person at the terminal: complaints, styles,
 * and a line of progress. Nothing of it reaches a pipe or a file but words. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

#include "printf_like.h"

/* Back to the first column, and erase what stands there. */
#define CLEAR_LINE "\r\x1b[K"

typedef enum style {
  STYLE_DIM,
  STYLE_BOLD,
  STYLE_RED,
  STYLE_GREEN,
  STYLE_CYAN
} style;

/* Whether the stream is a terminal that can move its cursor. */
bool is_terminal(FILE *stream);

/* What begins and ends a style on the stream: "" where styles are not wanted
 * (no terminal, or NO_COLOR is set). */
const char *style_on(FILE *stream, style s);
const char *style_off(FILE *stream);

/* How many columns the terminal has. */
int terminal_columns(void);

/* Prints "libws COMMAND: ..." and a newline on stderr. */
void complain(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);

/* Complains of what has gone wrong. Returns EXIT_FAILED. */
int fail(const char *command, const char *what);

/* Replaces the line of progress on stderr, if that is a terminal. */
void progress_show(const char *format, ...) PRINTF_LIKE(1, 2);
void progress_clear(void);

#endif
