/* bench_proto.c - how fast the protocol engine is, beside memcpy, wslay and
 * zlib in the same run. README.md says how to read what it prints. It judges
 * but does not fail: the exit status is 0 whatever the marks say. */
#include <stdio.h>
#include <string.h>

#include "measure.h"
#include "report.h"
#include "sections.h"

static const struct section {
  const char *name;
  void (*run)(void);
} sections[] = {
    {"mask", bench_mask},           {"utf8", bench_utf8},
    {"receive", bench_receive},     {"send", bench_send},
    {"handshake", bench_handshake}, {"compression", bench_compression},
};
#define SECTION_COUNT (sizeof(sections) / sizeof(sections[0]))

static void print_usage(FILE *stream) {
  fprintf(stream, "Usage: bench_proto [--json] [--quick] [SECTION...]\n"
                  "  --json   for machines\n"
                  "  --quick  whether it runs, not how fast\n"
                  "Sections, all by default:");
  for (size_t i = 0; i < SECTION_COUNT; i++)
    fprintf(stream, " %s", sections[i].name);
  fprintf(stream, "\n");
}

static const struct section *find_section(const char *name) {
  for (size_t i = 0; i < SECTION_COUNT; i++)
    if (strcmp(sections[i].name, name) == 0) return &sections[i];
  return NULL;
}

int main(int argc, char **argv) {
  bool is_json = false;
  bool is_quick = false;
  bool wanted[SECTION_COUNT] = {false};
  bool wants_all = true;
  for (int i = 1; i < argc; i++) {
    const struct section *section = find_section(argv[i]);
    if (section != NULL) {
      wanted[section - sections] = true;
      wants_all = false;
    } else if (strcmp(argv[i], "--json") == 0) {
      is_json = true;
    } else if (strcmp(argv[i], "--quick") == 0) {
      is_quick = true;
    } else {
      const bool is_help = strcmp(argv[i], "--help") == 0;
      print_usage(is_help ? stdout : stderr);
      return is_help ? 0 : 2;
    }
  }

  measure_init(is_quick);
  report_begin(is_json);
  for (size_t i = 0; i < SECTION_COUNT; i++)
    if (wants_all || wanted[i]) sections[i].run();
  report_end(measure_repeated());
  return 0;
}
