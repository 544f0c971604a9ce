/* Load a charloom model, generate text with it and score text, from C and without Python.
 *
 * A handle is a model and one text that it is reading. `charloom_read` gives it more of that text,
 * `charloom_generate` goes on with it, `charloom_score` tells how surprising a continuation is, and
 * `charloom_reset` begins a new one. With the same model, seed and instruction set the text is that
 * of `Model.generate` in Python; nats are those of `Model.score`.
 *
 * Texts are UTF-8, given by their address and number of bytes, and pass the steps that every text
 * passes in Python: a byte order mark at the start is dropped, and CRLF and CR become LF. All but one:
 * this library has no Unicode tables and does NO NFC NORMALIZATION. Where `charloom_wants_nfc` is 1,
 * the caller has to give text in that form.
 *
 * Any thread may use any handle. Calls on one handle wait for each other; calls on different handles
 * run side by side. A call that fails changes nothing but the message of `charloom_error`.
 */
#ifndef CHARLOOM_H
#define CHARLOOM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CHARLOOM_API __attribute__((visibility("default")))
#else
#define CHARLOOM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct charloom_model charloom_model;

typedef enum charloom_code {
    CHARLOOM_OK = 0,
    CHARLOOM_NO_FILE = 1,       /* the file cannot be opened or read */
    CHARLOOM_BAD_MODEL = 2,     /* it is no model, damaged, or newer than this library */
    CHARLOOM_BAD_ARGUMENT = 3,  /* a number out of range, a null pointer, a call from a callback */
    CHARLOOM_BAD_TEXT = 4,      /* no UTF-8, or a character that the model cannot read */
    CHARLOOM_NO_MEMORY = 5,
    CHARLOOM_INTERNAL = 6       /* a fault of the library */
} charloom_code;

/* What went wrong in the last call of this thread that failed: what was given, what was expected.
 * Valid until this thread's next call; never NULL. */
CHARLOOM_API const char *charloom_error(void);

typedef struct charloom_options {
    const char *precision; /* "auto", "float32", "bfloat16" or "int8"; NULL is "auto" */
    int threads;           /* that share the work of a call, 1 to 1024 */
} charloom_options;
#define CHARLOOM_OPTIONS {NULL, 1} /* what NULL in place of options stands for */

/* Read a model file, or one that is in memory and not needed afterwards. What it takes is bounded by
 * the size of the file, and no file makes it do anything but return a code. */
CHARLOOM_API charloom_code charloom_load(const char *path, const charloom_options *options,
                                         charloom_model **model);
CHARLOOM_API charloom_code charloom_load_memory(const void *file, size_t bytes,
                                                const charloom_options *options,
                                                charloom_model **model);
CHARLOOM_API void charloom_free(charloom_model *model); /* NULL is allowed */

/* How many ids there are: V. */
CHARLOOM_API int32_t charloom_vocabulary_size(const charloom_model *model);
/* 1 if the model was trained on text in Unicode's form NFC, where a letter and its accent are one
 * character. Then give every text (and `stop`) in that form: g_utf8_normalize of GLib, utf8proc_NFC, or
 * unorm2_normalize of ICU make it. Other text is not refused, but read as the model has never read it:
 * an accent apart is another character, often an unknown one, and generation and nats differ from
 * Python's, which normalizes by itself. Text without a character from U+0300 on is NFC. */
CHARLOOM_API int charloom_wants_nfc(const charloom_model *model);

/* Begin a new text. */
CHARLOOM_API charloom_code charloom_reset(charloom_model *model);

/* Read on. A model of lines begins anew after each line feed. A character that is not known is read
 * as the unknown; where the model has none, it is an error. */
CHARLOOM_API charloom_code charloom_read(charloom_model *model, const char *text, size_t bytes);

typedef struct charloom_sampling {
    double temperature; /* 0: always the likeliest; at most 100 */
    int top_k;          /* only the k likeliest; 0: all */
    double top_p;       /* only the likeliest that make up this share; above 0, at most 1 */
    uint64_t seed;      /* the same seed gives the same text; below 2^63 */
    const char *stop;   /* the text ends before it; NULL: nowhere */
} charloom_sampling;
#define CHARLOOM_SAMPLING {1.0, 0, 1.0, 0, NULL} /* what NULL in place of sampling stands for */

/* Takes a piece of text, which ends with a null byte; anything but 0 ends the generation. */
typedef int (*charloom_piece)(const char *text, size_t bytes, void *user);

/* Generate up to `length` characters that follow the text, and hand them over in short pieces. What
 * is generated is read, so that generating 10 characters and then 10 more is generating 20. A model
 * of lines stops before a line feed, and is at the start of a line then. */
CHARLOOM_API charloom_code charloom_generate(charloom_model *model, size_t length,
                                             const charloom_sampling *sampling,
                                             charloom_piece piece, void *user);

typedef struct charloom_total {
    double nats;       /* / characters / ln 2 is bits per character */
    size_t characters; /* Unicode code points */
    size_t unknown;    /* of them, those that the model does not know */
} charloom_total;

/* Score a text that follows what was read, and read it. The first character after a reset counts
 * ln V: nothing predicts it. A model of lines completes a last line that has no line feed. `nats` is
 * NULL, or has room for bytes + 1 numbers: that of each character, a multiple of 2^-20. */
CHARLOOM_API charloom_code charloom_score(charloom_model *model, const char *text, size_t bytes,
                                          charloom_total *total, double *nats);

/* ln p of each of the V ids to come next; nothing is read. */
CHARLOOM_API charloom_code charloom_next(charloom_model *model, float *log_probabilities);

/* Read ids instead of text, as they are: for those who have their own way to make them. */
CHARLOOM_API charloom_code charloom_read_ids(charloom_model *model, const int32_t *ids, size_t count);

/* Where the text is: what the layers remember, the last id and how many were generated. So many
 * bytes; out; and in again, for the same model on a machine of the same kind. */
CHARLOOM_API size_t charloom_state_size(const charloom_model *model);
CHARLOOM_API charloom_code charloom_get_state(charloom_model *model, void *state, size_t bytes);
CHARLOOM_API charloom_code charloom_set_state(charloom_model *model, const void *state, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
