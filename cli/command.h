/* command.h - the commands of the program, and what they exit with. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

/* Documented in libws.1: scripts rely on the numbers. */
enum exit_code {
  EXIT_OK = 0,
  EXIT_FAILED = 1,  /* No connection, or one that did not end cleanly. */
  EXIT_USAGE = 2,   /* The command line was wrong. */
  EXIT_REFUSED = 3, /* The server answered, but did not open a WebSocket. */
  EXIT_TIMEOUT = 4,
  EXIT_TLS = 5,          /* TLS failed, or the certificate is not trusted. */
  EXIT_INTERRUPTED = 130 /* Ended at once by a signal, as a shell counts it. */
};

/* Each takes the arguments behind its name and returns an exit code. */
int connect_command(int count, char *const *arguments);
int serve_command(int count, char *const *arguments);
int bench_command(int count, char *const *arguments);

#endif
