/* process.c - the process's clock, and /proc. */
#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

/* Idle is who uses less than 1 ms of 100; collectors of garbage and timers may
 * go on for ever, so patience ends. */
#define SETTLE_STEP_NS   (100L * 1000 * 1000)
#define SETTLE_IDLE_NS   (1UL * 1000 * 1000)
#define SETTLE_MAX_STEPS 30

uint64_t process_cpu(pid_t pid) {
  clockid_t clock;
  struct timespec used;
  const int error = clock_getcpuclockid(pid, &clock);
  if (error != 0 || clock_gettime(clock, &used) != 0)
    load_die("process %d: %s", (int)pid, strerror(error != 0 ? error : errno));
  return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* The number after `name`; 0 if the line has another name. */
static uint64_t number_after(const char *line, const char *name) {
  const size_t len = strlen(name);
  return strncmp(line, name, len) == 0 ? strtoull(line + len, NULL, 10) : 0;
}

uint64_t process_memory(pid_t pid) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) load_die("%s: %s", path, strerror(errno));

  uint64_t sum = 0;
  char line[256];
  while (fgets(line, sizeof(line), file) != NULL) {
    sum += number_after(line, "Private_Clean:") * 1024;
    sum += number_after(line, "Private_Dirty:") * 1024;
  }
  fclose(file);
  return sum;
}

void process_settle(pid_t pid) {
  const struct timespec step = {.tv_nsec = SETTLE_STEP_NS};
  uint64_t before = process_cpu(pid);
  for (int i = 0; i < SETTLE_MAX_STEPS; i++) {
    nanosleep(&step, NULL);
    const uint64_t after = process_cpu(pid);
    if (after - before < SETTLE_IDLE_NS) return;
    before = after;
  }
}
