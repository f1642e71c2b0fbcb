/*
 * Writing JSON, just as much of it as a report needs: the caller opens and closes, and values come with a key (in an
 * object) or with NULL (in an array). A number that is not one is null. Strings are escaped; bytes beyond ASCII
 * are passed on as they are.
 */
#ifndef HQQ_PERF_JSON_H
#define HQQ_PERF_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct perf_json {
    FILE *file;
    int depth;
    bool follows; /* something stands before this in the same object or array */
};

void perf_json_open(struct perf_json *json, const char *key, char bracket);
void perf_json_close(struct perf_json *json, char bracket);
void perf_json_number(struct perf_json *json, const char *key, double value);
void perf_json_integer(struct perf_json *json, const char *key, uint64_t value);
void perf_json_string(struct perf_json *json, const char *key, const char *value);

#endif
