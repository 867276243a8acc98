/* input.c - reads, splits, and on a terminal edits at the end of the line:
 * Backspace, Ctrl-W (a word), Ctrl-U (all), Ctrl-D (the end of the input). */

/* The width of characters is not in POSIX's base. */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "input.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "encode.h"
#include "terminal.h"

#define READ_SIZE 65536
#define PROMPT    "> "

/* Columns that the prompt and the cursor behind the line take. */
#define PROMPT_COLUMNS 3

#define CONTROL(letter) ((letter)&0x1F)
#define ESCAPE          0x1B
#define DELETE          0x7F

/* -- The terminal ---------------------------------------------------------- */

static struct termios saved;

static void stop_echo(void) {
  struct termios raw = saved;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* Signals stay. */
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

void input_begin(input *in, bool is_terminal) {
  *in = (input){0};
  in->has_ended = !buffer_reserve(&in->text, READ_SIZE);
  if (is_terminal && tcgetattr(STDIN_FILENO, &saved) == 0) {
    in->is_terminal = true;
    stop_echo();
  }
}

void input_end(input *in) {
  input_hide(in);
  if (in->is_terminal) tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
  buffer_free(&in->text);
  *in = (input){.has_ended = true};
}

/* -- The line being typed -------------------------------------------------- */

/* Where it begins in the text: behind the last newline. */
static size_t typed_at(const input *in) {
  size_t at = in->text.len;
  while (at > in->taken && in->text.data[at - 1] != '\n')
    at--;
  return at;
}

/* The columns a character takes, and its length. */
static int width_of(const char *text, size_t len, size_t *out_length) {
  uint32_t character;
  *out_length = decode_utf8(text, len, &character);
  if (*out_length == 0) {
    *out_length = 1; /* Shown as "<FF>". */
    return 4;
  }
  const int width = wcwidth((wchar_t)character);
  return width < 0 ? 2 : width; /* A control character is shown as "^I". */
}

static int width_of_all(const char *text, size_t len) {
  int width = 0;
  for (size_t length; len > 0; text += length, len -= length)
    width += width_of(text, len, &length);
  return width;
}

/* Draws the line being typed, or as much of its end as fits in a row. */
static void draw(input *in) {
  const size_t at = typed_at(in);
  const char *text = in->text.data + at;
  size_t len = in->text.len - at;
  int width = width_of_all(text, len);
  const int room = terminal_columns() - PROMPT_COLUMNS;
  while (len > 0 && width > room) {
    size_t length;
    width -= width_of(text, len, &length);
    text += length;
    len -= length;
  }
  buffer line = {0};
  buffer_append_text(&line, CLEAR_LINE PROMPT);
  encode_visible(&line, text, len);
  fwrite(line.data, 1, line.len, stdout);
  fflush(stdout);
  buffer_free(&line);
  in->is_shown = true;
}

void input_show(input *in) {
  if (in->is_terminal && !in->has_ended && !in->is_shown) draw(in);
}

void input_hide(input *in) {
  if (!in->is_shown) return;
  fputs(CLEAR_LINE, stdout);
  fflush(stdout);
  in->is_shown = false;
}

/* Ends the line: the whole of it stays on the screen. */
static void finish_line(input *in) {
  const size_t at = typed_at(in);
  input_hide(in);
  buffer line = {0};
  buffer_append_text(&line, style_on(stdout, STYLE_DIM));
  buffer_append_text(&line, PROMPT);
  buffer_append_text(&line, style_off(stdout));
  encode_visible(&line, in->text.data + at, in->text.len - at);
  buffer_append_char(&line, '\n');
  fwrite(line.data, 1, line.len, stdout);
  buffer_free(&line);
  buffer_append_char(&in->text, '\n');
}

/* Removes the last character: its continuation bytes and its first. */
static void erase_character(input *in, size_t begin) {
  size_t *const len = &in->text.len;
  while (*len > begin &&
         ((unsigned char)in->text.data[*len - 1] & 0xC0) == 0x80)
    (*len)--;
  if (*len > begin) (*len)--;
}

static void erase_word(input *in, size_t begin) {
  size_t *const len = &in->text.len;
  while (*len > begin && in->text.data[*len - 1] == ' ')
    (*len)--;
  while (*len > begin && in->text.data[*len - 1] != ' ')
    (*len)--;
}

/* Keys like the arrows send ESC, '[' or 'O', parameters and a letter. They do
 * nothing here. Returns whether `c` belongs to such a key. */
static bool is_of_escape(input *in, char c) {
  switch (in->escape) {
  case 0: in->escape = c == ESCAPE ? 1 : 0; return c == ESCAPE;
  case 1: in->escape = c == '[' || c == 'O' ? 2 : 0; return true;
  default:
    if (c >= '@' && c <= '~') in->escape = 0;
    return true;
  }
}

static void press_key(input *in, char c) {
  if (is_of_escape(in, c)) return;
  const size_t begin = typed_at(in);
  switch (c) {
  case '\r':
  case '\n': finish_line(in); break;
  case '\b':
  case DELETE: erase_character(in, begin); break;
  case CONTROL('W'): erase_word(in, begin); break;
  case CONTROL('U'): in->text.len = begin; break;
  case CONTROL('D'): in->has_ended = in->text.len == begin; break;
  default:
    if ((unsigned char)c >= ' ' || c == '\t') buffer_append_char(&in->text, c);
  }
}

/* -- Lines ----------------------------------------------------------------- */

void input_feed(input *in, const char *bytes, size_t len) {
  if (in->is_terminal) {
    for (size_t i = 0; i < len && !in->has_ended; i++)
      press_key(in, bytes[i]);
    if (in->has_ended) input_hide(in);
    else draw(in);
  } else {
    buffer_append(&in->text, bytes, len);
  }
  if (in->text.has_failed || in->text.len > INPUT_MAX_LINE) {
    in->is_too_long = true;
    in->has_ended = true;
  }
}

void input_fill(input *in) {
  char bytes[READ_SIZE];
  buffer_remove_front(&in->text, in->taken);
  in->taken = 0;
  const ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));
  if (count > 0) input_feed(in, bytes, (size_t)count);
  else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
    in->has_ended = true;
  }
}

bool input_next(input *in, const char **out_line, size_t *out_len) {
  const size_t left = in->text.len - in->taken;
  if (left == 0 || in->is_too_long) return false;
  const char *const line = in->text.data + in->taken;
  const char *const end = memchr(line, '\n', left);
  if (end == NULL && !in->has_ended) return false;

  size_t len = end != NULL ? (size_t)(end - line) : left;
  in->taken += end != NULL ? len + 1 : len;
  if (len > 0 && end != NULL && line[len - 1] == '\r') len--; /* CR LF. */
  *out_line = line;
  *out_len = len;
  return true;
}
