/* options.h - one parser for the options of every command.
 *
 * A command describes its options in a table. The same table reads the command
 * line and prints the help. Values land in the fields of a struct of the
 * command's, which hold the defaults before; strings are borrowed from argv. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What an option takes, and the type of its field. */
typedef enum option_kind {
  OPTION_HEADING, /* No option: `help` is a heading over those that follow. */
  OPTION_FLAG,    /* Nothing; bool becomes true. */
  OPTION_TEXT,    /* const char * */
  OPTION_LIST,    /* option_list; may be given several times. */
  OPTION_SWITCH,  /* "on" or "off"; option_switch. */
  OPTION_COUNT,   /* From 1 to OPTION_MAX_COUNT; uint32_t. */
  OPTION_PORT,    /* From 0 to 65535; uint32_t. */
  OPTION_SIZE,    /* Bytes, with K, M or G; uint64_t. */
  OPTION_SECONDS  /* As "0.25", or "forever"; milliseconds in uint32_t. */
} option_kind;

/* `values` ends in NULL, and is NULL when there are none. */
typedef struct option_list {
  const char **values;
  size_t count;
} option_list;

typedef enum option_switch {
  SWITCH_UNSET,
  SWITCH_OFF,
  SWITCH_ON
} option_switch;

/* What "forever" stands for. The same as WS_NEVER. */
#define OPTION_FOREVER UINT32_MAX

#define OPTION_MAX_COUNT 1000000

typedef struct option {
  option_kind kind;
  char letter;            /* The short form, or 0. */
  const char *name;       /* Without the dashes. */
  size_t field;           /* offsetof() in the struct of settings. */
  const char *value_name; /* For the help; NULL for a flag. */
  const char *help;
} option;

typedef struct command_line {
  const char *name;     /* Of the command: "connect". */
  const char *argument; /* The one thing it takes besides options, or NULL. */
  const char *summary;  /* One or more paragraphs. */
  const option *options;
  size_t option_count;
  const char *epilogue; /* Stands at the end of the help; may be NULL. */
} command_line;

typedef enum options_result {
  OPTIONS_READ,
  OPTIONS_HELP, /* --help was asked for. */
  OPTIONS_WRONG /* Was complained about on stderr. */
} options_result;

/* Reads the arguments behind the name of the command into `settings`, and the
 * one that is no option into `*out_argument` (NULL if there is none; required
 * if the command takes one). */
options_result options_read(const command_line *line, int count,
                            char *const *arguments, void *settings,
                            const char **out_argument);

/* Frees what the lists of `settings` hold. */
void options_free(const command_line *line, void *settings);

void options_print_help(const command_line *line, FILE *out);

#endif
