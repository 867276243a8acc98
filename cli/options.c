/* options.c - reads "--name value", "--name=value", "-n value" and "--";
 * options and the argument come in any order. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "terminal.h"

#define HELP_WIDTH  79
#define HELP_COLUMN 28

#define MS_PER_SECOND 1000

/* The state of one reading. */
typedef struct reading {
  const command_line *line;
  char *const *arguments;
  int count;
  int at; /* The next argument. */
  void *settings;
} reading;

/* -- Values ---------------------------------------------------------------- */

/* Reads digits up to a number of at most `max`, and moves `*text` behind. */
static bool read_digits(const char **text, uint64_t max, uint64_t *out_number) {
  uint64_t number = 0;
  const char *at = *text;
  for (; *at >= '0' && *at <= '9'; at++) {
    const uint64_t digit = (uint64_t)(*at - '0');
    if (digit > max || number > (max - digit) / 10) return false;
    number = number * 10 + digit;
  }
  if (at == *text) return false;
  *text = at;
  *out_number = number;
  return true;
}

static bool read_number(const char *text, uint32_t min, uint32_t max,
                        uint32_t *out) {
  uint64_t number;
  if (!read_digits(&text, max, &number)) return false;
  if (*text != '\0' || number < min) return false;
  *out = (uint32_t)number;
  return true;
}

/* 0 means "the default" to the library, so it is no size. */
static bool read_size(const char *text, uint64_t *out) {
  static const char units[] = "KMG";
  uint64_t number;
  if (strcmp(text, "unlimited") == 0) {
    *out = UINT64_MAX;
    return true;
  }
  if (!read_digits(&text, UINT64_MAX - 1, &number) || number == 0) return false;
  const char *const unit = *text != '\0' ? strchr(units, *text) : NULL;
  if (unit != NULL) {
    const unsigned shift = 10 * ((unsigned)(unit - units) + 1);
    if (number > UINT64_MAX >> shift) return false;
    number <<= shift;
    text++;
  }
  *out = number;
  return *text == '\0';
}

static bool read_seconds(const char *text, uint32_t *out) {
  if (strcmp(text, "forever") == 0) {
    *out = OPTION_FOREVER;
    return true;
  }
  uint64_t ms = 0;
  const uint64_t max = (OPTION_FOREVER - MS_PER_SECOND) / MS_PER_SECOND;
  if (*text != '.' && !read_digits(&text, max, &ms)) return false;
  ms *= MS_PER_SECOND;
  if (*text == '.') {
    text++;
    if (*text == '\0') return false;
    for (uint64_t unit = MS_PER_SECOND / 10; *text >= '0' && *text <= '9';
         unit /= 10)
      ms += unit * (uint64_t)(*text++ - '0');
  }
  *out = (uint32_t)ms;
  return *text == '\0';
}

static bool read_switch(const char *text, option_switch *out) {
  if (strcmp(text, "on") == 0) *out = SWITCH_ON;
  else if (strcmp(text, "off") == 0) *out = SWITCH_OFF;
  else return false;
  return true;
}

/* There are never more values than arguments. */
static bool add_to_list(const reading *r, const char *text, option_list *list) {
  if (list->values == NULL) {
    list->values = calloc((size_t)r->count + 1, sizeof(*list->values));
    if (list->values == NULL) return false; /* Complained of as a value. */
  }
  list->values[list->count++] = text;
  return true;
}

/* `text` is NULL for a flag. Returns whether the value is of the kind. */
static bool set_field(const reading *r, const option *o, const char *text) {
  void *const field = (char *)r->settings + o->field;
  switch (o->kind) {
  case OPTION_HEADING: break;
  case OPTION_FLAG: *(bool *)field = true; break;
  case OPTION_TEXT: *(const char **)field = text; break;
  case OPTION_LIST: return add_to_list(r, text, field);
  case OPTION_SWITCH: return read_switch(text, field);
  case OPTION_COUNT: return read_number(text, 1, OPTION_MAX_COUNT, field);
  case OPTION_PORT: return read_number(text, 0, UINT16_MAX, field);
  case OPTION_SIZE: return read_size(text, field);
  case OPTION_SECONDS: return read_seconds(text, field);
  }
  return true;
}

/* -- The command line ------------------------------------------------------ */

static options_result wrong(const reading *r, const char *what,
                            const char *argument) {
  complain(r->line->name, "%s%s (see 'libws %s --help')", what, argument,
           r->line->name);
  return OPTIONS_WRONG;
}

static const char *expected_of(option_kind kind) {
  switch (kind) {
  case OPTION_SWITCH: return "on or off";
  case OPTION_COUNT: return "a whole number from 1 to 1000000";
  case OPTION_PORT: return "a port from 0 to 65535";
  case OPTION_SIZE: return "a number of bytes such as 64K, or unlimited";
  case OPTION_SECONDS: return "a number of seconds, or forever";
  case OPTION_HEADING:
  case OPTION_FLAG:
  case OPTION_TEXT:
  case OPTION_LIST: break;
  }
  return "something else"; /* These take anything. */
}

static options_result wrong_value(const reading *r, const option *o,
                                  const char *text) {
  complain(r->line->name, "--%s takes %s, not '%s'", o->name,
           expected_of(o->kind), text);
  return OPTIONS_WRONG;
}

static const option *find_by_name(const command_line *line, const char *name,
                                  size_t len) {
  for (size_t i = 0; i < line->option_count; i++) {
    const option *const o = &line->options[i];
    if (o->kind != OPTION_HEADING && strlen(o->name) == len &&
        memcmp(o->name, name, len) == 0) {
      return o;
    }
  }
  return NULL;
}

static const option *find_by_letter(const command_line *line, char letter) {
  for (size_t i = 0; i < line->option_count; i++) {
    if (line->options[i].letter == letter) return &line->options[i];
  }
  return NULL;
}

/* Finds what `argument` names, and in `*out_value` what stands behind its "=",
 * or NULL. */
static const option *find_option(const command_line *line, const char *argument,
                                 const char **out_value) {
  *out_value = NULL;
  if (argument[1] != '-') {
    return argument[2] == '\0' ? find_by_letter(line, argument[1]) : NULL;
  }
  const char *const name = argument + 2;
  const size_t len = strcspn(name, "=");
  if (name[len] == '=') *out_value = name + len + 1;
  return find_by_name(line, name, len);
}

static options_result read_option(reading *r, const char *argument) {
  const char *value;
  const option *const o = find_option(r->line, argument, &value);
  if (o == NULL) return wrong(r, "unknown option ", argument);
  if (o->kind == OPTION_FLAG) {
    if (value != NULL) return wrong(r, "a value is too much: ", argument);
  } else if (value == NULL) {
    if (r->at == r->count) return wrong(r, "a value is missing: ", argument);
    value = r->arguments[r->at++];
  }
  if (!set_field(r, o, value)) return wrong_value(r, o, value);
  return OPTIONS_READ;
}

static bool is_help(const char *argument) {
  return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static options_result read_argument(const reading *r, const char *argument,
                                    const char **out_argument) {
  if (r->line->argument == NULL || *out_argument != NULL) {
    return wrong(r, "one argument too many: ", argument);
  }
  *out_argument = argument;
  return OPTIONS_READ;
}

options_result options_read(const command_line *line, int count,
                            char *const *arguments, void *settings,
                            const char **out_argument) {
  reading r = {line, arguments, count, 0, settings};
  bool has_ended = false; /* The options, by "--". */
  options_result result = OPTIONS_READ;
  *out_argument = NULL;
  while (r.at < count && result == OPTIONS_READ) {
    const char *const argument = arguments[r.at++];
    if (has_ended || argument[0] != '-' || argument[1] == '\0') {
      result = read_argument(&r, argument, out_argument);
    } else if (is_help(argument)) {
      result = OPTIONS_HELP;
    } else if (strcmp(argument, "--") == 0) {
      has_ended = true;
    } else {
      result = read_option(&r, argument);
    }
  }
  if (result == OPTIONS_READ && line->argument != NULL &&
      *out_argument == NULL) {
    result = wrong(&r, line->argument, " is missing");
  }
  return result;
}

void options_free(const command_line *line, void *settings) {
  for (size_t i = 0; i < line->option_count; i++) {
    if (line->options[i].kind != OPTION_LIST) continue;
    option_list *const list =
        (option_list *)(void *)((char *)settings + line->options[i].field);
    free((void *)list->values);
    *list = (option_list){0};
  }
}

/* -- Help ------------------------------------------------------------------ */

/* Prints words, wrapped, and indented by `indent`; the first line stands at
 * `column` already. A newline in `text` ends a line. */
static void print_wrapped(FILE *out, const char *text, int indent, int column) {
  while (*text != '\0') {
    const int len = (int)strcspn(text, " \n");
    if (column > indent && column + 1 + len > HELP_WIDTH) {
      fputc('\n', out);
      column = 0;
    }
    if (column < indent) column += fprintf(out, "%*s", indent - column, "");
    else if (column > indent) column += fprintf(out, " ");
    column += fprintf(out, "%.*s", len, text);
    text += len;
    if (*text == '\n') {
      fputc('\n', out);
      column = 0;
    }
    if (*text != '\0') text++;
  }
  fputc('\n', out);
}

static void print_option(const option *o, FILE *out) {
  const bool has_value = o->value_name != NULL;
  int column = o->letter != 0 ? fprintf(out, "  -%c, --%s", o->letter, o->name)
                              : fprintf(out, "      --%s", o->name);
  if (has_value) column += fprintf(out, " %s", o->value_name);
  if (column >= HELP_COLUMN) {
    fputc('\n', out);
    column = 0;
  }
  print_wrapped(out, o->help, HELP_COLUMN, column);
}

void options_print_help(const command_line *line, FILE *out) {
  fprintf(out, "Usage: libws %s [options]%s%s\n\n", line->name,
          line->argument != NULL ? " " : "",
          line->argument != NULL ? line->argument : "");
  print_wrapped(out, line->summary, 0, 0);
  for (size_t i = 0; i < line->option_count; i++) {
    const option *const o = &line->options[i];
    if (o->kind == OPTION_HEADING) fprintf(out, "\n%s:\n", o->help);
    else print_option(o, out);
  }
  if (line->epilogue != NULL) {
    fputc('\n', out);
    print_wrapped(out, line->epilogue, 0, 0);
  }
}
