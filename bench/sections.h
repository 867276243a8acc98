/* sections.h - the parts of the benchmark. Each measures, and reports. */
#ifndef BENCH_SECTIONS_H
#define BENCH_SECTIONS_H

void bench_mask(void);        /* kernels.c */
void bench_utf8(void);        /* kernels.c */
void bench_receive(void);     /* receiving.c */
void bench_send(void);        /* sending.c */
void bench_handshake(void);   /* handshakes.c */
void bench_compression(void); /* compression.c */

#endif
