/* main.c - libws, the command: finds the command that is asked for. */
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "terminal.h"
#include "ws/base.h"

typedef struct command {
  const char *name;
  int (*run)(int count, char *const *arguments);
  const char *summary;
} command;

static const command commands[] = {
    {"connect", connect_command, "talk to a WebSocket server"},
    {"serve", serve_command, "be one: echo, broadcast or chat"},
    {"bench", bench_command, "measure one that echoes"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int print_help(FILE *out) {
  fprintf(out, "Usage: libws COMMAND [options]\n\n");
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
  fprintf(out, "\nTry 'libws COMMAND --help', 'man libws', or\n\n"
               "  libws serve --chat\n");
  return out == stderr ? EXIT_USAGE : EXIT_OK;
}

static const command *find_command(const char *name) {
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  }
  return NULL;
}

static bool is_either(const char *text, const char *a, const char *b) {
  return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static int run(int argc, char **argv) {
  if (argc < 2) return print_help(stderr);
  if (is_either(argv[1], "--help", "-h")) return print_help(stdout);
  if (is_either(argv[1], "--version", "-V")) {
    printf("libws %s\n", ws_version());
    return EXIT_OK;
  }
  const command *const found = find_command(argv[1]);
  if (found == NULL) {
    fprintf(stderr, "libws: unknown command %s (see 'libws --help')\n",
            argv[1]);
    return EXIT_USAGE;
  }
  return found->run(argc - 2, argv + 2);
}

int main(int argc, char **argv) {
  setlocale(LC_CTYPE, ""); /* How wide characters are on the terminal. */
  const int code = run(argc, argv);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "libws: cannot write to the standard output\n");
    return code == EXIT_OK ? EXIT_FAILED : code;
  }
  return code;
}
