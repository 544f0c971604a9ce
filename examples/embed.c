/* Score a text and go on with it, in C and without Python (docs/embedding.md).
 *
 *     $ make lib
 *     $ cc -I include examples/embed.c build/lib/libcharloom.a -lstdc++ -lm -lpthread -o embed
 *     $ ./embed book.run/model.safetensors "The Fox" 7
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charloom.h"

static int fail(void) {
    fprintf(stderr, "embed: %s\n", charloom_error());
    return 1;
}

static int print(const char *text, size_t bytes, void *user) {
    fwrite(text, 1, bytes, user);
    return ferror((FILE *)user); /* ends the generation where nobody listens */
}

int main(int count, char **given) {
    charloom_model *model = NULL;
    charloom_total total;
    charloom_sampling sampling = CHARLOOM_SAMPLING;
    void *place = NULL;
    size_t bytes;

    if (count < 3 || count > 5) {
        fprintf(stderr, "usage: embed MODEL PROMPT [SEED [LENGTH]]\n");
        return 2;
    }
    if (count > 3) sampling.seed = strtoull(given[3], NULL, 10);
    if (charloom_load(given[1], NULL, &model)) return fail();

    /* How surprising is the prompt? Afterwards the model has read it. */
    if (charloom_score(model, given[2], strlen(given[2]), &total, NULL)) goto failed;
    if (total.characters)
        fprintf(stderr, "%zu characters, %.3f bits each, %zu of them never seen\n",
                total.characters, total.nats / (double)total.characters / log(2), total.unknown);
    if (charloom_reset(model)) goto failed;
    if (charloom_read(model, given[2], strlen(given[2]))) goto failed;

    /* A state is a place in a text: what comes now can be taken back, or kept for another day. */
    bytes = charloom_state_size(model);
    place = malloc(bytes);
    if (!place || charloom_get_state(model, place, bytes)) goto failed;
    fputs(given[2], stdout);
    if (charloom_generate(model, count > 4 ? strtoull(given[4], NULL, 10) : 200, &sampling, print,
                          stdout))
        goto failed;
    if (charloom_set_state(model, place, bytes)) goto failed;

    free(place);
    charloom_free(model);
    return 0;
failed:
    free(place);
    charloom_free(model);
    return fail();
}
