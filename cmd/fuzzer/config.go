package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"

	"wakefuzz/tts"
	"wakefuzz/tts/google"
	"wakefuzz/tts/wyoming"
)

// config is what belongs to a machine and its owner rather than to a campaign.
// docs/configuration.md documents every key.
type config struct {
	// Data is the folder of models and runtime, as set-up fetched them.
	Data string `yaml:"data"`
	// Cache is the folder of the clips that all campaigns share.
	Cache string `yaml:"cache"`
	// Synthesis is how hard the voices may be driven.
	Synthesis synthesisConfig `yaml:"synthesis"`
	// Google is where the Google voices are reached.
	Google google.Options `yaml:"google"`
	// Wyoming is where the voices of a Wyoming server are reached.
	Wyoming wyoming.Options `yaml:"wyoming"`
	// Prices are US dollars per million characters, by voice family or voice.
	// They go before the list prices.
	Prices google.Prices `yaml:"prices"`
}

// synthesisConfig are tts.Limits; 0 means the default.
type synthesisConfig struct {
	// AtOnce is how many calls may be under way at the same time.
	AtOnce int `yaml:"at_once"`
	// PerSecond is how many calls may begin in a second.
	PerSecond float64 `yaml:"per_second"`
	// GiveUpAfter is how long one utterance is tried in spite of failures.
	GiveUpAfter time.Duration `yaml:"give_up_after"`
}

func (c synthesisConfig) limits(waiting func(error, time.Duration)) tts.Limits {
	return tts.Limits{AtOnce: c.AtOnce, PerSecond: c.PerSecond, GiveUpAfter: c.GiveUpAfter, Waiting: waiting}
}

func (c synthesisConfig) validate() error {
	if c.AtOnce < 0 || !(c.PerSecond >= 0) || c.GiveUpAfter < 0 {
		return errors.New("synthesis: a negative limit")
	}
	return nil
}

func defaultConfig() config {
	return config{
		Data:  firstOf(os.Getenv("WAKEFUZZ_DATA"), filepath.Join(baseDir("XDG_DATA_HOME", ".local/share"), "wakefuzz")),
		Cache: firstOf(os.Getenv("WAKEFUZZ_CACHE"), filepath.Join(baseDir("XDG_CACHE_HOME", ".cache"), "wakefuzz", "clips")),
	}
}

// loadConfig reads the file at path; with an empty path the usual file, which
// need not exist.
func loadConfig(path string) (config, error) {
	c := defaultConfig()
	text, err := os.ReadFile(firstOf(path, defaultConfigPath()))
	if errors.Is(err, fs.ErrNotExist) && path == "" {
		return c, nil
	}
	if err != nil {
		return c, usagef("reading the configuration: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			err = fmt.Errorf("line %d: %s", at.GetToken().Position.Line, at.GetMessage())
		}
		return c, usagef("configuration %s: %w", firstOf(path, defaultConfigPath()), err)
	}
	if err := c.Synthesis.validate(); err != nil {
		return c, usagef("configuration %s: %w", firstOf(path, defaultConfigPath()), err)
	}
	return c, nil
}

func defaultConfigPath() string {
	return filepath.Join(baseDir("XDG_CONFIG_HOME", ".config"), "wakefuzz", "config.yaml")
}

// baseDir returns the folder that the variable names, or the one below the
// user's home.
func baseDir(variable, below string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "." // a user without a home still has a working folder
	}
	return firstOf(os.Getenv(variable), filepath.Join(home, below))
}

func firstOf(choices ...string) string {
	for _, c := range choices {
		if c != "" {
			return c
		}
	}
	return ""
}
