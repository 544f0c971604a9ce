/* Does what lines on standard input say with a model, and prints what came of it, for tests in Python.
 *
 *     driver MODEL PRECISION    the lines below; texts are hexadecimal, "-" is the empty one
 *     driver --load FILE...     loads each file, tries it if that works, and prints the code
 *     driver --race MODEL       threads use one handle and several; prints "alike" if they agree
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charloom.h"

#define LINE (1 << 20)
#define NUMBERS (1 << 16)

static size_t from_hexadecimal(const char *from, char *to) {
    size_t count = 0;
    unsigned byte;
    while (sscanf(from, "%2x", &byte) == 1) {
        to[count++] = (char)byte;
        from += 2;
    }
    return count;
}

static int print_piece(const char *text, size_t bytes, void *user) {
    for (size_t n = 0; n < bytes; ++n) printf("%02x", (unsigned char)text[n]);
    return user != NULL; /* then the first piece is the last */
}

static int call_back(const char *text, size_t bytes, void *model) {
    (void)text, (void)bytes;
    printf("%d", charloom_reset(model));
    return 1;
}

static void answer(charloom_code code) {
    printf(code ? " %d %s\n" : " %d\n", code, charloom_error());
    fflush(stdout);
}

static void obey(charloom_model *model, char *line, char **kept) {
    static char text[LINE];
    static float shares[NUMBERS];
    static int32_t ids[NUMBERS];
    char *word = strtok(line, " \n"), *rest;
    if (!word) return;
    if (!strcmp(word, "reset")) {
        answer(charloom_reset(model));
    } else if (!strcmp(word, "read")) {
        size_t bytes = from_hexadecimal(strtok(NULL, " \n"), text);
        answer(charloom_read(model, text, bytes));
    } else if (!strcmp(word, "ids")) {
        size_t count = 0;
        while ((rest = strtok(NULL, " \n"))) ids[count++] = atoi(rest);
        answer(charloom_read_ids(model, ids, count));
    } else if (!strcmp(word, "generate") || !strcmp(word, "once")) {
        charloom_sampling sampling = CHARLOOM_SAMPLING;
        size_t length = strtoull(strtok(NULL, " \n"), NULL, 10), bytes;
        sampling.temperature = strtod(strtok(NULL, " \n"), NULL);
        sampling.top_k = atoi(strtok(NULL, " \n"));
        sampling.top_p = strtod(strtok(NULL, " \n"), NULL);
        sampling.seed = strtoull(strtok(NULL, " \n"), NULL, 10);
        bytes = from_hexadecimal(strtok(NULL, " \n"), text);
        text[bytes] = 0;
        if (bytes) sampling.stop = text;
        answer(charloom_generate(model, length, &sampling, print_piece,
                                 *word == 'o' ? model : NULL));
    } else if (!strcmp(word, "callback")) {
        answer(charloom_generate(model, 9, NULL, call_back, model));
    } else if (!strcmp(word, "score")) {
        size_t bytes = from_hexadecimal(strtok(NULL, " \n"), text);
        double *own = calloc(bytes + 1, sizeof(double)); /* as small as is allowed */
        charloom_total total;
        charloom_code code = charloom_score(model, text, bytes, &total, own);
        if (!code) {
            printf("%a %zu %zu", total.nats, total.characters, total.unknown);
            for (size_t n = 0; n < total.characters; ++n) printf(" %a", own[n]);
        }
        free(own);
        answer(code);
    } else if (!strcmp(word, "next")) {
        charloom_code code = charloom_next(model, shares);
        for (int32_t n = 0; !code && n < charloom_vocabulary_size(model); ++n)
            printf("%a ", shares[n]);
        answer(code);
    } else if (!strcmp(word, "keep") || !strcmp(word, "restore") || !strcmp(word, "spoil")) {
        size_t bytes = charloom_state_size(model);
        if (!*kept) *kept = malloc(bytes);
        if (*word == 's') (*kept)[atoi(strtok(NULL, " \n"))] ^= 0x40;
        answer(*word == 'k'   ? charloom_get_state(model, *kept, bytes)
               : *word == 'r' ? charloom_set_state(model, *kept, bytes)
                              : charloom_set_state(model, *kept, bytes - 1));
    } else if (!strcmp(word, "state")) { /* its numbers, hidden and then cell */
        size_t bytes = charloom_state_size(model), header = 96;
        float *numbers = malloc(bytes - header);
        char *state = malloc(bytes);
        charloom_code code = charloom_get_state(model, state, bytes);
        memcpy(numbers, state + header, bytes - header);
        for (size_t n = 0; n < (bytes - header) / sizeof(float); ++n) printf("%a ", numbers[n]);
        free(numbers), free(state);
        answer(code);
    } else if (!strcmp(word, "nfc")) {
        printf("%d", charloom_wants_nfc(model));
        answer(CHARLOOM_OK);
    } else {
        printf("what is %s?\n", word);
    }
}

/* What a file is told to be in memory of exactly its size: the same as on the disk. */
static int same_in_memory(const char *path, charloom_code code) {
    FILE *file = fopen(path, "rb");
    if (!file) return 1;
    fseek(file, 0, SEEK_END);
    size_t bytes = ftell(file);
    rewind(file);
    char *content = malloc(bytes ? bytes : 1);
    int same = fread(content, 1, bytes, file) == bytes;
    fclose(file);
    charloom_model *model = NULL;
    same &= charloom_load_memory(content, bytes, NULL, &model) == code;
    free(content); /* the model needs it no longer */
    charloom_total total;
    if (model) charloom_score(model, "a fox", 5, &total, NULL);
    charloom_free(model);
    return same;
}

static int load_all(int count, char **files) {
    for (int n = 0; n < count; ++n) {
        charloom_model *model = NULL;
        charloom_total total;
        charloom_code code = charloom_load(files[n], NULL, &model);
        printf("%d %s\n", code, code ? charloom_error() : "");
        if (code != CHARLOOM_NO_FILE && !same_in_memory(files[n], code)) return 3;
        if (code) continue;
        if (charloom_score(model, "a fox", 5, &total, NULL) == CHARLOOM_OK)
            charloom_generate(model, 5, NULL, print_piece, NULL);
        printf("\n");
        charloom_free(model);
    }
    return 0;
}

struct piece_of_work {
    charloom_model *model;
    char text[4096];
    size_t bytes;
    int code;
};

static int keep_piece(const char *text, size_t bytes, void *user) {
    struct piece_of_work *work = user;
    memcpy(work->text + work->bytes, text, bytes);
    work->bytes += bytes;
    return 0;
}

static void *alone(void *given) { /* a handle of its own */
    struct piece_of_work *work = given;
    work->code = charloom_generate(work->model, 300, NULL, keep_piece, work);
    return NULL;
}

static void *together(void *given) { /* each call is whole, whichever comes first */
    struct piece_of_work *work = given;
    charloom_total total;
    for (int n = 0; n < 30; ++n) {
        work->code |= charloom_reset(work->model);
        work->code |= charloom_score(work->model, "the fox", 7, &total, NULL);
        charloom_state_size(work->model);
        if (total.characters != 7) work->code |= 99;
    }
    return NULL;
}

static int race(const char *path) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    struct piece_of_work *works = calloc(THREADS, sizeof *works);
    int alike = 1;
    for (int shared = 0; shared < 2; ++shared) {
        for (int n = 0; n < THREADS; ++n) {
            if (!shared && charloom_load(path, NULL, &works[n].model)) return 1;
            if (shared) works[n].model = works[0].model;
            pthread_create(&threads[n], NULL, shared ? together : alone, &works[n]);
        }
        for (int n = 0; n < THREADS; ++n) {
            pthread_join(threads[n], NULL);
            alike &= !works[n].code && works[n].bytes == works[0].bytes &&
                     !memcmp(works[n].text, works[0].text, works[0].bytes);
            if (!shared && n) charloom_free(works[n].model);
        }
    }
    charloom_free(works[0].model);
    free(works);
    puts(alike ? "alike" : "different");
    return !alike;
}

int main(int count, char **given) {
    static char line[2 * LINE];
    charloom_model *model = NULL;
    char *kept = NULL;
    if (count > 2 && !strcmp(given[1], "--load")) return load_all(count - 2, given + 2);
    if (count > 2 && !strcmp(given[1], "--race")) return race(given[2]);
    if (count < 3) return 2;
    charloom_options options = CHARLOOM_OPTIONS;
    options.precision = given[2];
    charloom_code code = charloom_load(given[1], &options, &model);
    answer(code);
    while (!code && fgets(line, sizeof line, stdin)) obey(model, line, &kept);
    free(kept);
    charloom_free(model);
    return 0;
}
