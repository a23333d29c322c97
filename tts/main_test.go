package tts_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(fillCacheEnv); dir != "" {
		os.Exit(fillCache(dir)) // we are a process that TestCacheSharedByProcesses started
	}
	goleak.VerifyTestMain(m)
}
