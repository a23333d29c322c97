#define _GNU_SOURCE // dladdr
#include "library.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The library's functions, with its own types as plain pointers.
static void *(*ps_args)(void);
static void *(*cmd_ln_parse_r)(void *, void *, int32_t, char **, int32_t);
static int (*cmd_ln_free_r)(void *);
static void (*err_set_callback)(void (*)(void *, int, const char *, ...), void *);
static FILE *(*err_set_logfp)(FILE *);
static void *(*ps_init)(void *);
static int (*ps_free)(void *);
static char *(*ps_lookup_word)(void *, const char *);
static int (*ps_add_word)(void *, const char *, const char *, int);
static int (*ps_set_keyphrase)(void *, const char *, const char *);
static int (*ps_set_search)(void *, const char *);
static int (*ps_start_stream)(void *);
static int (*ps_start_utt)(void *);
static int (*ps_process_raw)(void *, const int16_t *, size_t, int, int);
static int (*ps_end_utt)(void *);
static void *(*ps_seg_iter)(void *);
static void *(*ps_seg_next)(void *);
static void (*ps_seg_frames)(void *, int *, int *);
static int32_t (*ps_seg_prob)(void *, int32_t *, int32_t *, int32_t *);

// The levels of the library's messages from which they are told.
enum { ERR_ERROR = 4, ERR_FATAL = 5 };

// What the library complained of last, in this thread.
static __thread char last[256];

static void listen_to_complaints(void *unused, int level, const char *format, ...) {
	(void)unused;
	if (level < ERR_ERROR)
		return;
	va_list args;
	va_start(args, format);
	if (level == ERR_FATAL) { // it ends the process next
		vfprintf(stderr, format, args);
	} else {
		vsnprintf(last, sizeof last, format, args);
	}
	va_end(args);
}

static Dl_info file;

int sphinx_load(const char *library, char *complaint, int room) {
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		snprintf(complaint, room, "%s", dlerror());
		return -1;
	}
	struct {
		void *function;
		const char *name;
	} wanted[] = {
#define WANTED(name) {&name, #name}
		WANTED(ps_args), WANTED(cmd_ln_parse_r), WANTED(cmd_ln_free_r), WANTED(err_set_callback),
		WANTED(err_set_logfp),
		WANTED(ps_init), WANTED(ps_free), WANTED(ps_lookup_word), WANTED(ps_add_word),
		WANTED(ps_set_keyphrase), WANTED(ps_set_search), WANTED(ps_start_stream), WANTED(ps_start_utt),
		WANTED(ps_process_raw), WANTED(ps_end_utt), WANTED(ps_seg_iter), WANTED(ps_seg_next),
		WANTED(ps_seg_frames), WANTED(ps_seg_prob),
	};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		void *symbol = dlsym(handle, wanted[i].name);
		if (!symbol) {
			snprintf(complaint, room, "it has no function %s", wanted[i].name);
			dlclose(handle);
			return -1;
		}
		memcpy(wanted[i].function, &symbol, sizeof symbol);
	}
	dladdr((void *)ps_init, &file);
	err_set_callback(listen_to_complaints, NULL);
	return 0;
}

const char *sphinx_path(void) { return file.dli_fname ? file.dli_fname : ""; }

void *sphinx_open(int argc, char **argv, char *complaint, int room) {
	*last = 0;
	void *ps = NULL;
	void *config = cmd_ln_parse_r(NULL, ps_args(), argc, argv, 1);
	if (config) {
		err_set_logfp(NULL); // of this thread: no list of all options
		ps = ps_init(config);
		cmd_ln_free_r(config);
	}
	if (!ps)
		snprintf(complaint, room, "%s", *last ? last : "it does not say why");
	return ps;
}

void sphinx_close(void *ps) { ps_free(ps); }

int sphinx_knows(void *ps, const char *word) {
	char *phones = ps_lookup_word(ps, word);
	free(phones);
	return phones != NULL;
}

int sphinx_add(void *ps, const char *word, const char *phones) { return ps_add_word(ps, word, phones, 1); }

int sphinx_listen_for(void *ps, const char *phrase) {
	return ps_set_keyphrase(ps, "wake", phrase) < 0 || ps_set_search(ps, "wake") < 0 ? -1 : 0;
}

// By how much the library lowers the ratios that it tells: KWS_MAX in its
// kws_search.c.
static const int32_t lowered = 1500;

int sphinx_hear(void *ps, const int16_t *samples, size_t n, int32_t *ratios, int frames) {
	// A new stream forgets the noise of the one before.
	if (ps_start_stream(ps) < 0 || ps_start_utt(ps) < 0)
		return -1;
	int failed = ps_process_raw(ps, samples, n, 0, 1) < 0;
	if (ps_end_utt(ps) < 0 || failed)
		return -1;
	for (void *segment = ps_seg_iter(ps); segment; segment = ps_seg_next(segment)) {
		int first, end;
		int32_t acoustic, language, back;
		ps_seg_frames(segment, &first, &end);
		int32_t ratio = ps_seg_prob(segment, &acoustic, &language, &back) + lowered;
		if (end >= 0 && end < frames && ratio > ratios[end])
			ratios[end] = ratio;
	}
	return 0;
}
