// Package wordlists knows words, how they are pronounced, and which of them a
// campaign plays.
//
// # Words
//
// A [Word] is a text in lower case with its pronunciations. Words come from
// lists: the CMU Pronouncing Dictionary ([CMU]) and the 1,000 most spoken words
// ([Common]), both part of the program, and text files ([ReadList]). Text is
// folded before it is compared: lower case, single spaces, straight
// apostrophes.
//
// A [Dictionary] pronounces words and, word by word, phrases ("hey jarvis"). It
// holds one text of 3.6 MB and strings that point into it, and is parsed at the
// first use, not at the start of the program. What it lacks (47 of the 90
// words in the paper's Table 5) is for a [Guesser] to pronounce: the
// letter-to-sound rules of an offline voice, which the caller provides. Such
// words are marked as guessed.
//
// # Selection
//
// A [Selection] is the key "words" of a campaign file, and [Select] carries it
// out, in this order:
//
//  1. All words of the lists are gathered, without the wake word, excluded
//     words, and words with other characters than letters.
//  2. Those stay that have the right number of phonemes (sections 4.2 and 5.5
//     of the paper).
//  3. They are put in order, and the limit cuts them off.
//  4. Included words are added, then random words that are not in yet, and all
//     are put in order.
//
// Of the 117,490 words of letters in the dictionary, 47,257 have five or six
// phonemes, as the paper used for "alexa".
//
// # Limits
//
// The dictionary is one of American English. A phrase is pronounced as its
// words are alone, and gets at most 16 pronunciations. No list has information
// on how often its words are used, beyond the order of [Common].
//
// Lists and dictionaries are read as UTF-8 up to 64 MiB, two million lines and
// 1024 bytes a line.
package wordlists
