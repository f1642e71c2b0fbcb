/* A JSON writer without memory. */
#include "tools/perf/json.h"

#include <math.h>

/* Objects and arrays below this depth stand in one line. */
enum { LINES_DEPTH = 3 };

static void print_string(FILE *file, const char *value)
{
    fputc('"', file);
    for (const unsigned char *c = (const unsigned char *)value; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(file, "\\%c", *c);
        else if (*c < 0x20)
            fprintf(file, "\\u%04x", *c);
        else
            fputc(*c, file);
    }
    fputc('"', file);
}

static void new_line(struct perf_json *json)
{
    fprintf(json->file, "\n%*s", 2 * json->depth, "");
}

static void begin(struct perf_json *json, const char *key)
{
    if (json->follows)
        fputs(json->depth < LINES_DEPTH ? "," : ", ", json->file);
    if (json->depth > 0 && json->depth < LINES_DEPTH)
        new_line(json);
    json->follows = true;
    if (key != NULL) {
        print_string(json->file, key);
        fputs(": ", json->file);
    }
}

void perf_json_open(struct perf_json *json, const char *key, char bracket)
{
    begin(json, key);
    fputc(bracket, json->file);
    json->depth++;
    json->follows = false;
}

void perf_json_close(struct perf_json *json, char bracket)
{
    bool lines = json->follows && json->depth < LINES_DEPTH;

    json->depth--;
    if (lines)
        new_line(json);
    fputc(bracket, json->file);
    json->follows = true;
    if (json->depth == 0)
        fputc('\n', json->file);
}

void perf_json_number(struct perf_json *json, const char *key, double value)
{
    begin(json, key);
    if (isnan(value) || isinf(value))
        fputs("null", json->file);
    else
        fprintf(json->file, "%.6g", value);
}

void perf_json_integer(struct perf_json *json, const char *key, uint64_t value)
{
    begin(json, key);
    fprintf(json->file, "%llu", (unsigned long long)value);
}

void perf_json_string(struct perf_json *json, const char *key, const char *value)
{
    begin(json, key);
    print_string(json->file, value);
}
