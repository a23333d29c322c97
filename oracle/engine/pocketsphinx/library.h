// The part of PocketSphinx 0.8 that is used, loaded when the program runs, so
// that neither building nor starting it needs the library.

#include <stddef.h>
#include <stdint.h>

// What a frame is given in which no phrase ended.
#define SPHINX_UNHEARD INT32_MIN

// sphinx_load returns 0, or writes why it could not to complaint.
int sphinx_load(const char *library, char *complaint, int room);
// sphinx_path is the file that was loaded.
const char *sphinx_path(void);

// sphinx_open returns a decoder, or NULL and why to complaint.
void *sphinx_open(int argc, char **argv, char *complaint, int room);
void sphinx_close(void *ps);
int sphinx_knows(void *ps, const char *word);
int sphinx_add(void *ps, const char *word, const char *phones);
int sphinx_listen_for(void *ps, const char *phrase);
int sphinx_hear(void *ps, const int16_t *samples, size_t n, int32_t *ratios, int frames);
