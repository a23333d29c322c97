package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"wakefuzz/campaign"
	"wakefuzz/results"
	"wakefuzz/scan"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// The exit codes. Scripts rely on them.
const (
	exitDone        = 0
	exitFailure     = 1
	exitUsage       = 2
	exitUnmeasured  = 3
	exitUnfit       = 4
	exitNoCampaign  = 10
	exitLocked      = 11
	exitCredentials = 12
	exitGate        = 99
	exitInterrupted = 130
)

const exitCodesHelp = `Exit codes: 0 done, 1 failure, 2 usage or campaign file, 3 finished with plays
that could not be measured, 4 a check of doctor failed, 10 no such campaign, 11
another runner holds the campaign, 12 credentials missing or refused, 130
interrupted and resumable.`

// errUsage is wrapped by errors that a better command line would mend.
var errUsage = errors.New("usage")

// usageError marks an error as a mistake in the command line, without a word
// of its own.
type usageError struct{ error }

func (e usageError) Unwrap() []error { return []error{errUsage, e.error} }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// unfinished is a command that ended in good order, with something left to do.
type unfinished struct {
	code    int
	message string
}

func (e unfinished) Error() string { return e.message }

func exitCode(err error) int {
	var left unfinished
	var locked *results.LockedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &left):
		return left.code
	case errors.Is(err, results.ErrNotFound), errors.Is(err, scan.ErrNotFound):
		return exitNoCampaign
	case errors.As(err, &locked):
		return exitLocked
	case errors.Is(err, tts.ErrCredentials):
		return exitCredentials
	case errors.Is(err, errUsage), errors.Is(err, campaign.ErrSpec), errors.Is(err, campaign.ErrPlanChanged),
		errors.Is(err, scan.ErrSpec), errors.Is(err, scan.ErrPlanChanged), errors.Is(err, scan.ErrPace),
		errors.Is(err, wordlists.ErrEmpty), errors.Is(err, tts.ErrVoice):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitFailure
	}
}

// describe returns the error as the user is to read it, "" for none.
func describe(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimSpace(err.Error())
}
