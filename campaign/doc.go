// Package campaign plans a fuzzing campaign and carries it out.
//
// A [Spec] is the campaign file. Together with the words that it selects it
// gives a plan: trials, each an utterance to be played a number of times, with
// IDs that are hashes of what defines them. A [Runner] subtracts from the plan
// what is already stored, plays the rest on one or more benches, and stores
// every attempt at a play before it begins the next. That subtraction is all
// there is to resuming: an interrupted campaign and a new one run the same
// code.
//
// A campaign lives in a folder of its own:
//
//	spec.yaml   the spec as it ran, with every default filled in
//	store.db    the plan and every attempt (package results)
//	log.jsonl   what happened, a JSON object a line
//	evidence/   packets of single plays, as pcapng files
//	lock        held while a runner works, with its PID
//
// The package knows players and oracles by their interfaces alone. Which
// drivers there are, and what options they take, the caller says with
// [Drivers].
package campaign
