/* input.h - lines from the standard input.
 *
 * On a terminal the line being typed is drawn here and not by the terminal, so
 * that it can be hidden while something else is printed. From anything else the
 * lines come as they are.
 *
 * Invariant: text holds the lines that were read and not yet removed, and
 * behind them the one that is not finished. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "buffer.h"

/* A longer line ends the input. It is what may wait to be sent. */
#define INPUT_MAX_LINE ((size_t)16 << 20)

typedef struct input {
  buffer text;
  size_t taken;     /* Bytes of `text` that input_next() gave out. */
  bool is_terminal; /* We draw the line that is typed. */
  bool is_shown;    /* And it is on the screen. */
  bool has_ended;
  bool is_too_long; /* Why it has ended. */
  int escape;       /* Of a key that sends several bytes: how far it came. */
} input;

/* Begins to read. With `is_terminal` the terminal no longer echoes. */
void input_begin(input *in, bool is_terminal);

/* Reads what there is, once; waits if there is nothing. Lines given out before
 * are gone. */
void input_fill(input *in);

/* Takes bytes as if they had been typed or read. */
void input_feed(input *in, const char *bytes, size_t len);

/* Gives out the next whole line, without its end; the last needs none. Valid
 * until the next input_fill(). */
bool input_next(input *in, const char **out_line, size_t *out_len);

/* Take the line being typed off the screen, and put it there. */
void input_hide(input *in);
void input_show(input *in);

/* Leaves the terminal as it was. */
void input_end(input *in);

#endif
